"""statectl and other tools on the same rows, once each; a table as docs/reliability.md shows it."""

import sys
from collections.abc import Sequence

from tests.faults.peers.play import PeerStage, chosen
from tests.faults.peers.scene import NAMES, version
from tests.faults.play import Stage
from tests.faults.row import Row
from tests.lab.pool import HostPool


def compare(pool: HostPool, wanted: Sequence[Row]) -> int:
    """Prints the table to stdout, and to stderr what was seen where a tool did not survive."""
    rows = chosen(list(wanted))
    ours = Stage(pool)
    peers = {name: PeerStage(pool, name) for name in NAMES}
    survived = dict.fromkeys(("statectl", *NAMES), 0)
    print(f"| row | fault | statectl | {' | '.join(version(name) for name in NAMES)} |")
    print("| --- | --- | --- |" + " --- |" * len(NAMES))
    for row in rows:
        cells = []
        played = ours.play(row)
        cells.append(_cell("statectl", played.oracle, played.seen, row, survived))
        for name, stage in peers.items():
            judged = stage.play(row)
            cells.append(_cell(name, judged.oracle, judged.seen, row, survived))
        print(f"| {row.id} | {row.title} | {' | '.join(cells)} |", flush=True)
    print("| | **survived** | " + " | ".join(f"**{count}/{len(rows)}**" for count in survived.values()) + " |")
    return 0


def _cell(tool: str, oracle: str, seen: str, row: Row, survived: dict[str, int]) -> str:
    if not oracle:
        survived[tool] += 1
        return "yes"
    print(f"--- {row.id} {tool}: {seen[:3000]}\n", file=sys.stderr, flush=True)
    return oracle
