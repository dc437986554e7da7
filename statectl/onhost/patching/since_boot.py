"""What we installed since the boot, and what becomes of debts when the host was booted. Kept in the memory: patched.json

It is written before a transaction, so no crash can lose it. Versions that did not come after all are there as well: whoever reads
it looks at what is installed.
"""

from typing import TYPE_CHECKING

from statectl.onhost.memory.files import read_json, write_json

if TYPE_CHECKING:
    from typing import Dict, Iterable, List, Sequence

    from statectl.onhost.memory import Memory
    from statectl.onhost.shapes import Address, Debt

FILE = "patched.json"
BOOT_ID = "/proc/sys/kernel/random/boot_id"
AFTER_REBOOT = "after_reboot"  # verb of a debt: we rebooted, and nobody has looked at what came of it


def boot_id() -> str:
    """'' when it cannot be told."""
    try:
        with open(BOOT_ID) as stream:
            return stream.read().strip()
    except OSError:
        return ""


def versions(memory: "Memory", boot: str) -> "List[List[str]]":
    """-> [[name, arch, version], ...]"""
    kept = read_json(memory.path(FILE), "patches that wait for a reboot count as installed")
    return list(kept["versions"]) if kept and boot and kept["boot_id"] == boot else []


def note(memory: "Memory", boot: str, installing: "Iterable[Sequence[str]]") -> None:
    """Durable on return; those of an earlier boot are forgotten."""
    known = versions(memory, boot)
    new = [list(one) for one in installing if list(one) not in known]
    if new:
        write_json(memory.path(FILE), {"boot_id": boot, "versions": known + new})


def settle(debts: "Dict[Address, Debt]") -> None:
    """The debts that a boot pays: gone, or a look is owed at what came of it. Changes `debts`; they are stored by the next run.

    A reboot of somebody else pays them as ours does. Only after ours there is something to look at; a hook that an interrupted
    run owed is owed in any case.
    """
    now = boot_id()
    for address, debt in list(debts.items()):
        if not debt.get("boot") or not now or debt["boot"] == now:
            continue
        ours = bool(debt.get("paying"))
        if debt["verb"] != AFTER_REBOOT and not ours and not debt.get("exit"):
            del debts[address]
        else:
            debts[address] = dict(debt, verb=AFTER_REBOOT, boot=now, ours=ours or bool(debt.get("ours")), paying=None)
            debts[address]["failed"] = (debt.get("paying") or debt).get("failed") or []
