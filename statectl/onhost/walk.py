"""The apply: one pass over the items in their order, each read, changed and read again; then the removals; restarts in between.

outcome   of an item
ok        it was as wanted
changed   it differed, was changed, and a second reading finds it as wanted
failed    the change failed, or the second reading still differs
skipped   not tried, and why: see Walk._skip_reason; or it only audits; or it disrupts, and waits until it may (disruption.py)
"""

import os
import time
from typing import TYPE_CHECKING

from statectl.onhost import compare, diff
from statectl.onhost.debts import Debts
from statectl.onhost.engine import as_failed, trouble
from statectl.onhost.failure import Failed
from statectl.onhost.memory import Overtaken
from statectl.onhost.records import Records
from statectl.onhost.restarts import Restarts
from statectl.onhost.watch import Watch

if TYPE_CHECKING:
    from typing import Callable, Dict, List, Optional, Set, Tuple

    from statectl.onhost.disruption import Disruption
    from statectl.onhost.engine import Engine
    from statectl.onhost.lockout.arming import Arming
    from statectl.onhost.memory import Memory
    from statectl.onhost.patching.afterwards import Afterwards
    from statectl.onhost.shapes import Address, Change, Debt, Error, Found, LedgerEntry, Message
    from statectl.onhost.wanted import Item

FRESH_S = 5.0  # a reading older than this is made anew before it is relied on


