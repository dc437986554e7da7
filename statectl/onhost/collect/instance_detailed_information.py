"""InstanceDetailedInformation: one row, what the machine is made of."""
# ruff: noqa: ARG001  the signature of gather is the contract of all types

from typing import TYPE_CHECKING

from statectl.onhost.facts import text_of

if TYPE_CHECKING:
    from typing import Dict, List

    from statectl.onhost.host import Host
    from statectl.onhost.shapes import JSON

NAME = "InstanceDetailedInformation"
COLUMNS = (
    "CPUModel",
    "CPUs",
    "CPUCores",
    "CPUSockets",
    "CPUHyperThreadEnabled",
    "MemoryMB",
    "Architecture",
    "Manufacturer",
    "Product",
    "Virtualization",
)
DEADLINE_S = 3.0


def gather(host: "Host", asked: "Dict[str, JSON]") -> "List[List[JSON]]":
    model, logical, sockets, cores = "", 0, set(), set()
    socket = ""
    for line in text_of(host, "/proc/cpuinfo", 4 * 1024 * 1024).splitlines():
        key, _, value = line.partition(":")
        key, value = key.strip(), value.strip()
        if key == "processor":
            logical += 1
        elif key in ("model name", "Model"):
            model = model or value
        elif key == "physical id":
            socket = value
            sockets.add(value)
        elif key == "core id":
            cores.add((socket, value))
    facts = host.facts
    physical = len(cores) or logical or None
    return [
        [
            model,
            logical or (facts.get("cpu") or {}).get("count"),
            physical,
            len(sockets) or None,
            None if physical is None else logical > physical,
            (facts.get("memory") or {}).get("total_mb"),
            (facts.get("kernel") or {}).get("arch", ""),
            _word(host, "sys_vendor"),
            _word(host, "product_name"),
            facts.get("virtualization", ""),
        ]
    ]


def _word(host: "Host", name: str) -> str:
    return text_of(host, "/sys/class/dmi/id/" + name, 256)
