"""Growth with hosts: an unchanged fleet of one to ten thousand, and one of whose hosts 30 % are dead."""

import argparse
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from tests.benchmarks.grown import Grown
from tests.benchmarks.simulated import Simulated, states
from tests.benchmarks.spent import Spent, run_and_account
from tests.lab import LabHost
from tests.lab.project import LabProject

STATECTL = (sys.executable, "-m", "statectl")
RUNS = {"drift": ("drift",), "apply": ("apply", "--yes")}
APPLY_UP_TO = 1000  # hosts: with more, only the drift check is measured
SAID = {"drift": "no drift", "apply": "no changes"}
LIMIT_S = 7200
LOOK_S = 0.25


def hosts(order: argparse.Namespace, place: Path, lab_host: LabHost) -> Iterator[Grown]:
    """An unchanged fleet, by number of hosts. Row 0: the same command when its only host refuses the connection."""
    with Simulated(lab_host) as many:
        project = many.project(place, states(order.each))
        many.inventory(project, [1], closed=[1])
        for run in order.runs:
            yield Grown.of(run, 0, run_and_account([*STATECTL, *RUNS[run]], project, (), code=3))
        for count in order.hosts:
            many.inventory(project, range(1, count + 1))
            become(project)
            for run in order.runs:
                if run == "drift" or count <= APPLY_UP_TO:
                    yield Grown.of(run, count, unchanged(run, project, lab_host))


def become(project: LabProject) -> None:
    """Every host is contacted once: it makes its memory, and the store knows it."""
    project.statectl("drift", "-q", expect=0, timeout=LIMIT_S)


def unchanged(run: str, project: LabProject, lab_host: LabHost, *, executors: bool = False) -> Spent:
    spent = run_and_account([*STATECTL, *RUNS[run]], project, [lab_host], executors=executors)
    if SAID[run] not in spent.said.lower():
        raise RuntimeError(f"not a run that found everything as it was\n{spent.said[-3000:]}")
    return spent


def dead(order: argparse.Namespace, place: Path, lab_host: LabHost) -> Iterator[Grown]:
    """A drift check of a fleet whose hosts all answer; then 30 % of them do not: half refuse, half say nothing."""
    with Simulated(lab_host) as many:
        project = many.project(place, states(order.each))
        for count in order.dead:
            everybody = range(1, count + 1)
            many.inventory(project, everybody)
            become(project)
            for run, down in dead_ones(count).items():
                many.inventory(project, everybody, closed=down[::2])
                with many.silent(down[1::2]), LastLogin(lab_host) as last:
                    spent = run_and_account([*STATECTL, *RUNS["drift"]], project, [lab_host], code=3 if down else 0)
                    began = time.monotonic() - spent.seconds
                row = Grown.of(run, count, spent)
                row.live_s = last.seen - began
                yield row


def dead_ones(count: int) -> dict[str, list[int]]:
    """Which hosts are dead, by row: none; three of every ten; the first ones, as when a whole site is away."""
    spread = [number for number in range(1, count + 1) if number * 3 // 10 > (number - 1) * 3 // 10]
    return {"all alive": [], "dead ones spread": spread, "dead ones first": list(range(1, len(spread) + 1))}


class LastLogin:
    """`seen`: when more ran on the host than before, for the last time; by the clock of time.monotonic, in quarters of a second."""

    def __init__(self, lab_host: LabHost) -> None:
        self.seen = time.monotonic()
        self._host = lab_host
        self._idle = len(lab_host.processes())
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def __enter__(self) -> "LastLogin":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._ended.wait(LOOK_S):
            if len(self._host.processes()) > self._idle + 1:
                self.seen = time.monotonic()
