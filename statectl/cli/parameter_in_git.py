"""statectl parameter encrypt, and the drivers that let git compare and merge files with ciphertexts in them."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from statectl.cli.formats.terminal import one_line
from statectl.errors import ConfigError, Refused, UsageError
from statectl.secrets import Secret

if TYPE_CHECKING:
    from statectl.parameters.keys import Keys
    from statectl.project.model import DeclaredParameter

ATTRIBUTES = "states/**/*.yml diff=statectl merge=statectl"


@click.command("encrypt")
@click.argument("name", metavar="NAME")
@click.option(
    "--file", metavar="FILE", default=None, help="Take the value from FILE, byte for byte; - is standard input."
)
@click.option("--write", is_flag=True, help="Put it into the file that declares NAME, in the place of its value_from.")
@click.option("--no-input", is_flag=True, help="Never ask.")
@click.pass_obj
def encrypt(obj: dict[str, Any], /, name: str, file: str | None, write: bool, no_input: bool) -> int:
    """Encrypt the value of NAME for a file: `value_from: "cipher:..."`. The value is asked for, or read from standard input.

    A declaration whose ciphertext holds the same value already keeps it: files change when values do.
    """
    from statectl.cli.opening_parameters import keys_in
    from statectl.cli.parameter_values import read_value
    from statectl.parameters.in_git import PREFIX, encrypted
    from statectl.parameters.names import check_name

    asked = check_name(name)
    project, declared = _declared(obj, asked)
    if write and (declared is None or not declared.value_from):
        raise UsageError(
            f"no file declares {one_line(asked)} with a value_from", hint="declare it first, or leave --write out"
        )
    value = read_value(asked, None, file, secret=True, no_input=no_input)
    assert isinstance(value, Secret)
    before = declared.value_from if declared is not None and declared.value_from.startswith(PREFIX) else ""
    text = encrypted(keys_in(project.root, project.settings), declared.name if declared else asked, value, before)
    if not write or declared is None:
        click.echo(text)
    elif text == before:
        click.echo(f"{declared.span}: unchanged, it holds this value already", err=True)
    else:
        _replace(project.root, declared, text)
        click.echo(f"{declared.span}: written", err=True)
    return 0


def _declared(obj: dict[str, Any], name: str) -> "tuple[Any, DeclaredParameter | None]":
    from statectl.cli.opening import open_project

    project = open_project(obj)
    found = (one for one in project.parameters.values() if one.name.lstrip("/") == name.lstrip("/"))
    return project, next(found, None)


def _replace(root: Path, declared: "DeclaredParameter", text: str) -> None:
    """In its file, and nothing around it."""
    span = declared.places.value((*declared.path, "value_from"))
    if span is None or span.end_line != span.line:
        raise Refused(
            f"value_from of {declared.name} is not on one line",
            code="E516",
            hint='write value_from: "cipher:" on one line',
        )
    path = root / span.file
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    line = lines[span.line - 1]
    lines[span.line - 1] = f'{line[: span.column - 1]}"{text}"{line[span.end_column - 1 :]}'
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="") as made:
            made.write("".join(lines))
        os.chmod(name, path.stat().st_mode & 0o7777)
        os.replace(name, path)
    except BaseException:
        os.unlink(name)
        raise


@click.group("git")
def git() -> None:
    """Let git compare and merge files with ciphertexts."""


@git.command("install")
@click.pass_obj
def install(obj: dict[str, Any], /) -> int:
    """Set the drivers in this clone's configuration, and name them in .gitattributes, which is to be committed."""
    from statectl.cli.opening import open_settings

    root, _ = open_settings(obj)
    for key, value in (
        ("diff.statectl.textconv", "statectl parameter git textconv"),
        ("merge.statectl.name", "statectl: ciphertexts by their values"),
        ("merge.statectl.driver", "statectl parameter git merge %O %A %B %P"),
    ):
        ran = subprocess.run(
            ["git", "-C", str(root), "config", key, value], capture_output=True, text=True, check=False
        )
        if ran.returncode:
            raise Refused(f"git config {key}: {one_line(ran.stderr.strip())}", code="E514", hint="is this a clone?")
    attributes = root / ".gitattributes"
    text = attributes.read_text(encoding="utf-8") if attributes.exists() else ""
    if ATTRIBUTES not in text.splitlines():
        attributes.write_text(f"{text}{'' if not text or text.endswith(chr(10)) else chr(10)}{ATTRIBUTES}\n")
        click.echo("wrote .gitattributes: commit it", err=True)
    return 0


@git.command("textconv")
@click.argument("file", type=click.Path(path_type=Path))
def textconv(file: Path) -> int:
    """Print FILE with short names for ciphertexts. Needs no key, and shows no value."""
    from statectl.parameters.in_git import readable

    try:
        data = file.read_bytes()
    except OSError as error:
        raise UsageError(f"{one_line(str(file))}: {(error.strerror or 'cannot be read').lower()}") from None
    sys.stdout.buffer.write(readable(data.decode(errors="surrogateescape")).encode(errors="surrogateescape"))
    return 0


@git.command("merge")
@click.argument("base", type=click.Path(path_type=Path))
@click.argument("ours", type=click.Path(path_type=Path))
@click.argument("theirs", type=click.Path(path_type=Path))
@click.argument("name", required=False, default="")
@click.pass_obj
def merge(obj: dict[str, Any], /, base: Path, ours: Path, theirs: Path, name: str) -> int:
    """Merge three versions into OURS, as git's own merge does, with equal values as equal ciphertexts. Exit 1: conflicts are left."""
    from statectl.parameters.in_git import alike

    files = (ours, base, theirs)
    texts = [path.read_bytes().decode(errors="surrogateescape") for path in files]
    try:
        same = alike(_keys(obj), (texts[1], texts[0], texts[2]))
    except (ConfigError, Refused, UsageError):
        same = {}  # in the middle of a merge the settings may hold conflicts: then ciphertexts are text like all other
    with tempfile.TemporaryDirectory() as place:
        made = []
        for label, text in zip(("ours", "base", "theirs"), texts, strict=True):
            path = Path(place) / label
            path.write_bytes(_with(text, same).encode(errors="surrogateescape"))
            made.append(str(path))
        labels = [f"{name or ours.name} ({label})" for label in ("ours", "base", "theirs")]
        argv = ["git", "merge-file", "-p", *(word for label in labels for word in ("-L", label)), *made]
        ran = subprocess.run(argv, capture_output=True, check=False)
    if ran.returncode < 0 or ran.returncode >= 128:
        raise Refused(f"git merge-file: {one_line(ran.stderr.decode(errors='replace').strip())}", code="E514")
    ours.write_bytes(ran.stdout)
    return 1 if ran.returncode else 0


def _with(text: str, same: dict[str, str]) -> str:
    for token, other in same.items():
        if token != other:
            text = text.replace(token, other)
    return text


def _keys(obj: dict[str, Any]) -> "Keys":
    from statectl.cli.opening import open_settings
    from statectl.cli.opening_parameters import keys_in

    return keys_in(*open_settings(obj))


COMMANDS = (encrypt, git)
