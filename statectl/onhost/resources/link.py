"""Symbolic links. What a link points to is compared as text: two spellings of one target are two targets.

at the path           wanted present             wanted absent
nothing               made                       ok
a link                `to` compared              removed
a file                refused, or force          refused
an empty directory    refused, or force          refused
anything else         refused                    refused
"""

from typing import TYPE_CHECKING, NamedTuple, Optional

from statectl.onhost.failure import Failed
from statectl.onhost.kinds import in_the_way, kind

if TYPE_CHECKING:
    from typing import Dict, Sequence

    from statectl.onhost.host import Host
    from statectl.onhost.shapes import Removal

OPTIONS = ("force",)


class Desired(NamedTuple):
    """state: 'present', 'absent', or in a found one the kind of what is in the way: 'file', 'directory', 'fifo' ..."""

    name: str
    to: Optional[str] = None
    force: Optional[bool] = None
    state: Optional[str] = None


def read(host: "Host", wanted: "Sequence[Desired]") -> "Dict[str, Desired]":
    return {want.name: _read_one(host, want.name) for want in wanted}


def _read_one(host: "Host", path: str) -> "Desired":
    status = host.lstat(path)
    if status is None:
        return Desired(path, state="absent")
    found_kind = kind(status)
    if found_kind == "link":
        return Desired(path, to=host.readlink(path), state="present")
    return Desired(path, state=found_kind)


def validate(host: "Host", want: "Desired", found: "Desired") -> str:
    """What is in the way and will not be touched, told before anything is written. '' : nothing."""
    assert found.state is not None  # a reading always says
    if found.state in ("present", "absent"):
        return ""
    if want.state == "absent":
        return in_the_way(host, want.name, found.state, "`absent` under links removes only links")
    if found.state == "directory" and want.force and host.listdir(want.name):
        return in_the_way(host, want.name, found.state, "it is not empty, so `force` does not replace it")
    if found.state in ("file", "directory") and not want.force:
        return in_the_way(host, want.name, found.state, "`force: true` replaces it")
    if found.state not in ("file", "directory"):
        return in_the_way(host, want.name, found.state, "it is not replaced by a link; remove it by hand")
    return ""


def apply(host: "Host", want: "Desired", found: "Desired", differing: "Sequence[str]") -> None:  # noqa: ARG001  a link is made whole or not at all
    trouble = validate(host, want, found)
    if trouble:
        raise Failed(trouble, "something else is at the path of a link")
    if want.state == "absent":
        host.remove_file(want.name)
    else:
        assert want.to is not None  # every present one says where it points
        host.make_link(want.name, want.to, force=found.state != "absent")


def removal(record: "Removal") -> "Optional[Desired]":
    """A link we made goes; a link that was there points again to where it pointed; a file that `force` replaced is not restored."""
    before = record["before"]
    if record["created"]:
        return Desired(record["name"], state="absent")
    if before.get("to") is None:
        return None
    return Desired(record["name"], to=before["to"], state="present")
