"""statectl plan: the working tree against the hosts. Changes nothing."""

import json
from pathlib import Path
from typing import Any

import click

from statectl.cli.options import check_writable, host_options, output_options, plan_options, write_file

FORMATS = ("text", "json", "jsonl", "md", "junit")


@click.command()
@click.argument("associations", nargs=-1)
@click.option("--detailed-exitcode", is_flag=True, help="Exit 2 when there are changes.")
@click.option(
    "--save",
    "save",
    type=click.Path(path_type=Path, dir_okay=False),
    default=None,
    help="Also write the plan to FILE, for `apply FILE`.",
)
@plan_options
@host_options
@output_options(FORMATS)
@click.pass_obj
def command(
    obj: dict[str, Any], /, associations: tuple[str, ...], detailed_exitcode: bool, save: Path | None, **options: Any
) -> int:
    """Show what apply would change, for all associations or those named. No host is changed.

    The plan is kept for 24 hours: `statectl apply ID` applies exactly what was shown.
    """
    from statectl.cli.ahead import start_rendering

    start_rendering(obj)
    from statectl.cli.deciding import plan_code
    from statectl.cli.fleet import Opened
    from statectl.cli.planning import outputs_of, rate_of, shown_plan
    from statectl.cli.scope import Scope

    if save is not None:
        check_writable(save, "--save")
    shown, rate = outputs_of(options, FORMATS), rate_of(options)
    scope = Scope.of(associations, options)
    opened = Opened.of(obj, options["inventory"], options)
    plan = shown_plan(opened, scope, options, shown, rate, kind="plan")
    if save is not None:
        write_file(save, json.dumps(plan.model_dump(mode="json"), indent=1) + "\n", private=True)
    if shown.on_stdout("text") and plan.has_changes:
        what = str(save) if save is not None else plan.id
        click.echo(f"Apply exactly this:  statectl apply {what}")
    return plan_code(plan, detailed=detailed_exitcode)
