"""What the next start says of runs whose controller was killed."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from statectl.cli.formats.terminal import one_line

if TYPE_CHECKING:
    from statectl.store.store import Store
    from statectl.store.under_way import Interrupted


def tell_interrupted(store: "Store") -> None:
    """On stderr, once for each such run, in whatever format the result is: nothing that was begun is passed over."""
    for found in store.under_way.close_interrupted():
        for line in lines_of(found):
            click.echo(line, err=True)


def lines_of(run: "Interrupted") -> Sequence[str]:
    from statectl.targets.ranges import compress

    shown = one_line(run.run_id)
    parts = []
    if run.unknown:
        parts.append(f"{_hosts(len(run.unknown))} unknown: {one_line(compress(run.unknown))}")
    if run.not_begun:
        parts.append(f"{_hosts(len(run.not_begun))} not started: {one_line(compress(run.not_begun))}")
    told = "; ".join(parts) or "every host had ended"
    lines = [f"warning: run {shown} ({run.verb}, {one_line(run.who)}, {run.started}) was interrupted; {told}"]
    if parts and run.verb == "apply":
        lines.append(f"  to go on: statectl apply --resume {shown}")
    elif parts:
        lines.append(f"  what is known: statectl runs show {shown}")
    return lines


def _hosts(count: int) -> str:
    return f"{count} host{'s' * (count != 1)}"