class Walk(object):
    """engine    planned
    run       run id
    emit      emit(message): sends it and keeps it for the stored result
    stop      stop() -> '' or why to stop at this border
    arming    lockout.arming.Arming
    """

    def __init__(
        self,
        engine: "Engine",
        memory: "Memory",
        run: str,
        emit: "Callable[[Message], None]",
        stop: "Callable[[], str]",
        arming: "Arming",
    ) -> None:
        self._engine = engine
        self._memory = memory
        self._journal = memory.journal
        self._records = Records(engine, memory, run)
        self.debts = Debts(memory.debts, run)
        self.emit = emit
        self._stop = stop
        self._arming = arming
        self.outcomes: "Dict[Address, str]" = {}  # address: outcome
        self._changed: "Set[Address]" = set()  # addresses
        self._before = {item.address: item.found for item in engine.items + engine.removals}
        self.failed_phase: "Dict[str, Tuple[int, Address]]" = {}  # association: (phase, address) of its first failure
        self.not_done: "Dict[str, str]" = {}  # association: why others must not build on it
        self.disruption: "Optional[Disruption]" = None  # None: nothing has to wait
        self.withheld: "Dict[str, str]" = {}  # association: what it requires of other hosts, and is not there
        self.barred: "Dict[Address, str]" = {}  # address: why it is skipped, whatever else
        self.rebooted = 0  # times that this run rebooted the host before
        self.afterwards: "Optional[Afterwards]" = None  # where patches were installed
        self._run = run
        self.waiting: "Dict[Address, str]" = {}  # address of what disrupts and waits: what its change takes away
        self._directories: "Set[str]" = set()  # where writing was announced
        self._stopped = ""
        self.watch = Watch(engine.host, self.stopped)
        self.counts = {"ok": 0, "changed": 0, "failed": 0, "skipped": 0, "unknown": 0}
        self._triggered: "Dict[Address, List[Address]]" = {}  # address: commands that run when it changed
        for resource in engine.catalogue["resources"]:
            for trigger in resource["want"].get("when_changed") or ():
                self._triggered.setdefault(trigger, []).append(resource["address"])

    def run(self) -> str:
        """-> why it stopped early, '' when it went through."""
        try:
            return self._go_through()
        except (OSError, Overtaken):
            self.watch.abandon()
            raise

    def _go_through(self) -> str:
        self._engine.host.on_write = self._announce
        restarts = Restarts(self._engine, self._journal, self.debts, self, self._arming)
        position = 0
        if any(debt.get("boot") for debt in self.debts.owed.values()):
            self._patching().look_back()
        for group in _groups(self._engine.items):
            self._converge(group)
            for _ in group:
                restarts.pay_after(position)
                position += 1
        for item in self._engine.removals:
            self._converge([item])
        for address in self._engine.orphans.forgotten:
            self._memory.ledger.pop(address, None)
            self._journal.add({"what": "released", "address": address}, durable=False)
        for address in self._engine.orphans.handed_over:
            self._memory.ledger[address] = self._engine.orphans.without_us(address)
        restarts.pay_rest()
        if self.afterwards is not None:
            self.afterwards.pay()
        self.watch.settle()
        return self.stopped()

    def _patching(self) -> "Afterwards":
        if self.afterwards is None:
            from statectl.onhost.patching.afterwards import Afterwards

            self.afterwards = Afterwards(self._engine, self._memory, self.debts, self, self._run, self.rebooted)
        return self.afterwards

    def undone(self) -> "List[Address]":
        """What this run changed and is not as it was made any more: a result that holds no longer is not reported as one."""
        changed = [item for item in self._engine.items + self._engine.removals if item.address in self._changed]
        items = [item for item in changed if not item.runs]
        self._engine.read(items)
        return [item.address for item in items if item.unknown is not None or item.fields]

    def stopped(self) -> str:
        """Why nothing more is begun, '' when the run goes on."""
        self._stopped = self._stopped or self._stop()
        return self._stopped

    def _announce(self, action: str, path: str) -> None:
        """Temporary files of a crash are swept from where the journal says that something was written."""
        self._journal.check()
        self._arming.writing(action, path)
        directory = os.path.dirname(path) or "/"
        if action in ("replace", "make_link") and directory not in self._directories:
            self._directories.add(directory)
            self._journal.add({"what": "writing", "directory": directory}, durable=False)

    # -- one group: items of one type, association and phase that follow each other

    def _converge(self, group: "List[Item]") -> None:
        engine, now = self._engine, time.monotonic()
        engine.read(
            [item for item in group if item.generation != engine.generation or now - (item.read_at or 0.0) > FRESH_S]
        )
        if getattr(group[0].module, "BATCH", False):
            self._batch(group)
            return
        for item in group:
            reason = self._skip_reason(item)
            if reason:
                self._skip(item, reason)
                continue
            # what was as wanted a moment ago stays so; what is about to be changed, or asks a guard, is looked at again
            if item.generation != engine.generation and (item.fields or item.runs or item.unknown):
                engine.read([item])
            if self._differs(item):
                self._change([item])

    def _batch(self, group: "List[Item]") -> None:
        ready = []
        for item in group:
            reason = self._skip_reason(item)
            if reason:
                self._skip(item, reason)
            elif self._differs(item):
                ready.append(item)
        if ready:
            self._change(ready)

    def _skip_reason(self, item: "Item") -> str:
        """Why this item is not tried, '' when it is.

        1  the run was cancelled, or its time is over
           or, of patches, that the host is not well after the reboot that came before them
        2  its association requires something of other hosts, and the controller says that it is not there
        3  an earlier phase of its association failed
        4  something that it comes after failed or was skipped
        5  an association that its own requires failed or was skipped
        """
        if self.stopped():
            return self.stopped()
        if item.address in self.barred:
            return self.barred[item.address]
        if item.association in self.withheld:
            return self.withheld[item.association]
        if item.association in self.failed_phase:
            phase, address = self.failed_phase[item.association]
            if item.removes is not None or item.phase > phase:
                return "an earlier phase of association %s failed: %s" % (item.association, address)
        for address in item.after:
            if self.outcomes.get(address) in ("failed", "skipped"):
                if self._audited(address) or not self._goes_away(address):
                    continue
                return "it comes after %s, which %s" % (
                    address,
                    "failed" if self.outcomes[address] == "failed" else "was skipped",
                )
        for name in self._engine.associations.get(item.association, {}).get("requires", ()):
            if name in self.not_done:
                return "association %s requires %s, %s" % (item.association, name, self.not_done[name])
        return ""

    def _audited(self, address: "Address") -> bool:
        item = self._engine.by_address.get(address)
        return item is not None and not self._engine.enforced(item)

    def _goes_away(self, address: "Address") -> bool:
        """Of what waits: must what comes after it wait as well? It need not for what is there and stays."""
        from statectl.onhost.disruption import GOES_AWAY

        return self.waiting.get(address, GOES_AWAY[0]) in GOES_AWAY

    def _postponed(self, item: "Item") -> bool:
        """Does it disrupt, and has to wait? Then its result is told here."""
        reason = self.disruption.of_change(item) if self.disruption is not None else ""
        if not reason:
            return False
        from statectl.onhost.disruption import disrupts

        self.waiting[item.address] = disrupts(item)
        if self._goes_away(item.address):
            self.not_done.setdefault(item.association, "of which %s waits" % item.address)
        self._tell(item, dict(self._message(item, "skipped", item.changes, reason, None), pending=True))
        return True

    def _skip(self, item: "Item", reason: str) -> None:
        self.not_done.setdefault(item.association, "of which %s was skipped" % item.address)
        self._result(item, "skipped", [], reason)

    def _differs(self, item: "Item") -> bool:
        """Does it have to be changed now? If not, its result is told here."""
        engine = self._engine
        if item.unknown is not None:
            self._fail(item, [], item.error or trouble(item.unknown.reason, "cannot be read"))
            return False
        if item.triggers and not self._is_triggered(item):
            item.fields = ()
        elif item.triggers and not compare.compared(item.module, item.want):
            item.fields = ("run",)
        if not item.fields:
            if self._came(item):
                return False
            if engine.enforced(item):
                self._confirm(item)
            self._result(item, "ok", [], "")
            return False
        engine.describe(item)
        if not engine.enforced(item):
            self._result(item, "skipped", item.changes, "association %s only audits" % item.association)
            return False
        refusal = engine.refusal(item)
        if refusal:
            self._fail(item, item.changes, trouble(refusal, "refused"))
            return False
        return not self._postponed(item)

    def _came(self, item: "Item") -> bool:
        """Did another change of this run make it so, as a package brings those that it needs? Then it is changed as announced."""
        if item.verdict != "change" or item.runs or not self._changed or not self._engine.enforced(item):
            return False
        before, found = self._before[item.address], item.found
        try:
            item.found = before if compare.is_absent(before) else found
            entry, _ = self._intend(item)
        except (Failed, OSError):
            return False  # not remembered as a change; _confirm says why
        finally:
            item.found = found
        self._done(item, before, entry, item.changes, 0, ours=False)
        return True

    def _is_triggered(self, item: "Item") -> bool:
        return item.address in self.debts.owed or any(address in self._changed for address in item.triggers)

    def _confirm(self, item: "Item") -> None:
        """It is as wanted and ours from now on; a plain run writes nothing durable for that before its end."""
        if item.removes is not None:
            self._memory.ledger.pop(item.address, None)
            return
        try:
            self._memory.ledger[item.address] = self._records.confirmed(item)
            self._records.keep_applied(item)
        except (Failed, OSError) as error:
            self.emit({"type": "log", "level": "warning", "text": "%s: not remembered: %s" % (item.address, error)})

    # -- making changes

    def _change(self, items: "List[Item]") -> None:
        """Change these items, several in one transaction for a BATCH type, and read them again."""
        engine, started = self._engine, time.monotonic()
        told = []
        ready = []
        for item in items:
            try:
                engine.fetch(engine.undelivered([item]))
                engine.describe(item)  # with the contents at hand: a diff
                self._arming.before(item)
                told.append(self._intend(item))
                ready.append(item)
            except Failed as error:
                self._fail(item, item.changes, error.record())
            except OSError as error:
                self._fail(item, item.changes, as_failed(error, "keeping what is there now").record())
        if not ready:
            return
        batch = [(item.want, item.found, item.fields) for item in ready]
        before = [(item.found, item.found_hash) for item in ready]
        wrong: "Optional[Failed]" = None
        each: "Dict[str, Failed]" = {}  # what a batch says of one of its items alone
        self._arming.begin(ready)
        try:
            if getattr(ready[0].module, "BATCH", False):
                each = ready[0].module.apply(engine.host, batch) or {}
            elif ready[0].removes is None and getattr(ready[0].module, "installs", None) is not None:
                self._patching().install(ready[0], batch[0])
            else:
                ready[0].module.apply(engine.host, *batch[0])
        except Failed as failed:
            wrong = failed
        except Exception as bug:  # noqa: BLE001  a bug in one type must not leave the others of this host undone
            wrong = as_failed(bug, "applying %s" % ready[0].address)
        finally:
            self._arming.end()
        engine.generation += 1
        engine.read(ready)
        duration_ms = int(1000 * (time.monotonic() - started))
        for item, (found, found_hash), (entry, owes_before) in zip(ready, before, told):
            own = each.get(item.want.name)
            together = own is None and len(ready) > 1
            self._conclude(item, found, found_hash, entry, owes_before, own or wrong, together, duration_ms)

    def _intend(self, item: "Item") -> "Tuple[Optional[LedgerEntry], Dict[Address, Optional[Debt]]]":
        """Make durable what is about to happen -> (ledger entry, debts of its targets as they were)."""
        found = item.found
        entry = None
        if item.removes is None:
            entry = self._records.entry(item, found)
            self._records.keep_replaced(item, found)
        owes_before, owes = {}, {}
        targets = [(target, self._engine.verb(target)) for target in item.notify]
        targets += [(command, "run") for command in self._triggered.get(item.address, ())]
        for target, verb in targets:
            owes_before[target] = self.debts.owed.get(target)
            owes[target] = self.debts.incur(target, verb, item.address)
        if item.removes is None and getattr(item.module, "installs", None) is not None:
            owes_before[item.address] = self.debts.owed.get(item.address)
            owes[item.address] = self._patching().incur(item)
        # until it is done nobody knows whether the wanted state is reached
        unsure = dict(entry or item.removes or {}, want_hash="")
        self._journal.add({"what": "intent", "address": item.address, "entry": unsure, "owes": owes})
        return entry, owes_before

    def _conclude(
        self,
        item: "Item",
        found: "Found",
        found_hash: str,
        entry: "Optional[LedgerEntry]",
        owes_before: "Dict[Address, Optional[Debt]]",
        error: "Optional[Failed]",
        batch: bool,
        duration_ms: int,
    ) -> None:
        """The second reading decides.

        error   second reading   type    outcome
        none    as wanted                changed
        none    differs                  failed: still differs
        yes     as wanted        batch   changed: the error belongs to others of the transaction
        yes     any              single  failed, with the error
        yes     differs          batch   failed, with the error
        """
        changes, fields = item.changes, item.fields
        wrong = None
        if item.unknown is not None:
            wrong = item.error
        elif fields:
            hide = self._engine.secret_fields(item)
            text = "still differs after apply: %s" % diff.still_differs(item.want, item.found, fields, hide)
            wrong = trouble(text, "still differs after apply")
        if error is not None and (wrong is not None or not batch):
            wrong = error.record()
        if wrong is None:
            self._done(item, found, entry, changes, duration_ms)
            return
        untouched = item.unknown is None and item.found_hash == found_hash and not item.runs
        if untouched:
            owes, kept = self.debts.restore(owes_before), self._memory.ledger.get(item.address)
        else:
            owes, kept = {}, dict(entry or item.removes or {}, want_hash="")
        self._remember(item.address, kept)
        result = self._failed_result(item, changes, wrong, duration_ms)
        self._journal.add(
            {"what": "done", "address": item.address, "entry": kept, "owes": owes, "result": _stored(result)}
        )
        self._tell(item, result)

    def _done(
        self,
        item: "Item",
        found: "Found",
        entry: "Optional[LedgerEntry]",
        changes: "List[Change]",
        duration_ms: int,
        ours: bool = True,
    ) -> None:
        """`ours` False: another change brought it. A service may then have started before what it was to read."""
        owes = {}
        if item.address in self.debts.owed and (item.runs or (ours and _started(item, found))):
            owes = self.debts.clear(item.address)
        self._remember(item.address, entry)
        if entry is not None:
            self._records.keep_applied(item)
        self._changed.add(item.address)
        result = self._message(item, "changed", changes, "", None, duration_ms)
        self._journal.add(
            {"what": "done", "address": item.address, "entry": entry, "owes": owes, "result": _stored(result)}
        )
        if self.watch.holds(
            item, lambda: self._tell(item, result), lambda error: self._fell(item, entry, changes, error, duration_ms)
        ):
            self.outcomes[item.address] = "changed"  # for what comes after it
        else:
            self._tell(item, result)

    def _fell(
        self,
        item: "Item",
        entry: "Optional[LedgerEntry]",
        changes: "List[Change]",
        error: "Failed",
        duration_ms: int,
    ) -> None:
        """It was as wanted after its change, and did not stay so."""
        kept = None if entry is None else dict(entry, want_hash="")
        self._remember(item.address, kept)
        self._changed.discard(item.address)
        result = self._failed_result(item, changes, error.record(), duration_ms)
        self._journal.add(
            {"what": "done", "address": item.address, "entry": kept, "owes": {}, "result": _stored(result)}
        )
        self._tell(item, result)

    def _remember(self, address: "Address", entry: "Optional[LedgerEntry]") -> None:
        if entry is None:
            self._memory.ledger.pop(address, None)
        else:
            self._memory.ledger[address] = entry

    # -- results

    def _message(
        self,
        item: "Item",
        outcome: str,
        changes: "List[Change]",
        reason: str,
        error: "Optional[Error]",
        duration_ms: int = 0,
    ) -> "Message":
        changed = outcome != "ok"
        result = {
            "type": "result",
            "address": item.address,
            "outcome": outcome,
            "action": item.action if changed else "none",
            "changes": changes,
            "kind": item.kind if changed else "",
            "reason": reason,
            "error": error,
            "duration_ms": duration_ms,
        }
        # here and not only where it is sent: the journal keeps it as well, and hands it over after a crash
        return self._engine.host.redactor.message(result)

    def _result(self, item: "Item", outcome: str, changes: "List[Change]", reason: str) -> None:
        self._tell(item, self._message(item, outcome, changes, reason, None))

    def _fail(self, item: "Item", changes: "List[Change]", error: "Error") -> None:
        self._tell(item, self._failed_result(item, changes, error, 0))

    def _failed_result(self, item: "Item", changes: "List[Change]", error: "Error", duration_ms: int) -> "Message":
        if item.sensitive and error.get("output"):
            # the message may end with a line of it
            message = "%s (its output is not shown: the resource is sensitive)" % error["cause"]
            error = dict(error, message=message, output="")
        return self._message(item, "failed", changes, error["message"], error, duration_ms)

    def _tell(self, item: "Item", result: "Message") -> None:
        outcome = result["outcome"]
        self.outcomes[item.address] = outcome
        self.counts[outcome] += 1
        if outcome == "failed":
            self.not_done.setdefault(item.association, "of which %s failed" % item.address)
            phase, address = self.failed_phase.get(item.association, (item.phase, item.address))
            self.failed_phase[item.association] = min((phase, address), (item.phase, item.address))
        self.emit(result)


