"""The part of an apply that writes: hosts are told to go in waves, as fast and for as long as the rules allow, and each gets its row."""

import asyncio
from collections.abc import Awaitable, Mapping, Sequence
from contextlib import suppress

from statectl.errors import StatectlError
from statectl.plans.plan import PARAMETERS, HostPlan, Plan
from statectl.reconcile.fleet import Fleet, Rate, Records, Run, Watching
from statectl.reconcile.host_result import HostResult, joined
from statectl.reconcile.host_run import HostRun
from statectl.reconcile.observer import Observer, Pace
from statectl.reconcile.order import cut_into_waves
from statectl.reconcile.record import host_record
from statectl.reconcile.requirements import Requirements
from statectl.reconcile.rolling import Rolling
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

STOPPED = "not started: the run was stopped"
NOT_PUT = "not started: the parameters come first"
BUDGET_SPENT = "not started: the error budget was spent"
PARTING_S = 2.0  # for a last `cancel` to a host that is let go


async def go_on(
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
    rolling = rolling_of(fleet, {host: runs[host] for host in ready}, observer, ended.run_id, requirements)
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
    rebooting: dict[str, HostResult] = {}  # what was done on hosts before they were told to reboot

    def held_back() -> str:
        if cancel.requested.is_set():
            return STOPPED
        return over() if budget.spent else ""

    def over() -> str:
        return f"not started: {budget.halted}" if budget.halted else BUDGET_SPENT

    async def write_row(host: str) -> None:
        well = ended.results[host].outcome in ("ok", "changed")
        uses = uses_of(fleet, runs[host]) if well and not fleet.scope.get("only") else None
        row = host_record(runs[host], ended.results[host], fleet.selected, uses)
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
            if run.patching is not None:
                await _to_the_end(asyncio.to_thread(run.patching.done, host, result))

        async def interim(result: HostResult) -> None:
            rebooting[host] = result
            row = host_record(run, result, fleet.selected)
            await _to_the_end(asyncio.to_thread(records.record_host, ended.run_id, row))

        run.record, run.held_back, run.interim = record, held_back, interim
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
            done = rebooting.get(host) or earlier.get(host, HostResult(""))
            outcome, reason = (done.outcome, done.reason) if host in rebooting else (outcomes[host], reason)
            ended.results[host] = HostResult(outcome, reason, results=done.results, notified=done.notified)
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


def uses_of(fleet: Fleet, run: HostRun) -> dict[str, int]:
    """Which versions of parameters the associations in scope were compiled with on this host, by selector."""
    known = fleet.versions()
    put = fleet.parameters.versions if fleet.parameters is not None else {}
    found = {}
    for association, selectors in (run.compiled.parameters if run.compiled is not None else {}).items():
        for selector in selectors if fleet.selected is None or association in fleet.selected else ():
            version = known.get(selector, 0)
            found[selector] = version if isinstance(version, int) else put.get(selector.strip(" ").lstrip("/"), 0)
    return found


async def put_parameters(
    fleet: Fleet,
    runs: Mapping[str, HostRun],
    observer: Observer,
    ended: Run,
    records: Records,
    expected: HostPlan | None,
) -> bool:
    """Before any host begins. False: one could not be put, and nothing is written to any host."""
    store = fleet.parameters
    if store is None or store.idle:
        return True
    result = await asyncio.to_thread(store.apply, ended.run_id, expected)
    ended.parameters = result
    for entry in result.results:
        observer.message(PARAMETERS, entry)
    await asyncio.to_thread(records.record_host, ended.run_id, store.record(result))
    if result.outcome in ("ok", "changed"):
        return True
    await asyncio.gather(*(run.release() for run in runs.values()))
    word = "refused" if result.outcome == "refused" else TERMINATED
    counts: dict[str, int] = {}
    for host, run in runs.items():
        planned = run.plan.outcome == "planned"
        outcome, reason = (word, NOT_PUT) if planned else (run.plan.outcome, run.plan.reason)
        ended.results[host] = HostResult(outcome, reason, "" if planned else run.plan.code, held_by=run.holder)
        counts[outcome] = counts.get(outcome, 0) + 1
        row = host_record(run, ended.results[host], fleet.selected)
        await asyncio.to_thread(records.record_host, ended.run_id, row)
    ended.outcome = "refused" if result.outcome == "refused" else "failed"
    await asyncio.to_thread(records.end_run, ended.run_id, ended.outcome, counts, ended.stop)
    return False


async def _to_the_end(work: Awaitable[None]) -> None:
    """Await it, and let a cancellation wait until it is done: a row that is being written gets written."""
    task = asyncio.ensure_future(work)
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        await task
        raise


def _still(observed: Mapping[str, str], earlier: HostResult | None) -> Mapping[str, str]:
    """What was observed when it was planned, but for what was done since."""
    done = {str(entry["address"]) for entry in earlier.results if entry["outcome"] != "skipped"} if earlier else set()
    return {address: found for address, found in observed.items() if address not in done}


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


def rolling_of(
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
