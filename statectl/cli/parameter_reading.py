"""statectl parameter get, list, history, diff, watch."""

import re
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import click

from statectl.cli.formats.terminal import one_line
from statectl.cli.options import Outputs, output_options, outputs, to_json, to_json_lines, write_file
from statectl.errors import UsageError

if TYPE_CHECKING:
    from statectl.parameters.model import Change, Filter, Parameter

FORMATS = ("text", "json", "yaml", "csv")
FOLLOWED = ("text", "jsonl")
_FILTER = re.compile(r"(?P<key>tag:[^=^*]+|[A-Za-z_]+)(?:(?P<how>[\^*]?=)(?P<value>.*))?", re.DOTALL)
_KEYS = {"type": "Type", "key_id": "KeyId", "data_type": "DataType", "name": "Name", "label": "Label"}

decrypt_option = click.option(
    "--decrypt", is_flag=True, help="Show secrets; each is recorded in the audit before it is shown."
)


def write(shown: Outputs, documents: Mapping[str, Callable[[], str]], *, private: bool) -> None:
    """private: a file that is made holds secrets, and is for its owner alone."""
    if not private:
        shown.write(documents)
        return
    for name, path in shown.targets:
        text = documents[name]()
        if path is None:
            click.echo(text, nl=False)
        else:
            write_file(path, text, private=True)


@click.command("get")
@click.argument("names", metavar="NAME...", nargs=-1, required=True)
@decrypt_option
@output_options(FORMATS)
@click.pass_obj
def get_parameters(
    obj: dict[str, Any],
    /,
    names: tuple[str, ...],
    decrypt: bool,
    out: tuple[str, ...],
    as_json: bool,
    quiet: bool,
    verbose: int,
    color: str,
) -> int:
    """The value of NAME, NAME:VERSION or NAME:LABEL. Of several, a line each."""
    from statectl.cli.formats import parameter_documents as documents
    from statectl.cli.formats.parameter_text import short_value, value_text
    from statectl.cli.opening_parameters import open_parameter_store
    from statectl.parameters.failures import missing

    shown = outputs(out, FORMATS, as_json=as_json, quiet=quiet, verbose=verbose, color=color)
    store = open_parameter_store(obj)
    not_there: list[str] = []
    if len(names) == 1:
        found = [store.get(names[0], decrypt=decrypt)]
    else:
        found, not_there = store.get_many(names, decrypt=decrypt)
    wide = max((len(one.name + one.selector) for one in found), default=0)

    def text() -> str:
        if len(names) == 1:
            return value_text(found[0], shown.screen)
        return "".join(f"{one.name + one.selector:{wide}}  {short_value(one)}\n" for one in found)

    def document() -> dict[str, Any]:
        told = [documents.parameter_document(one) for one in found]
        return {"format": "statectl.parameters/1.0", "parameters": told, "missing": not_there}

    write(
        shown,
        {
            "text": text,
            "json": lambda: to_json(document()),
            "yaml": lambda: documents.to_yaml(document()),
            "csv": lambda: documents.to_csv(found),
        },
        private=decrypt,
    )
    if not_there:
        raise missing(", ".join(not_there))
    return 0


