"""facts.time: {timezone, utc_offset_minutes, epoch}: "Europe/Berlin", 60, seconds since 1970 by that host's clock.

epoch is there so that a wrong clock can be seen; nothing is decided by it.
"""
# ruff: noqa: ARG001  the signature of gather is the contract of all topics

import time

from statectl.onhost.facts import text_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Dict

    from statectl.onhost.host import Host
    from statectl.onhost.shapes import JSON, Facts


def gather(host: "Host", known: "Facts") -> "Dict[str, JSON]":
    linked = host.readlink("/etc/localtime") or ""
    name = linked.partition("/zoneinfo/")[2] or text_of(host, "/etc/timezone", 256).partition("\n")[0] or "UTC"
    now = time.time()
    return {
        "timezone": name,
        "utc_offset_minutes": (time.localtime(now).tm_gmtoff or 0) // 60,
        "epoch": int(now),
    }
