"""What `serve` schedules, read from the project, and how it is run: as `apply` would, by nobody who watches.

The files are read anew for every run, all of one moment; in between only when something about them has changed. What may outlive a run
without anybody noticing does: logins (`transport/kept.py`), and a process that renders, which is started ahead.
"""

import asyncio
import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

from statectl.catalogue.child_process import ChildProcess
from statectl.cli.deciding import apply_code
from statectl.cli.fleet import Opened, credentials_of
from statectl.cli.formats.progress import Progress
from statectl.cli.formats.terminal import screen
from statectl.cli.opening import open_project, open_settings
from statectl.cli.scope import Scope
from statectl.errors import Refused
from statectl.plans.plan import Plan
from statectl.project.settings import FILE, config_files
from statectl.reconcile import reconcile
from statectl.reconcile.fleet import Fleet, Rate
from statectl.rollout.run_targets import Cancel
from statectl.server.definition import Definitions, looked_at
from statectl.server.jobs import Job, Placed
from statectl.server.lines import Line, hosts_of, lines_of
from statectl.server.needs import Ended, Look
from statectl.store.slots import Claimed
from statectl.store.store import Store
from statectl.transport.kept import KeptLogins

MOVED = "E523"  # files that changed while they were read
TRIES = 4
PAUSE_S = 1.0
LOCK_WAIT_S = 600.0  # for a host that another run holds: that of another association, or one that somebody typed

T = TypeVar("T")


class ScheduledRuns:
    """Runs, for `server.scheduler`."""

    def __init__(
        self,
        obj: Mapping[str, Any],
        options: Mapping[str, Any],
        store: Store,
        now: Callable[[], datetime],
        *,
        verbose: int,
        quiet: bool,
    ) -> None:
        """now: the clock by which maintenance windows are open."""
        self._obj = obj
        self._store = store
        self._now = now
        self._inventory: str | None = options["inventory"]
        self._verbose = verbose
        self._quiet = quiet
        self._definitions = Definitions()
        self._seen: dict[str, tuple[int, ...]] | None = None
        self._look = Look(())
        self._named: set[Path] = set()
        # a descriptor can be read once, and nobody sits there to be asked again
        self._credentials = credentials_of(options)
        self._kept = KeptLogins()
        self._ending = False
        self._child: ChildProcess | None = None  # that renders for the next run

    def look(self) -> Look:
        """The schedules, read again when a file of the project has changed. Raises ConfigError, again at every look."""
        before = self._signature()
        if self._seen is None or before != self._seen:
            self._seen = None
            self._look = self._read()
            after = self._signature()
            # an edit while they were read is met again at the next look
            same = all(after[file] == one for file, one in before.items() if file in after)
            self._seen = after if same else None
        return self._look

    def _signature(self) -> dict[str, tuple[int, ...]]:
        root, settings = open_settings(self._obj)
        paths = {root / FILE, root / "states", *config_files(os.environ), *self._named}
        paths.add(Path(self._inventory) if self._inventory else root / settings.inventory)
        return looked_at(paths)

    def _read(self) -> Look:
        project = open_project(self._obj)
        lines: list[Line] = []
        self._named = set()
        for association in project.associations.values():
            definition, named = self._definitions.of(association, project.profiles, project.root)
            self._named |= named
            lines += lines_of(association, definition)
        return Look(lines, project.settings.missed)

    def place(self, slots: Sequence[Claimed]) -> tuple[list[Placed], Mapping[str, frozenset[str]]]:
        """The hosts of each slot, and of each of their associations. One whose association is gone meanwhile has none."""
        opened = _of_one_moment(self._open)
        try:
            placed, every = [], {}
            for slot in slots:
                association = opened.project.associations.get(slot.association)
                if association is None:
                    placed.append(Placed(slot, (), 0))
                    continue
                concerned = opened.concerned(association.targets)
                every[association.name] = frozenset(concerned)
                matches = {one.targets: frozenset(opened.concerned(one.targets)) for one in association.where}
                timed = hosts_of(association, slot.variant, concerned, matches)
                placed.append(Placed(slot, concerned if slot.cause == "edit" else timed, association.jitter_s))
            return placed, every
        finally:
            opened.close()

    async def run(self, job: Job, run_id: str, cancel: Cancel) -> Ended:
        scope = Scope(associations=job.associations, inventory=self._inventory)
        child, self._child = self._child or ChildProcess(), None
        try:
            return await self._run(job, run_id, cancel, scope, child)
        finally:
            await asyncio.to_thread(child.close)
            if self._child is None and not self._ending:
                with suppress(OSError):  # the next run starts one, and says why when it cannot
                    self._child = ChildProcess()

    async def close(self) -> None:
        """Log out everywhere."""
        self._ending = True
        await self._kept.close()
        if self._child is not None:
            self._child.close()

    async def _run(self, job: Job, run_id: str, cancel: Cancel, scope: Scope, child: ChildProcess) -> Ended:
        opened, fleet = await asyncio.to_thread(_of_one_moment, lambda: self._opened(scope, job.hosts, child))
        opened.keep_logins(self._kept)
        shown = replace(screen(sys.stderr), terminal=False, live=False)
        progress = Progress(
            sys.stderr, shown, len(fleet.hosts), verbose=self._verbose, quiet=self._quiet or not self._verbose
        )
        fleet.scope = {**fleet.scope, "slot": [slot.id for slot in job.slots]}
        rate = Rate(lock_timeout_s=LOCK_WAIT_S)
        try:
            run = await reconcile.apply(fleet, rate, progress, cancel, agree=_agreed, unattended=True, run_id=run_id)
        finally:
            await asyncio.to_thread(opened.close)
        hosts = {name: (result.outcome, result.reason) for name, result in run.results.items()}
        return Ended(run.outcome, apply_code(run), hosts)

    def _open(self) -> Opened:
        opened = Opened.of(self._obj, self._inventory, store=self._store)
        opened.credentials = self._credentials
        opened.now = self._now
        return opened

    def _opened(self, scope: Scope, hosts: Sequence[str], child: ChildProcess) -> tuple[Opened, Fleet]:
        opened = self._open()
        opened.child = child
        try:
            there = [name for name in hosts if name in opened.inventory.hosts]
            return opened, opened.fleet(scope, kind="apply", hosts=there, unattended=True)
        except BaseException:
            opened.close()
            raise


async def _agreed(_: Plan) -> bool:
    return True


def _of_one_moment(read: Callable[[], T]) -> T:
    """What `read` gives; when the files move meanwhile, as with a `git pull`, it is read again."""
    for _ in range(TRIES - 1):
        try:
            return read()
        except Refused as error:
            if error.code != MOVED:
                raise
            time.sleep(PAUSE_S)
    return read()
