"""What a run of statectl that changes nothing costs: processor time here and there, memory, bytes and round trips.

    python -m tests.benchmarks.cost                     all of it, and the tables go into docs/benchmarks.md
    python -m tests.benchmarks.cost --hosts 1,40 --rounds 5
    python -m tests.benchmarks.cost --parts trips --delay 200 --print

Processor time there is that of the host's control group, less what it uses while nothing is asked of it. Bytes are those of the
host's network interface, both ways, headers and all. Memory is the peak of the process and its children together; start-up is
the same command when its only host refuses the connection. Round trips are what a line of 80 ms adds to a run, less what it
adds to a login.
"""

import argparse
import os
import platform
import statistics
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.benchmarks.contestants import statectl_project
from tests.benchmarks.floors import bare
from tests.benchmarks.spent import Spent, run_and_account
from tests.benchmarks.tables import verdict, write_on_page
from tests.benchmarks.trips import round_trips
from tests.lab import Lab, LabHost

PARTS = ("fleet", "trips")
APPLY = (sys.executable, "-m", "statectl", "apply", "--yes")
CONTROLLER_MS, HOST_MS, MEMORY_MIB, TRIPS = 15.0, 75.0, 60.0, 6.0
STRETCH_CONTROLLER_MS, STRETCH_HOST_MS = 8.0, 55.0
MIB = 1 << 20
# (what, factor, digits, unit)
COLUMNS = (
    ("cpu_s", 1, 2, "s"),
    ("host_cpu_s", 1000, 0, "ms"),
    ("peak_bytes", 1 / MIB, 0, "MiB"),
    ("host_bytes", 1 / 1024, 0, "KiB"),
)


@dataclass
class Fleet:
    """An unchanged run on so many hosts: one `Spent` a round. `floor`: the same of bare connections."""

    hosts: int
    rounds: list[Spent] = field(default_factory=list)
    floor: list[Spent] = field(default_factory=list)

    def median(self, what: str, *, floor: bool = False) -> float:
        return float(statistics.median(getattr(one, what) for one in (self.floor if floor else self.rounds)))


@dataclass
class Costs:
    fleets: list[Fleet] = field(default_factory=list)
    start_up_bytes: float | None = None
    trips: float | None = None
    login_trips: float | None = None


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.cost", description=__doc__.splitlines()[0])
    parser.add_argument("--hosts", default="1,10,40", help="numbers of hosts (default 1,10,40)")
    parser.add_argument("--rounds", type=int, default=5, help="medians of so many (default 5)")
    parser.add_argument("--parts", default=",".join(PARTS), help=f"of {', '.join(PARTS)} (default: both)")
    parser.add_argument(
        "--delay", type=float, default=80.0, help="of the long line, there and back, in ms (default 80)"
    )
    parser.add_argument("--suite", default="bookworm")
    parser.add_argument("--print", action="store_true", help="print it alone; leave the page as it is")
    order = parser.parse_args(argv)
    parts = order.parts.split(",")
    if unknown := [part for part in parts if part not in PARTS]:
        parser.error(f"unknown: {', '.join(unknown)}; known: {', '.join(PARTS)}")
    if not order.print and set(parts) != set(PARTS):
        parser.error("the page holds all parts: measure all of them, or --print")
    busy = os.getloadavg()[0]
    costs = Costs()
    with Lab(disk=True) as lab, tempfile.TemporaryDirectory(prefix="statectl-cost-") as directory:
        place = Path(directory)
        if "trips" in parts:
            lab.start(1 - len(lab.hosts), order.suite)
            costs.trips, costs.login_trips = round_trips(place / "trips", lab.hosts[0], order.delay, order.rounds)
        if "fleet" in parts:
            costs.start_up_bytes = start_up(place / "start", lab, order.rounds, order.suite)
            for count in sorted(map(int, order.hosts.split(","))):
                lab.start(count - len(lab.hosts), order.suite)
                costs.fleets.append(fleet(place / str(count), lab.hosts, order.rounds))
    machine = f"{os.cpu_count()} cores, Python {platform.python_version()}, hosts {order.suite} on the same machine"
    text = report(costs, f"Medians of {order.rounds}, load of other work before it {busy:.1f}. {machine}.\n")
    sys.stdout.write(text)
    if not order.print:
        write_on_page("cost", text)
    return 0


