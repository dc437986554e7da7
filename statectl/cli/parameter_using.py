"""statectl parameter users: which states and hosts need a parameter, and which of its versions are deployed."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import click

from statectl.cli.formats.ages import age
from statectl.cli.formats.terminal import one_line
from statectl.cli.options import inventory_option, output_options, outputs, to_json
from statectl.errors import ConfigError, Refused

FORMATS = ("text", "json")


@click.command("users")
@click.argument("name", metavar="NAME")
@inventory_option
@output_options(FORMATS)
@click.pass_obj
def parameter_users(
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
    """Which associations need NAME on which hosts, and the version that each host's files were last made with.

    What associations need is read from the files, with facts as they were last stored; no host is contacted.
    """
    from statectl.cli.fleet import Opened
    from statectl.cli.offline import parameters_of
    from statectl.parameters.names import check_name
    from statectl.targets.ranges import compress

    shown = outputs(out, FORMATS, as_json=as_json, quiet=quiet, verbose=verbose, color=color)
    asked = check_name(name)
    opened = Opened.of(obj, inventory)
    try:
        needed, problems = parameters_of(
            opened.project,
            opened.inventory,
            opened.child,
            stored_facts=opened.stored_facts,
            collected=opened.collected,
        )
        if problems:
            raise ConfigError(problems, root=opened.root)
        latest = _latest(opened, asked)
        uses = [one for one in opened.records().parameter_uses() if _means(one["selector"], asked)]
    finally:
        opened.close()
    users = [
        {"association": association, "selector": selector, "hosts": hosts}
        for (association, selector), hosts in needed.items()
        if _means(selector, asked)
    ]
    document = {
        "format": "statectl.parameter-users/1.0",
        "name": asked,
        "latest": latest,
        "users": users,
        "deployed": [
            {
                "host": one["host"],
                "selector": one["selector"],
                "version": one["version"],
                "run": one["run_id"],
                "at": one["at"],
            }
            for one in uses
        ],
    }
    shown.write(
        {"text": lambda: "".join(f"{line}\n" for line in _lines(document, compress)), "json": lambda: to_json(document)}
    )
    return 0


def _means(selector: str, name: str) -> bool:
    return selector.partition(":")[0].strip(" ").lstrip("/") == name.lstrip("/")


def _latest(opened: Any, name: str) -> int | None:
    """None: it is not there, or may not be seen."""
    try:
        found: int = opened.parameter_store().get(name).version
    except Refused:
        return None
    return found


def _lines(document: Mapping[str, Any], compress: Any) -> Iterator[str]:
    from datetime import UTC, datetime

    name, latest = document["name"], document["latest"]
    yield f"{one_line(name)}  {f'latest v{latest}' if latest else 'is not in the store (or no permission)'}"
    for one in document["users"]:
        hosts: Sequence[str] = one["hosts"]
        selector = "" if one["selector"] == name else f"  as {one_line(one['selector'])}"
        yield f"  needed by  {one['association']}  on {len(hosts)} host{'s' * (len(hosts) != 1)}  {compress(hosts)}{selector}"
    if not document["users"]:
        yield "  no association needs it"
    at = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    deployed: dict[tuple[int, str], list[Mapping[str, Any]]] = {}
    for one in document["deployed"]:
        deployed.setdefault((one["version"], one["selector"]), []).append(one)
    for (version, selector), rows in sorted(deployed.items(), reverse=True):
        behind = " (behind)" if latest and selector == name and version < latest else ""
        word = f"v{version}" if version else "as declared"
        when = age(min(row["at"] for row in rows), at)
        yield f"  deployed   {word}{behind}  {compress([row['host'] for row in rows])}  {when} ago"


COMMANDS = (parameter_users,)
