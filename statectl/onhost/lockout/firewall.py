"""The live packet filter: what `nft` and, where tables of it are loaded, the older iptables say. Saved as their own programs tell it."""

from typing import TYPE_CHECKING, Any

from statectl.onhost.failure import Failed

if TYPE_CHECKING:
    from typing import Dict, List, Optional, Sequence, Tuple

    from statectl.onhost.host import Host

LIMIT_S = 30
# (what is loaded, how it is told, how it is set): the legacy programs where both are there
_OLD = (
    (
        "/proc/net/ip_tables_names",
        ("iptables-legacy-save", "iptables-save"),
        ("iptables-legacy-restore", "iptables-restore"),
    ),
    (
        "/proc/net/ip6_tables_names",
        ("ip6tables-legacy-save", "ip6tables-save"),
        ("ip6tables-legacy-restore", "ip6tables-restore"),
    ),
)
_OPEN = "*filter\n:INPUT ACCEPT [0:0]\n:FORWARD ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\nCOMMIT\n"


def image(host: "Host") -> "Dict[str, Any]":
    """-> {"nft": text or None, "old": [text or None for IPv4, for IPv6]}; None: there is no program to ask."""
    return {"nft": _nft(host), "old": [_old(host, *entry) for entry in _OLD]}


def put_back(host: "Host", was: "Dict[str, Any]") -> "Tuple[bool, List[str]]":
    """-> (was anything put back?, what could not be, in words)"""
    troubles: Any = []
    moved = False
    if was["nft"] is not None and _nft(host) not in (None, was["nft"]):
        moved = True
        _run(host, ["nft", "-f", "-"], "flush ruleset\n" + was["nft"], troubles)
    for entry, text in zip(_OLD, was["old"]):
        if _old(host, *entry) in (None, text):
            continue
        restore = _first(host, entry[2])
        if restore is not None:
            moved = True
            _run(host, [restore], text or _OPEN, troubles)
    return moved, troubles


def _run(host: "Host", argv: "Sequence[str]", text: str, troubles: "List[str]") -> None:
    try:
        host.run(argv, timeout=LIMIT_S, input=text.encode("utf-8", "surrogateescape"))
    except Failed as error:
        troubles.append(error.message)


def _nft(host: "Host") -> "Optional[str]":
    if host.which("nft") is None:
        return None
    # stateless: counters and the ages of entries are no rules
    ran = host.run(["nft", "-s", "list", "ruleset"], timeout=LIMIT_S, check=False)
    return ran.out if ran.code == 0 and not ran.timed_out else None


def _old(host: "Host", loaded: str, save: "Sequence[str]", restore: "Sequence[str]") -> "Optional[str]":  # noqa: ARG001  an entry of _OLD, spread out
    program = _first(host, save)
    try:
        names = host.read_file(loaded)
    except Failed:
        return None
    if program is None or not names:
        return None  # asking would load the tables
    ran = host.run([program], timeout=LIMIT_S, check=False)
    if ran.code != 0 or ran.timed_out:
        return None
    lines = [line for line in ran.out.split("\n") if not line.startswith("#")]
    return "\n".join(line.partition(" [")[0] + " [0:0]" if line.startswith(":") else line for line in lines)


def _first(host: "Host", names: "Sequence[str]") -> "Optional[str]":
    return next((name for name in names if host.which(name) is not None), None)
