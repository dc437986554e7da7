"""`statectl inventory tag`: tags that people set on hosts, in the store, beside those of the inventory; and where each tag comes from."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

from statectl.cli.formats.terminal import one_line
from statectl.cli.options import inventory_option, output_options, outputs, to_json
from statectl.errors import Refused, UsageError

if TYPE_CHECKING:
    from statectl.cli.fleet import Opened
    from statectl.targets.hosts import Host

FORMATS = ("text", "json")
STORE = "store"


def tags_of(host: "Host") -> dict[str, Any]:
    """{tags, tag_sources: {key: file:line:column or store}, hidden_tags: {key: the stored value that the inventory's hides}}."""
    declared = host.declared_tags
    return {
        "tags": dict(host.tags),
        "tag_sources": {
            key: str(host.tag_spans.get(key, "inventory")) if key in declared else STORE for key in host.tags
        },
        "hidden_tags": {key: value for key, value in host.stored_tags.items() if key in declared},
    }


def tag_lines(row: Mapping[str, Any]) -> list[str]:
    """The tags of a host in words, one a line; below one that hides a stored value, that value."""
    lines = []
    for key, value in row["tags"].items():
        source = row["tag_sources"][key]
        lines.append(f"{one_line(key)}={one_line(value)}  ({source})")
        if key in row["hidden_tags"]:
            hidden = row["hidden_tags"][key]
            lines.append(f"{one_line(key)}={one_line(hidden)}  ({STORE}, hidden by {source})")
    return [f"  {'' if place else 'tags':8} {line}" for place, line in enumerate(lines or ["-"])]


def stored_tags(opened: "Opened") -> str:
    """Reads them; why that is not possible, or ''. What the inventory says is true all the same."""
    try:
        opened.read_tags()
    except Refused as error:
        return error.message
    return ""


@click.command("tag")
@click.argument("words", nargs=-1, metavar="[HOST] [KEY=VALUE]...")
@click.option("-t", "--target", default=None, metavar="EXPR", help="Every host that this selects, instead of HOST.")
@click.option("--remove", multiple=True, metavar="KEY", help="Take this stored tag away; repeatable.")
@inventory_option
@output_options(FORMATS)
@click.pass_obj
def tag(
    obj: dict[str, Any],
    /,
    words: tuple[str, ...],
    target: str | None,
    remove: tuple[str, ...],
    inventory: str | None,
    out: tuple[str, ...],
    as_json: bool,
    quiet: bool,
    verbose: int,
    color: str,
) -> int:
    """Set tags on a host, or on all that -t selects, and take them away. Kept in the store, with who and when; contacts nothing.

    A key that the inventory declares keeps the inventory's value.
    """
    from statectl.cli.fleet import Opened
    from statectl.targets.tags import MAX_TAGS

    shown = outputs(out, FORMATS, as_json=as_json, quiet=quiet, verbose=verbose, color=color)
    host, pairs = ("", words) if target is not None else _host(words)
    put = _wanted(pairs, remove)
    opened = Opened.of(obj, inventory, states=False)
    try:
        if target is not None:
            hosts = list(opened.selected(target, allow_empty=False).hosts)
        else:
            hosts = [host] if _only_stored(opened, host, put) else [opened.host(host).name]
        changed = opened.records().tags.change(hosts, put, remove, most=MAX_TAGS)
        declared = {name: opened.inventory.hosts[name] for name in hosts if name in opened.inventory.hosts}
    finally:
        opened.close()
    if not put and not changed:
        raise _nothing_there(hosts, remove, declared)
    hidden = {
        name: {key: str(one.tag_spans[key]) for key in put if key in one.tag_spans}
        for name, one in declared.items()
        if any(key in one.tag_spans for key in put)
    }

    def text() -> str:
        lines = []
        for name, one in changed.items():
            said = [f"{key}={value}{_was(one.before.get(key))}" for key, value in one.put.items()]
            said += [f"{key} removed{_was(value)}" for key, value in one.removed.items()]
            lines.append(f"{name}  {one_line(', '.join(said))}")
        same = len(hosts) - len(changed)
        lines += [f"{same} host{'s' * (same != 1)} as before"] * bool(same)
        lines += [
            f"{name}: {one_line(key)} stays as the inventory declares it ({place}); the stored value is hidden"
            for name, keys in hidden.items()
            for key, place in keys.items()
        ]
        return "\n".join(lines) + "\n"

    shown.write(
        {
            "text": text,
            "json": lambda: to_json(
                {
                    "format": "statectl.tags/1.0",
                    "hosts": {
                        name: {
                            "set": dict(changed[name].put) if name in changed else {},
                            "removed": dict(changed[name].removed) if name in changed else {},
                            "hidden": hidden.get(name, {}),
                        }
                        for name in hosts
                    },
                }
            ),
        }
    )
    return 0


def _host(words: Sequence[str]) -> tuple[str, Sequence[str]]:
    if not words or "=" in words[0]:
        raise UsageError("which host?", hint="statectl inventory tag HOST KEY=VALUE, or -t EXPR instead of HOST")
    return words[0], words[1:]


def _wanted(pairs: Sequence[str], remove: Sequence[str]) -> dict[str, str]:
    """{key: value} to set. Raises UsageError."""
    from statectl.targets.tags import key_problem, value_problem

    put: dict[str, str] = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals:
            raise UsageError(f"{one_line(pair[:80])!r}: expected KEY=VALUE", hint="--remove KEY takes a tag away")
        wrong = key_problem(key) or value_problem(value)
        if wrong:
            raise UsageError(f"tag {one_line(pair[:80])!r}: {wrong}")
        if key in put or key in remove:
            raise UsageError(f"tag {one_line(key)!r} is given twice")
        put[key] = value
    if not put and not remove:
        raise UsageError("nothing to do", hint="give KEY=VALUE or --remove KEY")
    return put


def _only_stored(opened: "Opened", host: str, put: Mapping[str, str]) -> bool:
    """Tags of a host that has left the inventory can be taken away still."""
    if put or host in opened.inventory.hosts or not opened.has_records():
        return False
    return host in opened.records().tags.all()


def _nothing_there(hosts: Sequence[str], remove: Sequence[str], declared: "Mapping[str, Host]") -> UsageError:
    what = ", ".join(map(one_line, remove))
    place = next((one.tag_spans[key] for one in declared.values() for key in remove if key in one.tag_spans), None)
    hint = f"the inventory declares it: {place}" if place is not None else "statectl inventory show HOST shows its tags"
    return UsageError(f"no stored tag {what} on {hosts[0] if len(hosts) == 1 else 'any of these hosts'}", hint=hint)


def _was(value: str | None) -> str:
    return f" (was {value})" if value is not None else ""