@click.command("list")
@click.argument("path", default="/")
@click.option("--direct", is_flag=True, help="Only what is directly below PATH.")
@click.option(
    "--filter",
    "filters",
    metavar="KEY=VALUE",
    multiple=True,
    help="Of name, type, key_id, data_type, tag:NAME, with --values also label; = equals, ^= begins with, *= contains; a, b: one of them. Repeatable.",
)
@click.option("--limit", metavar="N", type=click.IntRange(1, 1_000_000), default=None, help="At most so many.")
@click.option("--after", metavar="NAME", default="", help="Go on behind this name: the next page.")
@click.option("--values", is_flag=True, help="Show values; without it, when and by whom they were written.")
@decrypt_option
@output_options((*FORMATS, "name"))
@click.pass_obj
def list_parameters(
    obj: dict[str, Any],
    /,
    path: str,
    direct: bool,
    filters: tuple[str, ...],
    limit: int | None,
    after: str,
    values: bool,
    decrypt: bool,
    out: tuple[str, ...],
    as_json: bool,
    quiet: bool,
    verbose: int,
    color: str,
) -> int:
    """What is below PATH, in the order of names."""
    from statectl.cli.formats import parameter_documents as documents
    from statectl.cli.formats.parameter_text import list_lines
    from statectl.cli.opening_parameters import open_parameter_store

    shown = outputs(out, (*FORMATS, "name"), as_json=as_json, quiet=quiet, verbose=verbose, color=color)
    wanted = [parsed_filter(text) for text in filters]
    store = open_parameter_store(obj)
    if values or decrypt:
        page = store.by_path(path, recursive=not direct, filters=wanted, limit=limit, after=after, decrypt=decrypt)
    else:
        page = store.describe(path, recursive=not direct, filters=wanted, limit=limit, after=after)
    found = page.parameters

    def text() -> str:
        lines = list(list_lines(found, shown.screen, values=values or decrypt))
        if page.after:
            lines.append(f"{shown.screen.mark('more')} more: --after {page.after}")
        return "\n".join(lines) + "\n"

    def document() -> dict[str, Any]:
        told = [documents.parameter_document(one) for one in found]
        return {"format": "statectl.parameters/1.0", "parameters": told, "after": page.after}

    write(
        shown,
        {
            "text": text,
            "json": lambda: to_json(document()),
            "yaml": lambda: documents.to_yaml(document()),
            "csv": lambda: documents.to_csv(found),
            "name": lambda: "".join(f"{one.name}\n" for one in found),
        },
        private=decrypt,
    )
    return 0


def parsed_filter(text: str) -> "Filter":
    """`type=String`, `name^=/a`, `name*=db`, `tag:env=prod,stage`, `tag:env`. Raises UsageError."""
    from statectl.parameters.model import Filter

    match = _FILTER.fullmatch(text)
    key = match["key"] if match else ""
    if match is None or not (key.startswith("tag:") or (key in _KEYS and match["value"])):
        raise UsageError(
            f"--filter {one_line(text[:80])!r} is not a filter",
            hint=f"KEY=VALUE with one of {', '.join(_KEYS)}, tag:NAME; ^= begins with, *= contains",
        )
    values = tuple(part.strip() for part in match["value"].split(",")) if match["value"] is not None else ()
    if match["how"] == "^=":
        return Filter(_KEYS.get(key, key), values, "BeginsWith")
    return Filter(_KEYS.get(key, key), values, "Contains" if match["how"] == "*=" else "Equals")


@click.command("history")
@click.argument("name")
@click.option("--diff", is_flag=True, help="Show each version as what it changed.")
@decrypt_option
@output_options(FORMATS)
@click.pass_obj
def show_history(
    obj: dict[str, Any],
    /,
    name: str,
    diff: bool,
    decrypt: bool,
    out: tuple[str, ...],
    as_json: bool,
    quiet: bool,
    verbose: int,
    color: str,
) -> int:
    """The versions of NAME, oldest first: when, by whom, why, with labels; then how its policies stand."""
    from statectl.cli.formats import parameter_documents as documents
    from statectl.cli.formats.parameter_text import history_lines
    from statectl.cli.opening_parameters import open_parameter_store

    shown = outputs(out, FORMATS, as_json=as_json, quiet=quiet, verbose=verbose, color=color)
    store = open_parameter_store(obj)
    versions = store.history(name, decrypt=decrypt)
    policies = store.policy_status(name)

    def document() -> dict[str, Any]:
        told = [documents.parameter_document(one) for one in versions]
        return {"format": "statectl.parameters/1.0", "parameters": told, "policies": policies}

    write(
        shown,
        {
            "text": lambda: "\n".join(history_lines(versions, policies, shown.screen, diff=diff)) + "\n",
            "json": lambda: to_json(document()),
            "yaml": lambda: documents.to_yaml(document()),
            "csv": lambda: documents.to_csv(versions),
        },
        private=decrypt,
    )
    return 0


