"""A directory of the project, on the host: one manifest, however many files.

A manifest is a list of entries, in any order:

{"path": "css/site.css", "kind": "file", "content": Content, "executable": true}   executable may be left out
{"path": "css", "kind": "directory"}                                               implied by what is below
{"path": "latest", "kind": "link", "to": "v2"}
{"path": "old.css", "kind": "absent", "was": "file" or "directory"}                made by removal() only

A file or directory entry may have an owner, group and mode of its own, which win over the tree's; a file without content
has only those compared. `mode` of the tree is the mode of files; directories and executable files get x wherever it has r. Without
a mode a new file gets 0644, or 0755 when executable, and of an existing one only the missing x bits are put right.

The found manifest holds only what is not as wanted, as it is: {"path", "kind", and what differs}; kind absent: missing. So
reading costs memory for what differs, not for what is right, and contents are hashed in passing. A tree whose directory
is missing is found as Missing. An entry of another kind than wanted is refused, unless the tree is exclusive: then it is one of the
things that nothing declares.
"""

from typing import TYPE_CHECKING, Any, List, NamedTuple, Optional

from statectl.onhost.below import join, walk
from statectl.onhost.content import Content
from statectl.onhost.failure import Failed
from statectl.onhost.kinds import WORDS, in_the_way, kind
from statectl.onhost.ownership import (
    Lookups,
    apply_metadata,
    group_as_wanted,
    mode_text,
    owner_as_wanted,
)
from statectl.onhost.protected import is_protected, resolved
from statectl.onhost.reading import each

if TYPE_CHECKING:
    import os
    from typing import Dict, Sequence, Tuple, Union

    from statectl.onhost.host import Host
    from statectl.onhost.shapes import JSON, Manifest, Removal

OPTIONS = ("declared", "owner", "group", "mode")  # the last three are compared entry by entry, as part of the manifest
DIFF_LINES = 200


class Desired(NamedTuple):
    """`declared`: paths relative to the tree that other resources declare; an exclusive tree leaves them alone.

    Found: manifest as the module says; exclusive is a list of paths to be removed, directories with a slash at their end.
    """

    name: str
    manifest: Any = None
    exclusive: Any = None
    declared: Optional[List[str]] = None
    owner: Optional[str] = None
    group: Optional[str] = None
    mode: Optional[str] = None


class Missing(Desired):
    """A found tree whose directory is not there: everything in it is missing."""

    __slots__ = ()
    state = "absent"


class _Entry(NamedTuple):
    """An entry of the wanted manifest with its metadata settled; `name` is its absolute path."""

    name: str
    path: str
    kind: str
    content: Any
    to: Optional[str]
    owner: Optional[str]
    group: Optional[str]
    mode: Optional[str]
    was: Optional[str]


def read(host: "Host", wanted: "Sequence[Desired]") -> "Dict[str, Union[Desired, Failed]]":
    return each(wanted, lambda want: _read_one(host, want))


def _missing(want: "Desired") -> "Missing":
    """Nothing is there but the tree's directory itself is not listed: it is made first."""
    entries = _complete(want.manifest)
    return Missing(want.name, [{"path": path, "kind": "absent"} for path in sorted(entries) if path != "."])


def _read_one(host: "Host", want: "Desired") -> "Desired":
    if want.manifest is None:
        raise Failed("%s: what the tree holds did not come along" % want.name, "no manifest")
    status = host.lstat(want.name)
    if status is None:
        return Desired(want.name, manifest=[]) if _is_removal(want.manifest) else _missing(want)
    if kind(status) != "directory":
        return Desired(want.name, manifest=[{"path": ".", "kind": kind(status)}])
    entries = _complete(want.manifest)
    lookups = Lookups(host)
    found = [_difference(host, lookups, want, entries[path]) for path in sorted(entries)]
    return Desired(
        want.name,
        manifest=[entry for entry in found if entry is not None] + _still_there(host, want, entries),
        exclusive=_undeclared(host, want, entries) if want.exclusive else None,
    )


