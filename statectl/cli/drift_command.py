"""statectl drift: the hosts against what was last applied to them. Changes nothing; needs no states and no store."""

from typing import Any

import click

from statectl.cli.options import host_options, output_options

FORMATS = ("text", "json", "jsonl", "md", "junit")


@click.command()
@click.option("--full", is_flag=True, help="Show whole diffs.")
@click.option("--by-host", is_flag=True, help="Do not fold hosts with the same changes.")
@host_options
@output_options(FORMATS)
@click.pass_obj
def command(obj: dict[str, Any], /, **options: Any) -> int:
    """Compare the hosts with what was last applied to them. Exit 2 when something drifted."""
    from statectl.cli.deciding import plan_code
    from statectl.cli.fleet import Opened
    from statectl.cli.planning import outputs_of, rate_of, shown_plan
    from statectl.cli.scope import Scope

    shown, rate = outputs_of(options, FORMATS), rate_of(options)
    opened = Opened.of(obj, options["inventory"], options, states=False)
    plan = shown_plan(opened, Scope.of((), options), options, shown, rate, kind="drift")
    return plan_code(plan, detailed=True)
