"""One scan of this host's packages: what its package manager tells, what still runs old code, and what we installed since the boot.

Whatever goes wrong stands in `trouble` or `stale`: a scan never fails a run, and the controller calls nothing compliant by it.
"""

import importlib
import time
from typing import TYPE_CHECKING

from statectl.onhost.failure import Failed
from statectl.onhost.resources.package import manager_of

if TYPE_CHECKING:
    from types import ModuleType
    from typing import Any, Dict, Optional

    from statectl.onhost.host import Host
    from statectl.onhost.memory import Memory
    from statectl.onhost.shapes import JSON

BOOT_ID = "/proc/sys/kernel/random/boot_id"
EMPTY: "Dict[str, Any]" = {
    "archives": [],
    "installed": [],
    "available": [],
    "new": [],
    "advisories": {},
    "held": [],
    "broken": [],
    "stale": [],
    "changelogs": {},
}


def module_of(host: "Host", name: "Optional[str]" = None) -> "ModuleType":
    """The part of this package that drives the host's package manager. Raises Failed when it has none of them."""
    manager = manager_of(host, name).__name__.rpartition(".")[2]
    return importlib.import_module("statectl.onhost.patching." + manager)


def boot_id(host: "Host") -> str:
    return (host.read_file(BOOT_ID) or b"").decode("ascii", "replace").strip()


def scan(host: "Host", asked: "Dict[str, JSON]", memory: "Memory") -> "Dict[str, JSON]":
    """-> `patches` of the message `ready`"""
    from statectl.onhost.patching import needs

    told: "Dict[str, Any]" = dict(EMPTY, manager="", trouble="", taken=int(time.time()), boot_id=boot_id(host))
    try:
        manager = module_of(host)
        told["manager"] = manager.__name__.rpartition(".")[2]
        told.update(manager.scan(host, asked))
    except Failed as error:
        told["trouble"] = error.message
    told["needs"] = needs.gather(host, told["manager"])
    # what is in force without a reboot waits for none
    owed = any(debt["verb"] == "reboot" for debt in memory.debts.values())
    told["pending_reboot"] = (
        needs.pending_reboot(memory, told["boot_id"], bool(told["needs"]["reboot"]))
        if owed or told["needs"]["reboot"]
        else []
    )
    return told
