"""statectl patch poll: read the indexes that statectl.yml names. Contacts no host of the inventory."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from statectl.cli.formats.terminal import one_line
from statectl.cli.options import output_options, outputs, to_json, to_json_lines
from statectl.cli.patch_memory import EXITS, ago, chosen, clock, memory
from statectl.errors import UsageError

if TYPE_CHECKING:
    from statectl.cli.formats.terminal import Screen
    from statectl.patches.polling import Polled

FORMATS = ("text", "json", "jsonl")
FORMAT = "statectl.patch-poll/1.0"


@click.command()
@click.argument("names", nargs=-1, metavar="[INDEX]...")
@click.option("--status", is_flag=True, help="Read nothing; say when each index was read last, and what went wrong.")
@output_options(FORMATS)
@click.pass_obj
def command(
    obj: dict[str, Any],
    /,
    names: tuple[str, ...],
    status: bool,
    out: tuple[str, ...],
    as_json: bool,
    quiet: bool,
    verbose: int,
    color: str,
) -> int:
    """Read the indexes of packages that statectl.yml names, all or these, and remember what is new since when.

    With a package cache the files that hosts will need are kept too. An index that cannot be had, is not signed as it should be, has
    expired or is damaged changes nothing.
    """
    from statectl.patches.polling import Poller, poll_names

    shown = outputs(out, FORMATS, as_json=as_json, quiet=quiet, verbose=verbose, color=color)
    with memory(obj) as opened:
        if not opened.patching.indexes:
            hint = "write `patching: {indexes: [...]}` in it; statectl explain patch_index shows the fields"
            raise UsageError("statectl.yml names no index of packages", hint=hint)
        wanted = chosen("index", names, [one.name for one in opened.patching.indexes])
        indexes = [one for one in opened.patching.indexes if one.name in wanted]
        if status:
            kept = opened.store.patches.polls.all()
            every = [name for one in indexes for name in poll_names(one)]
            rows = [{"index": name, **(asdict(kept[name]) if name in kept else {"read_at": ""})} for name in every]
            rows = [{key: row[key] for key in row if key not in ("name", "validators")} for row in rows]
            shown.write(
                {
                    "text": lambda: _status_text(rows, shown.screen),
                    "json": lambda: to_json({"format": FORMAT, "indexes": rows}),
                    "jsonl": lambda: to_json_lines(rows),
                }
            )
            return 0
        poller = Poller(opened.store.patches, opened.root, clock, opened.cache())
        polled = list(poller.poll(indexes))
        poller.forget_others(opened.patching.indexes)
    shown.write(
        {
            "text": lambda: _text(polled, shown.screen),
            "json": lambda: to_json({"format": FORMAT, "indexes": [asdict(one) for one in polled]}),
            "jsonl": lambda: to_json_lines([asdict(one) for one in polled]),
        }
    )
    codes = [EXITS.get(one.code, 1) for one in polled if one.trouble] + [1 for one in polled if one.warnings]
    return max(codes, default=0)


def _text(polled: "list[Polled]", screen: "Screen") -> str:
    lines = []
    for one in polled:
        if one.trouble:
            lines.append(
                f"{screen.mark('failed')} {screen.paint(f'error[{one.code}]', 'red')}: {one_line(one.trouble)}"
            )
            lines += [f"  hint: {one_line(one.hint)}"] if one.hint else []
            continue
        what = "unchanged" if one.unchanged else f"{one.new} new of {one.packages} packages"
        kept = f", {one.kept} kept in the cache" if one.kept else ""
        made = f", made {one.made}" if one.made else ""
        lines.append(f"{screen.mark('ok')} {one.name}: {what}{kept}{made}")
        lines += [f"  {screen.mark('warning')} warning[E644]: {one_line(text)}" for text in one.warnings]
    return "\n".join(lines) + "\n"


def _status_text(rows: list[dict[str, Any]], screen: "Screen") -> str:
    from statectl.cli.formats.rows import table

    now = clock()
    cells = [
        (row["index"], ago(row["read_at"], now), row.get("made", ""), row.get("packages", 0), row.get("trouble", ""))
        for row in rows
    ]
    return table(("index", "read", "made", "packages", "trouble"), cells, screen, numbers=("packages",))
