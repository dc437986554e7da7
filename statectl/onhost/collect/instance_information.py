"""InstanceInformation: one row, who this host is. From the facts of the same contact."""
# ruff: noqa: ARG001  the signature of gather is the contract of all types

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Dict, List

    from statectl.onhost.host import Host
    from statectl.onhost.shapes import JSON

NAME = "InstanceInformation"
COLUMNS = (
    "ComputerName",
    "InstanceId",
    "IpAddress",
    "PlatformType",
    "PlatformName",
    "PlatformVersion",
    "AgentType",
    "AgentVersion",
    "ResourceType",
)
DEADLINE_S = 3.0


def gather(host: "Host", asked: "Dict[str, JSON]") -> "List[List[JSON]]":
    from statectl import __version__

    own, system = host.facts.get("host") or {}, host.facts.get("os") or {}
    return [
        [
            own.get("fqdn", ""),
            own.get("machine_id", ""),
            (host.facts.get("network") or {}).get("default_address", ""),
            "Linux",
            system.get("name", ""),
            system.get("version", ""),
            "statectl",
            __version__,
            "ManagedInstance",
        ]
    ]
