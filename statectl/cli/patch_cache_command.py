"""statectl patch cache: package files that are kept here."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from statectl.cli.options import output_options, outputs, to_json, to_json_lines
from statectl.cli.patch_memory import Memory, ago, clock, memory, size_text
from statectl.errors import UsageError

if TYPE_CHECKING:
    from statectl.cli.formats.terminal import Screen
    from statectl.patches.cache import PackageCache

FORMATS = ("text", "json", "jsonl")
FORMAT = "statectl.patch-cache/1.0"


@click.group()
def command() -> None:
    """The package cache: files of versions that an index may drop before they are approved."""


@command.command("list")
@output_options(FORMATS)
@click.pass_obj
def list_files(
    obj: dict[str, Any],
    /,
    out: tuple[str, ...],
    as_json: bool,
    quiet: bool,
    verbose: int,
    color: str,
) -> int:
    """Every file that is kept, the one that was used last at the end. Contacts nothing."""
    shown = outputs(out, FORMATS, as_json=as_json, quiet=quiet, verbose=verbose, color=color)
    with memory(obj) as opened:
        _cache_of(opened)
        rows = [asdict(one) for one in opened.store.patches.files.all()]
        most = opened.patching.cache_max
    shown.write(
        {
            "text": lambda: _text(rows, most, shown.screen),
            "json": lambda: to_json({"format": FORMAT, "most": most, "files": rows}),
            "jsonl": lambda: to_json_lines(rows),
        }
    )
    return 0


@command.command("prune")
@output_options(FORMATS)
@click.pass_obj
def prune(
    obj: dict[str, Any],
    /,
    out: tuple[str, ...],
    as_json: bool,
    quiet: bool,
    verbose: int,
    color: str,
) -> int:
    """Remove what was not used for `cache_days`, then what was used longest ago until the rest fits `cache_max`."""
    shown = outputs(out, FORMATS, as_json=as_json, quiet=quiet, verbose=verbose, color=color)
    with memory(obj) as opened:
        pruned = _cache_of(opened).prune(clock())
        left = opened.store.patches.files.all()
    document = {"removed": pruned.files, "bytes": pruned.size, "lost": pruned.lost, "left": len(left)}

    def text() -> str:
        lost = f"; {pruned.lost} that were gone from the directory are forgotten" if pruned.lost else ""
        size = sum(one.size for one in left)
        return (
            f"{pruned.files} files removed ({size_text(pruned.size)}){lost}; {len(left)} are left ({size_text(size)})\n"
        )

    shown.write(
        {
            "text": text,
            "json": lambda: to_json({"format": FORMAT, **document}),
            "jsonl": lambda: to_json_lines([document]),
        }
    )
    return 0


def _cache_of(opened: Memory) -> "PackageCache":
    found = opened.cache()
    if found is None:
        raise UsageError("statectl.yml names no package cache", hint="patching: {cache: .statectl/packages}")
    return found


def _text(rows: list[dict[str, Any]], most: int, screen: "Screen") -> str:
    from statectl.cli.formats.rows import table

    total = f"{len(rows)} files, {size_text(sum(row['size'] for row in rows))} of at most {size_text(most)}\n"
    if not rows:
        return total
    now = clock()
    cells = [
        (row["package"], row["version"], row["arch"], row["archive"], size_text(row["size"]), ago(row["used"], now), row["sha256"][:12])
        for row in rows
    ]  # fmt: skip
    return table(("package", "version", "arch", "archive", "size", "used", "sha256"), cells, screen, ("size",)) + total
