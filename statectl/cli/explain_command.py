"""statectl explain: an error code, a type, a field, or where a variable's value comes from."""

from typing import Any

import click

from statectl.cli.formats.terminal import one_line
from statectl.cli.options import inventory_option
from statectl.errors import UsageError


@click.command()
@click.argument("what", nargs=-1, required=True, metavar="CODE | TYPE[.FIELD] | facts[.NAME] | var NAME")
@click.option("--host", "host", default=None, metavar="HOST", help="With var: the host whose value is meant.")
@inventory_option
@click.pass_obj
def command(obj: dict[str, Any], /, what: tuple[str, ...], host: str | None, inventory: str | None) -> int:
    """Explain an error code (E103), a type (file), a field (file.mode), facts and collected inventory (facts), or a variable (var NAME --host H)."""
    if what[0] == "var":
        if len(what) != 2 or host is None:
            raise UsageError("explain var needs a name and a host", hint="statectl explain var workers --host web01")
        return _variable(obj, what[1], host, inventory)
    if len(what) != 1:
        raise UsageError("explain one thing at a time")
    text = _facts(what[0]) if what[0].partition(".")[0] == "facts" else _declared(what[0])
    if text is None:
        raise UsageError(
            f"nothing known of {one_line(what[0])!r}",
            hint="a code such as E101, a type such as file, a field such as file.mode, facts",
        )
    click.echo(text.rstrip("\n"))
    return 0


def _facts(what: str) -> str | None:
    from statectl.cli.explain_facts import explain_facts

    return explain_facts(what)


def _declared(what: str) -> str | None:
    from statectl.project.explain import explain
    from statectl.sections import table

    return explain(what, table())


def _variable(obj: dict[str, Any], name: str, host: str, inventory: str | None) -> int:
    from statectl.cli.fleet import Opened

    opened = Opened.of(obj, inventory)
    try:
        lines = opened.explain_variable(name, host)
    finally:
        opened.close()
    for line in lines:
        click.echo(line)
    return 0