def same(field: str, wanted: object, found: object) -> bool:
    if field == "exclusive":
        return not wanted or found == []
    return found == [] if field == "manifest" else wanted == found


def validate(host: "Host", want: "Desired", found: "Desired") -> str:
    """What will be refused, told before anything is written. '' : nothing."""
    if isinstance(found, Missing):
        return ""
    if found.manifest[:1] and found.manifest[0]["path"] == "." and found.manifest[0]["kind"] != "directory":
        return in_the_way(host, want.name, found.manifest[0]["kind"], "a tree needs a directory there")
    if want.exclusive and is_protected(resolved(want.name, host.root)):
        return "%s: exclusive is refused for a system directory" % want.name
    if want.exclusive and want.declared is None:
        return "%s: exclusive, but what is declared below did not come along" % want.name
    if not want.exclusive:
        entries = _complete(want.manifest)
        for there in found.manifest:
            wanted = entries[there["path"]]["kind"]
            if _other_kind(there, wanted):
                path = join(want.name, there["path"])
                return in_the_way(host, path, there["kind"], "the tree has %s there; remove it first" % WORDS[wanted])
    return ""


def blobs(want: "Desired", found: "Desired") -> "List[Tuple[str, int]]":
    """-> [(sha256, size)] of the contents that applying needs: those that are not there yet."""
    entries = _complete(want.manifest)
    needed = {}
    for there in found.manifest:
        content = entries[there["path"]].get("content")
        if content is not None and ("content" in there or _other_kind(there, "file") or there["kind"] == "absent"):
            needed[content.sha256] = content.size
    return sorted(needed.items())


def diff(field: str, want: "Desired", found: "Desired") -> "Optional[List[str]]":
    """-> the lines that stand for this field's change in a plan, or None: as any other field."""
    if field == "exclusive":
        return ["-" + path for path in found.exclusive or ()]
    if field != "manifest":
        return None
    entries = _complete(want.manifest)
    lines = [_diff_line(there, entries[there["path"]]) for there in found.manifest]
    if len(lines) > DIFF_LINES:
        lines = [*lines[:DIFF_LINES], "... %d more" % (len(lines) - DIFF_LINES)]
    return lines


def _diff_line(there: "Dict[str, JSON]", entry: "Dict[str, JSON]") -> str:
    if entry["kind"] == "absent":
        return "-%s" % there["path"]
    slash = "/" if entry["kind"] == "directory" else ""
    if there["kind"] == "absent":
        return "+%s%s" % (there["path"], slash)
    if there["kind"] != entry["kind"]:
        return "~%s%s (was %s)" % (there["path"], slash, WORDS[there["kind"]])
    parts = [
        "content" if field == "content" else "%s %s" % (field, there[field])
        for field in ("content", "to", "owner", "group", "mode")
        if field in there
    ]
    return "~%s%s (%s)" % (there["path"], slash, ", ".join(parts))


def apply(host: "Host", want: "Desired", found: "Desired", differing: "Sequence[str]") -> None:  # noqa: ARG001  what differs stands in found, entry by entry
    trouble = validate(host, want, found)
    if trouble:
        raise Failed(trouble, "refused for this tree")
    entries = _complete(want.manifest)
    if isinstance(found, Missing):
        host.make_directory(want.name, want.owner, want.group, _with_x(want.mode))
    for there in found.manifest:
        entry = _settled(want, entries[there["path"]], None)
        if entry.kind == "absent":
            _remove(host, entry)
            continue
        if _other_kind(there, entry.kind):
            _remove(host, entry)
            there = {"path": entry.path, "kind": "absent"}  # noqa: PLW2901  now it is
        _apply_entry(host, want, entries[entry.path], there)
    for path in found.exclusive or ():
        _remove_at(host, join(want.name, path.rstrip("/")), path.endswith("/"))


