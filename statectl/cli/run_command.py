"""statectl run: one command on many hosts, output folded, nothing truncated."""

import sys
from pathlib import Path
from typing import Any

import click

from statectl.cli.options import host_options, output_options
from statectl.errors import UsageError

FORMATS = ("text", "json", "jsonl")


@click.command(context_settings={"ignore_unknown_options": False})
@click.argument("argv", nargs=-1, type=click.UNPROCESSED)
@click.option(
    "--script",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    default=None,
    help="Run this local shell script instead of a command.",
)
@click.option("--as", "as_user", metavar="USER", default=None, help="Run the command as this user.")
@click.option("--become", is_flag=True, help="Run as root through sudo, also where the inventory does not say so.")
@click.option("--cwd", metavar="DIR", default=None, help="Directory to run in.")
@click.option("--env", "environment", metavar="NAME=VALUE", multiple=True, help="Environment variable; repeatable.")
@click.option(
    "--max-errors",
    metavar="N|N%",
    default="100%",
    show_default=True,
    help="Start nothing new once there are more errors.",
)
@click.option("--batch", metavar="N|N%,...", default="100%", help="Waves that follow each other, such as 1,10%,100%.")
@click.option(
    "--unreachable",
    type=click.Choice(["skip", "error"]),
    default="skip",
    show_default=True,
    help="Whether an unreachable host counts as an error.",
)
@click.option("--stream", is_flag=True, help="Show lines as they come, each behind its host's name.")
@host_options
@output_options(FORMATS)
@click.pass_obj
def command(
    obj: dict[str, Any],
    /,
    argv: tuple[str, ...],
    script: Path | None,
    as_user: str | None,
    become: bool,
    cwd: str | None,
    environment: tuple[str, ...],
    stream: bool,
    **options: Any,
) -> int:
    """Run a command on the targeted hosts: statectl run -t 'group:web' -- systemctl is-active nginx

    One host: its bare output and its exit code. Several: hosts with the same output are shown together.
    """
    from statectl.cli.adhoc import Command, run_everywhere, shown_result
    from statectl.cli.fleet import Opened
    from statectl.cli.interrupted import tell_interrupted
    from statectl.cli.planning import outputs_of, rate_of
    from statectl.cli.scope import Scope

    if bool(argv) == (script is not None):
        raise UsageError("give a command behind --, or a script", hint="statectl run -t web01 -- uptime")
    shown, rate = outputs_of(options, FORMATS), rate_of(options)
    variables = {}
    for text in environment:
        name, equals, value = text.partition("=")
        if not equals or not name.isidentifier():
            raise UsageError(f"--env {text!r}: expected NAME=VALUE")
        variables[name] = value
    order = Command(
        argv=list(argv),
        script=script.read_text(encoding="utf-8") if script else None,
        user=as_user,
        cwd=cwd,
        env=variables,
        timeout_s=float(options["timeout"]),
    )
    opened = Opened.of(obj, options["inventory"], options)
    opened.tell_sources()
    opened.become = become
    hosts = opened.chosen(Scope.of((), options))
    try:
        tell_interrupted(opened.records())
        results = run_everywhere(opened, hosts, order, rate, stream=sys.stdout if stream else None)
    finally:
        opened.close()
    return shown_result(results, shown, streamed=stream)
