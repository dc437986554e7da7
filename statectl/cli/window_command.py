"""statectl window: maintenance windows of the files, and when they are open. Reads the files only; no host is contacted."""

import datetime as dt
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

import click

from statectl.cli.formats.terminal import one_line
from statectl.cli.options import Outputs, output_options, outputs, to_json
from statectl.errors import UsageError

if TYPE_CHECKING:
    from statectl.project.model import MaintenanceWindow

FORMATS = ("text", "json")
MOST_OPENINGS = 1000


@click.group()
def command() -> None:
    """List and show maintenance windows."""


@command.command("list")
@click.option(
    "--next",
    "count",
    metavar="N",
    type=click.IntRange(0, MOST_OPENINGS),
    default=1,
    show_default=True,
    help="How many of the next openings of each.",
)
@output_options(FORMATS)
@click.pass_obj
def list_windows(
    obj: dict[str, Any],
    /,
    count: int,
    out: tuple[str, ...],
    as_json: bool,
    quiet: bool,
    verbose: int,
    color: str,
) -> int:
    """Every window: open until when, or closed, and when it opens next."""
    from statectl.cli.formats.window_text import list_lines
    from statectl.cli.opening import open_project

    shown = outputs(out, FORMATS, as_json=as_json, quiet=quiet, verbose=verbose, color=color)
    project = open_project(obj)
    windows = [one for _, one in sorted(project.maintenance_windows.items())]
    at = dt.datetime.now(dt.UTC)
    return _write(shown, windows, at, count, lambda: list_lines(windows, at, count, shown.screen))


@command.command("show")
@click.argument("name")
@click.option(
    "--next",
    "count",
    metavar="N",
    type=click.IntRange(0, MOST_OPENINGS),
    default=5,
    show_default=True,
    help="How many of the next openings.",
)
@output_options(FORMATS)
@click.pass_obj
def show_window(
    obj: dict[str, Any],
    /,
    name: str,
    count: int,
    out: tuple[str, ...],
    as_json: bool,
    quiet: bool,
    verbose: int,
    color: str,
) -> int:
    """One window: its fields, what it does now, and its next openings."""
    from statectl.cli.formats.window_text import show_lines
    from statectl.cli.opening import open_project
    from statectl.problems import did_you_mean

    shown = outputs(out, FORMATS, as_json=as_json, quiet=quiet, verbose=verbose, color=color)
    project = open_project(obj)
    one = project.maintenance_windows.get(name)
    if one is None:
        hint = did_you_mean(name[:80], project.maintenance_windows) or "statectl window list shows them"
        raise UsageError(f"no maintenance window {one_line(name[:80])!r}", hint=hint)
    at = dt.datetime.now(dt.UTC)
    return _write(shown, [one], at, count, lambda: show_lines(one, at, count, shown.screen))


def _write(
    shown: Outputs,
    windows: "Sequence[MaintenanceWindow]",
    at: dt.datetime,
    count: int,
    lines: Callable[[], Iterable[str]],
) -> int:
    from statectl.cli.formats.window_text import window_document

    def document() -> dict[str, Any]:
        told = {one.name: window_document(one, at, count) for one in windows}
        return {"format": "statectl.windows/1.0", "as_of": f"{at:%Y-%m-%dT%H:%M:%SZ}", "windows": told}

    shown.write({"text": lambda: "\n".join(lines()) + "\n", "json": lambda: to_json(document())})
    return 0
