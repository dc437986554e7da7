"""statectl inventory refresh, query, history and diff: what is on the hosts, as it was collected."""

import re
from typing import Any

import click

from statectl.cli.options import (
    Outputs,
    host_options,
    inventory_option,
    output_options,
    outputs,
    to_json,
    to_json_lines,
)
from statectl.errors import UsageError

QUERY_FORMATS = ("text", "json", "jsonl", "csv", "name")
FORMATS = ("text", "json", "jsonl")
TYPE_HELP = "Only this type, such as Application or Custom:Rack."
MARKS = {"add": "added", "change": "changed", "remove": "removed"}


@click.command()
@click.option("--type", "types", metavar="TYPE", multiple=True, help=f"{TYPE_HELP} Repeatable.")
@host_options
@output_options(FORMATS)
@click.pass_obj
def refresh(
    obj: dict[str, Any],
    /,
    types: tuple[str, ...],
    out: tuple[str, ...],
    as_json: bool,
    quiet: bool,
    verbose: int,
    color: str,
    **options: Any,
) -> int:
    """Collect what is on the hosts and keep it; changes nothing there. Without -t: every host."""
    from statectl.cli import collecting
    from statectl.cli.deciding import worst
    from statectl.cli.fleet import Opened
    from statectl.cli.formats.collected_text import refreshed_text
    from statectl.reconcile.fleet import Rate
    from statectl.targets.collected import type_named

    shown = outputs(out, FORMATS, as_json=as_json, quiet=quiet, verbose=verbose, color=color)
    names = [type_named(text) or _no_type(text) for text in types]
    opened = Opened.of(obj, options["inventory"], options, states=False)
    try:
        target = options["target"]
        hosts = opened.matching(
            "all" if target is None else target, allow_empty=options["allow_empty"] or target is None
        )
        rate = Rate(max_concurrency=options["max_concurrency"] or "", deadline_s=options["timeout"])
        found = collecting.refresh(opened, hosts, names, rate) if hosts else {}
    finally:
        opened.close()

    def rows() -> list[dict[str, Any]]:
        return [
            {
                "host": host, "outcome": one.outcome, "reason": one.reason, "code": one.error, "types": one.types,
                "changed": one.changed, "missing": one.missing,
            }
            for host, one in found.items()
        ]  # fmt: skip

    shown.write(
        {
            "text": lambda: refreshed_text(found, shown.screen),
            "json": lambda: to_json({"format": "statectl.collected/1.0", "refreshed": rows()}),
            "jsonl": lambda: to_json_lines(rows()),
        }
    )
    codes = {"failed": 1, "stopped": 1, "terminated": 130, "unknown": 3, "unreachable": 3, "refused": 5}
    return worst([codes[one.outcome] for one in found.values() if one.outcome in codes])


@click.command()
@click.argument("expression", default="all", metavar="[EXPR]")
@click.option("--type", "type_name", metavar="TYPE", default="", help="Entries of this type, such as Application.")
@click.option(
    "--where", metavar="EXPR", default="", help="With --type: entries whose attributes fit: name=openssl and version<3."
)
@click.option(
    "--count-by", metavar="NAME", multiple=True,
    help="How many there are of each value: os.name, package.openssl; with --type an attribute. Repeatable.",
)  # fmt: skip
@inventory_option
@output_options(QUERY_FORMATS)
@click.pass_obj
def query(
    obj: dict[str, Any],
    /,
    expression: str,
    type_name: str,
    where: str,
    count_by: tuple[str, ...],
    inventory: str | None,
    out: tuple[str, ...],
    as_json: bool,
    quiet: bool,
    verbose: int,
    color: str,
) -> int:
    """Ask the stored inventory which hosts fit: statectl inventory query 'package.openssl < 3.0.14-1'

    Contacts nothing. EXPR is a target expression.
    """
    from statectl.cli.asking import ask
    from statectl.cli.fleet import Opened
    from statectl.cli.formats.collected_text import answer_text
    from statectl.cli.formats.rows import comma_separated

    shown = outputs(out, QUERY_FORMATS, as_json=as_json, quiet=quiet, verbose=verbose, color=color)
    opened = Opened.of(obj, inventory, states=False)
    try:
        answer = ask(opened, expression, type_name, where, count_by)
    finally:
        opened.close()
    document = {"format": "statectl.collected/1.0", answer.what: answer.rows, "never_collected": answer.uncollected}
    shown.write(
        {
            "text": lambda: answer_text(answer, shown.screen),
            "json": lambda: to_json(document),
            "jsonl": lambda: to_json_lines(answer.rows),
            "csv": lambda: comma_separated(answer.columns, answer.rows),
            "name": lambda: "".join(f"{host}\n" for host in answer.hosts),
        }
    )
    return 0


@click.command()
@click.argument("host")
@click.option("--type", "type_name", metavar="TYPE", default="", help=TYPE_HELP)
@click.option("--since", metavar="TIME", default="", help="Only what changed since then: 7d, 12h or 2026-11-23.")
@inventory_option
@output_options(FORMATS)
@click.pass_obj
def history(
    obj: dict[str, Any],
    /,
    host: str,
    type_name: str,
    since: str,
    inventory: str | None,
    out: tuple[str, ...],
    as_json: bool,
    quiet: bool,
    verbose: int,
    color: str,
) -> int:
    """When what is on a host became another, newest first."""
    from statectl.cli.fleet import Opened
    from statectl.cli.formats.collected_text import history_document, history_text
    from statectl.collected.changes import history as changes

    shown = outputs(out, FORMATS, as_json=as_json, quiet=quiet, verbose=verbose, color=color)
    name = _type(type_name)
    after = moment_option(since, "--since") if since else ""
    opened = Opened.of(obj, inventory, states=False)
    try:
        opened.host(host)
        collected = opened.records().collected
        _known(host, collected.standings(host=host))
        found = changes(collected, host, type_name=name, since=after)
    finally:
        opened.close()
    rows = [history_document(one) for one in found]
    shown.write(
        {
            "text": lambda: history_text(found, shown.screen),
            "json": lambda: to_json({"format": "statectl.collected/1.0", "host": host, "history": rows}),
            "jsonl": lambda: to_json_lines(rows),
        }
    )
    return 0


