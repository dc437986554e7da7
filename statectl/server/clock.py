"""The two clocks: the wall's, which may jump, says which slots are due; the monotonic one says how long to wait."""

import asyncio
import time
from contextlib import suppress
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    def now(self) -> datetime: ...
    def monotonic(self) -> float: ...
    async def wait(self, woken: asyncio.Event, seconds: float) -> None: ...


class SystemClock:
    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()

    async def wait(self, woken: asyncio.Event, seconds: float) -> None:
        """Until `woken` is set, at most so long."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await woken.wait()
