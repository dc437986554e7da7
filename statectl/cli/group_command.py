"""statectl group: groups of the inventory and resource groups, and who is in them. Reads files and store; contacts nothing."""

from typing import TYPE_CHECKING, Any

import click

from statectl.cli.formats.terminal import one_line
from statectl.cli.host_groups import known_of, members
from statectl.cli.options import inventory_option, output_options, outputs, to_json
from statectl.errors import UsageError

if TYPE_CHECKING:
    from statectl.cli.fleet import Opened

FORMATS = ("text", "json", "name")
FORMAT = "statectl.groups/1.0"


@click.group()
def command() -> None:
    """List and show groups: those of the inventory, and resource groups, which are asked anew each time."""


@command.command("list")
@inventory_option
@output_options(FORMATS)
@click.pass_obj
def list_groups(
    obj: dict[str, Any],
    /,
    inventory: str | None,
    out: tuple[str, ...],
    as_json: bool,
    quiet: bool,
    verbose: int,
    color: str,
) -> int:
    """Every group with its number of hosts, and the question that makes it."""
    from statectl.cli.fleet import Opened

    shown = outputs(out, FORMATS, as_json=as_json, quiet=quiet, verbose=verbose, color=color)
    opened = Opened.of(obj, inventory, states=False)
    try:
        opened.read_groups()
        opened.read_tags()
        rows = {name: group_row(opened, name) for name in group_names(opened)}
    finally:
        opened.close()

    def text() -> str:
        wide = max(map(len, rows), default=0)
        lines = []
        for name, row in sorted(rows.items()):
            count = f"{len(row['hosts'])} host{'s' * (len(row['hosts']) != 1)}{_open_count(row)}"
            what = one_line(row["definition"]) if row["kind"] == "resource group" else "(inventory)"
            lines.append(f"{name:{wide}}  {count:9}  {what}{_described(row)}")
        return "\n".join(lines) + "\n"

    shown.write(
        {
            "text": text,
            "json": lambda: to_json({"format": FORMAT, "groups": rows}),
            "name": lambda: "".join(f"{name}\n" for name in sorted(rows)),
        }
    )
    return 0


@command.command("show")
@click.argument("name")
@inventory_option
@output_options(FORMATS)
@click.pass_obj
def show_group(
    obj: dict[str, Any],
    /,
    name: str,
    inventory: str | None,
    out: tuple[str, ...],
    as_json: bool,
    quiet: bool,
    verbose: int,
    color: str,
) -> int:
    """One group: its hosts and why each is in it, where it stands, and the hosts of which it is not known."""
    from statectl.cli.fleet import Opened
    from statectl.problems import did_you_mean
    from statectl.targets.ranges import compress

    shown = outputs(out, FORMATS, as_json=as_json, quiet=quiet, verbose=verbose, color=color)
    opened = Opened.of(obj, inventory, states=False)
    try:
        opened.read_groups()
        opened.read_tags()
        names = group_names(opened)
        if name not in names:
            hint = did_you_mean(name[:80], names) or "statectl group list shows them"
            raise UsageError(f"no group {one_line(name[:80])!r}", hint=hint)
        row = group_row(opened, name, why=True)
    finally:
        opened.close()

    def text() -> str:
        lines = [f"{name}  {row['kind']}{_described(row)}"]
        lines += [f"  {'query' if row['query'] else 'manages'}  {one_line(row['definition'])}"] * bool(
            row["definition"]
        )
        lines += [f"  place  {row['place']}"] * bool(row["place"])
        wide = max(map(len, row["why"]), default=0)
        lines += [f"  {host:{wide}}  {one_line(', '.join(why))}" for host, why in row["why"].items()]
        if not row["hosts"]:
            lines.append("  no hosts")
        if row["unknown"]:
            lines.append(f"  not known: {compress(row['unknown'])} (no facts are stored; statectl plan collects them)")
        if row["never_collected"]:
            lines.append(
                f"  not known: {compress(row['never_collected'])} (never collected: statectl inventory refresh)"
            )
        return "\n".join(lines) + "\n"

    shown.write(
        {
            "text": text,
            "json": lambda: to_json({"format": FORMAT, "groups": {name: row}}),
            "name": lambda: "".join(f"{host}\n" for host in row["hosts"]),
        }
    )
    return 0


def group_names(opened: "Opened") -> list[str]:
    inventory = opened.inventory
    return [*inventory.groups, *inventory.resource_groups.named]


def group_row(opened: "Opened", name: str, *, why: bool = False) -> dict[str, Any]:
    """{kind, description, query, definition, place, hosts, unknown, never_collected}; with `why` {host: [reasons]} of the hosts."""
    inventory = opened.inventory
    group = inventory.resource_groups.named.get(name)
    chosen = members(opened, name)
    span = group.span if group is not None else inventory.groups[name].span
    row: dict[str, Any] = {
        "kind": "resource group" if group is not None else "inventory group",
        "description": group.description if group is not None else "",
        "query": group.query if group is not None else "",
        "definition": group.definition if group is not None else "",
        "place": str(span or ""),
        "hosts": list(chosen.hosts),
        "unknown": list(chosen.unknown),
        "never_collected": list(chosen.uncollected),
    }
    if why:
        row["why"] = {host: list(found) for host, found in _reasons(opened, name, list(chosen.hosts)).items()}
    return row


def _reasons(opened: "Opened", name: str, hosts: list[str]) -> dict[str, tuple[str, ...]]:
    from statectl.targets.reasons import reasons
    from statectl.targets.selector import parse_selector

    inventory = opened.inventory
    group = inventory.resource_groups.named.get(name)
    if group is not None and group.stack is not None:
        return dict.fromkeys(hosts, (f"{group.definition} manages it",))
    if group is not None:
        selector, _ = parse_selector(group.query)
        assert selector is not None  # read_groups refuses what cannot be read
        return reasons(selector, inventory, *known_of(opened))
    own = inventory.groups[name]
    children = {child: set(inventory.members(child)) for child in own.children}
    direct = set(own.hosts)
    return {
        host: (
            *(["named in it"] if host in direct else []),
            *(f"group:{child}" for child, below in children.items() if host in below),
        )
        for host in hosts
    }


def _open_count(row: dict[str, Any]) -> str:
    count = len(row["unknown"]) + len(row["never_collected"])
    return f", {count} not known" if count else ""


def _described(row: dict[str, Any]) -> str:
    return f"  # {one_line(row['description'])}" if row["description"] else ""
