"""Restart debt: which services must restart, and which commands must run, because something changed.

A debt is a state, not an event: it is stored before the change that causes it and goes only when it is paid, so no crash, failure or
lost channel can lose a restart. Commands with `when_changed` owe a run in the same way.

when                                                      the debt
a change that notifies is about to be made                owed, durable first
the change failed and altered nothing                     as it was before
the service was started by its own apply afterwards       gone: a started service has read everything
the service is wanted stopped                             gone: it will read everything when it starts
paid                                                      gone
crash while paying, and the service is another instance   gone: the restart did happen
crash while paying, otherwise                             owed
the target is declared by nobody any more                 gone, and said so
it disrupts, and must wait                                owed, with the start of the service that lacks the change
and the service was started anew since                    gone: a started service has read everything
"""

import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Dict, Optional

    from statectl.onhost.shapes import Address, Debt


class Debts(object):
    """owed  {address: {"verb", "because", "since", "run", "paying"}}: memory's own dict, changed here and in restarts.py only

    `waits` of one that had to wait: which start of the service was there then; a new cause makes it owed anew, without.
    """

    def __init__(self, owed: "Dict[Address, Debt]", run: str) -> None:
        self.owed = owed
        self._run = run

    def incur(self, address: "Address", verb: str, because: "Address") -> "Debt":
        """-> the debt as it is now, to be journaled before the change is made."""
        old = self.owed.get(address)
        debt: "Debt" = {
            "verb": verb,
            "because": [] if old is None else list(old["because"]),
            "since": int(time.time()) if old is None else old["since"],
            "run": self._run if old is None else old["run"],
            "paying": None,
        }
        if because not in debt["because"]:
            debt["because"].append(because)
        self.owed[address] = debt
        return debt

    def restore(self, before: "Dict[Address, Optional[Debt]]") -> "Dict[Address, Optional[Debt]]":
        """before: {address: debt or None} as they were. -> the same, to be journaled."""
        for address, debt in before.items():
            if debt is None:
                self.owed.pop(address, None)
            else:
                self.owed[address] = debt
        return before

    def clear(self, address: "Address") -> "Dict[Address, Optional[Debt]]":
        """-> {address: None} to be journaled, {} when nothing was owed."""
        return {} if self.owed.pop(address, None) is None else {address: None}


def happened(debt: "Debt", instance: str) -> bool:
    """Did the restart that a crash interrupted happen? `instance`: what runs now, '' when that cannot be told."""
    paying = debt.get("paying")
    return bool(paying and paying.get("instance") and instance and paying["instance"] != instance)
