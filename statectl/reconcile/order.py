"""In which order an apply goes over its hosts, as it does it and as the plan shows it: batches of rollouts, and `requires` across hosts."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from statectl.plans.fold import neutraliser
from statectl.plans.plan import HostOrder, PlannedRollout, PlannedStep, Wait
from statectl.reconcile.host_run import HostRun
from statectl.reconcile.requirements import Requirements, todo
from statectl.reconcile.rolling import Rolling
from statectl.rollout.waves import waves

ALL = "100%"


def cut_into_waves(
    hosts: Sequence[str], batch: str, rolling: Rolling, requirements: Requirements
) -> tuple[list[list[str]], bool]:
    """(the waves, does any host come after another one?). `batch`: as typed, it replaces the batches of rollouts."""
    after = {host: set(first) for host in hosts if (first := requirements.first(host))}
    if batch or not rolling.batch:
        entries = [part.strip() for part in (batch or ALL).split(",")]
        return waves(hosts, dict.fromkeys(hosts, ("",)), {"": entries}, after), bool(after)
    return waves(hosts, rolling.changes, rolling.batch, after), bool(after)


def host_order(
    runs: Mapping[str, HostRun],
    cut: Sequence[Sequence[str]],
    rolling: Rolling,
    requirements: Requirements,
    own_names: Mapping[str, Mapping[str, str]],
) -> HostOrder:
    """As a plan has it: hosts with nothing to do are left out."""
    busy = {host for host, run in runs.items() if len(cut) > 1 and (todo(run, requirements.order) or run.plan.debts)}
    shown = [here for wave in cut if (here := [host for host in wave if host in busy])]
    waits: dict[tuple[str, str, tuple[str, ...]], list[str]] = {}
    for host in (host for wave in shown for host in wave):
        needed: dict[tuple[str, str], list[str]] = {}
        for other, pairs in requirements.first(host).items():
            for pair in pairs:
                needed.setdefault(pair, []).append(other)
        for (name, required), others in needed.items():
            waits.setdefault((name, required, tuple(others)), []).append(host)
    return HostOrder(
        waves=shown if len(shown) > 1 else [],
        waits=[
            Wait(association=name, hosts=hosts, requires=required, on=list(on))
            for (name, required, on), hosts in waits.items()
        ],
        rollouts=[_rollout(name, cut, rolling, own_names) for name in rolling.batch],
    )


def _rollout(
    name: str, cut: Sequence[Sequence[str]], rolling: Rolling, own_names: Mapping[str, Mapping[str, str]]
) -> PlannedRollout:
    rules = rolling.rules[name]
    changed = [[host for host in wave if name in rolling.changes.get(host, ())] for wave in cut]
    before: dict[tuple[tuple[str, ...], tuple[str, ...]], None] = {}
    after: dict[tuple[tuple[str, ...], tuple[str, ...]], None] = {}
    health = ""
    for host in (host for wave in changed for host in wave):
        planned = rolling.planned(host).get(name)
        if planned is None:
            continue
        general = neutraliser(own_names.get(host, {}))
        health = health or _health(planned.health, general)
        for found, steps in ((before, planned.before), (after, planned.after)):
            for step in steps:
                words = tuple(map(general, step.argv))
                found[words, tuple(other for other in step.hosts)] = None
    return PlannedRollout(
        association=name,
        batches=[len(wave) for wave in changed if wave],
        health=health,
        bake_s=rules.bake_s,
        on_failure=rules.on_failure,
        before=[PlannedStep(run=list(words), on=list(hosts)) for words, hosts in before],
        after=[PlannedStep(run=list(words), on=list(hosts)) for words, hosts in after],
    )


def _health(check: Mapping[str, Any] | None, general: Callable[[str], str]) -> str:
    """`http http://127.0.0.1/healthz = 200, within 30 s`"""
    if check is None:
        return ""
    what = " ".join(map(general, check["what"]))
    expected = f" = {check['expect']}" if check["kind"] == "http" else ""
    return f"{check['kind']} {what}{expected}, within {check['within_s']:g} s"
