"""Regular files.

at the path              wanted present                       wanted absent
nothing                  made, empty without `content`        ok
a file                   field by field                       removed
a symbolic link          refused: neither followed nor lost   the link is removed
a fifo or socket         refused                              removed
a directory or device    refused                              refused

A new file gets mode 0644, and 0600 when its content is secret; secret content also closes an existing file to 0600 when no
mode is wanted. Content is replaced whole, by rename, so a reader sees the old or the new.
"""

import time
from typing import TYPE_CHECKING, Any, List, NamedTuple, Optional

from statectl.onhost.content import Content
from statectl.onhost.failure import Failed
from statectl.onhost.kinds import in_the_way, kind
from statectl.onhost.ownership import apply_metadata, found_metadata
from statectl.onhost.reading import each

if TYPE_CHECKING:
    from typing import Dict, Sequence, Union

    from statectl.onhost.host import Host
    from statectl.onhost.shapes import Removal

OPTIONS = ("validate", "backup")


class Desired(NamedTuple):
    """state: 'present', 'absent', or in a found one the kind of what is in the way: 'link', 'directory', 'fifo' ...

    content is a Content; it is read only when it is wanted.
    """

    name: str
    content: Any = None
    owner: Optional[str] = None
    group: Optional[str] = None
    mode: Optional[str] = None
    validate: Optional[List[str]] = None
    backup: Optional[bool] = None
    state: Optional[str] = None


def read(host: "Host", wanted: "Sequence[Desired]") -> "Dict[str, Union[Desired, Failed]]":
    return each(wanted, lambda want: _read_one(host, want))


def _read_one(host: "Host", want: "Desired") -> "Desired":
    status = host.lstat(want.name)
    if status is None:
        return Desired(want.name, state="absent")
    found_kind = kind(status)
    if found_kind != "file":
        return Desired(want.name, state=found_kind)
    if want.state == "absent":
        return Desired(want.name, state="present")
    content = None if want.content is None else Content.of_file(host.path(want.name))
    owner, group, mode = found_metadata(host, want, status)
    return Desired(want.name, content=content, owner=owner, group=group, mode=mode, state="present")


def validate(host: "Host", want: "Desired", found: "Desired") -> str:
    """What is in the way and will not be touched, told before anything is written. '' : nothing."""
    assert found.state is not None  # a reading always says
    if found.state in ("present", "absent"):
        return ""
    if want.state == "absent":
        if found.state in ("link", "fifo", "socket"):
            return ""
        advice = "declare it absent under directories" if found.state == "directory" else "it is not removed"
        return in_the_way(host, want.name, found.state, advice)
    if found.state == "link":
        return in_the_way(host, want.name, "link", "declare the file it points to, or remove the link first")
    return in_the_way(host, want.name, found.state, "it is not replaced by a file; remove it first")


def apply(host: "Host", want: "Desired", found: "Desired", differing: "Sequence[str]") -> None:
    trouble = validate(host, want, found)
    if trouble:
        raise Failed(trouble, "something else is at the path of a file")
    if want.state == "absent":
        if want.backup and found.state == "present":
            keep_copy(host, want.name)
        host.remove_file(want.name)
    elif "content" in differing or found.state == "absent":
        if want.backup and found.state == "present":
            keep_copy(host, want.name)
        content = Content.of_bytes(b"") if want.content is None else want.content
        mode = "0600" if want.mode is None and content.secret else want.mode
        host.replace_file(want.name, content, want.owner, want.group, mode, want.validate)
    else:
        apply_metadata(host, want, differing)


def keep_copy(host: "Host", path: str) -> None:
    """A copy beside the file, as readable as the file was. Programs that read a directory of settings skip names with ~ at their end."""
    status = host.lstat(path)
    if status is None:
        return  # it went away meanwhile
    copy = "%s.%s~" % (path, time.strftime("%Y%m%dT%H%M%SZ", time.gmtime()))
    host.replace_file(
        copy, Content.of_file(host.path(path)), str(status.st_uid), str(status.st_gid), status.st_mode & 0o7777
    )


def removal(record: "Removal") -> "Optional[Desired]":
    """A file we made goes; one that was there gets back what it had when we first managed it. What `absent` removed stays away."""
    before = record["before"]
    if record["want"].get("state") == "absent":
        return None
    if record["created"]:
        return Desired(record["name"], state="absent")
    kept = {field: before.get(field) for field in ("content", "owner", "group", "mode")}
    return Desired(record["name"], state="present", **kept) if any(kept.values()) else None
