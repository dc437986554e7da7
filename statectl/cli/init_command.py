"""statectl init: a project in a directory, from one of the starters that travel with the package."""

import os
import re
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path

import click

from statectl.errors import Refused, UsageError

KEY = ".statectl/parameters.key"
STARTERS = ("empty", "local")


@click.command()
@click.argument("directory", type=click.Path(path_type=Path), default=Path())
@click.option(
    "--example",
    "starter",
    type=click.Choice(STARTERS),
    default="empty",
    show_default=True,
    help="empty: the least that works; local: an example that manages only DIRECTORY/machine on this machine.",
)
def command(directory: Path, starter: str) -> int:
    """Start a project in DIRECTORY. Nothing that exists is overwritten."""
    target = Path(os.path.realpath(directory.expanduser()))
    source = resources.files("statectl.cli") / "starters" / starter
    files = list(_walk(source, ""))
    existing = [name for name, _ in files if os.path.lexists(target / name)]
    if existing:
        raise Refused(
            f"{target} already has {', '.join(existing[:3])}",
            code="E517",
            hint="choose another directory, or remove the files",
        )
    name = re.sub(r"[^a-z0-9-]+", "-", target.name.lower()).strip("-") or "project"
    os.umask(os.umask(0o022) | 0o022)  # a project that everybody can write is refused
    try:
        for file, text in files:
            path = target / file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text.replace("@PROJECT@", str(target)).replace("@NAME@", name), encoding="utf-8")
    except OSError as error:
        reason = (error.strerror or "error").lower()
        raise UsageError(f"cannot make a project in {target}: {reason}") from None
    _make_key(target)
    click.echo(f"Made a project in {target}:")
    for file, _ in files:
        click.echo(f"  {file}")
    click.echo(f"  {KEY}  (for secrets in the parameter store: keep a copy elsewhere)")
    click.echo("Next: statectl validate && statectl plan")
    return 0


def _make_key(target: Path) -> None:
    """The key of the parameter store, in a directory that git ignores. One that is there stays."""
    from statectl.parameters.keys.key_file import KeyFile

    path = target / KEY
    path.parent.mkdir(mode=0o700, exist_ok=True)
    ignore = path.parent / ".gitignore"
    if not ignore.exists():
        ignore.write_text("*\n")
    if not os.path.lexists(path):
        KeyFile(KEY, target).create()


def _walk(directory: Traversable, prefix: str) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for entry in sorted(directory.iterdir(), key=lambda item: item.name):
        name = f"{prefix}{entry.name}"
        if entry.is_dir():
            found += _walk(entry, f"{name}/")
        else:
            found.append((name, entry.read_text(encoding="utf-8")))
    return found
