"""Directories.

at the path              wanted present                       wanted absent
nothing                  made; its parent must be there       ok
a directory              field by field                       removed with all its content
a symbolic link          refused: neither followed nor lost   refused
anything else            refused                              refused

`recurse` and `exclusive` look at what is below: they never follow a link and never leave the file system. A file below
gets the mode without execute bits, unless somebody may execute it already (what chmod calls X). What `exclusive` would remove
is found while planning, and only that is removed. Neither, and no removal, touches a directory the system lives in.
"""

import stat
from typing import TYPE_CHECKING, Any, List, NamedTuple, Optional

from statectl.onhost.below import Sample, count, entries_text, join, walk
from statectl.onhost.failure import Failed
from statectl.onhost.kinds import in_the_way, kind
from statectl.onhost.ownership import (
    Lookups,
    apply_metadata,
    found_metadata,
    group_as_wanted,
    mode_text,
    owner_as_wanted,
)
from statectl.onhost.protected import is_protected, resolved
from statectl.onhost.reading import each

if TYPE_CHECKING:
    import os
    from typing import Dict, Sequence, Union

    from statectl.onhost.host import Host
    from statectl.onhost.shapes import Removal

OPTIONS = ("declared",)


class Desired(NamedTuple):
    """Wanted: as declared; `declared` holds the paths below, relative to it, that other resources declare, and `recurse` False with `absent`
    means: only when it is empty.

    Found: state is 'present', 'absent', the kind of what is in the way, or 'present, 12 entries' where absent is wanted;
    recurse is True or a list of what below is not as wanted; exclusive is a list of entries to be removed, "name" or
    "name/ (12 entries)".
    """

    name: str
    owner: Optional[str] = None
    group: Optional[str] = None
    mode: Optional[str] = None
    recurse: Any = None
    exclusive: Any = None
    declared: Optional[List[str]] = None
    state: Optional[str] = None


def read(host: "Host", wanted: "Sequence[Desired]") -> "Dict[str, Union[Desired, Failed]]":
    return each(wanted, lambda want: _read_one(host, want))


def _read_one(host: "Host", want: "Desired") -> "Desired":
    status = host.lstat(want.name)
    if status is None:
        return Desired(want.name, state="absent")
    found_kind = kind(status)
    if found_kind != "directory":
        return Desired(want.name, state=found_kind)
    if want.state == "absent":
        return Desired(want.name, state="present, %s" % entries_text(count(host, want.name)))
    owner, group, mode = found_metadata(host, want, status)
    return Desired(
        want.name,
        state="present",
        recurse=_not_as_wanted(host, want) or True if want.recurse else None,
        exclusive=_undeclared(host, want) if want.exclusive else None,
        owner=owner,
        group=group,
        mode=mode,
    )


def same(field: str, wanted: object, found: object) -> bool:
    if field == "recurse":
        return not wanted or found is True
    if field == "exclusive":
        return not wanted or found == []
    return wanted == found


def validate(host: "Host", want: "Desired", found: "Desired") -> str:
    """What will be refused, told before anything is written. '' : nothing."""
    assert found.state is not None  # a reading always says
    if found.state == "absent":
        return ""
    if not found.state.startswith("present"):
        advice = "`absent` under directories removes only directories"
        if want.state != "absent":
            advice = "declare the directory it points to" if found.state == "link" else "remove it first"
        return in_the_way(host, want.name, found.state, advice)
    if (want.state == "absent" or want.recurse or want.exclusive) and is_protected(resolved(want.name, host.root)):
        what = "removal" if want.state == "absent" else "recurse" if want.recurse else "exclusive"
        return "%s: %s is refused for a system directory" % (want.name, what)
    if want.exclusive and want.declared is None:
        return "%s: exclusive, but what is declared below did not come along" % want.name
    return ""


