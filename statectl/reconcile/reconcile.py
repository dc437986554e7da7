"""Plan, apply and drift over many hosts: the page on which the parts meet.

    plan    contact all -> plan value                                 nothing is written
    apply   contact all -> plan value -> agreed? -> go, in waves      an error anywhere writes nothing
    drift   contact all, each compares itself with what was last applied there

Everything the parts need of each other is passed in through `Fleet`.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from statectl.plans.fold import fold
from statectl.plans.plan import PARAMETERS, HostPlan, Plan, Verdict, checksum, summarise
from statectl.reconcile.fleet import Fleet, Rate, Records, Resumed, Run
from statectl.reconcile.go import go_on, put_parameters, rolling_of
from statectl.reconcile.host_result import HostResult
from statectl.reconcile.host_run import HostRun, Order
from statectl.reconcile.observer import UNSEEN, Observer
from statectl.reconcile.order import cut_into_waves, host_order
from statectl.reconcile.record import host_record
from statectl.reconcile.requirements import Requirements
from statectl.rollout.budget import (
    DEFAULT_CONCURRENCY,
    Budget,
    concurrency,
)
from statectl.rollout.run_targets import Cancel, run_targets
from statectl.store.ids import new_id, who

KEPT_CHANNELS = 64  # up to this many hosts keep their channel open between plan and go
PLAN_LIFETIME = timedelta(hours=24)


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
        await asyncio.gather(_look_at_parameters(fleet, kind), _contact_all(runs, rate, observer, cancel))
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
    for host, run in runs.items():
        run.keep = keep
        run.begun = resumes is not None and host in resumes.begun
    try:
        await asyncio.gather(_look_at_parameters(fleet, "apply"), _contact_all(runs, rate, observer, cancel))
        plans = _plans(fleet, runs)
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
            project=fleet.project,
        )
        expected = saved.hosts.get(PARAMETERS) if saved is not None and resumes is None else None
        if not await put_parameters(fleet, runs, observer, ended, records, expected):
            return ended
        begun = resumes.begun if resumes else frozenset()
        dropped = await _drop_refused(runs) if unattended else {}
        if fleet.watch is None:
            await go_on(
                fleet, rate, runs, requirements, observer, cancel, ended, records, saved, begun, dropped=dropped
            )
            return ended
        async with fleet.watch(order.run_id, cancel) as watch:
            for run in runs.values():
                run.on_message = _both(observer.message, watch.message)
            await go_on(
                fleet, rate, runs, requirements, observer, cancel, ended, records, saved, begun, watch, dropped=dropped
            )
        return ended
    finally:
        await asyncio.gather(*(run.drop() for run in runs.values()))
        await asyncio.gather(*(run.parted() for run in runs.values()))


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


async def _look_at_parameters(fleet: Fleet, kind: str) -> None:
    if fleet.parameters is not None:
        await asyncio.to_thread(fleet.parameters.contact, kind)


def _plans(fleet: Fleet, runs: Mapping[str, HostRun]) -> dict[str, HostPlan]:
    """By host, and by the name of the parameter store where something is declared for it."""
    store = fleet.parameters
    beside = {PARAMETERS: store.plan} if store is not None and not store.idle else {}
    return {**beside, **{host: run.plan for host, run in runs.items()}}


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


def _document(
    fleet: Fleet, runs: Mapping[str, HostRun], rate: Rate, observer: Observer, requirements: Requirements
) -> Plan:
    hosts = _plans(fleet, runs)
    ready = {host: run for host, run in runs.items() if run.plan.outcome == "planned" and run.compiled is not None}
    rolling = rolling_of(fleet, ready, observer, "", requirements)
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
        parameters=dict(sorted(fleet.versions().items())),
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
    if fleet.parameters is not None and not fleet.parameters.idle:
        records.record_host(order.run_id, fleet.parameters.record(None))
    for run in runs.values():
        records.record_host(order.run_id, host_record(run, None, fleet.selected))
        counts[run.plan.outcome] = counts.get(run.plan.outcome, 0) + 1
    records.end_run(order.run_id, "done", counts)
