"""How the cost of a run grows: with hosts, with hosts that are dead, with resources, with the size of a file, with the files of a directory.

    python -m tests.benchmarks.growth                                 all of it; tables and plots go into docs/benchmarks.md
    python -m tests.benchmarks.growth --parts hosts --hosts 1,10,100  these sizes again; the others as they were measured last
    python -m tests.benchmarks.growth --parts file --mib 1,64 --print

Needs root and the lab. On two cores: hosts up to 1,000 take 10 minutes, 10,000 of them an hour; dead 10 minutes; resources, file and
directory 5 minutes each. What is measured takes the place of the same row; nothing else is lost.
"""

import argparse
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from tests.benchmarks.growing_fleets import RUNS, dead, hosts
from tests.benchmarks.growing_hosts import directory, file, resources
from tests.benchmarks.grown import FILE, Grown, Growth, load, merged, save
from tests.benchmarks.growth_tables import plots, report
from tests.benchmarks.tables import PAGE, write_on_page
from tests.lab import Lab, LabHost

PARTS: dict[str, Callable[[argparse.Namespace, Path, LabHost], Iterator[Grown]]] = {
    "hosts": hosts,
    "dead": dead,
    "resources": resources,
    "file": file,
    "directory": directory,
}


def main(argv: Sequence[str] | None = None) -> int:
    order = orders(argv)
    measured: Growth = {} if order.print else load()
    busy = os.getloadavg()[0]
    failed = []
    for part in order.parts:
        try:
            with tempfile.TemporaryDirectory(prefix="statectl-growth-") as place, Lab(disk=True) as lab:
                lab.start(1, order.suite)
                lab.hosts[0].wait_running()
                for row in PARTS[part](order, Path(place), lab.hosts[0]):
                    row.part, row.load = part, busy
                    say(row.line())
                    measured = merged(measured, [row])
                    if not order.print:
                        save(measured.values())
        except (RuntimeError, AssertionError, subprocess.TimeoutExpired) as error:  # what was measured before it stays
            failed.append(part)
            say(f"{part}: FAILED: {error}")
    for part in order.parts:
        machine = f"{os.cpu_count()} cores, Python {platform.python_version()}, host {order.suite} on the same machine"
        text = report(part, measured.values(), machine)
        sys.stdout.write(text)
        if not order.print and text:
            for name, picture in plots(part, measured.values()).items():
                (PAGE.parent / "benchmarks").mkdir(exist_ok=True)
                (PAGE.parent / "benchmarks" / f"{name}.svg").write_text(picture)
            write_on_page(f"growth-{part}", text)
    if failed:
        say(f"failed: {', '.join(failed)}")
    return 1 if failed else 0


def orders(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.growth", description=__doc__.splitlines()[0])

    def numbers(text: str) -> list[int]:
        return sorted(map(int, text.split(",")))

    parser.add_argument("--parts", default=",".join(PARTS), help=f"of {', '.join(PARTS)} (default: all)")
    parser.add_argument("--hosts", type=numbers, default="1,10,40,100,1000,10000", help="part hosts: numbers of hosts")
    parser.add_argument(
        "--each", type=int, default=100, help="parts hosts and dead: resources of each host (default 100)"
    )
    parser.add_argument("--runs", default=",".join(RUNS), help=f"part hosts: of {', '.join(RUNS)} (default: both)")
    parser.add_argument("--dead", type=numbers, default="1000", help="part dead: numbers of hosts, 30%% of them dead")
    parser.add_argument(
        "--resources", type=numbers, default="10,100,1000,5000", help="part resources: how many on the host"
    )
    parser.add_argument("--mib", type=numbers, default="1,32,1024", help="part file: sizes in MiB")
    parser.add_argument("--entries", type=numbers, default="1000,10000,100000", help="part directory: numbers of files")
    parser.add_argument("--suite", default="bookworm")
    parser.add_argument(
        "--print", action="store_true", help=f"print these alone; leave the page and {FILE.name} as they are"
    )
    order = parser.parse_args(argv)
    order.parts, order.runs = order.parts.split(","), order.runs.split(",")
    for given, known in ((order.parts, PARTS), (order.runs, RUNS)):
        if unknown := [word for word in given if word not in known]:
            parser.error(f"unknown: {', '.join(unknown)}; known: {', '.join(known)}")
    return order


def say(line: str) -> None:
    sys.stderr.write(line + "\n")
    sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(main())
