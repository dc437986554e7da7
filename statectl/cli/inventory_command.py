"""statectl inventory: hosts as the inventory declares them, and the host keys that are trusted."""

import asyncio
from typing import Any

import click

from statectl.cli.collected_commands import diff, history, query, refresh, show_entries
from statectl.cli.formats.terminal import one_line
from statectl.cli.host_groups import group_lines, groups_of
from statectl.cli.host_tags import STORE, stored_tags, tag, tag_lines, tags_of
from statectl.cli.inventory_sources import sources
from statectl.cli.options import inventory_option, output_options, outputs, to_json
from statectl.errors import Refused, Unreachable, UsageError

FORMATS = ("text", "json", "name")
SHOW_FORMATS = ("text", "json", "jsonl", "csv")


@click.group()
def command() -> None:
    """List and show hosts, trust their keys, collect what is on them and ask about it."""


for _one in (refresh, query, history, diff, tag, sources):
    command.add_command(_one)


@command.command("list")
@click.option("-t", "--target", default=None, metavar="EXPR", help="Only these hosts.")
@click.option("--allow-empty", is_flag=True, help="A target that matches no host is not an error.")
@inventory_option
@output_options(FORMATS)
@click.pass_obj
def list_hosts(
    obj: dict[str, Any],
    /,
    target: str | None,
    allow_empty: bool,
    inventory: str | None,
    out: tuple[str, ...],
    as_json: bool,
    quiet: bool,
    verbose: int,
    color: str,
) -> int:
    """The hosts, how they are reached, their groups and tags."""
    from statectl.cli.fleet import Opened

    shown = outputs(out, FORMATS, as_json=as_json, quiet=quiet, verbose=verbose, color=color)
    opened = Opened.of(obj, inventory, states=False)
    names = opened.matching("all" if target is None else target, allow_empty=allow_empty or target is None)
    tags_problem = stored_tags(opened)
    rows = {name: _row(opened, name) for name in names}

    def text() -> str:
        if not rows:
            return "The inventory has no hosts.\n"
        wide = max(map(len, rows))
        lines = []
        for name, row in rows.items():
            tags = " ".join(
                f"{key}={one_line(value)}{' (store)' * (row['tag_sources'][key] == STORE)}"
                for key, value in row["tags"].items()
            )
            lines.append(f"{name:{wide}}  {row['reached']:32}  {','.join(row['groups'])}  {tags}".rstrip())
        if tags_problem:
            lines.append(f"stored tags are not known: {one_line(tags_problem)}")
        return "\n".join(lines) + "\n"

    shown.write(
        {
            "text": text,
            "json": lambda: to_json({"format": "statectl.inventory/1.0", "hosts": rows}),
            "name": lambda: "".join(f"{name}\n" for name in rows),
        }
    )
    return 0


@command.command("show")
@click.argument("host")
@click.option("--type", "type_name", metavar="TYPE", default="", help="The collected entries of this type instead.")
@click.option(
    "--at", "moment", metavar="TIME", default="", help="With --type: as they were then: 7d, 12h or 2026-11-23."
)
@inventory_option
@output_options(SHOW_FORMATS)
@click.pass_obj
def show_host(
    obj: dict[str, Any],
    /,
    host: str,
    type_name: str,
    moment: str,
    inventory: str | None,
    out: tuple[str, ...],
    as_json: bool,
    quiet: bool,
    verbose: int,
    color: str,
) -> int:
    """One host: connection, groups, tags, variables with their places, and what is stored of it."""
    from statectl.cli.fleet import Opened
    from statectl.cli.host_page import host_page, page_lines

    shown = outputs(out, SHOW_FORMATS, as_json=as_json, quiet=quiet, verbose=verbose, color=color)
    opened = Opened.of(obj, inventory, states=False)
    found = opened.host(host)
    if type_name or moment:
        return show_entries(opened, host, type_name, moment, shown)
    if set(shown.formats()) - {"text", "json"}:
        raise UsageError(
            f"-o {shown.formats()[0]} is for the entries of a type", hint="add --type, such as --type Application"
        )
    try:
        stored_tags(opened)
        found = opened.host(host)
        groups = groups_of(opened, host)
        page = host_page(opened, host)
    finally:
        opened.close()
    variables = {
        name: {"value": _plain(variable.value), "origin": variable.origin, "place": str(variable.span or "")}
        for name, variable in sorted(found.variables.items())
    }
    row = _row(opened, host)

    def text() -> str:
        lines = [host, f"  reached  {row['reached']}", f"  groups   {', '.join(row['groups']) or '-'}"]
        lines += group_lines(groups)
        lines += tag_lines(row)
        lines += page_lines(page)
        lines += [
            f"  {name} = {one_line(str(entry['value']))}   ({entry['origin']}{', ' if entry['place'] else ''}{entry['place']})"
            for name, entry in variables.items()
        ]
        return "\n".join(lines) + "\n"

    shown.write(
        {
            "text": text,
            "json": lambda: to_json(
                {"format": "statectl.inventory/1.0", "hosts": {host: {**row, **groups, "variables": variables, **page}}}
            ),
        }
    )
    return 0