@click.command()
@click.argument("host")
@click.option("--since", metavar="TIME", required=True, help="From then: 7d, 12h, or 2026-11-23T18:00:00Z.")
@click.option("--at", "until", metavar="TIME", default="now", show_default=True, help="To then.")
@click.option("--type", "type_name", metavar="TYPE", default="", help=TYPE_HELP)
@inventory_option
@output_options(FORMATS)
@click.pass_obj
def diff(
    obj: dict[str, Any],
    /,
    host: str,
    since: str,
    until: str,
    type_name: str,
    inventory: str | None,
    out: tuple[str, ...],
    as_json: bool,
    quiet: bool,
    verbose: int,
    color: str,
) -> int:
    """What is another on a host than it was."""
    from statectl.cli.fleet import Opened
    from statectl.cli.formats.collected_text import diff_text
    from statectl.collected.changes import compared, people_diff

    shown = outputs(out, FORMATS, as_json=as_json, quiet=quiet, verbose=verbose, color=color)
    name = _type(type_name)
    then, later = moment_option(since, "--since"), moment_option(until, "--at")
    if then > later:
        raise UsageError(f"--since {since} is after --at {until}")
    opened = Opened.of(obj, inventory, states=False)
    try:
        opened.host(host)
        collected = opened.records().collected
        _known(host, collected.standings(host=host))
        found = {
            kind: people_diff(before, after)
            for kind, before, after in compared(collected, host, then, later, type_name=name)
        }
        known_since = min((one.at for one in collected.snapshots(host, type_name=name)), default="")
    finally:
        opened.close()
    found = {kind: lines for kind, lines in found.items() if lines}
    rows = [
        {"type": kind, "change": MARKS[mark], "name": entry, "attribute": attribute, "before": before, "after": after}
        for kind, lines in found.items()
        for mark, entry, attribute, before, after in lines
    ]
    note = f"Nothing is known of {host} before {known_since}.\n" if then < known_since else ""
    shown.write(
        {
            "text": lambda: note + diff_text(found, shown.screen),
            "json": lambda: to_json(
                {"format": "statectl.collected/1.0", "host": host, "since": then, "at": later, "diff": rows}
            ),
            "jsonl": lambda: to_json_lines(rows),
        }
    )
    return 0


def show_entries(opened: Any, host: str, type_name: str, at: str, shown: Outputs) -> int:
    """`inventory show HOST --type TYPE [--at TIME]`: every entry with all its attributes."""
    from statectl.cli.formats.collected_text import entries_text
    from statectl.cli.formats.rows import comma_separated
    from statectl.collected.changes import at_moment, keyed, sorted_entries
    from statectl.targets.collected import TYPES

    try:
        if not type_name:
            raise UsageError("--at is about the entries of a type", hint="add --type, such as --type Application")
        name = _type(type_name)
        then = moment_option(at, "--at") if at else ""
        collected = opened.records().collected
        _known(host, collected.standings(host=host))
        kind = TYPES.get(name)
        if kind is not None and not kind.lasting:
            if then:
                raise UsageError(f"of {name} only the latest is kept", hint="leave out --at")
            entries = opened.questions().latest(name).get(host, [])
        else:
            snapshots = at_moment(collected, host, then or "~", type_name=name)
            entries = list(keyed(collected, snapshots[name]).values()) if name in snapshots else []
    finally:
        opened.close()
    rows = sorted_entries(name, entries)
    columns = (
        [one.name for one in kind.attributes] if kind is not None else list(dict.fromkeys(k for r in rows for k in r))
    )
    shown.write(
        {
            "text": lambda: entries_text(columns, rows, shown.screen),
            "json": lambda: to_json({"format": "statectl.collected/1.0", "host": host, "type": name, "entries": rows}),
            "jsonl": lambda: to_json_lines(rows),
            "csv": lambda: comma_separated(columns, rows),
        }
    )
    return 0


_AGO = re.compile(r"[0-9]{1,6}[smhdw]")


def moment_option(text: str, option: str) -> str:
    """A time of the command line: as in expressions, or `7d` for so long ago. Raises UsageError."""
    from statectl.targets.comparisons import NotComparable, moment

    try:
        return moment(f"now-{text}" if _AGO.fullmatch(text) else text)
    except NotComparable as error:
        raise UsageError(f"{option}: {error}", hint=error.hint.replace("write ", "write 7d, ")) from None


def _type(text: str) -> str:
    from statectl.targets.collected import type_named

    return (type_named(text) or _no_type(text)) if text else ""


def _no_type(text: str) -> str:
    from statectl.problems import nearest
    from statectl.targets.collected import TYPES

    near = nearest(text[:80], TYPES)
    hint = f"did you mean {near}?" if near else "statectl explain facts lists the types"
    raise UsageError(f"no type {text[:80]!r}", hint=hint)


def _known(host: str, standings: Any) -> None:
    if not standings:
        raise UsageError(f"nothing was ever collected of {host}", hint=f"statectl inventory refresh -t {host}")
