"""What the collected inventory costs: a refresh on the host, questions over a thousand hosts, and a day in which nothing changes.

    python -m tests.benchmarks.inventory                    all of it; the table goes into docs/benchmarks.md
    python -m tests.benchmarks.inventory --parts store --hosts 100 --print

`store` needs no host: a store with generated snapshots, asked in this process and by the real command. `host` is a lab host whose
dpkg status holds as many made up packages.
"""

import argparse
import os
import platform
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from statectl.collected.questions import Questions
from statectl.collected.readings import Readings
from statectl.store.store import Store
from statectl.targets.collected import TYPES
from statectl.targets.selector import parse_selector
from tests.benchmarks.spent import run_and_account
from tests.benchmarks.tables import verdict, write_on_page
from tests.benchmarks.tools import plain_environment
from tests.lab.project import LabProject

PARTS = ("store", "host")
HOSTS, PACKAGES, DISTINCT = 1000, 1500, 3000
QUERY_MS, HOST_MS, DAY_BYTES = 300.0, 150.0, 1024
REFRESHES = 48  # of a day, one every 30 minutes
QUESTION = "package.package-0007 < 1.1-3"
Line = tuple[str, float, int, str, float | None]  # what, value, digits, unit, at most


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.inventory", description=__doc__.splitlines()[0])
    parser.add_argument("--parts", default=",".join(PARTS), help=f"of {', '.join(PARTS)} (default: both)")
    parser.add_argument("--hosts", type=int, default=HOSTS, help=f"in the store (default {HOSTS})")
    parser.add_argument("--packages", type=int, default=PACKAGES, help=f"on each host (default {PACKAGES})")
    parser.add_argument("--rounds", type=int, default=5, help="medians of so many (default 5)")
    parser.add_argument("--print", action="store_true", help="print it alone; leave the page as it is")
    order = parser.parse_args(argv)
    parts = order.parts.split(",")
    if unknown := [part for part in parts if part not in PARTS]:
        parser.error(f"unknown: {', '.join(unknown)}; known: {', '.join(PARTS)}")
    if not order.print and (set(parts) != set(PARTS) or (order.hosts, order.packages) != (HOSTS, PACKAGES)):
        parser.error("the page holds all of it: measure all, or --print")
    busy = os.getloadavg()[0]
    lines: list[Line] = []
    with tempfile.TemporaryDirectory(prefix="statectl-inventory-") as directory:
        if "host" in parts:
            lines += on_a_host(Path(directory) / "host", order.packages, order.rounds)
        if "store" in parts:
            lines += in_the_store(Path(directory) / "store", order.hosts, order.packages, order.rounds)
    footer = (
        f"Medians of {order.rounds}; {order.hosts:,} hosts with {order.packages:,} packages each; load of other work before it"
        f" {busy:.1f}. Questions in processor time. {os.cpu_count()} cores, Python {platform.python_version()}.\n"
    )
    text = table(lines) + "\n" + footer
    sys.stdout.write(text)
    if not order.print:
        write_on_page("inventory", text)
    return 0


def table(lines: Sequence[Line]) -> str:
    rows = ["| collected inventory | measured | goal, at most | |", "| --- | ---: | ---: | --- |"]
    for what, value, digits, unit, most in lines:
        goal = "" if most is None else f"{most:,.0f} {unit}"
        rows.append(
            f"| {what} | {value:,.{digits}f} {unit} | {goal} | {'' if most is None else verdict(value <= most)} |"
        )
    return "\n".join(rows) + "\n"


