"""statectl parameter set, label, tag, copy, move, delete, restore, rotate."""

import datetime as dt
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from statectl.cli.formats.terminal import one_line, screen
from statectl.cli.options import confirm, output_options, outputs, to_json
from statectl.errors import Refused, UsageError

if TYPE_CHECKING:
    from statectl.parameters.model import Put, Restored
    from statectl.parameters.store import ParameterStore

FORMATS = ("text", "json")
why_option = click.option("--why", metavar="TEXT", default="", help="Why, kept with the version and in the audit.")
recursive_option = click.option("-r", "--recursive", is_flag=True, help="All that is below the path.")


@click.command("set")
@click.argument("name")
@click.argument("value", required=False)
@click.option(
    "--file",
    "file",
    metavar="PATH",
    default=None,
    help="Take the value from this file, byte for byte; - is standard input.",
)
@click.option(
    "--type",
    "kind",
    metavar="TYPE",
    default=None,
    help="String, StringList (commas between) or SecureString; a new one needs it.",
)
@click.option("--data-type", metavar="NAME", default=None, help="What the text must be: text, integer, json, url ...")
@click.option("--description", metavar="TEXT", default=None, help="What it is for. Not secret.")
@click.option(
    "--allowed-pattern",
    metavar="REGEX",
    default=None,
    help="What must be found in the value, now and later; write ^...$.",
)
@click.option("--policies", metavar="JSON|@FILE", default=None, help="Policies; [] removes them.")
@click.option(
    "--expires",
    metavar="TIME",
    default=None,
    help="Short for a policy: gone at this time, such as 2027-01-31T12:00:00Z.",
)
@click.option("--tag", "tags", metavar="KEY=VALUE", multiple=True, help="Tag of a new parameter; repeatable.")
@click.option("--overwrite", is_flag=True, help="A new version of what is there.")
@click.option(
    "--expected-version",
    metavar="N",
    type=click.IntRange(0),
    default=None,
    help="Write only on top of version N (0: only when nothing is there); stands for --overwrite.",
)
@why_option
@click.option("--no-input", is_flag=True, help="Never ask for the value.")
@output_options(FORMATS)
@click.pass_obj
def set_parameter(
    obj: dict[str, Any],
    /,
    name: str,
    value: str | None,
    file: str | None,
    kind: str | None,
    data_type: str | None,
    description: str | None,
    allowed_pattern: str | None,
    policies: str | None,
    expires: str | None,
    tags: tuple[str, ...],
    overwrite: bool,
    expected_version: int | None,
    why: str,
    no_input: bool,
    out: tuple[str, ...],
    as_json: bool,
    quiet: bool,
    verbose: int,
    color: str,
) -> int:
    """Write a version of NAME. Without VALUE and --file it is read from standard input, or asked for.

    What is not said stays as in the version before. A secret is never an argument: others can read those.
    """
    from statectl.cli.opening_parameters import open_parameter_store
    from statectl.cli.parameter_values import read_value
    from statectl.parameters.model import SECURE
    from statectl.parameters.names import check_name
    from statectl.parameters.values import type_problem

    shown = outputs(out, FORMATS, as_json=as_json, quiet=quiet, verbose=verbose, color=color)
    if kind is not None and type_problem(kind):
        raise UsageError(f"--type: {type_problem(kind)}", code="E615")
    given = parsed_policies(policies, expires)
    store = open_parameter_store(obj)
    check_name(name, store.bounds.levels)
    secret = SECURE in (kind, store.type_of(name))
    put = store.put(
        name,
        read_value(name, value, file, secret=secret, no_input=no_input),
        type=kind,
        data_type=data_type,
        description=description,
        allowed_pattern=allowed_pattern,
        tags=pairs("--tag", tags) if tags else None,
        policies=given,
        overwrite=overwrite,
        expected_version=expected_version,
        why=why,
    )
    tell_warnings([put])
    document = {"format": "statectl.parameter-put/1.0", "written": [put_document(put)]}
    same = "" if put.changed else "  (the same value as before)"
    shown.write({"text": lambda: f"{put.name} v{put.version}{same}\n", "json": lambda: to_json(document)})
    return 0


def put_document(put: "Put") -> dict[str, Any]:
    return {"name": put.name, "version": put.version, "changed": put.changed, "warnings": list(put.warnings)}


def tell_warnings(puts: "Sequence[Put]") -> None:
    mark = screen(sys.stderr)
    for put in puts:
        for warning in put.warnings:
            click.echo(f"{mark.mark('warning')} {put.name}: {one_line(warning)}", err=True)


def pairs(option: str, texts: Sequence[str]) -> dict[str, str]:
    """KEY=VALUE each. Raises UsageError."""
    found: dict[str, str] = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not equals or not key:
            raise UsageError(f"{option} {one_line(text[:80])!r}: expected KEY=VALUE")
        if key in found:
            raise UsageError(f"{option} {one_line(key[:80])!r} is given twice")
        found[key] = value
    return found


