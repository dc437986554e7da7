"""statectl apply: make the hosts as the files say; or apply exactly a plan that was made before, once."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from statectl.cli.formats.lasting import outlived
from statectl.cli.formats.terminal import one_line
from statectl.cli.options import Outputs, confirm, host_options, output_options, plan_options, to_json, to_json_lines
from statectl.errors import Interrupted, Refused, UsageError

if TYPE_CHECKING:
    from statectl.cli.fleet import Opened
    from statectl.cli.patching import Asked
    from statectl.cli.resuming import Rest
    from statectl.cli.scope import Scope
    from statectl.plans.plan import Plan
    from statectl.reconcile.fleet import Rate
    from statectl.rollout.run_targets import Cancel

FORMATS = ("text", "json", "jsonl", "md", "junit")


@click.command()
@click.argument("what", nargs=-1, metavar="[ASSOCIATION]... | PLAN")
@click.option("-y", "--yes", is_flag=True, help="Apply without being asked.")
@click.option(
    "--batch",
    metavar="N|N%,...",
    default=None,
    help="Waves that follow each other, such as 1,10%,100%. Without it as `rollout` of associations says, else all at once.",
)
@click.option(
    "--max-errors",
    metavar="N|N%",
    default=None,
    help="Start nothing new once there are more errors. Without it as associations say, else 100%.",
)
@click.option(
    "--unreachable",
    type=click.Choice(["skip", "error"]),
    default="skip",
    show_default=True,
    help="Whether an unreachable host counts as an error.",
)
@click.option(
    "--resume",
    metavar="RUN",
    default=None,
    help="Go on with an earlier run: its plan, on those of its hosts that have not come to their end.",
)
@plan_options
@host_options
@output_options(FORMATS)
@click.pass_obj
def command(obj: dict[str, Any], /, what: tuple[str, ...], yes: bool, resume: str | None, **options: Any) -> int:
    """Make the hosts as the files say: all associations, or those named. All hosts are planned before any is written to.

    PLAN, the id or file of an earlier plan, applies exactly that, once, and only where nothing moved since.
    """
    from statectl.cli.ahead import start_rendering

    start_rendering(obj)
    from statectl.cli.fleet import Opened
    from statectl.cli.planning import outputs_of, rate_of
    from statectl.cli.scope import Scope

    shown = outputs_of(options, FORMATS)
    rate = rate_of(options)
    rest = _rest(obj, what, resume, options) if resume is not None else None
    if rest is not None and not rest.hosts:
        click.echo(f"Run {rest.resumed.run_id}: every host has come to its end. Nothing is left to do.", err=True)
        return 0
    saved = rest.plan if rest is not None else _saved_plan(obj, what)
    if saved is not None:
        scope = Scope.saved(saved.scope)
        if scope.rolls_back:
            raise Refused(
                f"this is a rollback of run {scope.rolls_back}, which is not gone on with",
                code="E538",
                hint=f"statectl rollback {scope.rolls_back} does what is left of it",
            )
        opened = Opened.for_plan(obj, saved, options)
    else:
        scope = Scope.of(what, options)
        opened = Opened.of(obj, options["inventory"], options)
    try:
        return apply_to(opened, scope, saved, rest, rate, shown, {**options, "yes": yes})
    finally:
        opened.close()


def _rest(obj: dict[str, Any], what: tuple[str, ...], run_id: str, options: dict[str, Any]) -> "Rest":
    from statectl.cli.interrupted import tell_interrupted
    from statectl.cli.opening import open_settings, open_store
    from statectl.cli.resuming import refuse_other_choices, rest_of

    refuse_other_choices(what, options)
    root, settings = open_settings(obj)
    store = open_store(root, settings)
    try:
        tell_interrupted(store)
        return rest_of(store, run_id)
    finally:
        store.close()


def apply_to(
    opened: "Opened",
    scope: "Scope",
    saved: "Plan | None",
    rest: "Rest | None",
    rate: "Rate",
    shown: Outputs,
    options: dict[str, Any],
    patches: "Asked | None" = None,
) -> int:
    """`patches`: what somebody typed about patches alone; None: an ordinary apply."""
    from statectl.cli.deciding import apply_code
    from statectl.cli.interrupted import tell_interrupted
    from statectl.cli.planning import progress_of, run_interruptible
    from statectl.plans.plan import PARAMETERS
    from statectl.reconcile import reconcile
    from statectl.rollout.run_targets import Cancel

    hosts = None
    if saved is not None:
        hosts = [name for name, host in saved.hosts.items() if host.outcome == "planned" and name != PARAMETERS]
    if rest is not None:
        hosts = rest.hosts
    fleet = opened.fleet(scope, kind="apply", saved=saved, hosts=hosts, patches=patches)
    tell_interrupted(opened.records())
    progress = progress_of(shown, len(fleet.hosts), "apply", scope.associations)
    cancel = Cancel()
    plan_is_shown = False

    async def agree(plan: "Plan") -> bool:
        nonlocal plan_is_shown
        progress.close()
        if not plan.has_changes:
            return True
        exactly = saved is not None and rest is None  # what was shown before; the rest of a run is shown now
        if not exactly and shown.on_stdout("text"):
            _show_plan(plan, shown, options)
            plan_is_shown = True
        if options["yes"] or exactly:
            return True
        hosts = plan.summary.hosts_changed
        where = f"{hosts} host{'s' * (hosts != 1)}"
        if plan.summary.parameters_changed:
            where = f"the parameter store and {where}" if hosts else "the parameter store"
        return await _asked(f"Apply this to {where}?", cancel, no_input=options["no_input"])

    with progress:
        run = run_interruptible(
            lambda: reconcile.apply(
                fleet, rate, progress, cancel, agree=agree, saved=saved, resumes=rest.resumed if rest else None
            ),
            cancel,
            abort_at_once=False,
            progress=progress,
        )
    if run.outcome == "interrupted" and not run.everything:
        raise Interrupted("interrupted; nothing was changed")
    with outlived(sys.stdout):  # who closed the window still gets the exit code of what was done
        _write(run, shown, options, opened.root, plan_is_shown=plan_is_shown)
    if run.outcome == "declined":
        raise Refused("not applied: declined", code="E507")
    return apply_code(run)


async def _asked(question: str, cancel: "Cancel", *, no_input: bool) -> bool:
    """The answer of the one who sits there. Ctrl-C ends the waiting, which a thread in readline would not notice."""
    if no_input or not sys.stdin.isatty():
        return confirm(question, yes=False, no_input=True)
    import asyncio

    loop = asyncio.get_running_loop()
    answer: asyncio.Future[bool] = loop.create_future()

    def answered() -> None:
        loop.remove_reader(sys.stdin.fileno())
        answer.set_result(sys.stdin.readline().strip().lower() in ("y", "yes"))

    def cancelled(_: object) -> None:
        if not answer.done():
            answer.set_result(False)

    sys.stderr.write(f"{question} [y/N] ")
    sys.stderr.flush()
    loop.add_reader(sys.stdin.fileno(), answered)
    stopped = asyncio.create_task(cancel.requested.wait())
    stopped.add_done_callback(cancelled)
    try:
        return await answer
    finally:
        stopped.cancel()
        loop.remove_reader(sys.stdin.fileno())


def _saved_plan(obj: dict[str, Any], what: tuple[str, ...]) -> "Plan | None":
    """The plan that `what` names, or None when it names associations. Raises Refused when it must not be applied."""
    from datetime import UTC, datetime

    from statectl.plans.plan import Plan, checksum

    if len(what) != 1:
        return None
    name = what[0]
    path = Path(name)
    if path.suffix == ".json" or "/" in name:
        try:
            document = json.loads(path.read_text(encoding="utf-8"))
        except OSError as error:
            reason = (error.strerror or "error").lower()
            raise UsageError(f"plan file {one_line(name)} cannot be read: {reason}") from None
        except ValueError as error:
            raise UsageError(
                f"plan file {one_line(name)} is not JSON: {error}", hint="statectl plan --save FILE"
            ) from None
    elif name.isascii() and name.isupper():
        from statectl.cli.opening import open_settings, open_store

        root, settings = open_settings(obj)
        found = open_store(root, settings).plan(name)
        if found is None:
            raise Refused(f"no plan {one_line(name)} in this store", code="E514", hint="make one: statectl plan")
        document = found[0]
    else:
        return None
    if not isinstance(document, dict) or not str(document.get("format", "")).startswith("statectl.plan/1."):
        raise Refused(f"{one_line(name)} is not a plan that this version reads", code="E514")
    if document.get("checksum") != checksum(document):
        raise Refused(f"plan {one_line(name)} was edited", code="E513", hint="make a new plan: statectl plan")
    plan = Plan.model_validate(document)
    if plan.expires < datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"):
        raise Refused(f"plan {plan.id} expired at {plan.expires}", code="E511", hint="make a new plan: statectl plan")
    return plan


def _show_plan(plan: "Plan", shown: Outputs, options: dict[str, Any]) -> None:
    from statectl.cli.formats.plan_text import plan_lines
    from statectl.targets.ranges import compress

    shape = {"full": options["full"], "by_host": options["by_host"]}
    for line in plan_lines(plan, shown.screen, compress, **shape, before_apply=True):
        click.echo(line)


def _write(run: Any, shown: Outputs, options: dict[str, Any], root: Path, *, plan_is_shown: bool) -> None:
    from statectl.targets.ranges import compress

    def text() -> str:
        from statectl.cli.formats.apply_text import next_lines, report_lines
        from statectl.cli.formats.plan_text import plan_lines

        if not run.everything or (not run.plan.has_changes and run.outcome == "done"):
            again = plan_lines(run.plan, shown.screen, compress, full=options["full"], by_host=options["by_host"])
            lines = [] if plan_is_shown else list(again)
            if run.outcome == "failed":
                lines.append("Nothing was written anywhere: every host must be planned without an error first.")
            return "".join(f"{line}\n" for line in lines)
        return "".join(f"{line}\n" for line in (*report_lines(run, shown.screen, compress, root), *next_lines(run)))

    def document() -> dict[str, Any]:
        return {
            "format": "statectl.results/1.0",
            "run": run.run_id,
            "outcome": run.outcome,
            "cancelled_by": run.cancelled_by,
            "resumes": run.resumes,
            "stop": run.stop,
            "plan": run.plan.model_dump(mode="json"),
            "hosts": {
                name: {
                    "outcome": result.outcome,
                    "reason": result.reason,
                    "code": result.code,
                    "held_by": result.held_by,
                    "seconds": round(result.seconds, 3),
                    "results": result.results,
                    "notified": result.notified,
                    "warnings": result.warnings,
                }
                for name, result in run.everything.items()
            },
        }

    def lines() -> str:
        whole = document()
        hosts = whole.pop("hosts")
        return to_json_lines(
            [*({"type": "host", "host": name, **host} for name, host in hosts.items()), {"type": "run", **whole}]
        )

    def junit() -> str:
        from statectl.cli.formats.junit import apply_junit

        return apply_junit(run)

    def markdown() -> str:
        from statectl.cli.formats.markdown import run_markdown

        return run_markdown(run, compress, root)

    shown.write({"text": text, "json": lambda: to_json(document()), "jsonl": lines, "md": markdown, "junit": junit})
