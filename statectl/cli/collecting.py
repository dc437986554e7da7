"""Ask hosts for what they have, many at once, and keep it as each of them answers."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from statectl.cli.planning import run_interruptible
from statectl.collected.readings import NOTES, Readings
from statectl.errors import Refused, StatectlError, Unreachable
from statectl.reconcile.fleet import Rate
from statectl.rollout.budget import DEFAULT_CONCURRENCY, Budget, concurrency
from statectl.rollout.run_targets import Cancel, run_targets
from statectl.store.collected import Reading
from statectl.store.ids import new_id, now

if TYPE_CHECKING:
    from statectl.cli.fleet import Opened
    from statectl.transport.session import ExecutorSession

OUTCOMES = {"done": "ok", "refused": "refused", "stopped": "stopped", "failed": "failed"}
A_DAY = timedelta(days=1)


@dataclass
class Refreshed:
    """What became of one host. `missing`: {type: why nothing came of it}."""

    outcome: str = "unknown"  # ok | failed | stopped | unreachable | unknown | refused | terminated
    reason: str = ""
    error: str = ""
    hint: str = ""
    types: int = 0
    changed: int = 0
    missing: dict[str, str] = field(default_factory=dict)


def refresh(opened: "Opened", hosts: Sequence[str], types: Sequence[str], rate: Rate) -> dict[str, Refreshed]:
    """{host: Refreshed}. `types`: none for all. What a host has told is kept when it has ended, and not before."""
    found = {host: Refreshed() for host in hosts}

    async def one(host: str) -> str:
        told = found[host]
        try:
            await _refresh_one(opened, host, types, rate, told)
        except StatectlError as error:
            told.reason, told.error, told.hint = error.message, error.code, error.hint
            told.outcome = "unreachable" if isinstance(error, Unreachable) else "failed"
            if isinstance(error, Refused):
                told.outcome = "refused"
        return told.outcome

    cancel = Cancel()

    async def everywhere() -> dict[str, str]:
        return await run_targets(
            [list(hosts)],
            one,
            concurrency=concurrency(rate.max_concurrency or DEFAULT_CONCURRENCY, len(hosts)),
            budget=Budget(len(hosts)),
            cancel=cancel,
        )

    for host, outcome in run_interruptible(everywhere, cancel, abort_at_once=True).items():
        found[host].outcome = outcome
    _prune(opened)
    return found


async def _refresh_one(opened: "Opened", host: str, types: Sequence[str], rate: Rate, told: Refreshed) -> None:
    records = opened.records()
    known = await asyncio.to_thread(records.collected.hashes, host)
    conversation = await opened.converse(
        host, new_id(), "inventory", collect=_order(opened, types, known), deadline_s=rate.deadline_s
    )
    try:
        facts, host_id, readings = await _heard(conversation, known, told)
    finally:
        await conversation.close()
    if told.outcome != "ok":
        return
    told.missing = {one.type: one.reason or one.state for one in readings if one.state in ("failed", "timed out")}
    told.types = sum(one.type != NOTES for one in readings)
    await asyncio.to_thread(records.saw, host, host_id, facts)
    told.changed = await asyncio.to_thread(records.collected.keep, host, now(), readings, whole=not types)


async def _heard(
    conversation: "ExecutorSession", known: Mapping[str, str], told: Refreshed
) -> tuple[Mapping[str, Any], str, list[Reading]]:
    """All that the host says: (facts, its id, readings)."""
    facts: Mapping[str, Any] = {}
    host_id = ""
    readings = Readings(known)
    while True:
        message = await conversation.receive()
        kind = message["type"]
        if kind == "ready":
            facts, host_id = message["facts"], str(message["memory"].get("host_id", ""))
        elif kind == "collected":
            readings.add(message)
        elif kind == "end":
            told.outcome = OUTCOMES.get(str(message["outcome"]), "failed")
            told.reason, told.error = str(message.get("reason") or ""), str(message.get("code") or "")
            return facts, host_id, readings.all()
        elif kind not in ("log", "waiting"):
            raise Unreachable(f"the host's answer is not in the protocol: {kind} came when it was not due", code="E321")


def _order(opened: "Opened", types: Sequence[str], known: Mapping[str, str]) -> dict[str, Any]:
    collect = opened.project.settings.collect
    order: dict[str, Any] = {"known": dict(known)}
    if types:
        order["types"] = list(types)
    if collect.files:
        order["files"] = [dict(one) for one in collect.files]
    if collect.certificates is not None:
        order["certificates"] = list(collect.certificates)
    custom = {name: dict(one) for name, one in collect.custom.items() if not types or f"Custom:{name}" in types}
    return {**order, "custom": custom}


def _prune(opened: "Opened") -> None:
    """Not at every refresh: once a day there is something to forget."""
    collected = opened.records().collected
    before = datetime.now(UTC) - timedelta(days=opened.project.settings.collect.keep_days)
    oldest = collected.oldest()
    if oldest and oldest < _text(before - A_DAY):
        collected.prune(_text(before))


def _text(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
