"""A tool of the benchmark: its command, what it says when nothing had to be done, and the environment of a peer."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.benchmarks.measured import SCENARIOS
from tests.lab.places import PROJECT, digest_of, locked, run

PEERS = Path(__file__).parent / "peers"
ENVIRONMENTS = PROJECT / ".cache" / "peers"


def peer_environment(name: str) -> Path:
    """A virtual environment with the pinned version of a peer, made once. Needs a package registry the first time."""
    requirements = PEERS / name / "requirements.txt"
    place = ENVIRONMENTS / f"{name}-{digest_of(requirements.read_bytes())}"
    with locked(ENVIRONMENTS / f"{name}.lock"):
        if not (place / "ready").exists():
            shutil.rmtree(place, ignore_errors=True)
            run([sys.executable, "-m", "venv", place])
            run([place / "bin" / "pip", "install", "--quiet", "-r", requirements])
            (place / "ready").touch()
    return place


def plain_environment(home: Path) -> dict[str, str]:
    """Nothing of the one who measures."""
    return {"PATH": os.environ["PATH"], "HOME": str(home), "LC_ALL": "C.UTF-8", "TERM": "dumb"}


@dataclass
class Tool:
    """A tool set up for some hosts. `command` is the whole process that is timed.

    `nothing_changed` is found `times` times in the output of a run that changed nothing; None for a floor, which looks at nothing.
    `sockets`: where it keeps connections open between runs.
    """

    name: str
    version: str
    command: Sequence[str]
    cwd: Path
    env: Mapping[str, str]
    nothing_changed: re.Pattern[str] | None = None
    times: int = 1
    scenarios: Sequence[str] = SCENARIOS
    sockets: Path | None = None

    def run(self) -> str:
        """One run to its end; a failure raises with all that it said."""
        done = subprocess.run(
            self.command,
            cwd=self.cwd,
            env=dict(self.env),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            check=False,
        )
        if done.returncode:
            raise RuntimeError(f"{self.name} exited {done.returncode}\n{done.stdout[-5000:]}")
        return done.stdout

    def changed_nothing(self, said: str) -> bool:
        return self.nothing_changed is None or len(self.nothing_changed.findall(said)) == self.times

    def forget(self) -> None:
        """Drop what is kept between runs on this side: connections that were left open."""
        for socket in self.sockets.glob("*") if self.sockets else ():
            subprocess.run(["ssh", "-O", "exit", "-S", socket, "host"], capture_output=True, check=False)
