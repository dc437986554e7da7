"""Plan or drift with progress, shown in the formats that were asked for. Shared by plan, drift and apply."""

import asyncio
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from statectl.cli.formats.lasting import Lasting
from statectl.cli.formats.progress import Progress
from statectl.cli.options import Outputs, outputs, to_json, to_json_lines
from statectl.errors import Interrupted
from statectl.plans.plan import Plan, checksum
from statectl.rollout.run_targets import Cancel

STOPPING = "stopping: nothing new is started, running resources finish; again to let go now"

if TYPE_CHECKING:
    from statectl.cli.fleet import Opened
    from statectl.cli.scope import Scope
    from statectl.reconcile.fleet import Rate


def rate_of(options: Mapping[str, Any]) -> "Rate":
    from statectl.reconcile.fleet import Rate
    from statectl.rollout.budget import allowed_errors, batches, concurrency

    rate = Rate(
        max_concurrency=options.get("max_concurrency") or "",
        max_errors=options.get("max_errors") or "",
        batch=options.get("batch") or "",
        unreachable_counts=options.get("unreachable") == "error",
        lock_timeout_s=float(options.get("lock_timeout") or 0.0),
        deadline_s=float(options["timeout"]),
    )
    for check, text in ((concurrency, rate.max_concurrency), (allowed_errors, rate.max_errors), (batches, rate.batch)):
        if text:
            check(text, 1)
    return rate


def outputs_of(options: Mapping[str, Any], formats: Sequence[str]) -> Outputs:
    return outputs(
        options["out"],
        formats,
        as_json=options["as_json"],
        quiet=options["quiet"],
        verbose=options["verbose"],
        color=options["color"],
    )


def progress_of(shown: Outputs, hosts: int, verb: str, associations: Sequence[str] = ()) -> Progress:
    return Progress(
        sys.stderr,
        shown.err,
        hosts,
        title=" ".join((verb, *associations)),
        verbose=shown.verbose,
        quiet=shown.quiet,
        reported=shown.on_stdout("text"),
    )


def shown_plan(
    opened: "Opened", scope: "Scope", options: Mapping[str, Any], shown: Outputs, rate: "Rate", *, kind: str
) -> Plan:
    """Make the plan and write it."""
    from statectl.cli.interrupted import tell_interrupted
    from statectl.reconcile import reconcile

    fleet = opened.fleet(scope, kind=kind)
    tell_interrupted(opened.records())
    progress = progress_of(shown, len(fleet.hosts), kind, scope.associations)
    cancel = Cancel()
    try:
        with progress:
            plan: Plan = run_interruptible(
                lambda: reconcile.plan(fleet, rate, progress, cancel, kind=kind), cancel, abort_at_once=True
            )
        if kind == "drift":
            _since_when(plan, opened.records().drifted())
    finally:
        opened.close()
    if cancel.requested.is_set():
        raise Interrupted("interrupted; nothing was changed", hint="the same command starts again")
    write_plan(plan, shown, full=options["full"], by_host=options["by_host"], drift=kind == "drift")
    return plan


def _since_when(plan: Plan, drifted: Mapping[tuple[str, str, str], str]) -> None:
    """Say of each deviation when it was first seen. `drifted`: {(host, association, address): UTC}."""
    for name, host in plan.hosts.items():
        keys = ((one.address, (name, one.association, one.address)) for one in host.verdicts)
        host.since = {address: drifted[key] for address, key in keys if key in drifted}
    plan.checksum = checksum(plan.model_dump(mode="json"))


def write_plan(plan: Plan, shown: Outputs, *, full: bool, by_host: bool, drift: bool) -> None:
    from statectl.targets.ranges import compress

    def text() -> str:
        from statectl.cli.formats.plan_text import plan_lines

        return "\n".join(plan_lines(plan, shown.screen, compress, full=full, by_host=by_host, drift=drift)) + "\n"

    def markdown() -> str:
        from statectl.cli.formats.markdown import plan_markdown

        return plan_markdown(plan, compress)

    def junit() -> str:
        from statectl.cli.formats.junit import plan_junit

        return plan_junit(plan, compress)

    shown.write(
        {
            "text": text,
            "json": lambda: to_json(plan.model_dump(mode="json")),
            "jsonl": lambda: _json_lines(plan),
            "md": markdown,
            "junit": junit,
        }
    )


def _json_lines(plan: Plan) -> str:
    """One line a host, then one with everything but the hosts."""
    document = plan.model_dump(mode="json")
    hosts = document.pop("hosts")
    lines = [{"type": "host", "host": name, **host} for name, host in hosts.items()]
    return to_json_lines([*lines, {"type": "plan", **document}])


def run_interruptible(
    main: Callable[[], Any], cancel: Cancel, *, abort_at_once: bool, progress: Progress | None = None
) -> Any:
    """Run to the end. First Ctrl-C (or TERM, HUP): nothing new starts; second: what runs is let go. `progress` tells of it."""

    async def with_signals() -> Any:
        loop = asyncio.get_running_loop()

        def stop() -> None:
            cancel.request()
            if abort_at_once:
                cancel.request()
            elif not cancel.aborted.is_set():
                # the terminal itself has just shown ^C at the cursor
                if progress is not None:
                    progress.say(STOPPING)
                else:
                    Lasting(sys.stderr).write(f"\n{STOPPING}\n")

        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(number, stop)
        return await main()

    return asyncio.run(with_signals())
