"""facts.memory: {total_mb, swap_mb}, in units of 1024 * 1024 bytes."""
# ruff: noqa: ARG001  the signature of gather is the contract of all topics

from statectl.onhost.facts import text_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Dict

    from statectl.onhost.host import Host
    from statectl.onhost.shapes import Facts


def gather(host: "Host", known: "Facts") -> "Dict[str, int]":
    fields = {}
    for line in text_of(host, "/proc/meminfo").splitlines():
        key, _, value = line.partition(":")
        fields[key] = int(value.split()[0]) // 1024
    return {"total_mb": fields["MemTotal"], "swap_mb": fields.get("SwapTotal", 0)}