def on_a_host(place: Path, packages: int, rounds: int) -> Iterator[Line]:
    """Processor time and bytes of a refresh, less what a contact that only gathers facts takes."""
    from tests.lab import Lab

    refresh = (sys.executable, "-m", "statectl", "inventory", "refresh")
    with Lab(disk=True) as lab:
        (host,) = lab.start(1, "bookworm")
        host.write("/var/lib/dpkg/status", status(packages))
        host.sh(f"cd /var/lib/dpkg/info && seq -f 'package-%04g.list' 0 {packages - 1} | xargs touch")
        project = LabProject(place, [host])
        project.statectl("inventory", "refresh", expect=0)
        same = [run_and_account(refresh, project, [host]) for _ in range(rounds)]
        first = []
        for _ in range(rounds):
            (project.root / ".statectl" / "state.db").unlink()
            first.append(run_and_account(refresh, project, [host]))
    cpu = statistics.median(one.host_cpu_s for one in first) * 1000
    yield f"CPU of a host, refresh with all {packages:,} packages told", cpu, 0, "ms", HOST_MS
    cpu = statistics.median(one.host_cpu_s for one in same) * 1000
    yield "CPU of a host, refresh that finds nothing new", cpu, 0, "ms", HOST_MS
    yield "bytes on the wire, all told", statistics.median(one.host_bytes for one in first) / 1024, 0, "KiB", None
    yield "bytes on the wire, nothing new", statistics.median(one.host_bytes for one in same) / 1024, 0, "KiB", None


def status(packages: int) -> str:
    """A dpkg status file as long as one of so many packages of Debian."""
    filler = "".join(f" {'x' * 70}\n" for _ in range(12))
    return "".join(
        f"Package: package-{number:04}\nStatus: install ok installed\nPriority: optional\nSection: libs\nInstalled-Size: 321\n"
        f"Maintainer: Maintainers of {number} <{number}@example.org>\nArchitecture: amd64\nSource: source-{number // 3}\n"
        f"Version: 1.{number % 7}-{number % 11}+deb12u{number % 3}\nDepends: libc6 (>= 2.34), libgcc-s1 (>= 3.0)\n"
        f"Description: made up package number {number} of a benchmark\n{filler}Homepage: https://example.org/{number}\n\n"
        for number in range(packages)
    )


def in_the_store(place: Path, hosts: int, packages: int, rounds: int) -> Iterator[Line]:
    place.mkdir(parents=True)
    names = [f"web{number:04}" for number in range(hosts)]
    store = Store.open("sqlite:.statectl/state.db", place)
    began = time.process_time()
    filled = fill(store, names, packages)
    kept = (time.process_time() - began) / hosts * 1000
    store.close()
    full = _size(place)
    store = Store.open("sqlite:.statectl/state.db", place)
    yield "controller, one host's first refresh checked and kept", kept, 1, "ms", None
    yield "store, for each host", full / hosts / 1024, 1, "KiB", None
    asked = {
        f"question `{QUESTION}`": lambda: Questions(store.collected).holding(_node(QUESTION)),
        "question `package.package-00*.architecture=arm64`": lambda: Questions(store.collected).holding(
            _node("package.package-00*.architecture=arm64")
        ),
        "question `service.service-007.state=running`": lambda: Questions(store.collected).holding(
            _node("service.service-007.state=running")
        ),
        "question `usage.used_percent > 90`": lambda: Questions(store.collected).holding(
            _node("usage.used_percent > 90")
        ),
        "entries `--type Application --where 'name=package-0007 and version<1.1-3'`": lambda: list(
            Questions(store.collected).fitting("Application", _where("name=package-0007 and version<1.1-3"), names)
        ),
    }
    for what, question in asked.items():
        yield what, _median(question, rounds), 0, "ms", QUERY_MS
    (place / "statectl.yml").write_text("project: bench\ninventory: inventories\n")
    (place / "inventories").mkdir()
    (place / "inventories" / "hosts.yml").write_text("hosts:\n" + "".join(f"  {name}: {{}}\n" for name in names))
    argv = [sys.executable, "-m", "statectl", "inventory", "query", QUESTION, "-o", "name"]
    command = _median(
        lambda: subprocess.run(argv, cwd=place, env=plain_environment(place), check=True, capture_output=True), rounds
    )
    bare = [sys.executable, "-m", "statectl", "inventory", "list", "-o", "name"]
    start = _median(
        lambda: subprocess.run(bare, cwd=place, env=plain_environment(place), check=True, capture_output=True), rounds
    )
    yield "the command with the same question, over `inventory list`", command - start, 0, "ms", QUERY_MS
    yield (
        "a day of 48 refreshes without change, for each host",
        a_day(store, place, names, filled),
        0,
        "bytes",
        DAY_BYTES,
    )


