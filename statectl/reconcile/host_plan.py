"""What a host said of its resources, as its part of a plan."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from statectl.plans.plan import Change, HostPlan, Source, Verdict
from statectl.problems import Problem
from statectl.reconcile.disruption import Waiting, WindowsOfRun
from statectl.secrets import Secret


class Compiled(Protocol):
    """What is needed of `catalogue.compile.HostCatalogue`."""

    catalogue: dict[str, Any]
    blobs: dict[str, bytes | Path]
    secrets: Mapping[str, Secret]
    problems: Sequence[Problem]
    rollouts: Mapping[str, Any]  # by association: catalogue.rollouts.HostRollout
    requires: Mapping[str, Any]  # by association: tuples of catalogue.requirements.Needed
    parameters: Mapping[str, Sequence[str]]  # by association: what param() and secret() were asked for


def host_plan(
    compiled: Compiled | None,
    memory: Mapping[str, Any],
    windows: WindowsOfRun,
    verdicts: Sequence[Mapping[str, Any]],
    ok: int,
) -> HostPlan:
    """`verdicts`: all but those that are as wanted, of which there are `ok`; `memory`: of the host's `ready`."""
    declared = {}
    audited = set()
    if compiled is not None:
        declared = {entry["address"]: entry for entry in compiled.catalogue["resources"]}
        audited = {entry["name"] for entry in compiled.catalogue["associations"] if entry.get("mode") == "audit"}
    plan = HostPlan(
        outcome="planned",
        ok=ok,
        catalogue=compiled.catalogue["hash"] if compiled else "",
        parameters=sorted({one for some in compiled.parameters.values() for one in some}) if compiled else [],
        run_counter=int(memory.get("run_counter", 0)),
        debts=[f"{debt['verb']} {debt['address']}" for debt in memory.get("debts", ())],
    )
    for message in verdicts:
        entry = declared.get(message["address"], {})
        source = entry.get("source")
        association = str(message.get("association") or entry.get("association", ""))
        plan.verdicts.append(
            Verdict(
                address=message["address"],
                association=association,
                verdict=message["verdict"],
                action=message["action"] if message["action"] in ("add", "change", "remove", "run") else "none",
                predicted_after=message.get("predicted_after", []),
                unknown_until=message.get("unknown_until", []),
                changes=[Change.model_validate(change) for change in message.get("changes", ())],
                notify=message.get("notify", []),
                reason=message.get("reason") or "",
                kind=message.get("kind", ""),
                armed=message.get("armed", 0),
                source=Source(file=source["file"], line=source["line"]) if source else None,
                overrides=[{k: str(v) for k, v in override.items()} for override in entry.get("overrides", ())],
                audited=association in audited,
            )
        )
        if message.get("found_hash"):
            plan.observed[message["address"]] = message["found_hash"]
    if compiled is not None:
        waiting = Waiting.of(windows, compiled.catalogue)
        waiting.mark(plan, verdicts, memory.get("debts", ()))
    return plan


def moved_since(expected: HostPlan | None, found: HostPlan) -> list[str]:
    """Addresses that would be changed now and were not in the plan. What was in the plan, the executor compares itself."""
    if expected is None:
        return []
    planned = {verdict.address for verdict in expected.verdicts}
    return [verdict.address for verdict in found.verdicts if verdict.address not in planned]
