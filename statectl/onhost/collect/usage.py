"""Usage: one row a mounted file system, how full it is. Only the latest reading is kept."""
# ruff: noqa: ARG001  the signature of gather is the contract of all types

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Dict, List

    from statectl.onhost.host import Host
    from statectl.onhost.shapes import JSON

NAME = "Usage"
COLUMNS = ("Path", "SizeMB", "AvailableMB", "UsedPercent")
DEADLINE_S = 3.0
LASTING = False


def gather(host: "Host", asked: "Dict[str, JSON]") -> "List[List[JSON]]":
    rows = []
    for one in host.facts.get("mounts") or ():
        size, available = one["size_mb"], one["available_mb"]
        if size and available is not None:
            rows.append([one["path"], size, available, max(0, 100 - available * 100 // size)])
    return rows
