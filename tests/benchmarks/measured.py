"""Measurements that outlive one run of the benchmark: peers take minutes and are measured seldom, statectl often."""

import json
import os
import statistics
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path

from tests.lab.places import PROJECT

SCENARIOS = ("cold", "unchanged", "drifted")
FILE = PROJECT / ".cache" / "benchmarks" / "apply.json"


@dataclass
class Measured:
    """One tool in one scenario at one number of hosts. `load`: of other work on the machine before the first round."""

    hosts: int
    scenario: str
    tool: str
    version: str
    load: float
    date: str = field(default_factory=lambda: time.strftime("%Y-%m-%d"))
    seconds: list[float] = field(default_factory=list)

    @property
    def median(self) -> float:
        return statistics.median(self.seconds)

    @property
    def spread(self) -> float:
        return (max(self.seconds) - min(self.seconds)) / self.median


def load(file: Path = FILE) -> dict[tuple[int, str, str], Measured]:
    rows = [Measured(**row) for row in json.loads(file.read_text())] if file.exists() else []
    return {(row.hosts, row.scenario, row.tool): row for row in rows}


def save(rows: Iterable[Measured], file: Path = FILE) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    new = file.with_suffix(f".{os.getpid()}")
    new.write_text(json.dumps([asdict(row) for row in rows], indent=1))
    new.replace(file)
