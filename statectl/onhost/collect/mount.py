"""Mount: one row a mounted file system, from the facts of the same contact. How full they are is told by Usage."""
# ruff: noqa: ARG001  the signature of gather is the contract of all types

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Dict, List

    from statectl.onhost.host import Host
    from statectl.onhost.shapes import JSON

NAME = "Mount"
COLUMNS = ("Path", "Device", "FileSystem", "ReadOnly", "SizeMB")
DEADLINE_S = 3.0


def gather(host: "Host", asked: "Dict[str, JSON]") -> "List[List[JSON]]":
    return [
        [one["path"], one["device"], one["type"], one["read_only"], one["size_mb"]]
        for one in host.facts.get("mounts") or ()
    ]
