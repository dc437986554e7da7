"""A clock that does as it is told, and runs that are no runs, for tests of the scheduler."""

import asyncio
import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from unittest.mock import patch

from statectl.errors import StatectlError
from statectl.project.schedules import timing_of
from statectl.server.jobs import Job, Placed
from statectl.server.lines import Line
from statectl.server.needs import Ended, Look
from statectl.server.scheduler import Scheduler
from statectl.store import sqlite
from statectl.store.store import Store

START = dt.datetime(2026, 11, 23, 12, 0, 30, tzinfo=dt.UTC)


def line(association: str, schedule: str = "rate(10 minutes)", definition: str = "d", **more) -> Line:
    fields = {"variant": "", "jitter_s": 0, "only_at_schedule": False, **more}
    return Line(association=association, timing=timing_of(schedule, "UTC", 0), definition=definition, **fields)


class FakeClock:
    """Waiting takes no time; the wall's clock moves with it, unless `jump` sets it."""

    def __init__(self, at: dt.datetime = START) -> None:
        self.wall = at
        self.seconds = 1000.0
        self.waits = 0
        self.before_wait: Callable[[], None] = lambda: None
        self.busy: Callable[[], bool] = lambda: False

    def now(self) -> dt.datetime:
        return self.wall

    def monotonic(self) -> float:
        return self.seconds

    async def wait(self, woken: asyncio.Event, seconds: float) -> None:
        self.waits += 1
        self.before_wait()
        if woken.is_set() or self.busy():
            await asyncio.wait_for(woken.wait(), 20)
            return
        self.pass_by(seconds)

    def pass_by(self, seconds: float) -> None:
        self.seconds += seconds
        self.wall += dt.timedelta(seconds=seconds)

    def jump(self, by: dt.timedelta | dt.datetime) -> None:
        self.wall = by if isinstance(by, dt.datetime) else self.wall + by


class FakeRuns:
    """`lines` and `hosts` are what the files say; `begun` is what was run: (monotonic, job)."""

    def __init__(
        self, clock: FakeClock, lines: Sequence[Line], hosts: Mapping[str, Sequence[str]] | None = None
    ) -> None:
        self.clock = clock
        self.lines = list(lines)
        self.hosts = dict(hosts or {})
        self.missed = "once"
        self.begun: list[tuple[float, Job]] = []
        self.broken: StatectlError | None = None
        self.work: Callable[[Job], Mapping[str, tuple[str, str]] | None] = lambda job: None
        self.hold: asyncio.Event | None = None
        self.at_work = 0

    def look(self) -> Look:
        if self.broken is not None:
            raise self.broken
        return Look(list(self.lines), self.missed)

    def place(self, slots):
        names = {slot.association for slot in slots}
        jitter = {one.association: one.jitter_s for one in self.lines}
        placed = [
            Placed(
                slot,
                self.hosts.get(f"{slot.association} {slot.variant}".strip(), ["h1"]),
                jitter.get(slot.association, 0),
            )
            for slot in slots
        ]
        concerned = {
            name: frozenset(
                host for key, hosts in {name: ["h1"], **self.hosts}.items() if key.split()[0] == name for host in hosts
            )
            for name in names
        }
        return placed, concerned

    async def run(self, job, run_id, cancel):
        self.begun.append((self.clock.monotonic(), job))
        self.at_work += 1
        try:
            hosts = self.work(job) or dict.fromkeys(job.hosts, ("ok", ""))
            if self.hold is not None:
                waiting = asyncio.ensure_future(self.hold.wait())
                stopped = asyncio.ensure_future(cancel.requested.wait())
                await asyncio.wait([waiting, stopped], return_when=asyncio.FIRST_COMPLETED)
                waiting.cancel()
                stopped.cancel()
                if not self.hold.is_set():
                    hosts = dict.fromkeys(job.hosts, ("stopped", "the run was stopped"))
        finally:
            self.at_work -= 1
        bad = any(outcome == "failed" for outcome, _ in hosts.values())
        return Ended("failed" if bad else "done", int(bad), hosts)

    @property
    def slots(self) -> list[str]:
        """The ids of what was run, in order."""
        return [slot.id for _, job in self.begun for slot in job.slots]


def open_store(path: Path, url: str = "sqlite:state.db") -> Store:
    """Without waiting for the disk: these tests are about what is written, not whether it survives a power cut."""
    with patch.object(sqlite, "SYNCHRONOUS", "OFF"):
        return Store.open(url, path)


class Killed(BaseException):
    """The process is gone at this point."""


def run_until(
    scheduler: Scheduler, clock: FakeClock, end: dt.datetime | Callable[[], bool], *, waits: int = 100_000
) -> None:
    """Serve until the wall's clock has come to `end`, or until it is true; then stop properly."""
    done = end if callable(end) else lambda: clock.wall >= end

    def look_up() -> None:
        assert clock.waits < waits, "it never came to its end"
        if done():
            scheduler.stop()

    clock.before_wait = look_up
    clock.busy = lambda: bool(scheduler._tasks)
    asyncio.run(scheduler.serve())
