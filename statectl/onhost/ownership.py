"""Owner, group and mode of a path: read in the form they were wanted in, and made so.

Only what is wanted is looked up: a name service may be slow, and what nobody declared is nobody's business.
"""

import stat

TYPE_CHECKING = False
if TYPE_CHECKING:
    import os
    from typing import Any, Container, Dict, Optional, Tuple, Union

    from statectl.onhost.host import Host

    Metadata = Tuple[Optional[str], Optional[str], Optional[str]]


class Lookups(object):
    """Stands in for a Host where one reading asks for the same few names many thousand times."""

    def __init__(self, host: "Host") -> None:
        self._host = host
        self._ids: "Dict[Tuple[str, str], Optional[int]]" = {}
        self._names: "Dict[Tuple[str, int], str]" = {}

    def user_id(self, user: str) -> "Optional[int]":
        if ("user", user) not in self._ids:
            self._ids["user", user] = self._host.user_id(user)
        return self._ids["user", user]

    def group_id(self, group: str) -> "Optional[int]":
        if ("group", group) not in self._ids:
            self._ids["group", group] = self._host.group_id(group)
        return self._ids["group", group]

    def user_name(self, uid: int) -> str:
        if ("user", uid) not in self._names:
            self._names["user", uid] = self._host.user_name(uid)
        return self._names["user", uid]

    def group_name(self, gid: int) -> str:
        if ("group", gid) not in self._names:
            self._names["group", gid] = self._host.group_name(gid)
        return self._names["group", gid]


def owner_as_wanted(host: "Union[Host, Lookups]", wanted: "Optional[str]", uid: int) -> "Optional[str]":
    """uid -> the wanted text when it names this user, else the user's name. A wanted user need not exist yet."""
    if wanted is None:
        return None
    return wanted if host.user_id(wanted) == uid else host.user_name(uid)


def group_as_wanted(host: "Union[Host, Lookups]", wanted: "Optional[str]", gid: int) -> "Optional[str]":
    if wanted is None:
        return None
    return wanted if host.group_id(wanted) == gid else host.group_name(gid)


def mode_text(status: "os.stat_result") -> str:
    """-> "0644", as the controller writes modes."""
    return "%04o" % stat.S_IMODE(status.st_mode)


def found_metadata(host: "Union[Host, Lookups]", want: "Any", status: "os.stat_result") -> "Metadata":
    """-> (owner, group, mode), each None where it is not wanted."""
    return (
        owner_as_wanted(host, want.owner, status.st_uid),
        group_as_wanted(host, want.group, status.st_gid),
        None if want.mode is None else mode_text(status),
    )


def apply_metadata(host: "Host", want: "Any", differing: "Container[str]") -> None:
    """Owner and group, then mode: in the other order a change of owner would take setuid bits away again."""
    if "owner" in differing or "group" in differing:
        host.set_owner(
            want.name,
            want.owner if "owner" in differing else None,
            want.group if "group" in differing else None,
        )
    if "mode" in differing:
        host.set_mode(want.name, want.mode)
