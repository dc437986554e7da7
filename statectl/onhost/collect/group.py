"""Group: one row a group of /etc/group."""
# ruff: noqa: ARG001  the signature of gather is the contract of all types

from typing import TYPE_CHECKING

from statectl.onhost.collect.user import entries

if TYPE_CHECKING:
    from typing import Dict, List

    from statectl.onhost.host import Host
    from statectl.onhost.shapes import JSON

NAME = "Group"
COLUMNS = ("Name", "Gid", "Members")
DEADLINE_S = 3.0
MAX_ROWS = 5000


def gather(host: "Host", asked: "Dict[str, JSON]") -> "List[List[JSON]]":
    return [
        [fields[0], int(fields[2]), " ".join(sorted(filter(None, fields[3].split(","))))]
        for fields in entries(host, "/etc/group", 4)
        if fields[2].isdigit()
    ]