@click.command("diff")
@click.argument("left")
@click.argument("right")
@click.option("-r", "--recursive", is_flag=True, help="Compare all that is below the two paths.")
@decrypt_option
@output_options(("text", "json"))
@click.pass_obj
def show_diff(
    obj: dict[str, Any],
    /,
    left: str,
    right: str,
    recursive: bool,
    decrypt: bool,
    out: tuple[str, ...],
    as_json: bool,
    quiet: bool,
    verbose: int,
    color: str,
) -> int:
    """What is different between two parameters, two versions (NAME:1 NAME:2), or two paths.

    Secrets are compared only with --decrypt.
    """
    from statectl.cli.formats import parameter_documents as documents
    from statectl.cli.formats.parameter_text import difference_lines
    from statectl.cli.opening_parameters import open_parameter_store

    shown = outputs(out, ("text", "json"), as_json=as_json, quiet=quiet, verbose=verbose, color=color)
    found = open_parameter_store(obj).diff(left, right, recursive=recursive, decrypt=decrypt)

    def side(one: "Parameter | None") -> dict[str, Any] | None:
        return documents.parameter_document(one) if one is not None else None

    def document() -> dict[str, Any]:
        told = [{"name": o.name, "differs": o.differs, "left": side(o.left), "right": side(o.right)} for o in found]
        return {"format": "statectl.parameter-diff/1.0", "differences": told}

    write(
        shown,
        {
            "text": lambda: "\n".join(difference_lines(found, shown.screen)) + "\n",
            "json": lambda: to_json(document()),
        },
        private=decrypt,
    )
    return 0


@click.command("watch")
@click.argument("path", default="/")
@click.option(
    "--since",
    metavar="CURSOR",
    type=click.IntRange(0),
    default=None,
    help="From this cursor on (0: all that is recorded); without it, from now on.",
)
@click.option("--once", is_flag=True, help="Tell what there is, then the cursor on stderr, and end.")
@click.option(
    "--interval",
    metavar="SECONDS",
    type=click.FloatRange(0.1, 3600),
    default=1.0,
    show_default=True,
    help="How often to look.",
)
@output_options(FOLLOWED)
@click.pass_obj
def watch_parameters(
    obj: dict[str, Any],
    /,
    path: str,
    since: int | None,
    once: bool,
    interval: float,
    out: tuple[str, ...],
    as_json: bool,
    quiet: bool,
    verbose: int,
    color: str,
) -> int:
    """Follow what happens below PATH: writes, labels, deletions, decryptions. Ctrl-C ends it."""
    from statectl.cli.opening_parameters import open_parameter_store

    if as_json:
        raise UsageError("what is followed comes as -o jsonl: a document a line")
    shown = outputs(out, FOLLOWED, as_json=False, quiet=quiet, verbose=verbose, color=color)
    if any(file is not None for _, file in shown.targets):
        raise UsageError("what is followed goes to stdout")
    store = open_parameter_store(obj)
    cursor = since
    while True:
        found = store.watch(path, cursor)
        moved = cursor is not None and found.cursor != cursor
        cursor = found.cursor
        if found.changes:
            changes = found.changes
            shown.write(
                {
                    "text": partial(_change_lines, changes),
                    "jsonl": partial(_change_documents, changes),
                }
            )
        if moved:
            continue  # there may be more
        if once:
            click.echo(f"cursor {cursor}", err=True)
            return 0
        time.sleep(interval)


def _change_lines(changes: "Sequence[Change]") -> str:
    lines = []
    for one in changes:
        version = f" v{one.version}" if one.version is not None else ""
        why = f"  {one_line(one.why)}" if one.why else ""
        lines.append(f"{one.at}  {one.action:8} {one.name}{version}  {one_line(one.who)}{why}\n")
    return "".join(lines)


def _change_documents(changes: "Sequence[Change]") -> str:
    return to_json_lines(
        {
            "cursor": one.sequence,
            "at": one.at,
            "who": one.who,
            "action": one.action,
            "name": one.name,
            "version": one.version,
            "why": one.why,
        }
        for one in changes
    )


COMMANDS = (get_parameters, list_parameters, show_history, show_diff, watch_parameters)
