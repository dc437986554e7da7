"""Restarts and reloads that are owed: once per service and host, after the last phase of every association that may ask for one.

outcome   of a notification
changed   done
ok        not needed any more, and why
failed    it failed, and stays owed
skipped   still owed, and why not now; `pending`: it disrupts, and waits until it may (disruption.py)
"""

from typing import TYPE_CHECKING

from statectl.onhost import compare
from statectl.onhost.debts import happened
from statectl.onhost.engine import as_failed
from statectl.onhost.failure import Failed

if TYPE_CHECKING:
    from typing import Dict, List, Optional, Set

    from statectl.onhost.debts import Debts
    from statectl.onhost.engine import Engine
    from statectl.onhost.lockout.arming import Arming
    from statectl.onhost.memory.journal import Journal
    from statectl.onhost.shapes import Address, Debt, Error, Message
    from statectl.onhost.walk import Walk
    from statectl.onhost.wanted import Item


class Restarts(object):
    """walk    Walk: its outcomes, counts and failures; its emit
    arming  lockout.arming.Arming
    """

    def __init__(self, engine: "Engine", journal: "Journal", debts: "Debts", walk: "Walk", arming: "Arming") -> None:
        self._engine = engine
        self._journal = journal
        self._debts = debts
        self._walk = walk
        self._arming = arming
        self._told: "Set[Address]" = set()  # targets of which was said what becomes of them
        self._due = self._due_after()

    def pay_after(self, position: int) -> None:
        """What is due after the item of this index."""
        for target in self._due.get(position, ()):
            self._pay(target)

    def pay_rest(self) -> None:
        """At the end: what no item of this run was waited for, and runs owed to commands that nobody declares any more."""
        for target in sorted(self._debts.owed):
            if not self._engine.is_command(target):
                self._pay(target)
            elif target not in self._engine.declared:
                self._drop(target, self._debts.owed[target], "it is declared no more")

    def _due_after(self) -> "Dict[int, List[Address]]":
        """-> {index of an item: [targets]}: after which item each restart is paid.

        That is the last item of every association that may notify the target, and of the target's own.
        """
        items = self._engine.items
        last = {}
        for index, item in enumerate(items):
            last[item.association] = index
        moments: "Dict[Address, int]" = {}
        for item in items:
            for target in item.notify:
                moments[target] = max(moments.get(target, -1), last[item.association])
        for index, item in enumerate(items):
            if item.address in moments or (item.address in self._debts.owed and not item.runs):
                moments[item.address] = max(moments.get(item.address, -1), last[item.association], index)
        due: "Dict[int, List[Address]]" = {}
        for target, index in sorted(moments.items()):
            due.setdefault(index, []).append(target)
        return due

    def _pay(self, target: "Address") -> None:
        """Pay what is owed to one service, or say why it stays owed. Nothing owed: nothing said."""
        debt = self._debts.owed.get(target)
        if debt is None or target in self._told or debt.get("boot"):
            return  # what is owed to a boot is paid last of all: see patching/afterwards.py
        engine = self._engine
        item = engine.by_address.get(target)
        self._told.add(target)
        if item is None:
            if target not in engine.declared:
                self._drop(target, debt, "it is declared no more")
            else:
                self._owe(target, debt, "it is not part of this run")
            return
        reason = self._why_not_now(item, debt)
        if reason:
            self._owe(target, debt, reason)
        elif getattr(item.want, "state", None) in ("stopped", *compare.GONE):
            self._drop(target, debt, "it is wanted %s" % item.want.state)
        elif getattr(item.module, "notify", None) is None:
            self._drop(target, debt, "type %s cannot be notified" % item.type)
        elif not self._postponed(item, debt):
            self._notify(item, debt)

    def _postponed(self, item: "Item", debt: "Debt") -> bool:
        """Has it to wait, or is it no more needed after it did? Then that is told here.

        Which start of the service still lacks the change is remembered: when another one runs later, it has read everything.
        """
        waited = debt.get("waits")
        instance = getattr(item.module, "instance", None)
        reason = self._walk.disruption.of_debt(item.address, debt["because"]) if self._walk.disruption else ""
        if instance is None or not (waited or reason):
            now = ""
        else:
            try:
                now = instance(self._engine.host, item.want)
            except Failed:
                now = ""  # nobody can tell: it stays owed
        if waited and now and waited != now:
            self._drop(item.address, debt, "it was started anew since")
            return True
        if not reason:
            debt.pop("waits", None)  # a restart that fails is owed whatever runs afterwards
            return False
        if now and not waited:
            self._debts.owed[item.address] = dict(debt, waits=now)
            self._journal.add({"what": "paying", "address": item.address, "debt": self._debts.owed[item.address]})
        message = notified(item.address, self._engine.verb(item.address), "skipped", debt, None, reason)
        self._walk.emit(dict(message, pending=True))
        return True

    def _why_not_now(self, item: "Item", debt: "Debt") -> str:
        if self._walk.stopped():
            return self._walk.stopped()
        if not self._engine.enforced(item):
            return "association %s only audits" % item.association
        if item.address in self._walk.waiting:
            return ""  # as this does
        if self._walk.outcomes.get(item.address) in ("failed", "skipped"):
            return "%s %s" % (
                item.address,
                "failed" if self._walk.outcomes[item.address] == "failed" else "was skipped",
            )
        for address in debt["because"]:
            cause = self._engine.by_address.get(address)
            if cause is not None and cause.association in self._walk.failed_phase:
                return "association %s failed: %s" % (cause.association, self._walk.failed_phase[cause.association][1])
        return ""

    def _notify(self, item: "Item", debt: "Debt") -> None:
        host, module = self._engine.host, item.module
        instance = getattr(module, "instance", None)
        now = ""
        verb = self._engine.verb(item.address)
        try:
            now = instance(host, item.want) if instance is not None else ""
            if happened(debt, now):
                self._paid(item.address, verb, debt, "ok", "the interrupted run did it")
                return
            self._arming.notifying(item.address)
            # durable first: a crash from here on is told apart by the instance
            self._journal.add({"what": "paying", "address": item.address, "debt": dict(debt, paying={"instance": now})})
            module.notify(host, item.want, verb)
        except Failed as error:
            self._failed_notification(item, debt, verb, error.record())
            return
        except Exception as bug:  # noqa: BLE001  as for apply
            self._failed_notification(item, debt, verb, as_failed(bug, "notifying").record())
            return
        finally:
            self._engine.generation += 1
        message = self._clear(item.address, verb, debt, "changed", "")
        if not self._walk.watch.holds(
            item,
            lambda: self._walk.emit(message),
            lambda error: self._failed_notification(item, debt, verb, error.record()),
        ):
            self._walk.emit(message)

    def _failed_notification(self, item: "Item", debt: "Debt", verb: str, error: "Error") -> None:
        # what was paid and did not stay up may be owed anew meanwhile, by a removal
        self._debts.owed[item.address] = dict(self._debts.owed.get(item.address, debt), paying=None)
        self._journal.add({"what": "paying", "address": item.address, "debt": self._debts.owed[item.address]})
        self._walk.counts["failed"] += 1
        self._walk.not_done.setdefault(item.association, "of which %s could not be notified" % item.address)
        self._walk.emit(notified(item.address, verb, "failed", debt, error, ""))

    def _paid(self, target: "Address", verb: str, debt: "Debt", outcome: str, reason: str) -> None:
        self._walk.emit(self._clear(target, verb, debt, outcome, reason))

    def _clear(self, target: "Address", verb: str, debt: "Debt", outcome: str, reason: str) -> "Message":
        self._debts.clear(target)
        message = notified(target, verb, outcome, debt, None, reason)
        self._journal.add({"what": "paid", "address": target, "notified": message})
        return message

    def _drop(self, target: "Address", debt: "Debt", reason: str) -> None:
        self._paid(target, debt["verb"], debt, "ok", "not needed: " + reason)

    def _owe(self, target: "Address", debt: "Debt", reason: str) -> None:
        self._walk.emit(notified(target, debt["verb"], "skipped", debt, None, "still owed: " + reason))


def notified(
    target: "Address", verb: str, outcome: str, debt: "Debt", error: "Optional[Error]", reason: str
) -> "Message":
    return {
        "type": "notified",
        "address": target,
        "verb": verb,
        "outcome": outcome,
        "because": debt["because"],
        "reason": reason,
        "error": error,
    }
