"""Play one row: the fault, the command, the six oracles, the healing."""

import subprocess
import sys
import tempfile
import time
import traceback
from pathlib import Path
from typing import NamedTuple

from tests.faults import oracles
from tests.faults.row import Row
from tests.faults.scene import Scene
from tests.lab.places import PROJECT
from tests.lab.pool import HostPool


class Played(NamedTuple):
    """How one playing of a row ended. `oracle`: '' when it was survived."""

    row: Row
    survived: bool
    seconds: float
    oracle: str
    seen: str


def _doctor(row: Row, scene: Scene) -> None:
    """`doctor` finds the cause while it is there, and what fails has a next step."""
    asking = ("--become-password-fd", "0") if "--become-password-fd" in row.command else ()
    said = scene.run("doctor", scene.victim.name, *asking, stdin=row.stdin, limit_s=90)
    assert row.doctor in said.out, f"doctor does not say {row.doctor!r}\n{said}"
    assert said.code == 0 or "next: " in said.out, f"doctor names no next step\n{said}"
    assert "Traceback" not in said.err, said


def _swept(row: Row) -> Played:
    began = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", *row.sweep], cwd=PROJECT, capture_output=True, text=True, check=False, timeout=3600
    )
    survived = done.returncode == 0
    seen = "" if survived else done.stdout[-4000:] + done.stderr[-4000:]
    return Played(row, survived, time.monotonic() - began, "" if survived else "sweep", seen)


class Stage:
    """Hosts for the rows, taken from a pool, and how long the workload takes on a clean host of each suite."""

    def __init__(self, pool: HostPool) -> None:
        self._pool = pool
        self._clean: dict[str, float] = {}

    def clean_s(self, suite: str) -> float:
        """Seconds the witness takes for the whole workload while nothing is broken; measured once."""
        if suite not in self._clean:
            self._clean[suite] = self._measured(suite)
        return self._clean[suite]

    def _measured(self, suite: str) -> float:
        hosts = self._pool.take(2, suite)
        try:
            with tempfile.TemporaryDirectory() as place:
                scene = Scene(Path(place), hosts)
                said = scene.run("apply", "--yes", "--json")
                if said.code:
                    raise RuntimeError(f"the workload fails on clean hosts\n{said}")
                return max(float(scene.host_told(host, said)["seconds"]) for host in hosts)
        finally:
            self._pool.give_back(hosts)

    def _isolated(self, row: Row, scene: Scene, clean_s: float) -> None:
        """O2; before it is broken for being slow, the clean time is taken again: something else may keep the machine busy."""
        assert scene.said is not None
        try:
            oracles.isolated(row, scene, scene.said, clean_s + row.slower_s)
        except oracles.Slow:
            oracles.isolated(row, scene, scene.said, max(clean_s, self._measured(row.suite)) + row.slower_s)

    def play(self, row: Row) -> Played:
        """Once. Faults are mended and hosts given back whatever happens."""
        if row.sweep:
            return _swept(row)
        clean_s = self.clean_s(row.suite)
        began = time.monotonic()
        hosts = self._pool.take(2 + row.extras, row.suite)
        try:
            with tempfile.TemporaryDirectory() as place:
                scene = Scene(Path(place), hosts, states=row.states)
                try:
                    self._judge(row, scene, clean_s)
                except AssertionError as error:
                    oracle = error.oracle if isinstance(error, oracles.Broken) else "says"
                    return Played(row, survived=False, seconds=time.monotonic() - began, oracle=oracle, seen=str(error))
                except Exception:  # noqa: BLE001  a row that cannot be judged is not survived, and the others go on
                    seen = traceback.format_exc()
                    return Played(row, survived=False, seconds=time.monotonic() - began, oracle="error", seen=seen)
                finally:
                    for close in reversed(scene.closers):
                        close()
        finally:
            for host in hosts:
                host.heal_quietly()
            self._pool.give_back(hosts)
        return Played(row, survived=True, seconds=time.monotonic() - began, oracle="", seen="")

    def _judge(self, row: Row, scene: Scene, clean_s: float) -> None:
        mended = row.mend is None
        try:
            if row.prepare is not None:
                row.prepare(scene)
            scene.run("plan", "--json")
            acknowledged = set()
            if (
                row.prepare is not None or (scene.project.root / ".statectl").exists()
            ):  # the fault needed runs before it
                acknowledged = {run["id"] for run in scene.run("runs", "list", "--json").json["runs"]}
            if row.inject is not None:
                scene.injected = row.inject(scene)
            words = {
                "{victim}": scene.victim.name,
                "{witness}": scene.witness.name,
                "{project}": str(scene.project.root),
            }
            scene.said = scene.run(
                *(words.get(word, word) for word in row.command),
                during=row.during,
                limit_s=row.bound_s + 30,
                stdin=row.stdin,
                prefix=row.prefix,
            )
            oracles.ends(row, scene.said)
            oracles.alone(scene)
            oracles.true(row, scene, scene.said)
            self._isolated(row, scene, clean_s)
            oracles.undamaged(scene, healed=False)
            if row.says is not None:
                row.says(scene)
            if row.doctor:
                _doctor(row, scene)
            if row.mend is not None:
                row.mend(scene)
            mended = True
            oracles.heals(row, scene)
            oracles.resolved(row, scene, scene.said)
            if row.healed is not None:
                row.healed(scene)
            oracles.undamaged(scene, healed=True)
            oracles.kept(scene, acknowledged, scene.said)
        finally:
            if not mended and row.mend is not None:
                row.mend(scene)
