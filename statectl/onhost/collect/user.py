"""User: one row an account of /etc/passwd. Accounts of a directory server are not asked for."""
# ruff: noqa: ARG001  the signature of gather is the contract of all types

from typing import TYPE_CHECKING

from statectl.onhost.facts import text_of

if TYPE_CHECKING:
    from typing import Dict, List

    from statectl.onhost.host import Host
    from statectl.onhost.shapes import JSON

NAME = "User"
COLUMNS = ("Name", "Uid", "Gid", "Groups", "Home", "Shell", "Comment")
DEADLINE_S = 3.0
MAX_ROWS = 5000
LIMIT = 4 * 1024 * 1024


def gather(host: "Host", asked: "Dict[str, JSON]") -> "List[List[JSON]]":
    joined: "Dict[str, List[str]]" = {}
    for fields in entries(host, "/etc/group", 4):
        for name in filter(None, fields[3].split(",")):
            joined.setdefault(name, []).append(fields[0])
    return [
        [
            fields[0],
            int(fields[2]),
            int(fields[3]),
            " ".join(sorted(joined.get(fields[0], ()))),
            fields[5],
            fields[6],
            fields[4],
        ]
        for fields in entries(host, "/etc/passwd", 7)
        if fields[2].isdigit() and fields[3].isdigit()
    ]


def entries(host: "Host", path: str, count: int) -> "List[List[str]]":
    """The entries of a file of accounts that have all their fields; + and - lines are those of NIS."""
    lines = (line.split(":") for line in text_of(host, path, LIMIT).splitlines())
    return [fields for fields in lines if len(fields) == count and fields[0] and fields[0][0] not in "#+-"]
