"""The local account files, read as they are: /etc/passwd, /etc/group and /etc/shadow.

Not through the name service: useradd and its kin write these files, and what an LDAP server adds is not theirs to change.
"""

from typing import TYPE_CHECKING, Dict, NamedTuple, Tuple

if TYPE_CHECKING:
    from typing import Iterator, List

    from statectl.onhost.host import Host


class User(NamedTuple):
    uid: int
    gid: int
    comment: str
    home: str
    shell: str


class Group(NamedTuple):
    gid: int
    members: Tuple[str, ...]


class Shadow(NamedTuple):
    password_hash: str
    expires: str  # days since 1970 as text, '' : never


def users(host: "Host") -> "Dict[str, User]":
    """-> {name: User}"""
    found: Dict[str, User] = {}
    for fields in _rows(host, "/etc/passwd", 7):
        if fields[2].isdigit() and fields[3].isdigit():
            found.setdefault(fields[0], User(int(fields[2]), int(fields[3]), fields[4], fields[5], fields[6]))
    return found


def groups(host: "Host") -> "Dict[str, Group]":
    """-> {name: Group}"""
    found: Dict[str, Group] = {}
    for fields in _rows(host, "/etc/group", 4):
        if fields[2].isdigit():
            found.setdefault(fields[0], Group(int(fields[2]), tuple(name for name in fields[3].split(",") if name)))
    return found


def shadow(host: "Host") -> "Dict[str, Shadow]":
    """-> {name: Shadow}. Raises Failed when it may not be read: only root may."""
    found: Dict[str, Shadow] = {}
    for fields in _rows(host, "/etc/shadow", 9):
        found.setdefault(fields[0], Shadow(fields[1], fields[7]))
    return found


def _rows(host: "Host", path: str, width: int) -> "Iterator[List[str]]":
    text = (host.read_file(path) or b"").decode("utf-8", "surrogateescape")
    for line in text.split("\n"):
        fields = line.split(":")
        if len(fields) >= width and fields[0] and not line.startswith(("#", "+", "-")):
            yield fields
