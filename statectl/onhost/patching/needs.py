"""What still runs old code after packages were replaced, and what we installed since the boot."""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, List

    from statectl.onhost.host import Host
    from statectl.onhost.memory import Memory


def gather(host: "Host", manager: str) -> "Dict[str, Any]":  # noqa: ARG001  managers have marks of their own
    """-> `needs` of a scan"""
    marked = host.lstat("/run/reboot-required") is not None
    reasons = ["/run/reboot-required is there"] if marked else []
    return {"reboot": marked, "reasons": reasons, "services": {}, "processes": []}


def pending_reboot(memory: "Memory", boot_id: str) -> "List[List[str]]":  # noqa: ARG001  the shape that is told
    """-> [[name, arch, version], ...] that we installed since this boot"""
    return []
