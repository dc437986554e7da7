"""statectl patch history: what became of packages, from the store. Contacts nothing."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from statectl.cli.formats.terminal import one_line
from statectl.cli.options import Outputs, output_options, outputs, to_json, to_json_lines
from statectl.errors import UsageError

if TYPE_CHECKING:
    from statectl.patches.changes import PatchChange

FORMATS = ("text", "json", "jsonl", "csv")
FORMAT = "statectl.patch-history/1.0"
COLUMNS = (
    "at", "since", "host", "package", "arch", "before", "after", "outcome", "by", "run", "baseline", "commit", "rolls_back", "reason",
)  # fmt: skip


@click.command()
@click.argument("host", default="")
@click.option("--package", metavar="NAME", default="", help="Only this package.")
@click.option("--baseline", metavar="NAME", default="", help="Only by this baseline.")
@click.option("--since", metavar="TIME", default="", help="Only since then: 7d, 12h or 2026-11-23.")
@click.option("--until", metavar="TIME", default="", help="Only until then.")
@click.option(
    "--limit", metavar="N", type=click.IntRange(1, 1_000_000), default=200, show_default=True, help="Changes, newest first."
)  # fmt: skip
@output_options(FORMATS)
@click.pass_obj
def command(
    obj: dict[str, Any],
    /,
    host: str,
    package: str,
    baseline: str,
    since: str,
    until: str,
    limit: int,
    out: tuple[str, ...],
    as_json: bool,
    quiet: bool,
    verbose: int,
    color: str,
) -> int:
    """What, from which version to which, when, by which run, baseline and commit; newest first, of all hosts or of HOST.

    A version that is another one than the scan before found it, and that no run of this store moved, is told as found `outside statectl`.
    That is evidence of somebody else at work, not proof of who.
    """
    from statectl.cli.collected_commands import moment_option
    from statectl.cli.opening import open_settings, open_store
    from statectl.patches.changes import changes

    shown = outputs(out, FORMATS, as_json=as_json, quiet=quiet, verbose=verbose, color=color)
    after = moment_option(since, "--since") if since else ""
    before = moment_option(until, "--until") if until else "~"
    if after > before:
        raise UsageError(f"--since {since} is after --until {until}")
    root, settings = open_settings(obj)
    store = open_store(root, settings)
    try:
        history = store.patch_history
        operations = history.turns(host=host, until=before)
        if host and not operations:
            hint = "statectl patch scan reads it; statectl patch history without a name shows all that are recorded"
            raise UsageError(f"no patch operation of {one_line(host)!r} is recorded in this store", hint=hint)
        moves = history.moves(host=host, name=package, until=before)
        resources = history.package_resources(host=host, until=before)
        found = changes(operations, moves, history.rows, resources, package=package)
    finally:
        store.close()
    found = [one for one in found if one.at >= after and (not baseline or one.baseline == baseline)]
    rows = [asdict(one) for one in found[:limit]]

    def table_of_rows() -> str:
        from statectl.cli.formats.rows import comma_separated

        return comma_separated(COLUMNS, rows)

    shown.write(
        {
            "text": lambda: _text(found, limit, operations[0].ended if operations else "", shown),
            "json": lambda: to_json(
                {"format": FORMAT, "total": len(found), "changes": rows, "recorded_since": operations[0].ended if operations else ""}
            ),
            "jsonl": lambda: to_json_lines(rows),
            "csv": table_of_rows,
        }
    )  # fmt: skip
    return 0


def _text(found: "list[PatchChange]", limit: int, recorded_since: str, shown: Outputs) -> str:
    from statectl.cli.formats.rows import table

    if not recorded_since:
        return "No patch operation is recorded in this store; statectl patch scan makes the first.\n"
    if not found:
        return f"No change of a package; recorded since {recorded_since}.\n"
    columns = ("when", "host", "package", "from", "to", "outcome", "by", "baseline", "commit")
    rows = [
        [
            one.at if not one.since else f"{one.since} .. {one.at}",
            one.host,
            one.package,
            one.before or "(new)",
            one.after or "(removed)",
            f"{one.outcome}: {one.reason}" if one.reason else one.outcome,
            _by(one),
            one.baseline,
            one.commit[:12],
        ]
        for one in found[:limit]
    ]
    text = table(columns, rows, shown.screen)
    left = len(found) - limit
    return text + (f"{shown.screen.mark('more')} {left} more (--limit shows more)\n" if left > 0 else "")


def _by(one: "PatchChange") -> str:
    from statectl.patches.changes import OUTSIDE, RESOURCE, STATECTL

    if one.by == OUTSIDE:
        return OUTSIDE
    rolled = f", rolls back {one.rolls_back}" if one.rolls_back else ""
    return f"run {one.run}{rolled}" if one.by in (STATECTL, RESOURCE) else f"{one.by}, run {one.run}"
