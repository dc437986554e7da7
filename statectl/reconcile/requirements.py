"""`requires` across hosts in one run: who comes after whom, and what is held back because what it requires is not there.

    an association of a host has nothing to do       it waits for nobody
    what it requires is as wanted already            it waits for nobody
    what it requires changes in this run             its host comes after that one, and it is held back unless that ended well
    what it requires is on a host outside the run    that host is looked at, and it is held back unless it is as wanted there

Held back is one association on one host; the others of that host go on. One host is changed in one go, unless hosts would wait for each
other by different associations: then one of them is begun, and told to go again for the rest.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from statectl.onhost.disruption import GOES_AWAY
from statectl.plans.plan import HostPlan, Verdict
from statectl.reconcile.host_result import NOBODY_KNOWS, NOT_THERE, HostResult
from statectl.reconcile.host_run import HostRun

LATER = "later"  # a cause: it has yet to come in this run
ENDED = ("ok", "changed", "skipped", "failed")  # outcomes with which the results of each resource are there
Selects = Callable[[str, str, Mapping[str, Any]], bool]
"""(target expression, host, its facts of now) -> is it chosen?"""


@dataclass(frozen=True, slots=True)
class Unmet:
    """Why an association is held back on a host. `cause`: LATER, `pending`, or how a host ended, in the word of an outcome."""

    reason: str
    cause: str
    hint: str = ""


def todo(run: HostRun, order: Sequence[str]) -> list[str]:
    """Associations with something to do on this host, in their order: a resource, or a restart that is still owed."""
    owners = {entry["address"]: entry["owners"] for entry in run.declared()}
    names = {
        name for one in run.plan.verdicts if _acts(one) for name in (one.association, *owners.get(one.address, ()))
    }
    names |= {name for debt in run.plan.debts for name in owners.get(debt.partition(" ")[2], ())}
    return [name for name in order if name in names]


def _acts(verdict: Verdict) -> bool:
    acts = verdict.verdict in ("change", "unknown") or (verdict.verdict == "orphan" and verdict.action != "none")
    return acts and not verdict.audited and not verdict.waits


@dataclass
class Requirements:
    """`runs`: the hosts of the run; `ended`: what became of them, as it is known. `looked_at`: hosts outside of it, by name."""

    runs: Mapping[str, HostRun]
    order: Sequence[str]  # of associations
    selected: Sequence[str] | None  # those that the run is about; None: all
    selects: Selects
    ended: Mapping[str, HostResult] = field(default_factory=dict)
    looked_at: Mapping[str, HostRun] = field(default_factory=dict)
    held: dict[str, dict[str, Unmet]] = field(default_factory=dict)  # host: what was held back when it was told to go
    _there: set[tuple[str, str]] = field(default_factory=set)  # (association, host): was as wanted when it was planned
    _chosen: dict[tuple[str, str], bool] = field(default_factory=dict)  # (target expression, host): what `selects` said

    def outside(self) -> dict[str, list[str]]:
        """{host: associations} that something waits for and that this run does not bring about: they are to be looked at."""
        found: dict[str, dict[str, None]] = {}
        for run in self._waiting().values():
            for name in todo(run, self.order):
                for required, other in self._required(run, name):
                    if not self._in_run(required, other):
                        found.setdefault(other, {})[required] = None
        return {host: list(names) for host, names in found.items()}

    def first(self, host: str) -> dict[str, list[tuple[str, str]]]:
        """{host that changes first: (association here, what it requires there)}."""
        run = self.runs[host]
        found: dict[str, list[tuple[str, str]]] = {}
        if not _requires(run):
            return found
        for name in todo(run, self.order):
            for required, other in self._required(run, name):
                missing = self._missing(name, required, other, ())
                if other != host and missing is not None and missing.cause == LATER:
                    found.setdefault(other, []).append((name, required))
        return found

    def unmet(self, host: str, *, going: bool) -> dict[str, Unmet]:
        """{association: why it is held back here}, with those of the same host that require one of them.

        `going`: now that the host is told to go, also what waits for something that has yet to come.
        """
        run = self.runs[host]
        if run.compiled is None or not _requires(run):
            return {}
        busy = todo(run, self.order)
        found: dict[str, Unmet] = {}
        requires = {entry["name"]: entry.get("requires", ()) for entry in run.compiled.catalogue["associations"]}
        for name in (name for name in requires if name in busy):
            missing = self._first_missing(run, name, going=going)
            if missing is None:
                behind = next((other for other in requires[name] if other in found), None)
                missing = found[behind] if behind is not None else None
                if missing is not None:
                    reason = f"association {name} requires {behind}, and {missing.reason}"
                    missing = Unmet(reason, missing.cause, missing.hint)
            if missing is not None:
                found[name] = missing
        return found

    def mark(self, plans: Mapping[str, HostPlan]) -> None:
        """Mark in the plans what is held back as far as is known before anything changes."""
        asked = {
            pair
            for run in self._waiting().values()
            for name in (run.compiled.requires if run.compiled is not None else ())
            for pair in self._required(run, name)
        }
        self._there = {pair for pair in asked if self._in_run(*pair) and self._planned_there(*pair, ()) is None}
        for host in self._waiting():
            unmet = self.unmet(host, going=False)
            for verdict in plans[host].verdicts if unmet else ():
                if verdict.association in unmet and _acts(verdict):
                    verdict.held = unmet[verdict.association].reason

    def hold(self, host: str) -> dict[str, Unmet]:
        """What is held back now that the host is told to go; remembered for `settle`."""
        self.held[host] = self.unmet(host, going=True)
        return self.held[host]

    def not_now(self, host: str, *, again: bool) -> set[str]:
        """Associations that do nothing on the host when it is told to go: those held back, and, `again`, those that are done."""
        before = self.held.get(host, {})
        return {*self.hold(host), *(name for name in self.order if again and name not in before)}

    def nothing_else(self, host: str) -> bool:
        """Is everything that is to be done on the host held back?"""
        run, held = self.runs[host], self.held.get(host, {})
        if not held:
            return False
        owners = {entry["address"]: entry["owners"] for entry in run.declared()}
        rest = any(_acts(one) and one.association not in held for one in run.plan.verdicts)
        owed = (owners.get(debt.partition(" ")[2], ()) for debt in run.plan.debts)
        return not rest and all(set(names) & held.keys() for names in owed)

    def settle(self, host: str, result: HostResult) -> None:
        """A host that ended well, but for what was held back, is `skipped`."""
        held = self.held.get(host)
        if not held or result.outcome not in ("ok", "changed"):
            return
        name, first = next(iter(held.items()))
        # what has yet to come comes: it says how the host ends only when nothing else does
        name, first = next(((name, one) for name, one in held.items() if one.cause != LATER), (name, first))
        more = f" (and {len(held) - 1} more)" if len(held) > 1 else ""
        result.outcome, result.reason, result.hint = "skipped", f"{first.reason}{more}", first.hint
        result.code = NOBODY_KNOWS if first.cause in ("unreachable", "unknown") else NOT_THERE

    def again(self, results: Mapping[str, HostResult]) -> dict[str, list[str]]:
        """{host: what was held back there} of those where something had yet to come elsewhere: they are told to go once more."""
        return {
            host: list(self.held[host])
            for host, result in results.items()
            if result.outcome == "skipped" and any(one.cause == LATER for one in self.held.get(host, {}).values())
        }

    def _waiting(self) -> dict[str, HostRun]:
        """Hosts that require something of others."""
        return {host: run for host, run in self.runs.items() if run.plan.outcome == "planned" and _requires(run)}

    def _in_run(self, association: str, host: str) -> bool:
        return host in self.runs and (self.selected is None or association in self.selected)

    def _required(self, run: HostRun, association: str) -> Iterator[tuple[str, str]]:
        """(association, host) that have to come first on other hosts; a host that says it is not meant is left out."""
        for needed in run.compiled.requires.get(association, ()) if run.compiled is not None else ():
            for host in needed.hosts:
                other = self.runs.get(host) or self.looked_at.get(host)
                if other is not None and other.facts is not None:
                    if (needed.on, host) not in self._chosen:
                        self._chosen[needed.on, host] = self.selects(needed.on, host, other.facts)
                    if not self._chosen[needed.on, host]:
                        continue
                yield needed.association, host

    def _first_missing(self, run: HostRun, name: str, *, going: bool, way: tuple[Any, ...] = ()) -> Unmet | None:
        later: Unmet | None = None
        for required, host in self._required(run, name):
            missing = self._missing(name, required, host, way)
            if missing is not None and missing.cause != LATER:
                return missing
            later = later or missing
        return later if going else None

    def _missing(self, name: str, required: str, host: str, way: tuple[Any, ...]) -> Unmet | None:
        """What the association `name` of some host lacks on this one; None: it is there."""
        if (required, host) in self._there:
            return None
        if not self._in_run(required, host):
            found = self._outside(required, host)
        elif host in self.ended:
            found = self._ended(required, host)
        else:
            found = self._planned_there(required, host, way)
        if found is None:
            return None
        return Unmet(f"association {name} requires {required} on {host}, {found.reason}", found.cause, found.hint)

    def _planned_there(self, association: str, host: str, way: tuple[Any, ...]) -> Unmet | None:
        """Before the host was told to go."""
        run = self.runs[host]
        if run.plan.outcome != "planned":
            return _host(run.plan.outcome, run.plan.reason)
        if not _has(run, association):
            return None
        mine = list(_of(run, association))
        refused = next((one for one in mine if one.verdict == "refused" and not one.audited), None)
        if refused is not None:
            return Unmet(f"of which {refused.address} cannot be applied as declared", "failed")
        gone = next((one for one in mine if one.waits and one.disrupts in GOES_AWAY), None)
        if gone is not None:
            return Unmet(f"of which {gone.address} waits: {gone.waits}", "pending")
        if association not in todo(run, self.order):
            return None
        node = (association, host)
        if node not in way:  # a ring of what only facts decide: it is broken when one of its hosts is told to go
            held = self._first_missing(run, association, going=False, way=(*way, node))
            if held is not None:
                return Unmet(f"which is held back: {held.reason}", held.cause, held.hint)
        return Unmet("which comes later in this run", LATER)

    def _ended(self, association: str, host: str) -> Unmet | None:
        """Once the host came to its end: its results decide, and where it has none, its outcome."""
        run, result = self.runs[host], self.ended[host]
        again = bool(self.again({host: result}))  # it is told to go once more: what it lacks may come
        held = self.held.get(host, {}).get(association)
        if held is not None:
            cause = "failed" if held.cause == LATER and not again else held.cause
            return Unmet(f"which is held back: {held.reason}", cause, held.hint)
        entries = [*result.results, *result.notified]
        if result.outcome not in ENDED or (
            result.outcome == "failed" and not any(entry["outcome"] == "failed" for entry in entries)
        ):
            return _host(result.outcome, result.reason)
        if not _has(run, association):
            return None
        verdicts = {one.address: one for one in run.plan.verdicts}
        owners = {entry["address"]: entry["owners"] for entry in run.declared()}
        told = set()
        for entry in entries:
            address = str(entry["address"])
            if association not in owners.get(address, ()) and address != f"health:{association}":
                continue
            told.add(address)
            missing = _of_entry(entry, verdicts.get(address))
            if missing is not None and again and entry["outcome"] == "skipped":
                missing = Unmet(missing.reason, LATER)
            if missing is not None:
                return missing
        untold = [one.address for one in _of(run, association) if _acts(one) and one.address not in told]
        return Unmet(f"of which {untold[0]} was not done", "failed") if untold else None

    def _outside(self, association: str, host: str) -> Unmet | None:
        run = self.looked_at.get(host)
        if run is None:
            return Unmet("which was not looked at: facts of this run made it known; plan again", "refused")
        if run.plan.outcome != "planned":
            reason = f"which is not part of this run and could not be looked at: {run.plan.reason}"
            return Unmet(reason, run.plan.outcome)
        if not _has(run, association):
            return None
        hint = f"apply it first: statectl apply {association} -t {host}"
        wrong = []
        for one in _of(run, association):
            if one.waits:
                if one.disrupts in GOES_AWAY:
                    return Unmet(f"of which {one.address} waits: {one.waits}", "pending")
            elif not one.audited and one.verdict != "orphan":
                wrong.append(one.address)
        wrong += [debt for debt in run.plan.debts if association in _owners(run, debt.partition(" ")[2])]
        if not wrong:
            return None
        more = f" (and {len(wrong) - 1} more)" if len(wrong) > 1 else ""
        return Unmet(f"which is not part of this run and not as declared: {wrong[0]}{more}", "refused", hint)


def _of_entry(entry: Mapping[str, Any], verdict: Verdict | None) -> Unmet | None:
    """What a result, or a notification, of the required association means for those that require it."""
    address, outcome = entry["address"], entry["outcome"]
    if outcome == "failed":
        word = "could not be notified" if entry.get("verb") not in (None, "check") else "failed"
        return Unmet(f"of which {address} {word}", "failed")
    if outcome == "unknown":
        return Unmet(f"of which nobody knows what became of {address}", "unknown")
    if outcome != "skipped" or "verb" in entry:
        return None  # a restart that is still owed holds nobody up, as on one host
    if verdict is None or verdict.audited:
        return None  # it was as wanted when it was planned
    if entry.get("pending"):
        gone = verdict is not None and verdict.disrupts in GOES_AWAY
        return Unmet(f"of which {address} waits: {entry.get('reason', '')}", "pending") if gone else None
    return Unmet(f"of which {address} was skipped", "failed")


def _host(outcome: str, reason: str) -> Unmet:
    """How a host as a whole ended."""
    words = {
        "failed": "which failed",
        "unreachable": "which is unreachable",
        "unknown": "of which nobody knows how it ended",
        "refused": "which refused",
        "stopped": "which was stopped",
        "terminated": "which was not started",
        "not contacted": "which was not contacted",
    }
    cause = "terminated" if outcome == "not contacted" else outcome
    return Unmet(words.get(outcome, f"which is {outcome}") + (f": {reason}" if reason else ""), cause)


def _requires(run: HostRun) -> bool:
    """Of other hosts."""
    return run.compiled is not None and bool(run.compiled.requires)


def _has(run: HostRun, association: str) -> bool:
    entries: Iterable[Mapping[str, Any]] = run.compiled.catalogue["associations"] if run.compiled is not None else ()
    return any(entry["name"] == association for entry in entries)


def _owners(run: HostRun, address: str) -> Sequence[str]:
    return next((entry["owners"] for entry in run.declared() if entry["address"] == address), ())


def _of(run: HostRun, association: str) -> Iterator[Verdict]:
    """Its verdicts on a host."""
    owners = {entry["address"]: entry["owners"] for entry in run.declared()}
    for one in run.plan.verdicts:
        if association == one.association or association in owners.get(one.address, ()):
            yield one
