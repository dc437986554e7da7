"""Local groups, read from /etc/group. Groups of a directory service are not ours: they are refused, not shadowed."""

from typing import TYPE_CHECKING, NamedTuple, Optional

from statectl.onhost.accounts import groups as local_groups

if TYPE_CHECKING:
    from typing import Dict, Sequence

    from statectl.onhost.accounts import Group
    from statectl.onhost.host import Host
    from statectl.onhost.shapes import Removal

OPTIONS = ("system",)


class Desired(NamedTuple):
    name: str
    state: Optional[str] = None
    gid: Optional[int] = None
    system: Optional[bool] = None


def read(host: "Host", wanted: "Sequence[Desired]") -> "Dict[str, Desired]":
    local = local_groups(host)
    return {want.name: _found(want.name, local.get(want.name)) for want in wanted}


def _found(name: str, entry: "Optional[Group]") -> "Desired":
    if entry is None:
        return Desired(name, state="absent")
    return Desired(name, state="present", gid=entry.gid)


def validate(host: "Host", want: "Desired", found: "Desired") -> str:
    """A number or a name that somebody else has, told before anything is written. '' : nothing."""
    if want.state != "present":
        return ""
    if found.state == "absent" and host.group_id(want.name) is not None and not host.root:
        return "group %s comes from a directory service, not from /etc/group; it cannot be managed here" % want.name
    if want.gid is not None and want.gid != found.gid:
        for name, entry in local_groups(host).items():
            if entry.gid == want.gid and name != want.name:
                return "gid %d belongs to group %s already" % (want.gid, name)
    return ""


def apply(host: "Host", want: "Desired", found: "Desired", differing: "Sequence[str]") -> None:  # noqa: ARG001  what is missing is made, what is there has one field
    if want.state == "absent":
        if want.name in local_groups(host):  # userdel takes a user's own group along
            host.run(["groupdel", "--", want.name])
        return
    gid = [] if want.gid is None else ["--gid", str(want.gid)]
    if found.state == "absent" and want.name not in local_groups(host):
        host.run(["groupadd"] + gid + (["--system"] if want.system else []) + ["--", want.name])
    elif gid:
        host.run(["groupmod", *gid, "--", want.name])


def removal(record: "Removal") -> "Optional[Desired]":
    """A group we made goes; one that was there gets its number back."""
    before = record["before"]
    if record["created"]:
        return Desired(record["name"], state="absent")
    if record["want"].get("gid") is None or before.get("gid") is None:
        return None
    return Desired(record["name"], state="present", gid=before["gid"])
