"""`serve` of a lab project as a process under a told clock: begun, killed, waited for, and its slots read from the store."""

import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from tests.lab.project import LabProject
from tests.lab.waiting import LOOK_S, wait_for
from tests.sweeps.told_clock import tell

FLOW = timedelta(seconds=31)  # that go by in each second in which we wait: serve looks at its files again


class Serving:
    """Nothing runs before `begin`. `log`: what it has told, over all its lives."""

    def __init__(self, project: LabProject, start: datetime) -> None:
        self.log = project.root.with_name("serve.log")
        self._project = project
        self._clock = project.root.with_name("clock")
        self._process: subprocess.Popen[bytes] | None = None
        tell(self._clock, start)

    @property
    def now(self) -> datetime:
        return datetime.fromisoformat(self._clock.read_text())

    def tell(self, moment: datetime) -> None:
        """Set the clock, never back."""
        tell(self._clock, max(moment, self.now))

    def begin(self) -> None:
        """On return it serves, and has looked once: what falls due from now on counts."""
        before = self.log.read_bytes().count(b"serving ") if self.log.exists() else 0
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.sweeps.told_clock", "serve", "--listen", "127.0.0.1:0"],
                cwd=self._project.root,
                env=self._project.environment({"TOLD_CLOCK": str(self._clock)}),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        wait_for(lambda: self.log.read_bytes().count(b"serving ") > before, "serve says that it serves", 60)
        wait_for(lambda: self._select("schedules"), "the first look", 60)

    def kill(self) -> None:
        """With -9."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def end(self) -> str:
        """As systemd does -> what is wrong with how it ended, '' when nothing is."""
        if self._process is None or self._process.poll() is not None:
            return ""
        self._process.send_signal(signal.SIGTERM)
        try:
            code = self._process.wait(60)
        except subprocess.TimeoutExpired:
            self.kill()
            return "serve does not end"
        if code:
            return f"serve ended with {code}"
        return "serve printed a traceback" if b"Traceback" in self.log.read_bytes() else ""

    def slots(self) -> dict[str, dict[str, Any]]:
        """Rows by id, as the store has them."""
        return {f"{row['association']}@{row['scheduled']}": row for row in self._select("slots")}

    def state(self, slot: str) -> str:
        """'' while it is not there."""
        return str(self.slots().get(slot, {}).get("state", ""))

    def ended(self, slot: str) -> bool:
        return self.state(slot) not in ("", "due", "running")

    def _select(self, table: str) -> list[dict[str, Any]]:
        store = sqlite3.connect(f"file:{self._project.root}/.statectl/state.db?mode=ro", uri=True)
        store.row_factory = sqlite3.Row
        try:
            return [dict(row) for row in store.execute(f"SELECT * FROM {table}")]
        finally:
            store.close()

    def until(self, condition: Callable[[], object], what: str, limit_s: float = 120) -> None:
        """Wait, and let time go by meanwhile."""
        end, flows = time.monotonic() + limit_s, time.monotonic() + 1
        while not condition():
            assert time.monotonic() < end, f"not within {limit_s:g} s: {what}\n{self.log.read_text()[-3000:]}"
            if time.monotonic() > flows:
                flows += 1
                self.tell(self.now + FLOW)
            time.sleep(LOOK_S)
