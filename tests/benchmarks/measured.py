"""Measurements that outlive one run of the benchmark: peers take minutes and are measured seldom, statectl often."""

import json
import os
import statistics
import time
from collections.abc import Iterable, Mapping
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


def table(rows: Mapping[tuple[int, str, str], Measured], tools: Iterable[str], footer: str) -> str:
    """Markdown: a row per number of hosts and scenario, a column per tool, and how many times faster statectl is."""
    named = [tool for tool in tools if any(row.tool == tool for row in rows.values())]
    others = [tool for tool in named if tool != "statectl"] if "statectl" in named else []
    heads = [f"{tool} {next(row.version for row in rows.values() if row.tool == tool)}" for tool in named]
    lines = [
        f"| hosts | run | {' | '.join([*heads, *(f'times faster than {tool}' for tool in others)])} |",
        f"| ---: | --- |{' ---: |' * (len(heads) + len(others))}",
    ]
    for count in sorted({row.hosts for row in rows.values()}):
        for scenario in SCENARIOS:
            found = {tool: rows.get((count, scenario, tool)) for tool in named}
            cells = [f"{row.median:.2f} s" if row else "" for row in found.values()]
            ours = found.get("statectl")
            cells += [f"{row.median / ours.median:.1f}" if (row := found[tool]) and ours else "" for tool in others]
            lines.append(f"| {count} | {scenario} | {' | '.join(cells)} |")
    notes = []
    for tool in named:
        mine = [row for row in rows.values() if row.tool == tool]
        rounds = min(len(row.seconds) for row in mine)
        several = (
            f"median of {rounds}, widest spread {max(row.spread for row in mine):.0%}" if rounds > 1 else "one round"
        )
        busy = max(row.load for row in mine)
        notes.append(f"{tool}: {several}, {max(row.date for row in mine)}, load of other work before it {busy:.1f}")
    return "\n".join(lines) + f"\n\nWall time of the whole process. {'; '.join(notes)}. {footer}\n"
