"""What the store costs: SQLite and PostgreSQL with the same verbs, in one run. PostgreSQL is a server of its own on this machine.

python -m tests.benchmarks.stores                      the table goes into docs/benchmarks.md
python -m tests.benchmarks.stores --rounds 1 --print
"""

import argparse
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from statectl.store.records import HostRecord, Status
from statectl.store.store import Store
from tests.benchmarks.tables import write_on_page
from tests.benchmarks.tools import plain_environment
from tests.lab.places import PROJECT
from tests.postgresql.server import Server, missing

HOSTS, RESOURCES, CHANGED, RUNS = 1000, 100, 5, 1000
OPENING = (
    "from pathlib import Path; from statectl.store.store import Store; Store.open({url!r}, Path({root!r})).close()"
)
NOTHING = "from pathlib import Path; from statectl.store.store import Store"
Figures = dict[str, float]


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.stores", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--print", action="store_true", dest="printed", help="only print the table")
    order = parser.parse_args(argv)
    if missing():
        print(missing(), file=sys.stderr)
        return 1
    with tempfile.TemporaryDirectory(prefix="statectl-stores-") as place, Server() as server:
        server.stop()
        server.start("-c", "fsync=on", "-c", "full_page_writes=on", "-c", "shared_buffers=128MB")
        version = server.psql("SHOW server_version").split()[0]
        rounds: dict[str, list[Figures]] = {"SQLite": [], "PostgreSQL": []}
        for number in range(order.rounds):
            server.psql(f"CREATE SCHEMA round_{number}")
            rounds["SQLite"].append(measured(f"sqlite:round-{number}.db", Path(place)))
            rounds["PostgreSQL"].append(measured(server.url(schema=f"round_{number}"), Path(place)))
    text = table(rounds, version)
    print(text, end="")
    if not order.printed:
        write_on_page("stores", text)
    return 0


def measured(url: str, root: Path) -> Figures:
    """Seconds of each thing done once, on an empty store."""
    figures: Figures = {}

    def timed(name: str, work: Callable[[], object]) -> None:
        began = time.monotonic()
        work()
        figures[name] = time.monotonic() - began

    timed("open, an empty one that is made", lambda: Store.open(url, root).close())
    timed("open, one that is there", lambda: Store.open(url, root).close())
    store = Store.open(url, root)
    for number, name in ((1, "the first run of all"), (2, "a run of the same again")):
        timed(
            f"{name}: begin, {HOSTS} hosts with {RESOURCES} resources each, end",
            lambda number=number: a_run(store, number),
        )  # type: ignore[misc]
    timed(
        "a run that is begun, one small commit",
        lambda: [store.begin_run("plan", {}, run_id=f"S{n}") for n in range(RUNS)],
    )
    figures["a run that is begun, one small commit"] /= RUNS
    timed("`list_runs`, the last 50", store.list_runs)
    timed(f"`current`, {HOSTS * RESOURCES:,} rows", store.current)
    store.close()
    empty = whole_process(NOTHING, root)
    figures["process that opens it: processor time on top of one that does not"] = (
        whole_process(OPENING.format(url=url, root=str(root)), root) - empty
    )
    return figures


def a_run(store: Store, number: int) -> None:
    """As an apply of the whole fleet records it: hosts in batches, everything right but a few resources."""
    names = [f"web{host:04}" for host in range(HOSTS)]
    run_id = store.begin_run("apply", {}, run_id=f"R{number}", hosts=names)
    store.under_way.begun(run_id, names)
    for start in range(0, HOSTS, 50):
        store.record_hosts(run_id, [record(name, number) for name in names[start : start + 50]])
    store.end_run(run_id, "done", {"changed": HOSTS})


def record(host: str, number: int) -> HostRecord:
    addresses = [f"file:/etc/app-{place:03}/app.conf" for place in range(RESOURCES)]
    changed = addresses[:CHANGED]
    word = ("compliant", "drifted")[number % 2]
    return HostRecord(
        host,
        "changed",
        results=[{"address": address, "outcome": "changed" if address in changed else "ok"} for address in addresses],
        deviations=[
            {"address": address, "association": "web", "outcome": "changed", "kind": "intended"} for address in changed
        ],
        statuses=[Status(address, "web", word if address in changed else "compliant") for address in addresses],
        facts={"os": "debian", "release": "12", "kernel": "6.1.0"},
        memory={"host_id": host, "run_counter": number, "ledger": addresses},
        host_id=host,
        run_counter=number,
    )


def whole_process(script: str, root: Path) -> float:
    """Processor seconds of a Python that does this."""
    before = os.times()
    subprocess.run(
        [sys.executable, "-c", script],
        cwd=PROJECT,
        env={**plain_environment(root), "PYTHONPATH": str(PROJECT)},
        check=True,
    )
    after = os.times()
    return after.children_user + after.children_system - before.children_user - before.children_system


def table(rounds: dict[str, list[Figures]], version: str) -> str:
    lines = [f"| | {' | '.join(rounds)} |", f"| --- {'| --- ' * len(rounds)}|"]
    for name in rounds["SQLite"][0]:
        cells = [shown(statistics.median(figures[name] for figures in found)) for found in rounds.values()]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    count = len(rounds["SQLite"])
    said = (
        f"Median of {count} round{'' if count == 1 else 's'}, both databases in turn, wall time unless it says otherwise."
        f" PostgreSQL {version} on the same machine over loopback, with fsync; Python {platform.python_version()};"
        f" {os.cpu_count()} processors; load before it {os.getloadavg()[2]:.1f}; {time.strftime('%Y-%m-%d', time.gmtime())}."
    )
    lines += ["", said]
    return "\n".join(lines) + "\n"


def shown(seconds: float) -> str:
    return (
        f"{seconds:.2f} s"
        if seconds >= 1
        else f"{seconds * 1000:.0f} ms"
        if seconds >= 0.01
        else f"{seconds * 1000:.1f} ms"
    )


if __name__ == "__main__":
    sys.exit(main())
