"""statectl patch scan: what the hosts lack by their baselines. Nothing on a host is changed."""

import datetime as dt
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from statectl.cli.options import host_options, output_options
from statectl.cli.patch_options import patch_options
from statectl.cli.patch_report_command import FORMATS

if TYPE_CHECKING:
    from statectl.plans.plan import Plan


@click.command()
@patch_options
@click.option("--refresh", is_flag=True, help="Fetch the indexes again, however young they are.")
@click.option(
    "--changelogs", is_flag=True, help="Fetch changelogs of what is missing as well, for the vulnerabilities they name."
)
@host_options
@output_options(FORMATS)
@click.pass_obj
def command(obj: dict[str, Any], /, **options: Any) -> int:
    """Look which patches the hosts lack, and keep what was found. The hosts' own indexes and caches stay as they are."""
    from statectl.cli.deciding import plan_code
    from statectl.cli.fleet import Opened
    from statectl.cli.patch_report_command import documents
    from statectl.cli.patch_standings import patch_standings
    from statectl.cli.patching import Asked, patch_scope
    from statectl.cli.planning import outputs_of, progress_of, rate_of, run_interruptible
    from statectl.errors import Interrupted
    from statectl.patches.report import report
    from statectl.reconcile import reconcile
    from statectl.reconcile.patching import SCAN
    from statectl.rollout.run_targets import Cancel

    shown = outputs_of(options, FORMATS)
    rate = rate_of(options)
    opened = Opened.of(obj, options["inventory"], options)
    try:
        asked = Asked.of(opened, SCAN, options)
        scope = patch_scope(opened, options)
        fleet = opened.fleet(scope, kind="plan", patches=asked)
        progress = progress_of(shown, len(fleet.hosts), "patch scan")
        cancel = Cancel()
        with progress:
            plan = run_interruptible(
                lambda: reconcile.plan(fleet, rate, progress, cancel, kind="plan"), cancel, abort_at_once=True
            )
        if cancel.requested.is_set():
            raise Interrupted("interrupted; nothing was changed", hint="the same command starts again")
        opened.forget_facts()
        now = dt.datetime.now(dt.UTC)
        found, _ = patch_standings(opened, fleet.hosts, now, baseline=asked.baseline)
        made = report(found, now, project=opened.project.settings.project)
        for line in _not_scanned(plan):
            click.echo(line, err=True)
        shown.write(documents(made, shown.screen))
        return plan_code(plan, detailed=False)
    finally:
        opened.close()


def _not_scanned(plan: "Plan") -> Iterator[str]:
    """The hosts of which nothing new is known, folded by cause."""
    from statectl.cli.formats.terminal import one_line
    from statectl.targets.ranges import compress

    why: dict[tuple[str, str], list[str]] = {}
    for name, host in plan.hosts.items():
        if host.outcome != "planned":
            why.setdefault((host.outcome, host.reason), []).append(name)
    for (outcome, reason), names in why.items():
        yield f"not scanned: {compress(names)}: {outcome}: {one_line(reason)}"