def apply(host: "Host", want: "Desired", found: "Desired", differing: "Sequence[str]") -> None:
    trouble = validate(host, want, found)
    if trouble:
        raise Failed(trouble, "refused for this directory")
    if want.state == "absent":
        _remove(host, want)
        return
    if found.state == "absent":
        host.make_directory(want.name, want.owner, want.group, want.mode)
    else:
        apply_metadata(host, want, differing)
    if found.exclusive:
        _remove_entries(host, want.name, found.exclusive)
    if want.recurse and "recurse" in differing:
        lookups = Lookups(host)
        for relative, status in walk(host, want.name):
            below = _below_differs(lookups, want, status)
            if below:
                path = join(want.name, relative)
                apply_metadata(host, want._replace(name=path, mode=_mode_below(want.mode, status)), below)


def _remove(host: "Host", want: "Desired") -> None:
    if want.recurse is False:
        names = host.listdir(want.name)
        if names:
            shown = ", ".join(names[:5]) + (" ..." if len(names) > 5 else "")
            raise Failed(
                "%s is left in place: it holds %s that statectl did not make: %s"
                % (want.name, entries_text(len(names)), shown),
                "directory is not empty",
            )
    host.remove_tree(want.name)


def _remove_entries(host: "Host", top: str, entries: "Sequence[str]") -> None:
    """Those that the plan named; the directory is made durable once, not for each of what may be thousands."""
    try:
        for entry in entries:
            path = join(top, entry.partition("/")[0])
            status = host.lstat(path)
            if status is not None and stat.S_ISDIR(status.st_mode):
                host.remove_tree(path)
            else:
                host.remove_file(path, durable=False)
    finally:
        host.sync_directory(top)


def _undeclared(host: "Host", want: "Desired") -> "List[str]":
    declared = {path.partition("/")[0] for path in want.declared or ()}
    entries = []
    for name in host.listdir(want.name):
        if name in declared:
            continue
        path = join(want.name, name)
        status = host.lstat(path)
        if status is not None and stat.S_ISDIR(status.st_mode):
            entries.append("%s/ (%s)" % (name, entries_text(count(host, path))))
        else:
            entries.append(name)
    return entries


def _below_differs(lookups: "Lookups", want: "Desired", status: "os.stat_result") -> "Dict[str, Optional[str]]":
    """-> dict of the fields in which one entry below is not as wanted, with what is found; links are left alone."""
    if stat.S_ISLNK(status.st_mode):
        return {}
    found = {
        "owner": owner_as_wanted(lookups, want.owner, status.st_uid),
        "group": group_as_wanted(lookups, want.group, status.st_gid),
        "mode": mode_text(status) if want.mode is not None else None,
    }
    wanted = {"owner": want.owner, "group": want.group, "mode": _mode_below(want.mode, status)}
    return {field: found[field] for field in found if found[field] != wanted[field]}


def _mode_below(mode: "Optional[str]", status: "os.stat_result") -> "Optional[str]":
    if mode is None or stat.S_ISDIR(status.st_mode):
        return mode
    bits = int(mode, 8) & 0o777
    return "%04o" % (bits if status.st_mode & 0o111 else bits & ~0o111)


def _not_as_wanted(host: "Host", want: "Desired") -> "List[str]":
    """-> [] or the first few entries below that differ: "a/b: owner root, mode 0600"."""
    sample = Sample()
    lookups = Lookups(host)
    for relative, status in walk(host, want.name):
        found = _below_differs(lookups, want, status)
        if found:
            sample.add("%s: %s" % (relative, ", ".join("%s %s" % item for item in sorted(found.items()))))
    return sample.texts()


def removal(record: "Removal") -> "Optional[Desired]":
    """A directory we made goes when it is empty; one that was there gets back its owner and mode; entries below are not handed back."""
    before = record["before"]
    if record["want"].get("state") == "absent":
        return None
    if record["created"]:
        return Desired(record["name"], state="absent", recurse=False)
    kept = {field: before.get(field) for field in ("owner", "group", "mode")}
    return Desired(record["name"], state="present", **kept) if any(kept.values()) else None