def fill(store: Store, names: Sequence[str], packages: int) -> dict[str, Any]:
    """Snapshots of hosts of a few generations: most have the same versions, and each its own set -> the types that only the latest is kept of."""
    chance = random.Random(7)
    usage: dict[str, Any] = {}
    for place, name in enumerate(names):
        chosen = sorted(chance.sample(range(DISTINCT), packages))
        generation = place % 3
        rows = [
            [
                f"package-{number:04}", "amd64" if place % 20 else "arm64", f"1.{(number + generation) % 4}-{number % 5}", "deb",
                f"2026-{1 + place % 9:02}-{1 + number % 27:02}T12:00:00Z", f"Maintainers <{number % 200}@example.org>",
                f"source-{number // 3}", f"made up package number {number}", f"https://example.org/{number}",
            ]
            for number in chosen
        ]  # fmt: skip
        services = [
            [f"service-{number:03}", "made up", "running" if (number + place) % 5 else "failed", "enabled"]
            for number in range(150)
        ]
        usage = _told("Usage", [["/", 40000, 40000 - place * 30, place % 100]])
        readings = Readings({})
        for one in (_told("Application", rows), _told("Service", services), usage):
            readings.add(one)
        store.collected.keep(name, "2026-11-01T00:00:00Z", readings.all(), whole=True)
        store.saw(name, "id", {"os": {"name": "Debian"}})
    return usage


def a_day(store: Store, place: Path, names: Sequence[str], usage: dict[str, Any]) -> float:
    """Bytes that the store grows by for each of a few hosts."""
    some = list(names[:20])
    known = {name: store.collected.hashes(name) for name in some}
    store.close()
    before = _size(place)
    store = Store.open("sqlite:.statectl/state.db", place)
    for turn in range(REFRESHES):
        for name in some:
            readings = Readings(known[name])
            for type_name, digest in known[name].items():
                readings.add({"name": type_name, "state": "same", "hash": digest})
            readings.add(usage)
            moment = f"2026-11-02T{turn // 2:02}:{30 * (turn % 2):02}:00Z"
            store.collected.keep(name, moment, readings.all(), whole=True)
            store.saw(name, "id", {"os": {"name": "Debian"}})
    store.close()
    return max(0, _size(place) - before) / len(some)


def _told(name: str, rows: list[list[Any]]) -> dict[str, Any]:
    columns = [one.name for one in TYPES[name].attributes]
    return {
        "name": name,
        "state": "content",
        "hash": f"{hash(str(rows)) % 2**256:064x}",
        "columns": columns,
        "rows": rows,
    }


def _node(text: str) -> Any:
    selector, problems = parse_selector(text)
    if selector is None:
        raise RuntimeError(str(problems))
    return selector.root


def _where(text: str) -> Any:
    selector, _ = parse_selector(text, "Application")
    assert selector is not None
    return selector.root


def _median(work: Callable[[], object], rounds: int) -> float:
    """Milliseconds of processor time, this process and its children: other work on the machine does not count."""
    taken = []
    for _ in range(rounds):
        began = _cpu_s()
        work()
        taken.append((_cpu_s() - began) * 1000)
    return statistics.median(taken)


def _cpu_s() -> float:
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


def _size(place: Path) -> int:
    return sum(path.stat().st_size for path in (place / ".statectl").iterdir() if path.name.startswith("state.db"))


if __name__ == "__main__":
    sys.exit(main())
