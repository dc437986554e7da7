"""statectl patch feed: vulnerabilities from elsewhere, that statectl.yml names."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from statectl.cli.formats.terminal import one_line
from statectl.cli.options import output_options, outputs, to_json, to_json_lines
from statectl.cli.patch_memory import EXITS, ago, chosen, clock, memory
from statectl.errors import UsageError

if TYPE_CHECKING:
    from statectl.cli.formats.terminal import Screen
    from statectl.patches.feeds import Updated

FORMATS = ("text", "json", "jsonl")
FORMAT = "statectl.patch-feeds/1.0"


@click.group()
def command() -> None:
    """Feeds of vulnerabilities: the tracker of Debian, OSV and OVAL."""


@command.command("list")
@output_options(FORMATS)
@click.pass_obj
def list_feeds(
    obj: dict[str, Any],
    /,
    out: tuple[str, ...],
    as_json: bool,
    quiet: bool,
    verbose: int,
    color: str,
) -> int:
    """Each feed with its source, how old its data are, and what went wrong the last time. Contacts nothing."""
    shown = outputs(out, FORMATS, as_json=as_json, quiet=quiet, verbose=verbose, color=color)
    with memory(obj) as opened:
        kept = opened.store.patches.feeds.all()
        named = {one.name: one for one in opened.patching.feeds}
    rows = []
    for name in dict.fromkeys((*named, *kept)):
        known, one = kept.get(name), named.get(name)
        rows.append(
            {
                "feed": name,
                "kind": one.kind if one is not None else known.kind if known is not None else "",
                "source": one.source if one is not None else known.location if known is not None else "",
                "entries": known.entries if known is not None else 0,
                "made": known.made if known is not None else "",
                "fetched": known.fetched if known is not None else "",
                "tried": known.tried if known is not None else "",
                "trouble": known.trouble if known is not None else "",
            }
        )
    shown.write(
        {
            "text": lambda: _list_text(rows, shown.screen),
            "json": lambda: to_json({"format": FORMAT, "feeds": rows}),
            "jsonl": lambda: to_json_lines(rows),
        }
    )
    return 0


@command.command("update")
@click.argument("names", nargs=-1, metavar="[FEED]...")
@output_options(FORMATS)
@click.pass_obj
def update(
    obj: dict[str, Any],
    /,
    names: tuple[str, ...],
    out: tuple[str, ...],
    as_json: bool,
    quiet: bool,
    verbose: int,
    color: str,
) -> int:
    """Read the feeds that statectl.yml names, all or these. One that cannot be read, or is broken, replaces nothing."""
    from statectl.patches.feeds import FeedReader

    shown = outputs(out, FORMATS, as_json=as_json, quiet=quiet, verbose=verbose, color=color)
    with memory(obj) as opened:
        if not opened.patching.feeds:
            hint = "write `patching: {feeds: {NAME: {kind: ..., source: ...}}}` in it; statectl explain patch_feed"
            raise UsageError("statectl.yml names no feed of vulnerabilities", hint=hint)
        wanted = chosen("feed", names, [one.name for one in opened.patching.feeds])
        reader = FeedReader(opened.store.patches, opened.root, clock)
        updated = list(reader.update([one for one in opened.patching.feeds if one.name in wanted]))
        gone = reader.forget_others(opened.patching.feeds)
    shown.write(
        {
            "text": lambda: _update_text(updated, gone, shown.screen),
            "json": lambda: to_json({"format": FORMAT, "updated": [asdict(one) for one in updated], "forgotten": gone}),
            "jsonl": lambda: to_json_lines([asdict(one) for one in updated]),
        }
    )
    return EXITS["E643"] if any(one.trouble for one in updated) else 0


def _list_text(rows: list[dict[str, Any]], screen: "Screen") -> str:
    from statectl.cli.formats.rows import table

    if not rows:
        return "No feed is named in statectl.yml, and none is known; statectl explain patch_feed\n"
    now = clock()
    cells = [
        (row["feed"], row["kind"], row["entries"], row["made"] or "-", ago(row["fetched"], now), row["source"])
        for row in rows
    ]
    text = table(("feed", "kind", "entries", "made", "fetched", "source"), cells, screen, numbers=("entries",))
    return text + "".join(
        f"{screen.mark('warning')} warning[E643]: {one_line(row['trouble'])} ({ago(row['tried'], now)})\n"
        for row in rows
        if row["trouble"]
    )


def _update_text(updated: "list[Updated]", gone: list[str], screen: "Screen") -> str:
    now = clock()
    lines = []
    for one in updated:
        if one.trouble:
            lines.append(f"{screen.mark('failed')} {screen.paint('error[E643]', 'red')}: {one_line(one.trouble)}")
            stays = f"what was read {ago(one.fetched, now)} stays in use" if one.fetched else "nothing is known of it"
            lines.append(f"  {stays}")
            continue
        made = f", made {one.made}" if one.made else ""
        what = "unchanged" if one.unchanged else f"{one.entries} entries"
        lines.append(f"{screen.mark('ok')} {one.name}: {what}{made}")
    lines += [f"{screen.mark('ok')} {one_line(name)}: no longer in statectl.yml, forgotten" for name in gone]
    return "\n".join(lines) + "\n"
