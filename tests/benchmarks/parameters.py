"""What the parameter store costs with 100,000 parameters: SQLite and PostgreSQL with the same calls, each beside its goal.

python -m tests.benchmarks.parameters                      the table goes into docs/benchmarks.md
python -m tests.benchmarks.parameters --rounds 1 --print
"""

import argparse
import os
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from statectl.parameters.access import Access
from statectl.parameters.keys import Keys
from statectl.parameters.model import Filter, NewVersion
from statectl.parameters.store import ParameterStore
from statectl.secrets import Secret
from statectl.store.database import open_database
from tests.benchmarks.tables import verdict, write_on_page
from tests.postgresql.server import Server, missing

ALL, TREE, ONES, SECRETS = 100_000, 10_000, 500, 1000
Figures = dict[str, float]
# what -> seconds that it may take; None: for the reader only
GOALS: dict[str, float | None] = {
    f"get by path, recursive, all {ALL:,} with their values": 1.0,
    "one get, in process": 0.002,
    f"delete of a tree of {TREE:,}": 2.0,
    f"restore of that tree of {TREE:,}": None,
    f"get by path of {TREE:,} of them": None,
    f"describe all {ALL:,} by a tag that {TREE:,} have": None,
    "one put, a commit on the disk": None,
    "one get of a secret, decrypted: a commit of the audit row": None,
    f"get by path of {SECRETS:,} secrets, decrypted": None,
    f"multi-put of {TREE:,} new ones": None,
    f"rotation of the key over {SECRETS:,} secrets": None,
}


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.parameters", description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3, help="medians of so many (default 3)")
    parser.add_argument("--print", action="store_true", dest="printed", help="print it alone; leave the page as it is")
    order = parser.parse_args(argv)
    if missing():
        sys.stderr.write(f"{missing()}\n")
        return 1
    load = os.getloadavg()[0]
    rounds: dict[str, list[Figures]] = {"SQLite": [], "PostgreSQL": []}
    with tempfile.TemporaryDirectory(prefix="statectl-parameters-") as place, Server() as server:
        server.stop()
        server.start("-c", "fsync=on", "-c", "full_page_writes=on", "-c", "shared_buffers=128MB")
        version = server.psql("SHOW server_version").split()[0]
        for number in range(order.rounds):
            root = Path(place) / str(number)
            server.psql(f"CREATE SCHEMA round_{number}")
            rounds["SQLite"].append(measured("sqlite:state.db", root / "sqlite"))
            rounds["PostgreSQL"].append(measured(server.url(schema=f"round_{number}"), root / "postgresql"))
    text = table(rounds) + (
        f"\nMedian of {order.rounds}, wall time. PostgreSQL {version} on the same machine over loopback, with fsync;"
        f" Python {platform.python_version()}; {os.cpu_count()} processors; load of other work before it {load:.1f};"
        f" {time.strftime('%Y-%m-%d', time.gmtime())}.\n"
    )
    sys.stdout.write(text)
    if not order.printed:
        write_on_page("parameters", text)
    return 0


def measured(url: str, root: Path) -> Figures:
    """Seconds of each, on a store with all of them."""
    root.mkdir(parents=True)
    database = open_database(url, root)
    store = ParameterStore(database, keys=Keys.open("", root), access=Access(), principal="benchmark")
    figures: Figures = {}
    whats = iter(GOALS)

    def timed(work: Callable[[], object], times: int = 1) -> None:
        began = time.monotonic()
        for _ in range(times):
            work()
        figures[next(whats)] = (time.monotonic() - began) / times

    try:
        for tree in range(ALL // TREE):
            store.put_many([new(tree, number) for number in range(TREE)])
        found = []
        timed(lambda: found.append(len(store.by_path("/all", recursive=True).parameters)))
        numbers = iter(range(0, ONES * 7, 7))
        timed(lambda: store.get(name(0, next(numbers))), ONES)
        timed(lambda: found.append(len(store.delete_tree("/all/1"))))
        timed(lambda: found.append(len(store.restore("/all/1", recursive=True))))
        timed(lambda: found.append(len(store.by_path("/all/2", recursive=True).parameters)))
        tagged = [Filter("tag:tree", ("3",))]
        timed(lambda: found.append(len(store.describe(filters=tagged).parameters)))
        timed(lambda: store.put(name(4, 4), "another", overwrite=True), ONES // 5)
        store.put_many([NewVersion(f"/s/{n}", Secret(f"{n}"), type="SecureString") for n in range(SECRETS)])
        timed(lambda: store.get("/s/7", decrypt=True), ONES // 5)
        timed(lambda: found.append(len(store.by_path("/s", decrypt=True).parameters)))
        timed(lambda: store.put_many([NewVersion(f"/n/{n}", "x", type="String") for n in range(TREE)]))
        timed(lambda: found.append(store.rotate().wrapped))
    finally:
        database.close()
    if found != [ALL, TREE, TREE, TREE, TREE, SECRETS, SECRETS]:
        raise RuntimeError(f"not what was put: {found}")
    return figures


def name(tree: int, number: int) -> str:
    return f"/all/{tree}/{number % 100:02}/app-{number:05}/db-url"


def new(tree: int, number: int) -> NewVersion:
    return NewVersion(
        name(tree, number),
        f"postgres://db{number % 50}.example.org:5432/app-{number}",
        type="String",
        description="where the application finds its database",
        tags={"tree": str(tree)},
    )


def table(rounds: dict[str, list[Figures]]) -> str:
    lines = [f"| | {' | '.join(rounds)} | goal, below | |", f"| --- |{' ---: |' * len(rounds)} ---: | --- |"]
    for what, goal in GOALS.items():
        medians = [statistics.median(figures[what] for figures in found) for found in rounds.values()]
        met = None if goal is None else all(value < goal for value in medians)
        cells = " | ".join(map(shown, medians))
        lines.append(f"| {what} | {cells} | {'' if goal is None else shown(goal)} | {verdict(met)} |")
    return "\n".join(lines) + "\n"


def shown(seconds: float) -> str:
    return f"{seconds:.2f} s" if seconds >= 0.1 else f"{seconds * 1000:.2f} ms"


if __name__ == "__main__":
    sys.exit(main())