def parsed_policies(text: str | None, expires: str | None) -> list[Mapping[str, Any]] | None:
    """None: they stay. Raises UsageError."""
    found: Any = None
    if text is not None:
        try:
            found = json.loads(Path(text[1:]).read_text(encoding="utf-8") if text.startswith("@") else text)
        except OSError as error:
            raise UsageError(
                f"--policies {one_line(text[:80])}: {(error.strerror or 'cannot be read').lower()}"
            ) from None
        except (ValueError, RecursionError):
            raise UsageError(
                "--policies is not JSON", code="E617", hint="statectl explain E617 shows all three"
            ) from None
        if not isinstance(found, list):
            raise UsageError(
                "--policies: expected a JSON list", code="E617", hint="statectl explain E617 shows all three"
            )
    if expires is not None:
        policy = {"Type": "Expiration", "Version": "1.0", "Attributes": {"Timestamp": expires}}
        return [*(found or []), policy]
    return list(found) if found is not None else None


@click.command("label")
@click.argument("name")
@click.argument("labels", metavar="LABEL...", nargs=-1, required=True)
@click.option("--version", metavar="N", type=int, default=None, help="The version; without it the latest.")
@click.option("--remove", is_flag=True, help="Take the labels away.")
@click.pass_obj
def label_version(obj: dict[str, Any], /, name: str, labels: tuple[str, ...], version: int | None, remove: bool) -> int:
    """Move labels to a version of NAME. A label is at one version at a time."""
    from statectl.cli.opening_parameters import open_parameter_store
    from statectl.parameters.names import label_problem

    for one in labels:
        if label_problem(one):
            raise UsageError(f"label {one_line(one[:120])!r}: {label_problem(one)}", code="E614")
    store = open_parameter_store(obj)
    if not remove:
        done = store.label(name, version, labels)
        click.echo(f"{name} v{done.version}: {', '.join(done.labels)}")
        return 0
    taken: dict[int, list[str]] = {}
    for one in labels:
        taken.setdefault(store.get(f"{name}:{one}").version if version is None else version, []).append(one)
    for number, some in taken.items():
        done = store.unlabel(name, number, some)
        if done.invalid:
            raise Refused(
                f"parameter {name}: version {number} does not have the label {done.invalid[0]}",
                code="E613",
                hint=f"statectl parameter history {name} shows versions and labels",
            )
        click.echo(f"{name} v{number}: no longer {', '.join(done.labels)}")
    return 0


@click.command("tag")
@click.argument("name")
@click.argument("tags", metavar="KEY=VALUE...", nargs=-1)
@click.option("--remove", metavar="KEY", multiple=True, help="Take this tag away; repeatable.")
@click.pass_obj
def tag_parameter(obj: dict[str, Any], /, name: str, tags: tuple[str, ...], remove: tuple[str, ...]) -> int:
    """Set and remove tags of NAME. Tags belong to the parameter and make no version."""
    from statectl.cli.opening_parameters import open_parameter_store

    if not tags and not remove:
        raise UsageError("give KEY=VALUE, or --remove KEY")
    found = open_parameter_store(obj).tag(name, pairs("tag", tags), remove)
    click.echo(f"{name}: {one_line(', '.join(f'{key}={value}' for key, value in found.items())) or 'no tags'}")
    return 0


@click.command("copy")
@click.argument("source")
@click.argument("target")
@recursive_option
@click.option("--overwrite", is_flag=True, help="As new versions of what is there.")
@why_option
@click.pass_obj
def copy_parameters(
    obj: dict[str, Any], /, source: str, target: str, recursive: bool, overwrite: bool, why: str
) -> int:
    """Copy the latest version of SOURCE (or SOURCE:VERSION), or of all below it. Secrets are encrypted anew."""
    from statectl.cli.opening_parameters import open_parameter_store

    puts = open_parameter_store(obj).copy(source, target, recursive=recursive, overwrite=overwrite, why=why)
    tell_warnings(puts)
    click.echo("".join(f"{put.name} v{put.version}\n" for put in puts), nl=False)
    return 0


@click.command("move")
@click.argument("source")
@click.argument("target")
@recursive_option
@why_option
@click.pass_obj
def move_parameters(obj: dict[str, Any], /, source: str, target: str, recursive: bool, why: str) -> int:
    """Move SOURCE, or all below it, with versions, labels and tags. Nothing may be there where it goes."""
    from statectl.cli.opening_parameters import open_parameter_store

    for before, after in open_parameter_store(obj).move(source, target, recursive=recursive, why=why):
        click.echo(f"{before} -> {after}")
    return 0


@click.command("delete")
@click.argument("names", metavar="NAME...", nargs=-1, required=True)
@recursive_option
@click.option("-y", "--yes", is_flag=True, help="Do not ask before a tree is deleted.")
@click.option("--no-input", is_flag=True, help="Never ask; fail instead.")
@click.pass_obj
def delete_parameters(
    obj: dict[str, Any], /, names: tuple[str, ...], recursive: bool, yes: bool, no_input: bool
) -> int:
    """Delete parameters, or all below a path. Values can be restored for a time; secrets cannot."""
    from statectl.cli.opening_parameters import open_parameter_store
    from statectl.parameters.failures import missing

    store = open_parameter_store(obj)
    if recursive:
        for path in names:
            _delete_tree(store, path, yes=yes, no_input=no_input)
        return 0
    deleted, invalid = store.delete_many(names)
    for name in deleted:
        click.echo(f"deleted {name}")
    if invalid:
        raise missing(", ".join(invalid))
    return 0


