"""The store's eye on a run that goes on here: that we live, which hosts were told to go, what was told, and whether to stop.

Several hosts that are told to go at the same moment share one transaction; what was told is written once a second, for those
who follow. A store that fails in this way fails the run at its next record, not here.
"""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any, Protocol

from statectl.errors import StatectlError
from statectl.rollout.run_targets import Cancel

LOOK_S = 1.0
BEAT_S = 15.0
TOLD = ("pace", "result", "notified", "waiting", "log")
MAX_TOLD = 5000  # messages of one second that followers are told


class Records(Protocol):
    """What is needed of `store.under_way.UnderWay`."""

    def begun(self, run_id: str, hosts: Iterable[str]) -> None: ...
    def beat(self, run_id: str, messages: Sequence[tuple[str, Mapping[str, Any]]]) -> None: ...
    def cancelled_by(self, run_id: str) -> str: ...


class Watch:
    """`async with Watch(...)` while hosts are worked on. `cancelled_by`: who asked for the end, '' when nobody did."""

    def __init__(self, records: Records, run_id: str, cancel: Cancel) -> None:
        self.cancelled_by = ""
        self._records = records
        self._run_id = run_id
        self._cancel = cancel
        self._told: list[tuple[str, Mapping[str, Any]]] = []
        self._beginning: list[str] = []
        self._begun: set[str] = set()
        self._writing: asyncio.Task[None] | None = None
        self._eye: asyncio.Task[None] | None = None

    async def __aenter__(self) -> "Watch":
        self._eye = asyncio.create_task(self._look())
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._eye is not None:
            self._eye.cancel()
            with suppress(asyncio.CancelledError):
                await self._eye

    def message(self, host: str, message: Mapping[str, Any]) -> None:
        """Remember it for the next beat. Results that are as wanted are counted by nobody who follows."""
        if message["type"] not in TOLD or message.get("outcome") == "ok" or len(self._told) >= MAX_TOLD:
            return
        self._told.append((host, message))

    async def begun(self, host: str) -> None:
        """Durable on return: this host is told to go."""
        self._beginning.append(host)
        while host not in self._begun:  # a second time for one that came while a transaction was under way
            if self._writing is None or self._writing.done():
                self._writing = asyncio.create_task(self._begin())
            await asyncio.shield(self._writing)

    async def _begin(self) -> None:
        await asyncio.sleep(0)  # those that start in the same turn come along
        hosts, self._beginning = self._beginning, []
        await asyncio.to_thread(self._records.begun, self._run_id, hosts)
        self._begun.update(hosts)

    async def _look(self) -> None:
        loop = asyncio.get_running_loop()
        last = loop.time()
        while True:
            await asyncio.sleep(LOOK_S)
            with suppress(StatectlError):  # the next record of a host meets the same trouble, and tells it
                told, self._told = self._told, []
                if told or loop.time() - last >= BEAT_S:
                    last = loop.time()
                    await asyncio.to_thread(self._records.beat, self._run_id, told)
                by = await asyncio.to_thread(self._records.cancelled_by, self._run_id)
                if by and not self._cancel.requested.is_set():
                    self.cancelled_by = by
                    self._cancel.request()
