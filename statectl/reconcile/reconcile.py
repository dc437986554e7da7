"""Plan, apply and drift over many hosts: the page on which the parts meet.

    plan    contact all -> plan value                                 nothing is written
    apply   contact all -> plan value -> agreed? -> go, in waves      an error anywhere writes nothing
    drift   contact all, each compares itself with what was last applied there

Everything the parts need of each other is passed in through `Fleet`.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

from statectl.errors import StatectlError
from statectl.plans.fold import fold
from statectl.plans.plan import HostPlan, Plan, Verdict, checksum, summarise
from statectl.reconcile.host_result import HostResult, joined
from statectl.reconcile.host_run import HostRun, Order
from statectl.reconcile.observer import UNSEEN, Observer, Pace
from statectl.reconcile.order import cut_into_waves, host_order
from statectl.reconcile.record import host_record
from statectl.reconcile.requirements import Requirements, Selects
from statectl.reconcile.rolling import CheckHealth, Rolling, Rules, RunStep
from statectl.rollout.budget import (
    DEFAULT_CONCURRENCY,
    DEFAULT_ERRORS,
    Budget,
    allowed_errors,
    concurrency,
    run_outcome,
    strictest,
)
from statectl.rollout.run_targets import TERMINATED, Cancel, run_targets
from statectl.store.ids import new_id, who

STOPPED = "not started: the run was stopped"
BUDGET_SPENT = "not started: the error budget was spent"
PARTING_S = 2.0  # for a last `cancel` to a host that is let go
KEPT_CHANNELS = 64  # up to this many hosts keep their channel open between plan and go
PLAN_LIFETIME = timedelta(hours=24)


class Records(Protocol):
    """What is needed of the store; opened only when first used, because its import is slow."""

    def begin_run(
        self,
        verb: str,
        scope: Mapping[str, Any],
        *,
        run_id: str,
        commit: str,
        plan_id: str,
        hosts: Sequence[str] = (),
        document: Mapping[str, Any] | None = None,
    ) -> str: ...
    def end_run(
        self, run_id: str, outcome: str, counts: Mapping[str, int], stop: Mapping[str, Any] | None = None
    ) -> None: ...
    def record_host(self, run_id: str, record: Any) -> None: ...
    def take_over(self, host: str, result: Mapping[str, Any]) -> None: ...
    def save_plan(self, document: Mapping[str, Any]) -> None: ...
    def plan(self, plan_id: str) -> Any: ...
    def mark_applied(self, plan_id: str) -> None: ...


class Watching(Protocol):
    """What is needed of `watch.Watch`."""

    cancelled_by: str

    async def __aenter__(self) -> Any: ...
    async def __aexit__(self, *_: object) -> None: ...
    def message(self, host: str, message: Mapping[str, Any]) -> None: ...
    async def begun(self, host: str) -> None: ...


@dataclass
class Fleet:
    """The hosts of one run and how to work on them."""

    hosts: Sequence[str]
    start: Callable[[str, Order], HostRun]  # makes the HostRun of one host
    records: Callable[[], Records]
    own_names: Mapping[str, Mapping[str, str]]
    association_order: Sequence[str]
    project: str
    commit: str
    dirty: bool
    scope: Mapping[str, Any]
    problems: Sequence[Mapping[str, Any]] = ()
    selected: Sequence[str] | None = None  # associations in scope; None: all
    # what associations say of themselves, by name: max_concurrency and max_errors, '' where they say nothing
    concurrency: Mapping[str, str] = field(default_factory=dict)
    errors: Mapping[str, str] = field(default_factory=dict)
    watch: Callable[[str, Cancel], Watching] | None = None  # (run id, cancel): opened while hosts are written to
    rollouts: Mapping[str, Rules] = field(default_factory=dict)  # by association, of those that have one
    run_step: RunStep | None = None
    check_health: CheckHealth | None = None
    # a host that only shows how it stands with these associations, for those that require them; and who is chosen with facts of now
    look: Callable[[str, Order, Sequence[str]], HostRun] | None = None
    selects: Selects = lambda *_: True


@dataclass
class Rate:
    """How fast, and when to stop. '' : the default, or as associations with changes ask for it."""

    max_concurrency: str = ""
    max_errors: str = ""
    batch: str = ""
    unreachable_counts: bool = False
    lock_timeout_s: float = 0.0
    deadline_s: float = 1800.0


@dataclass
class Run:
    """What became of an apply."""

    run_id: str
    plan: Plan
    results: dict[str, HostResult] = field(default_factory=dict)
    outcome: str = "done"  # done | failed | refused | declined | interrupted | nothing to do
    errors: int = 0
    errors_allowed: int = 0
    unreachable_counts: bool = False
    cancelled_by: str = ""  # who cancelled it from elsewhere
    resumes: str = ""  # the run that it goes on with
    stopped_by: str = ""  # why hosts were not started: errors | cancel, '' when none was held back
    halted: str = ""  # why the rollout of an association ended, '' when none did

    @property
    def budget_spent(self) -> bool:
        return self.errors > self.errors_allowed

    @property
    def stop(self) -> dict[str, Any]:
        """What stopped it, or would have."""
        return {
            "errors": self.errors,
            "allowed": self.errors_allowed,
            "unreachable": "error" if self.unreachable_counts else "skip",
            "by": self.stopped_by,
            "rollout": self.halted,
        }


async def plan(fleet: Fleet, rate: Rate, observer: Observer, cancel: Cancel, *, kind: str = "plan") -> Plan:
    """Read every host and compare (kind plan or drift). The plan is saved; nothing on a host is written."""
    order = Order(
        run_id=new_id(),
        kind=kind,
        controller=who(),
        commit=fleet.commit,
        lock_timeout_s=rate.lock_timeout_s,
        deadline_s=rate.deadline_s,
    )
    runs = _runs(fleet, order, observer)
    try:
        await _contact_all(runs, rate, observer, cancel)
        requirements = await _requirements(fleet, order, runs, rate, cancel)
        document = _document(fleet, runs, rate, observer, requirements)
        await asyncio.to_thread(_record_plan, fleet, order, runs, document)
    finally:
        await asyncio.gather(*(run.parted() for run in runs.values()))
    return document


async def apply(
    fleet: Fleet,
    rate: Rate,
    observer: Observer,
    cancel: Cancel,
    *,
    agree: Callable[[Plan], Awaitable[bool]],
    saved: Plan | None = None,
    resumes: "Resumed | None" = None,
    unattended: bool = False,
    run_id: str = "",
) -> Run:
    """Make the hosts as the files say; `saved`: exactly that plan and nothing else, once; `resumes`: what a run left of it.

    All hosts are planned before any is written to. A host that cannot be planned for another reason than being out of reach, or a
    resource that cannot be applied as declared, means that nothing is written anywhere; `unattended`, that this host has failed
    and the others go on. `run_id`: the run's id, where the caller has to know it before.
    """
    order = Order(
        run_id=run_id or new_id(),
        kind="apply",
        controller=who(),
        commit=fleet.commit,
        lock_timeout_s=rate.lock_timeout_s,
        deadline_s=rate.deadline_s,
        plan_id=saved.id if saved else "",
    )
    keep = len(fleet.hosts) <= KEPT_CHANNELS
    runs = _runs(fleet, order, observer)
    for run in runs.values():
        run.keep = keep
    try:
        await _contact_all(runs, rate, observer, cancel)
        plans = {host: run.plan for host, run in runs.items()}
        requirements = await _requirements(fleet, order, runs, rate, cancel)
        document = _document(fleet, runs, rate, observer, requirements)
        ended = Run(order.run_id, document, resumes=resumes.run_id if resumes else "")
        if cancel.requested.is_set():
            ended.outcome = "interrupted"
        elif saved is None and not unattended and _blocked(plans):
            ended.outcome = "failed"
        elif not await agree(document):
            ended.outcome = "interrupted" if cancel.requested.is_set() else "declined"
        if ended.outcome != "done":
            await _release_all(runs)
            await asyncio.to_thread(_record_plan, fleet, order, runs, document)
            return ended
        records = await asyncio.to_thread(fleet.records)
        if saved is not None and resumes is None:
            await asyncio.to_thread(_use_up, records, saved)
        await asyncio.to_thread(
            records.begin_run,
            "apply",
            {**fleet.scope, "resumes": resumes.run_id} if resumes else dict(fleet.scope),
            run_id=order.run_id,
            commit=fleet.commit,
            plan_id=order.plan_id or document.id,
            hosts=list(fleet.hosts),
            document=None if saved is not None else document.model_dump(mode="json"),
        )
        begun = resumes.begun if resumes else frozenset()
        dropped = await _drop_refused(runs) if unattended else {}
        if fleet.watch is None:
            await _go(fleet, rate, runs, requirements, observer, cancel, ended, records, saved, begun, dropped=dropped)
            return ended
        async with fleet.watch(order.run_id, cancel) as watch:
            for run in runs.values():
                run.on_message = _both(observer.message, watch.message)
            await _go(
                fleet, rate, runs, requirements, observer, cancel, ended, records, saved, begun, watch, dropped=dropped
            )
        return ended
    finally:
        await asyncio.gather(*(run.drop() for run in runs.values()))
        await asyncio.gather(*(run.parted() for run in runs.values()))


@dataclass(frozen=True)
class Resumed:
    """What is gone on with. `begun`: hosts that the plan was begun on, so that they are not as they were when it was made."""

    run_id: str
    begun: frozenset[str] = frozenset()


def _both(one: Callable[..., None], other: Callable[..., None]) -> Callable[[str, Mapping[str, Any]], None]:
    def told(host: str, message: Mapping[str, Any]) -> None:
        one(host, message)
        other(host, message)

    return told


def _use_up(records: Records, saved: Plan) -> None:
    """A plan is applied once. One from a file is remembered here as well; a store that never saw it leaves that to the hosts."""
    if records.plan(saved.id) is None:
        records.save_plan(saved.model_dump(mode="json"))
    records.mark_applied(saved.id)


def _runs(fleet: Fleet, order: Order, observer: Observer) -> dict[str, HostRun]:
    runs = {host: fleet.start(host, order) for host in fleet.hosts}
    for run in runs.values():
        run.on_message = observer.message
        run.take_over = _taking_over(fleet, run.name)
    return runs


def _taking_over(fleet: Fleet, host: str) -> Callable[[Mapping[str, Any]], Awaitable[None]]:
    async def take_over(result: Mapping[str, Any]) -> None:
        records = await asyncio.to_thread(fleet.records)
        await asyncio.to_thread(records.take_over, host, result)

    return take_over


async def _contact_all(runs: Mapping[str, HostRun], rate: Rate, observer: Observer, cancel: Cancel) -> None:
    async def contact(host: str) -> str:
        observer.begun(host)
        plan = await runs[host].contact()
        observer.planned(host, plan)
        return plan.outcome

    everything = Budget(allowed=len(runs))  # reading goes on whatever fails: a plan names every host
    await run_targets(
        [list(runs)],
        contact,
        concurrency=concurrency(rate.max_concurrency or DEFAULT_CONCURRENCY, len(runs)),
        budget=everything,
        cancel=cancel,
    )


async def _requirements(
    fleet: Fleet, order: Order, runs: Mapping[str, HostRun], rate: Rate, cancel: Cancel
) -> Requirements:
    """Who waits for whom. What is required of hosts outside of the run is looked at there; nothing is written."""
    found = Requirements(runs, fleet.association_order, fleet.selected, fleet.selects)
    outside = found.outside()
    if fleet.look is not None and not cancel.requested.is_set() and order.kind in ("plan", "apply"):
        looking = replace(order, kind="plan", plan_id="", lock_timeout_s=0.0)  # it may be this run that holds the lock
        looked_at = {host: await asyncio.to_thread(fleet.look, host, looking, names) for host, names in outside.items()}
        for run in looked_at.values():
            run.take_over = _taking_over(fleet, run.name)
        found.looked_at = looked_at
        try:
            await _contact_all(looked_at, rate, UNSEEN, cancel)
        finally:
            await asyncio.gather(*(run.drop() for run in looked_at.values()))
            await asyncio.gather(*(run.parted() for run in looked_at.values()))
    found.mark({host: run.plan for host, run in runs.items()})
    return found


async def _release_all(runs: Mapping[str, HostRun]) -> None:
    await asyncio.gather(*(run.release() for run in runs.values()))


async def _go(
    fleet: Fleet,
    rate: Rate,
    runs: Mapping[str, HostRun],
    requirements: Requirements,
    observer: Observer,
    cancel: Cancel,
    ended: Run,
    records: Records,
    saved: Plan | None,
    begun: frozenset[str] = frozenset(),
    watch: Watching | None = None,
    *,
    dropped: Mapping[str, HostResult],
) -> None:
    ready = [host for host, run in runs.items() if run.plan.outcome == "planned" and host not in dropped]
    to_go = set(ready)
    at_once, allowed, max_errors = _pace(fleet, rate, [runs[host] for host in ready], len(runs))
    rolling = _rolling(fleet, {host: runs[host] for host in ready}, observer, ended.run_id, requirements)
    requirements.ended = ended.results
    unfinished = set(ready)  # hosts that have yet to go, or to come to their end
    earlier: dict[str, HostResult] = {}  # of hosts that are told to go once more, for what had to come later
    budget = Budget(allowed, rate.unreachable_counts, stops=rolling.stops)
    for host, run in runs.items():
        if host not in to_go:
            ended.results[host] = dropped.get(host) or HostResult(
                run.plan.outcome, run.plan.reason, run.plan.code, run.plan.hint, held_by=run.holder
            )
            budget.record(host, ended.results[host].outcome)
            await asyncio.to_thread(
                records.record_host, ended.run_id, host_record(run, ended.results[host], fleet.selected)
            )
    in_flight: set[str] = set()

    def held_back() -> str:
        if cancel.requested.is_set():
            return STOPPED
        return over() if budget.spent else ""

    def over() -> str:
        return f"not started: {budget.halted}" if budget.halted else BUDGET_SPENT

    async def write_row(host: str) -> None:
        row = host_record(runs[host], ended.results[host], fleet.selected)
        await _to_the_end(asyncio.to_thread(records.record_host, ended.run_id, row))

    async def worse(host: str, why: str) -> None:
        """It had ended well, and is not well after all."""
        result = ended.results[host]
        result.outcome, result.reason, result.code, result.hint = "failed", why, "", ""
        budget.failed_later(host)
        await write_row(host)

    async def go(host: str) -> str:
        in_flight.add(host)
        observer.begun(host)
        run = runs[host]

        async def record(result: HostResult) -> None:
            result.held_by = run.holder
            if host in earlier:
                joined(earlier[host], result)
            requirements.settle(host, result)
            ended.results[host] = result
            unfinished.discard(host)
            budget.record(host, result.outcome)  # before it is written: nothing may start meanwhile that it forbids
            await write_row(host)

        run.record, run.held_back = record, held_back
        run.withheld = lambda: {name: one.reason for name, one in requirements.hold(host).items()}
        try:
            if watch is not None:
                await watch.begun(host)
            exactly = saved is not None and host not in begun and host in saved.hosts and host not in earlier
            rolling.leave_out(host, requirements.not_now(host, again=host in earlier))
            idle = requirements.nothing_else(host) and not held_back()
            unready = "" if idle or held_back() else await rolling.before(host)
            if idle:
                await run.release()
                result = HostResult("ok")  # as far as it goes: see `settle`
            elif unready:
                await run.release()
                result = HostResult("failed", f"nothing was written: {unready}")
            elif saved is not None and exactly and saved.hosts[host].outcome == "planned":
                result = await run.apply(saved.hosts[host].observed, saved.id)
            else:
                result = await run.apply(_still(run.plan.observed, earlier.get(host)), "")
        except asyncio.CancelledError:
            if host in unfinished:
                # it may be the first that this host hears of it: without a word the executor would go on to its end
                with suppress(StatectlError, TimeoutError):
                    async with asyncio.timeout(PARTING_S):
                        await run.cancel()
                raise
            result = ended.results[host]
        finally:
            in_flight.discard(host)
        if host in unfinished:  # it ended without the executor's last word
            with suppress(asyncio.CancelledError):  # let go while this was written: it had ended, and its row says how
                await record(result)
        wrong = await rolling.after(host, result)
        if wrong:
            await worse(host, f"{result.reason}; {wrong}" if result.reason else wrong)
        if not requirements.again({host: result}):
            observer.applied(host, result)
        return result.outcome

    async def pass_on_cancel() -> None:
        await cancel.requested.wait()
        await asyncio.gather(*(runs[host].cancel() for host in list(in_flight)), return_exceptions=True)

    async def between(wave: Sequence[str], later: Sequence[str]) -> None:
        async def sickened(host: str, why: str) -> None:
            await worse(host, why)
            observer.applied(host, ended.results[host])

        await rolling.between(wave, later, ended.results, cancel, sickened)

    cut, in_order = cut_into_waves(ready, rate.batch, rolling, requirements)
    if (
        rolling.batch or in_order
    ):  # who waits for batches before it must not hold its host, nor wait longer than its host does
        await asyncio.gather(*(runs[host].release() for wave in cut[1:] for host in wave))
    pace = Pace(ended.run_id, cut, allowed, max_errors, rate.unreachable_counts, dict(ended.results))
    observer.going(pace)
    if watch is not None:
        watch.message("", pace.message())
    passing = asyncio.create_task(pass_on_cancel())
    try:
        outcomes = await run_targets(cut, go, concurrency=at_once, budget=budget, cancel=cancel, between=between)
        left: dict[str, list[str]] = {}
        while (again := requirements.again(ended.results)) and again != left:
            left = again
            unfinished.update(again)
            earlier |= {host: ended.results[host] for host in again}
            if outcomes.stopped_by:
                outcomes.update({host: "stopped" if earlier[host].results else TERMINATED for host in again})
                break
            for host in again:
                budget.again(host)
            cut, _ = cut_into_waves(list(again), "", rolling, requirements)
            more = await run_targets(cut, go, concurrency=at_once, budget=budget, cancel=cancel, between=between)
            outcomes.update(more)
            outcomes.stopped_by = more.stopped_by
    finally:
        passing.cancel()
    not_started = over() if outcomes.stopped_by == "errors" else STOPPED
    for host in ready:
        if host in unfinished:
            reason = not_started if outcomes[host] == TERMINATED else "stopped in the middle"
            done = earlier.get(host, HostResult(""))
            ended.results[host] = HostResult(outcomes[host], reason, results=done.results, notified=done.notified)
            await asyncio.to_thread(
                records.record_host, ended.run_id, host_record(runs[host], ended.results[host], fleet.selected)
            )
            if outcomes[host] != TERMINATED:
                observer.applied(host, ended.results[host])
    words = [result.standing for result in ended.results.values()]
    ended.errors, ended.errors_allowed = budget.errors, budget.allowed
    ended.unreachable_counts, ended.stopped_by = budget.unreachable_counts, outcomes.stopped_by
    ended.halted = budget.halted
    ended.outcome = run_outcome(words, spent=budget.spent, cancelled=cancel.requested.is_set())
    ended.cancelled_by = watch.cancelled_by if watch is not None else ""
    if ended.cancelled_by:
        ended.outcome = "cancelled"
    counts: dict[str, int] = {}
    for result in ended.results.values():
        counts[result.outcome] = counts.get(result.outcome, 0) + 1
    await asyncio.to_thread(records.end_run, ended.run_id, ended.outcome, counts, ended.stop)


async def _to_the_end(work: Awaitable[None]) -> None:
    """Await it, and let a cancellation wait until it is done: a row that is being written gets written."""
    task = asyncio.ensure_future(work)
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        await task
        raise


def _pace(fleet: Fleet, rate: Rate, ready: Sequence[HostRun], total: int) -> tuple[int, int, str]:
    """(hosts at once, errors allowed, as whom asked) while writing. What was typed holds; else the strictest that changes something.

    An association's share is of the hosts that it changes, so `max_concurrency: 1` is one host at a time whatever else is applied.
    """
    changed: dict[str, int] = {}
    for run in ready:
        owners = {entry["address"]: entry["owners"] for entry in run.declared()}
        changes = [verdict for verdict in run.plan.verdicts if not verdict.audited and not verdict.held]
        for name in {name for verdict in changes for name in (verdict.association, *owners.get(verdict.address, ()))}:
            changed[name] = changed.get(name, 0) + 1
    at_once = concurrency(rate.max_concurrency or DEFAULT_CONCURRENCY, max(1, len(ready)))
    max_errors = rate.max_errors or DEFAULT_ERRORS
    allowed = allowed_errors(max_errors, total)
    if not rate.max_concurrency:
        shares = [(fleet.concurrency.get(name, ""), hosts) for name, hosts in changed.items()]
        at_once = strictest(at_once, shares, concurrency)
    if not rate.max_errors:
        for text, hosts in ((fleet.errors.get(name, ""), hosts) for name, hosts in changed.items()):
            if text and allowed_errors(text, hosts) < allowed:
                allowed, max_errors = allowed_errors(text, hosts), text
    return at_once, allowed, max_errors


def _rolling(
    fleet: Fleet, runs: Mapping[str, HostRun], observer: Observer, run_id: str, requirements: Requirements
) -> Rolling:
    def tell(host: str, words: str) -> None:
        runs[host].warn(words)
        observer.message(host, {"type": "log", "level": "warning", "text": words})

    return Rolling(
        rules=fleet.rollouts,
        runs=runs,
        changes={
            host: [name for name in _changing(run, fleet.association_order) if name not in held]
            for host, run in runs.items()
            for held in (requirements.unmet(host, going=False),)
        }
        if fleet.rollouts
        else {},
        run_id=run_id,
        run_step=fleet.run_step,
        check_health=fleet.check_health,
        tell=tell,
    )


def _changing(run: HostRun, order: Sequence[str]) -> list[str]:
    """Associations that change something on this host, in their order: a resource, or a restart that is still owed."""
    owners = {entry["address"]: entry["owners"] for entry in run.declared()}
    verdicts = (one for one in run.plan.verdicts if one.verdict in ("change", "unknown"))
    changes = [one for one in verdicts if not one.audited and not one.waits and not one.held]
    names = {name for one in changes for name in (one.association, *owners.get(one.address, ()))}
    names |= {name for debt in run.plan.debts for name in owners.get(debt.partition(" ")[2], ())}
    return [name for name in order if name in names]


def _blocked(plans: Mapping[str, HostPlan]) -> bool:
    """Is there an error that means: write nothing anywhere?"""
    return any(plan.outcome == "failed" or _refused(plan) for plan in plans.values())


def _refused(plan: HostPlan) -> list[Verdict]:
    """What cannot be applied as declared."""
    return [verdict for verdict in plan.verdicts if verdict.verdict == "refused" and not verdict.audited]


async def _drop_refused(runs: Mapping[str, HostRun]) -> dict[str, HostResult]:
    """Let go of the hosts with something that cannot be applied as declared: nothing is written there, and they have failed."""
    found = {host: _refused(run.plan) for host, run in runs.items() if run.plan.outcome == "planned"}
    dropped = {
        host: HostResult(
            "failed",
            f"{wrong[0].address}: {wrong[0].reason}" + (f" (and {len(wrong) - 1} more)" if wrong[1:] else ""),
        )
        for host, wrong in found.items()
        if wrong
    }
    await asyncio.gather(*(runs[host].release() for host in dropped))
    return dropped


def _still(observed: Mapping[str, str], earlier: HostResult | None) -> Mapping[str, str]:
    """What was observed when it was planned, but for what was done since."""
    done = {str(entry["address"]) for entry in earlier.results if entry["outcome"] != "skipped"} if earlier else set()
    return {address: found for address, found in observed.items() if address not in done}


def _document(
    fleet: Fleet, runs: Mapping[str, HostRun], rate: Rate, observer: Observer, requirements: Requirements
) -> Plan:
    hosts = {host: run.plan for host, run in runs.items()}
    ready = {host: run for host, run in runs.items() if run.plan.outcome == "planned" and run.compiled is not None}
    rolling = _rolling(fleet, ready, observer, "", requirements)
    cut, _ = cut_into_waves(list(ready), rate.batch, rolling, requirements)
    created = datetime.now(UTC)
    summary = summarise(hosts)
    changes = summary.add + summary.change + summary.remove + summary.run + summary.unknown + summary.notify
    document = Plan(
        id=new_id(),
        project=fleet.project,
        commit=fleet.commit,
        dirty=fleet.dirty,
        created=created.strftime("%Y-%m-%dT%H:%M:%SZ"),
        expires=(created + PLAN_LIFETIME).strftime("%Y-%m-%dT%H:%M:%SZ"),
        who=who(),
        scope=dict(fleet.scope),
        has_changes=changes > 0,
        summary=summary,
        blocks=fold(hosts, fleet.own_names, fleet.association_order),
        order=host_order(ready, cut, rolling, requirements, fleet.own_names),
        problems=[dict(problem) for problem in fleet.problems],
        hosts=hosts,
    )
    document.checksum = checksum(document.model_dump(mode="json"))
    return document


def _record_plan(fleet: Fleet, order: Order, runs: Mapping[str, HostRun], document: Plan) -> None:
    """Keep the plan and what the contact told of every host."""
    records = fleet.records()
    verb = "plan" if order.kind == "apply" else order.kind
    records.begin_run(verb, dict(fleet.scope), run_id=order.run_id, commit=fleet.commit, plan_id=document.id)
    if order.kind != "drift":
        records.save_plan(document.model_dump(mode="json"))
    counts: dict[str, int] = {}
    for run in runs.values():
        records.record_host(order.run_id, host_record(run, None, fleet.selected))
        counts[run.plan.outcome] = counts.get(run.plan.outcome, 0) + 1
    records.end_run(order.run_id, "done", counts)