def removal(record: "Removal") -> "Optional[Desired]":
    """What we made goes, directories when they are empty; what we changed gets back what it had.

    A tree that was made with its directory goes whole. Of an adopted one, files that came into the source later and files that
    were right at the start stay: nothing tells whose they are.
    """
    wanted = record["want"].get("manifest") or []
    entries = _complete(wanted["$manifest"] if isinstance(wanted, dict) else wanted)
    if record["created"]:
        gone = [{"path": path, "kind": "absent", "was": entries[path]["kind"]} for path in sorted(entries)]
        return Desired(record["name"], manifest=gone)
    back = []
    for there in record["before"].get("manifest") or []:
        if there["kind"] == "absent" and there["path"] in entries:
            back.append({"path": there["path"], "kind": "absent", "was": entries[there["path"]]["kind"]})
        elif there["kind"] in ("file", "directory", "link"):
            back.append(there)
    return Desired(record["name"], manifest=back) if back else None


# -- the wanted manifest


def _is_removal(manifest: "Manifest") -> bool:
    """Is this one of removal() in which nothing has to be there?"""
    return bool(manifest) and all(entry["kind"] == "absent" for entry in manifest)


def _at(top: str, path: str) -> str:
    """The absolute path of an entry; "." is the tree's own directory."""
    return join(top, "" if path == "." else path)


def _complete(manifest: "Manifest") -> "Dict[str, Dict[str, JSON]]":
    """-> {path: entry}, with the directories that paths imply, the tree's own among them, unless it is one of removal().

    Raises Failed for a path that leaves the tree.
    """
    removes = any(entry["kind"] == "absent" for entry in manifest)
    entries = {} if removes else {".": {"path": ".", "kind": "directory"}}
    for entry in manifest:
        path = entry["path"]
        if path.startswith("/") or path == "" or ".." in path.split("/"):
            raise Failed("a tree's manifest holds the path %r, which is not below it" % path, "path leaves the tree")
        entries[path] = entry
    for path in [] if removes else list(entries):
        above = path.rpartition("/")[0]
        while above and above not in entries:
            entries[above] = {"path": above, "kind": "directory"}
            above = above.rpartition("/")[0]
    return entries


def _settled(want: "Desired", entry: "Dict[str, JSON]", status: "Optional[os.stat_result]") -> "_Entry":
    """-> _Entry. `status`: of what stands there, or None; without a wanted mode an existing file keeps its own."""
    entry_kind = entry["kind"]
    mode = entry.get("mode")
    if mode is None and entry_kind == "directory":
        mode = _with_x(want.mode)
    elif mode is None and entry_kind == "file":
        mode = want.mode or (mode_text(status) if status is not None else "0644")
        if entry.get("executable"):
            mode = _with_x(mode)
    return _Entry(
        _at(want.name, entry["path"]),
        entry["path"],
        entry_kind,
        entry.get("content"),
        entry.get("to"),
        entry.get("owner", want.owner),
        entry.get("group", want.group),
        mode,
        entry.get("was"),
    )


def _with_x(mode: "Optional[str]") -> "Optional[str]":
    """0640 becomes 0750: x wherever there is r."""
    return None if mode is None else "%04o" % (int(mode, 8) | (int(mode, 8) & 0o444) >> 2)


# -- what is there