def _delete_tree(store: "ParameterStore", path: str, *, yes: bool, no_input: bool) -> None:
    if not yes:
        found = store.describe(path).parameters
        secrets = sum(one.is_secure for one in found)
        lost = f", {secrets} of them secrets, which cannot be restored" if secrets else ""
        if not confirm(f"delete {len(found)} parameters below {one_line(path)}{lost}?", yes=False, no_input=no_input):
            raise Refused("nothing was deleted", code="E516")
    deleted = store.delete_tree(path)
    click.echo(f"deleted {len(deleted)} parameters below {path}")


@click.command("restore")
@click.argument("what", metavar="NAME|PATH")
@recursive_option
@click.option(
    "--at",
    metavar="TIME",
    default=None,
    help="As it was at this time, such as 2026-11-23T18:00:00Z; without it what was deleted last.",
)
@output_options(FORMATS)
@click.pass_obj
def restore_parameters(
    obj: dict[str, Any],
    /,
    what: str,
    recursive: bool,
    at: str | None,
    out: tuple[str, ...],
    as_json: bool,
    quiet: bool,
    verbose: int,
    color: str,
) -> int:
    """Bring back what was deleted, or the values of a time as new versions. Secrets that were deleted are gone."""
    from statectl.cli.opening_parameters import open_parameter_store

    shown = outputs(out, FORMATS, as_json=as_json, quiet=quiet, verbose=verbose, color=color)
    done = open_parameter_store(obj).restore(what, recursive=recursive, at=moment("--at", at) if at else None)
    told = [{"name": one.name, "outcome": one.outcome, "version": one.version} for one in done]
    shown.write(
        {
            "text": lambda: "".join(f"{_restored(one)}\n" for one in done),
            "json": lambda: to_json({"format": "statectl.parameter-restore/1.0", "restored": told}),
        }
    )
    if all(one.outcome in ("gone", "expired") for one in done):
        raise Refused("nothing could be restored", code="E625", hint="write the parameters anew")
    return 0


_RESTORED = {
    "revived": "restored",
    "put": "restored as a new version",
    "unchanged": "is as it was",
    "kept": "was made since; kept",
    "expired": "has expired; not restored",
    "gone": "was a secret, and its ciphertext was wiped; not restored",
}


def _restored(one: "Restored") -> str:
    version = f" v{one.version}" if one.version is not None else ""
    return f"{one.name}{version}  {_RESTORED[one.outcome]}"


def moment(option: str, text: str) -> dt.datetime:
    """Raises UsageError."""
    try:
        found = dt.datetime.fromisoformat(text)
    except ValueError:
        found = None
    if found is None or found.tzinfo is None:
        raise UsageError(
            f"{option} {one_line(text[:80])!r}: expected a time with its zone, such as 2026-11-23T18:00:00Z"
        )
    return found


@click.command("rotate")
@click.option(
    "--from",
    "old",
    metavar="KEY",
    multiple=True,
    help="A key that secrets were written with, as in the setting parameters.key: move from it to the one of the setting. Repeatable.",
)
@click.option("--keep-key", is_flag=True, help="Make no new key; only wrap with the newest what is not.")
@click.option(
    "--drop-old",
    is_flag=True,
    help="Afterwards forget the old keys: copies of the store from before cannot be read any more.",
)
@click.option("-y", "--yes", is_flag=True, help="Do not ask before old keys are dropped.")
@click.option("--no-input", is_flag=True, help="Never ask; fail instead.")
@click.pass_obj
def rotate_key(
    obj: dict[str, Any], /, old: tuple[str, ...], keep_key: bool, drop_old: bool, yes: bool, no_input: bool
) -> int:
    """Make a new outer key and wrap all data keys with it. Values are not touched, and old versions stay readable."""
    from statectl.cli.opening_parameters import open_parameter_store

    store = open_parameter_store(obj, old_keys=old)
    question = "drop the old keys? copies of the store from before cannot be read any more"
    if drop_old and not confirm(question, yes=yes, no_input=no_input):
        raise Refused("nothing was rotated", code="E516")
    done = store.rotate(renew=not old and not keep_key, drop_old=drop_old)
    if done.renewed:
        click.echo(done.renewed)
    click.echo(f"{done.wrapped} data keys wrapped with {done.key_id}")
    if drop_old:
        click.echo(f"{done.dropped} old keys dropped")
    return 0


COMMANDS = (
    set_parameter,
    label_version,
    tag_parameter,
    copy_parameters,
    move_parameters,
    delete_parameters,
    restore_parameters,
    rotate_key,
)