@command.command("graph")
@inventory_option
@click.pass_obj
def graph(obj: dict[str, Any], /, inventory: str | None) -> int:
    """Groups, their children and their hosts as a tree."""
    from statectl.cli.fleet import Opened
    from statectl.targets.ranges import compress

    groups = Opened.of(obj, inventory, states=False).inventory
    children = {child for group in groups.groups.values() for child in group.children}

    def walk(name: str, depth: int) -> None:
        group = groups.groups[name]
        click.echo(f"{'  ' * depth}@{name}")
        for child in group.children:
            walk(child, depth + 1)
        if group.hosts:
            click.echo(f"{'  ' * (depth + 1)}{compress(list(group.hosts))}")

    for name in groups.groups:
        if name not in children and name != "all":
            walk(name, 0)
    grouped = {
        host for group in groups.groups.values() if group.name not in ("all", "ungrouped") for host in group.hosts
    }
    rest = [name for name in groups.hosts if name not in grouped]
    if rest and "ungrouped" not in groups.groups:
        click.echo(f"(no group)\n  {compress(rest)}")
    return 0


@command.command("trust")
@click.argument("targets", nargs=-1, required=True, metavar="HOST...")
@click.option(
    "--fingerprint", default=None, metavar="SHA256:...", help="Trust only this key (one host); nothing is asked."
)
@click.option("--replace", is_flag=True, help="Replace a key that is on file.")
@click.option("-y", "--yes", is_flag=True, help="Trust what the hosts show without being asked.")
@click.option("--no-input", is_flag=True, help="Never ask; fail instead.")
@inventory_option
@click.pass_obj
def trust(
    obj: dict[str, Any],
    /,
    targets: tuple[str, ...],
    fingerprint: str | None,
    replace: bool,
    yes: bool,
    no_input: bool,
    inventory: str | None,
) -> int:
    """Fetch the host keys of HOST... and write them to the inventory's known_hosts, after you have compared the fingerprints.

    Jump hosts on the way that are not trusted yet come first.
    """
    from statectl.cli.fleet import Opened
    from statectl.transport.ssh import hops

    opened = Opened.of(obj, inventory, states=False)
    names = opened.matching(",".join(targets), allow_empty=False)
    if fingerprint and len(names) != 1:
        raise UsageError("--fingerprint is for one host")
    failed = 0
    met: set[str] = set()
    for name in names:
        endpoint = opened.endpoint(name)
        if endpoint.connection != "ssh":
            continue
        way = [hop for hop in hops(endpoint) if hop.name not in met]
        met.update(hop.name for hop in way)
        try:
            for hop in way:
                _enrol(opened, hop, None, replace=replace, yes=yes, no_input=no_input, only_unknown=True)
            _enrol(opened, endpoint, fingerprint, replace=replace, yes=yes, no_input=no_input)
        except Unreachable as error:
            click.echo(f"{name}: {one_line(error.message)}", err=True)
            failed = 3
    return failed


def _enrol(
    opened: Any,
    endpoint: Any,
    fingerprint: str | None,
    *,
    replace: bool,
    yes: bool,
    no_input: bool,
    only_unknown: bool = False,
) -> None:
    """Fetch one key, have it confirmed, write it. `only_unknown`: one that is trusted already needs no word."""
    from statectl.cli.options import confirm
    from statectl.transport.known_hosts import TrustedKeys, enrol, own_file, standard_files
    from statectl.transport.ssh import shown_host_key

    trusted = TrustedKeys(standard_files(opened.inventory_path))
    found = asyncio.run(shown_host_key(endpoint, trusted))
    shown = found.key.get_fingerprint()
    if only_unknown and shown in trusted.known(found.host, "", found.port):
        return
    if fingerprint is not None and shown != fingerprint:
        raise Refused(f"{endpoint.name} shows {shown}, not {fingerprint}", code="E312")
    where = found.host if found.port == 22 else f"{found.host} port {found.port}"
    click.echo(f"{endpoint.name}  {where}  {found.key.get_algorithm()}  {shown}", err=True)
    if fingerprint is None and not confirm(f"Is this the key of {endpoint.name}?", yes=yes, no_input=no_input):
        return
    enrol(own_file(opened.inventory_path), found.host, found.port, found.key, replace=replace)
    click.echo(f"{endpoint.name}  trusted")


def _row(opened: Any, name: str) -> dict[str, Any]:
    host = opened.inventory.hosts[name]
    endpoint = opened.endpoint(name)
    if endpoint.connection == "local":
        reached = "local"
    else:
        user = f"{endpoint.user}@" if endpoint.user else ""
        reached = f"{user}{endpoint.address}" + (f":{endpoint.port}" if endpoint.port not in (0, 22) else "")
    if endpoint.become is not None:
        reached += f" become {endpoint.become.user}"
    return {
        "reached": reached,
        "connection": endpoint.connection,
        "address": endpoint.address,
        "groups": list(host.groups),
        **tags_of(host),
    }


def _plain(value: Any) -> Any:
    """A variable's value as JSON; expressions as written, secrets never."""
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        return float(value)
    source = getattr(value, "source", None)
    return str(source) if isinstance(source, str) else str(value)