def _difference(
    host: "Host", lookups: "Lookups", want: "Desired", entry: "Dict[str, JSON]"
) -> "Optional[Dict[str, JSON]]":
    """-> None when one entry is as wanted, else what is there and in what it differs."""
    if entry["kind"] == "absent":
        return None
    path = _at(want.name, entry["path"])
    status = host.lstat(path)
    if status is None:
        return {"path": entry["path"], "kind": "absent"}
    there = {"path": entry["path"], "kind": kind(status)}
    if there["kind"] == "link":
        there["to"] = host.readlink(path)
        return None if entry["kind"] == "link" and entry["to"] == there["to"] else there
    if there["kind"] != entry["kind"]:
        return there
    wanted = _settled(want, entry, status)
    found = {
        "owner": owner_as_wanted(lookups, wanted.owner, status.st_uid),
        "group": group_as_wanted(lookups, wanted.group, status.st_gid),
        "mode": None if wanted.mode is None else mode_text(status),
    }
    there.update((field, value) for field, value in found.items() if value != getattr(wanted, field))
    if wanted.content is not None:
        content = Content.of_file(host.path(path))
        if content != wanted.content:
            there["content"] = content
    return there if len(there) > 2 else None


def _still_there(host: "Host", want: "Desired", entries: "Dict[str, Dict[str, JSON]]") -> "Manifest":
    """What of the entries to be removed is there, children before their directory; a directory counts when it would be empty."""
    gone, found = set(), []
    for path in sorted((path for path in entries if entries[path]["kind"] == "absent"), reverse=True):
        at = _at(want.name, path)
        status = host.lstat(at)
        if status is None:
            gone.add(path)
        elif kind(status) == "directory":
            prefix = "" if path == "." else path + "/"
            if entries[path].get("was") == "directory" and all(prefix + name in gone for name in host.listdir(at)):
                gone.add(path)
                found.append({"path": path, "kind": "directory"})
        elif entries[path].get("was") != "directory":
            gone.add(path)
            found.append({"path": path, "kind": kind(status)})
    return found


def _undeclared(host: "Host", want: "Desired", entries: "Dict[str, Dict[str, JSON]]") -> "List[str]":
    """What neither the manifest nor another resource has below the tree; a directory that goes whole is not entered."""
    declared = set(want.declared or ())
    above = set()
    for path in declared:
        while "/" in path:
            path = path.rpartition("/")[0]  # noqa: PLW2901  upwards
            above.add(path)
    return [
        relative + ("/" if kind(status) == "directory" else "")
        for relative, status in walk(
            host, want.name, enter=lambda path: path not in declared and (path in entries or path in above)
        )
        if relative not in entries and relative not in declared and relative not in above
    ]


def _other_kind(there: "Dict[str, JSON]", wanted: str) -> bool:
    return wanted != "absent" and there["kind"] not in ("absent", wanted)


# -- making it so


def _apply_entry(host: "Host", want: "Desired", entry: "Dict[str, JSON]", there: "Dict[str, JSON]") -> None:
    path = _at(want.name, entry["path"])
    status = None if there["kind"] == "absent" else host.lstat(path)
    wanted = _settled(want, entry, status)
    if wanted.kind == "link":
        assert wanted.to is not None  # every link of a manifest says where it points
        host.make_link(path, wanted.to)
    elif wanted.kind == "directory":
        if status is None:
            host.make_directory(path, wanted.owner, wanted.group, wanted.mode)
        else:
            apply_metadata(host, wanted, there)
    elif wanted.content is not None and (status is None or "content" in there):
        mode = wanted.mode
        if wanted.content.secret and want.mode is None and "mode" not in entry:
            mode = "0700" if entry.get("executable") else "0600"
        host.replace_file(path, wanted.content, wanted.owner, wanted.group, mode)
    elif status is not None:
        apply_metadata(host, wanted, there)


def _remove(host: "Host", entry: "_Entry") -> None:
    status = host.lstat(entry.name)
    if status is None:
        return
    is_directory = kind(status) == "directory"
    if is_directory and entry.kind == "absent" and host.listdir(entry.name):
        raise Failed("%s is not empty any more; left in place" % entry.name, "directory is not empty")
    _remove_at(host, entry.name, is_directory)


def _remove_at(host: "Host", path: str, is_directory: bool) -> None:
    if is_directory:
        host.remove_tree(path)
    else:
        host.remove_file(path)
