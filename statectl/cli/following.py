"""Runs that go on: watched as the one who started them sees them, and asked to stop.

A run of this store is followed through the store. One that is not, or whose controller is gone, is followed on the hosts, whose
executors keep what they tell for as long as they live.
"""

import base64
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from statectl.cli.adhoc import Lines
from statectl.cli.formats.progress import Progress
from statectl.cli.formats.terminal import one_line
from statectl.cli.options import Outputs
from statectl.cli.planning import progress_of, run_interruptible
from statectl.errors import Interrupted, StatectlError, UsageError
from statectl.plans.plan import PARAMETERS, Plan
from statectl.reconcile.fleet import Run
from statectl.reconcile.host_result import HostResult
from statectl.reconcile.observer import Pace
from statectl.rollout.budget import Budget
from statectl.rollout.run_targets import Cancel, run_targets
from statectl.store.ids import new_id, who

if TYPE_CHECKING:
    from statectl.cli.fleet import Opened
    from statectl.store.store import Store

LOOK_S = 0.5
PATIENCE_S = 5.0  # for a run that was asked to stop
AT_ONCE = 50


@dataclass
class Seen:
    """What one host said of a run. `living`: it was under way there when we came."""

    living: bool = False
    outcome: str = "unknown"
    reason: str = ""
    results: list[dict[str, Any]] = field(default_factory=list)
    stopped: bool = False


def follow_in_store(opened: "Opened", run_id: str, shown: Outputs) -> bool:
    """Print what is told until the run has ended, or all of it when it has -> did it end? False: its controller is gone."""
    store = opened.records()
    run = store.run_head(run_id)
    scope = run["scope"] if run is not None else {}
    progress = progress_of(shown, len(store.under_way.course(run_id)), "apply", scope.get("associations", ()))
    with progress:
        told = _Told(store, run_id, progress, started=run["started"] if run is not None else "")
        try:
            while run is not None and not run["ended"] and store.under_way.alive(run_id):
                told.look()
                time.sleep(LOOK_S)
                run = store.run_head(run_id)
            ended = run is not None and bool(run["ended"])
            told.look(to_the_end=ended)
        except KeyboardInterrupt:
            raise Interrupted(
                "no longer following; the run goes on", hint=f"statectl runs cancel {run_id} ends it"
            ) from None
    return ended


class _Told:
    """What the store knows of a run that goes on, told to a `Progress` as the run itself tells it, each thing once."""

    def __init__(self, store: "Store", run_id: str, progress: Progress, *, started: str) -> None:
        self._store, self._run_id, self._progress, self._started = store, run_id, progress, started
        self._last = 0
        self._paced = False
        self._printed: set[tuple[str, str, str]] = set()
        self._begun: set[str] = set()
        self._ended: dict[str, str] = {}

    def look(self, *, to_the_end: bool = False) -> None:
        """What came since the last look. `to_the_end`: the run has ended, and all that was not told yet is."""
        for sequence, host, message in self._store.under_way.told(self._run_id, self._last):
            self._last = sequence
            if message["type"] == "pace":
                self._progress.going(Pace.of(self._run_id, message), age_s=_age(self._started))
                self._paced = True
            else:
                self._tell(host, message)
        if to_the_end:
            self._rest()
        if not (self._paced or to_the_end):
            return  # how many it is about is not known yet
        for host, begun, outcome, reason in self._store.under_way.course(self._run_id):
            if begun and host not in self._begun:
                self._begun.add(host)
                self._progress.begun(host, age_s=_age(begun))
            if outcome and self._ended.get(host) != outcome:
                self._ended[host] = outcome
                self._progress.applied(host, HostResult(outcome, reason))
        self._progress.tick()

    def _rest(self) -> None:
        for host, entry in (self._store.run(self._run_id) or {"hosts": {}})["hosts"].items():
            for message in entry["results"] or ():
                if message.get("type") in ("result", "notified", "log"):
                    self._tell(host, message)

    def _tell(self, host: str, message: Mapping[str, Any]) -> None:
        key = (host, str(message["type"]), str(message.get("address") or message.get("text") or message.get("reason")))
        if key not in self._printed or message["type"] == "waiting":
            self._printed.add(key)
            self._progress.message(host, message)


def _age(moment: str) -> float:
    """Seconds since then."""
    return max(0.0, (datetime.now(UTC) - datetime.fromisoformat(moment)).total_seconds())


def stored_run(run: Mapping[str, Any], document: Mapping[str, Any] | None) -> Run | None:
    """An apply as its own command knew it at the end; None when its plan is not here."""
    if document is None or run["verb"] != "apply":
        return None
    ended = Run(run["id"], Plan.model_validate(document), outcome=run["outcome"], cancelled_by=run["cancelled_by"])
    for host, entry in run["hosts"].items():
        told = entry["results"] or []
        result = HostResult(
            {"applied": "changed", "done": "ok"}.get(entry["outcome"], entry["outcome"]),
            entry["reason"],
            entry["code"],
            entry["hint"],
            results=[one for one in told if one.get("type") == "result" or _kept_result(one)],
            notified=[one for one in told if one.get("type") == "notified" or "verb" in one],
            warnings=[one["text"] for one in told if one.get("type") == "log"],
        )
        if host == PARAMETERS:
            ended.parameters = result
        else:
            ended.results[host] = result
    stop = run["stop"]
    ended.errors, ended.errors_allowed = stop.get("errors", 0), stop.get("allowed", len(ended.results))
    ended.unreachable_counts = stop.get("unreachable") == "error"
    ended.stopped_by, ended.halted = stop.get("by", ""), stop.get("rollout", "")
    return ended


