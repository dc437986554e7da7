"""Runs that go on: watched as the one who started them sees them, and asked to stop.

A run of this store is followed through the store. One that is not, or whose controller is gone, is followed on the hosts, whose
executors keep what they tell for as long as they live.
"""

import base64
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import click

from statectl.cli.adhoc import Lines
from statectl.cli.formats.progress import Progress
from statectl.cli.formats.terminal import one_line
from statectl.cli.options import Outputs
from statectl.cli.planning import run_interruptible
from statectl.errors import Interrupted, StatectlError, UsageError
from statectl.plans.plan import Plan
from statectl.reconcile.host_result import HostResult
from statectl.reconcile.reconcile import Run
from statectl.rollout.budget import Budget
from statectl.rollout.run_targets import Cancel, run_targets
from statectl.store.ids import new_id, who

if TYPE_CHECKING:
    from statectl.cli.fleet import Opened

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
    """Print what is told until the run has ended -> did it end? False: its controller is gone."""
    store = opened.records()
    progress = Progress(
        sys.stderr, shown.err, len(store.under_way.targets(run_id)), verbose=shown.verbose, quiet=shown.quiet
    )
    printed: set[tuple[str, str, str]] = set()
    last = 0

    def tell(host: str, message: Mapping[str, Any]) -> None:
        key = (host, str(message["type"]), str(message.get("address") or message.get("text") or message.get("reason")))
        if key not in printed or message["type"] == "waiting":
            printed.add(key)
            progress.message(host, message)

    try:
        while True:
            run = store.run(run_id)
            alive = store.under_way.alive(run_id)
            for sequence, host, message in store.under_way.told(run_id, last):
                tell(host, message)
                last = sequence
            if run is None or run["ended"] or not alive:
                break
            time.sleep(LOOK_S)
        for host, entry in (run or {"hosts": {}})["hosts"].items():  # what came since the last look
            for message in entry["results"] or ():
                if message.get("type") in ("result", "notified") and message.get("outcome") != "ok":
                    tell(host, message)
    except KeyboardInterrupt:
        raise Interrupted(
            "no longer following; the run goes on", hint=f"statectl runs cancel {run_id} ends it"
        ) from None
    finally:
        progress.close()
    return run is not None and bool(run["ended"])


def stored_run(run: Mapping[str, Any], document: Mapping[str, Any] | None) -> Run | None:
    """An apply as its own command knew it at the end; None when its plan is not here."""
    if document is None or run["verb"] != "apply":
        return None
    ended = Run(run["id"], Plan.model_validate(document), outcome=run["outcome"], cancelled_by=run["cancelled_by"])
    for host, entry in run["hosts"].items():
        told = entry["results"] or []
        ended.results[host] = HostResult(
            {"applied": "changed", "done": "ok"}.get(entry["outcome"], entry["outcome"]),
            entry["reason"],
            results=[one for one in told if one.get("type") != "notified" and "verb" not in one],
            notified=[one for one in told if one.get("type") == "notified" or "verb" in one],
        )
    ended.errors_allowed = len(ended.results)
    return ended


def follow_on_hosts(opened: "Opened", hosts: Sequence[str], run_id: str, shown: Outputs) -> dict[str, Seen]:
    """Attach to the executors that work on it, until all have ended. Hosts that it reaches meanwhile are followed as well."""
    seen: dict[str, Seen] = {}
    progress = Progress(sys.stderr, shown.err, len(hosts), verbose=shown.verbose, quiet=shown.quiet)
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

    try:
        run_interruptible(all_of_them, cancel, abort_at_once=True)
    finally:
        progress.close()
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
    lines = Lines(host, sys.stdout if shown is not None and "text" in shown.formats() else None)
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