def fleet(place: Path, hosts: Sequence[LabHost], rounds: int) -> Fleet:
    project = statectl_project(place, hosts)
    project.statectl("apply", "--yes", expect=0, timeout=900)
    measured = Fleet(len(hosts))
    connections = [*bare(hosts[0].key, hosts[0].known_hosts), "pass", *(host.address for host in hosts)]
    for _ in range(rounds):
        spent = run_and_account(APPLY, project, hosts)
        if "no changes" not in spent.said.lower():
            raise RuntimeError(f"not a run that changes nothing\n{spent.said[-3000:]}")
        measured.rounds.append(spent)
        measured.floor.append(run_and_account(connections, project, hosts))
        say(
            f"{len(hosts):3} hosts  {spent.cpu_s:6.2f} s here, {spent.host_cpu_s * 1000:5.0f} ms and "
            f"{spent.host_bytes / 1024:5.0f} KiB a host, {spent.peak_bytes / MIB:4.0f} MiB"
        )
    return measured


def start_up(place: Path, lab: Lab, rounds: int, suite: str) -> float:
    """Peak bytes of a run that has imported and started everything, and whose only host refuses the connection."""
    lab.start(1 - len(lab.hosts), suite)
    project = statectl_project(place, lab.hosts[:1])
    inventory = "inventories/lab/hosts.yml"
    text = (project.root / inventory).read_text().replace(lab.hosts[0].address, "127.0.0.1\n    port: 1")
    project.write(inventory, text)
    return statistics.median(run_and_account(APPLY, project, (), code=3).peak_bytes for _ in range(rounds))


def report(costs: Costs, footer: str) -> str:
    """Markdown: against the goals, then by number of hosts."""
    lines = ["| an unchanged run | measured | goal, at most | |", "| --- | ---: | ---: | --- |"]
    lines += [
        f"| {what} | {value:.{digits}f} {unit}".rstrip() + f" | {goal} | {verdict(value <= least)} |"
        for what, value, digits, unit, goal, least in against_goals(costs)
    ]
    text = "\n".join(lines) + "\n"
    if costs.login_trips is not None:
        text += f"\nA login by itself takes {costs.login_trips:.1f} round trips.\n"
    if costs.fleets:
        text += (
            "\n| hosts | controller CPU (floor) | CPU of a host (floor) | controller memory (floor) "
            "| bytes on the wire, a host (floor) |\n| ---: | ---: | ---: | ---: | ---: |\n"
        )
        for one in costs.fleets:
            cells = [
                f"{one.median(what) * by:.{digits}f} {unit} ({one.median(what, floor=True) * by:.{digits}f})"
                for what, by, digits, unit in COLUMNS
            ]
            text += f"| {one.hosts} | {' | '.join(cells)} |\n"
    return f"{text}\n{footer}"


def against_goals(costs: Costs) -> Iterator[tuple[str, float, int, str, str, float]]:
    """(what, value, digits, unit, goal as text, goal)."""
    if costs.fleets:
        first, last = costs.fleets[0], costs.fleets[-1]
        if last.hosts > first.hosts:
            more = marginal((first.hosts, first.median("cpu_s")), (last.hosts, last.median("cpu_s"))) * 1000
            goal = f"{CONTROLLER_MS:.0f} ms (aim {STRETCH_CONTROLLER_MS:.0f})"
            yield f"controller CPU of one more host, {first.hosts} to {last.hosts}", more, 1, "ms", goal, CONTROLLER_MS
        there = last.median("host_cpu_s") * 1000
        yield (
            f"CPU of a host, {last.hosts} hosts",
            there,
            0,
            "ms",
            f"{HOST_MS:.0f} ms (aim {STRETCH_HOST_MS:.0f})",
            HOST_MS,
        )
        if costs.start_up_bytes is not None:
            over = (last.median("peak_bytes") - costs.start_up_bytes) / MIB
            what = f"controller memory over start-up ({costs.start_up_bytes / MIB:.0f} MiB), {last.hosts} hosts"
            yield what, over, 0, "MiB", f"{MEMORY_MIB:.0f} MiB", MEMORY_MIB
    if costs.trips is not None:
        yield "round trips after login", costs.trips, 1, "", f"{TRIPS:.0f}", TRIPS


def marginal(first: tuple[int, float], last: tuple[int, float]) -> float:
    """What one more costs: (number, cost) at two numbers -> cost by number."""
    return (last[1] - first[1]) / (last[0] - first[0])


def say(line: str) -> None:
    sys.stderr.write(line + "\n")
    sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(main())
