"""The reboot itself, behind the last word of a run: only when the controller says that it waits for this host.

The lock is held until the end, so that no other run begins in the middle of it.
"""

import time
from typing import TYPE_CHECKING

from statectl.onhost.failure import Failed
from statectl.onhost.host import Host

if TYPE_CHECKING:
    from typing import Dict, List

    from statectl.onhost.patching.afterwards import Afterwards
    from statectl.onhost.runner import Session
    from statectl.onhost.shapes import JSON, Message

WAYS = (("systemctl", "--no-ask-password", "reboot"), ("shutdown", "-r", "now"))
GOING_DOWN_S = 120.0  # from the command until something ends us
LOOK_S = 0.1


def carry_out(session: "Session", asked: "Dict[str, JSON]", granted: bool) -> None:
    """granted: did the controller say so? Without its word nothing is rebooted, and the debt stands."""
    if granted and _begun(Host({}, {})):
        limit = time.monotonic() + GOING_DOWN_S
        # who is told to end must not keep the system from going down
        while time.monotonic() < limit and not session.told_to_end:
            time.sleep(LOOK_S)
        if session.told_to_end:
            return
    _not_done(session, asked)


def _begun(host: "Host") -> bool:
    for argv in WAYS:
        try:
            host.run(argv, timeout=60)
        except Failed:
            continue
        return True
    return False


def _not_done(session: "Session", asked: "Dict[str, JSON]") -> None:
    """It is owed as before, whoever boots the host next; and the run ends here after all, with its hooks."""
    memory = session.memory
    told: "List[Message]" = []
    for address in asked["addresses"]:
        if address in memory.debts:
            memory.debts[address] = dict(memory.debts[address], paying=None)
    if session.afterwards is not None:
        told = _leave(session.afterwards)
    memory.keep_debts()
    kept = memory.undelivered.get(session.order["run"])
    if kept is not None and told:
        memory.undelivered.put(session.order["run"], dict(kept, notified=kept["notified"] + told))


def _leave(afterwards: "Afterwards") -> "List[Message]":
    """on_exit, when nobody listens any more -> what there was to tell"""
    told: "List[Message]" = []
    afterwards.go_on_alone(told.append)
    afterwards.leave()
    return told