def _started(item: "Item", found: "Found") -> bool:
    """Did this change start a service that was not running, or start it anew? Then it has read everything."""
    if getattr(item.module, "notify", None) is None:
        return False
    anew = getattr(item.want, "needrestart", None) and getattr(found, "needrestart", None)
    return bool(anew) or (getattr(item.want, "state", None) == "running" and getattr(found, "state", None) != "running")


def _stored(result: "Message") -> "Message":
    """A result as the journal keeps it: long diffs are cut, for it is written before anything else goes on."""
    if sum(len(line) for change in result["changes"] for line in change.get("diff", ())) <= 65536:
        return result
    cut = [
        dict(change, diff=[*change["diff"][:200], "\\ cut"]) if "diff" in change else change
        for change in result["changes"]
    ]
    return dict(result, changes=cut)


def _groups(items: "List[Item]") -> "List[List[Item]]":
    """Runs of items of one type, association and phase, none of which comes after another of its run."""
    groups: "List[List[Item]]" = []
    for item in items:
        first = groups[-1][0] if groups else None
        if first is not None and any(other.address in item.after for other in groups[-1]):
            first = None
        same = first is not None and (first.type, first.association, first.phase) == (
            item.type,
            item.association,
            item.phase,
        )
        if same:
            groups[-1].append(item)
        else:
            groups.append([item])
    return groups


def moved(engine: "Engine", observed: "Dict[Address, str]") -> "List[Address]":
    """Addresses that are not as they were when the plan was made; [] when it still holds.

    observed: {address: found_hash} of a plan, of all that was not as wanted then; {}: the plan of this session.
    """
    items = [item for item in engine.items + engine.removals if item.verdict != "ok"]
    before = {item.address: item.found_hash for item in items}
    if observed:
        known = {address: value for address, value in before.items() if value}
        stale = sorted(address for address in set(known) | set(observed) if known.get(address) != observed.get(address))
        if stale:
            return stale
    engine.read(items)
    return [item.address for item in items if item.found_hash != before[item.address]]