def _kept_result(entry: Mapping[str, Any]) -> bool:
    """Of a run that the host kept itself: results have no type there."""
    return "type" not in entry and "verb" not in entry


def follow_on_hosts(opened: "Opened", hosts: Sequence[str], run_id: str, shown: Outputs) -> dict[str, Seen]:
    """Attach to the executors that work on it, until all have ended. Hosts that it reaches meanwhile are followed as well."""
    seen: dict[str, Seen] = {}
    progress = progress_of(shown, len(hosts), "follow")
    cancel = Cancel()

    async def follow(host: str) -> str:
        found = await _attend(opened, host, "follow", run_id, progress, shown)
        if found.living or host not in seen:
            seen[host] = found
        return "ok"

    async def all_of_them() -> None:
        while not cancel.requested.is_set():
            before = {host for host, found in seen.items() if found.living}
            waiting = [host for host in hosts if host not in before]
            await run_targets([waiting], follow, concurrency=AT_ONCE, budget=Budget(len(hosts)), cancel=cancel)
            if {host for host, found in seen.items() if found.living} == before:
                return

    with progress:
        run_interruptible(all_of_them, cancel, abort_at_once=True)
    if cancel.requested.is_set():
        raise Interrupted("no longer following; the run goes on", hint=f"statectl runs cancel {run_id} ends it")
    return seen


def cancel_on_hosts(
    opened: "Opened", hosts: Sequence[str], run_id: str, *, wake: bool = False, wait_s: float = PATIENCE_S
) -> dict[str, Seen]:
    """Ask the executors that work on it to stop at their next resource border, and wait for them."""
    seen: dict[str, Seen] = {}
    cancel = Cancel()

    async def ask(host: str) -> str:
        seen[host] = await _attend(opened, host, "cancel", run_id, None, None, wake=wake, wait_s=wait_s)
        return "ok"

    def main() -> Any:
        return run_targets([list(hosts)], ask, concurrency=AT_ONCE, budget=Budget(len(hosts)), cancel=cancel)

    run_interruptible(main, cancel, abort_at_once=True)
    return seen


async def _attend(
    opened: "Opened",
    host: str,
    kind: str,
    run_id: str,
    progress: Progress | None,
    shown: Outputs | None,
    **order: Any,
) -> Seen:
    found = Seen()
    aloud = progress is not None and shown is not None and "text" in shown.formats()
    lines = Lines(host, progress.beside(sys.stdout) if progress is not None and aloud else None)
    try:
        conversation = await opened.converse(host, new_id(), kind, about=run_id, **order)
        try:
            message = await conversation.receive()
            while message["type"] != "end":
                if message["type"] in ("result", "notified"):
                    found.results.append(message)
                if message["type"] == "output":
                    lines.add(base64.b64decode(message["data"]))
                elif progress is not None and message["type"] != "ready":
                    progress.message(host, message)
                message = await conversation.receive()
        finally:
            lines.close()
            await conversation.close()
    except (StatectlError, ValueError) as error:
        found.outcome, found.reason = "unreachable", one_line(str(error))
        found.living = bool(found.results)
        return found
    counts = message.get("counts") or {}
    found.living = bool(counts.get("living")) or bool(counts.get("stopped"))
    found.stopped = bool(counts.get("stopped"))
    found.outcome, found.reason = str(message["outcome"]), one_line(str(message.get("reason") or ""))
    return found


def cancel_in_store(opened: "Opened", run_id: str) -> bool:
    """Ask the controller that works on it, and wait -> has the run ended?"""
    store = opened.records()
    store.under_way.cancel(run_id, who())
    limit = time.monotonic() + PATIENCE_S
    while time.monotonic() < limit:
        if not store.under_way.alive(run_id):
            return True
        time.sleep(0.1)
    return False


def hosts_of(opened: "Opened", run_id: str, target: str | None) -> list[str]:
    """Where the run may be at work: -t, else those that the store names and knows no end of, else the whole inventory."""
    if target is not None:
        return opened.matching(target, allow_empty=False)
    known = opened.records().under_way.targets(run_id)
    if known:
        open_ended = ("", "unknown")
        return [
            host
            for host, (begun, outcome) in known.items()
            if begun and outcome in open_ended and host in opened.inventory.hosts
        ]
    return list(opened.inventory.hosts)


def not_found(run_id: str, hosts: Sequence[str], seen: Mapping[str, Seen]) -> UsageError:
    silent = [host for host in hosts if seen[host].outcome == "unreachable"]
    from statectl.targets.ranges import compress

    more = f"; not asked, for they do not answer: {compress(silent)}" if silent else ""
    return UsageError(
        f"run {one_line(run_id)} is not under way on any of {len(hosts)} hosts, and has no end to wait for here{more}",
        hint="statectl runs list shows the runs of this store",
    )


def tell(text: str) -> None:
    click.echo(text, err=True)
