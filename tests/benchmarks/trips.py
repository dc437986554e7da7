"""Round trips, counted by what a long line adds: to a run that changes nothing, and to a login by itself."""

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from tests.benchmarks.contestants import statectl_project
from tests.benchmarks.floors import bare
from tests.lab import LabHost, wan
from tests.lab.project import LabProject


def round_trips(place: Path, host: LabHost, delay_ms: float, rounds: int) -> tuple[float, float]:
    """Of an unchanged run after its login, and of a login; short and long line in turn.

    The shortest of so many rounds counts: whatever else the machine does only makes a run longer.
    """
    project = statectl_project(place, [host])
    project.statectl("apply", "--yes", expect=0, timeout=300)
    inventory = "inventories/lab/hosts.yml"
    known = project.home / ".ssh" / "known_hosts"
    apply: tuple[list[float], list[float]] = ([], [])
    login: tuple[list[float], list[float]] = ([], [])
    for _ in range(rounds):
        for which, one_way in enumerate((0.0, delay_ms / 2)):
            line = wan.start(host, one_way_ms=one_way, loss=0)
            try:
                project.write(inventory, (project.root / inventory).read_text().replace(host.address, line.there))
                known.write_text(f"{line.there} {host.host_key}\n")
                apply[which].append(_seconds([sys.executable, "-m", "statectl", "apply", "--yes"], project))
                login[which].append(_seconds([*bare(host.key, known), "login", line.there], project))
            finally:
                line.stop()
    whole, alone = ((min(long) - min(short)) / (delay_ms / 1000) for short, long in (apply, login))
    return whole - alone, alone


def _seconds(argv: Sequence[str], project: LabProject) -> float:
    began = time.monotonic()
    done = subprocess.run(
        argv,
        cwd=project.root,
        env={**os.environ, **project.environment()},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    seconds = time.monotonic() - began
    if done.returncode:
        raise RuntimeError(f"{' '.join(argv)} exited {done.returncode}\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    return seconds
