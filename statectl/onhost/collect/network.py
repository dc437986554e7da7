"""Network: one row an interface, from the facts of the same contact, with its gateway and the name servers."""
# ruff: noqa: ARG001  the signature of gather is the contract of all types

from typing import TYPE_CHECKING

from statectl.onhost.facts import text_of

if TYPE_CHECKING:
    from typing import Dict, List

    from statectl.onhost.host import Host
    from statectl.onhost.shapes import JSON

NAME = "Network"
COLUMNS = ("Name", "MacAddress", "Up", "IPV4", "IPV6", "Gateway", "DNSServer")
DEADLINE_S = 3.0


def gather(host: "Host", asked: "Dict[str, JSON]") -> "List[List[JSON]]":
    gateways = _gateways(text_of(host, "/proc/net/route"))
    servers = [
        line.split()[1]
        for line in text_of(host, "/etc/resolv.conf").splitlines()
        if line.startswith("nameserver") and len(line.split()) > 1
    ]
    rows = []
    for name, one in ((host.facts.get("network") or {}).get("interfaces") or {}).items():
        addresses = one.get("addresses") or ()
        rows.append(
            [
                name,
                one.get("mac", ""),
                one.get("up"),
                " ".join(sorted(address for address in addresses if ":" not in address)),
                " ".join(sorted(address for address in addresses if ":" in address)),
                gateways.get(name, ""),
                " ".join(servers),
            ]
        )
    return rows


def _gateways(text: str) -> "Dict[str, str]":
    """/proc/net/route -> {interface: address of its default route}. Addresses are numbers of this machine's byte order."""
    import sys

    found: "Dict[str, str]" = {}
    for line in text.splitlines()[1:]:
        words = line.split()
        if len(words) > 3 and words[1] == "00000000" and int(words[3], 16) & 2:
            number = int(words[2], 16).to_bytes(4, sys.byteorder)
            found.setdefault(words[0], ".".join(str(byte) for byte in bytearray(number)))
    return found
