"""`statectl` in a process whose clock shows what stands in a file: TOLD_CLOCK=FILE python -m tests.sweeps.told_clock serve ...

The schedules, the maintenance windows and the time stamps of the store go by it. Everything that waits for a host goes by the real one.
"""

import asyncio
import os
import sys
from datetime import UTC, datetime
from pathlib import Path

LOOK_S = 0.02


def tell(file: Path, moment: datetime) -> None:
    """Set the clocks of all who read this file."""
    new = file.with_suffix(".new")
    new.write_text(moment.isoformat())
    new.replace(file)


class ToldClock:
    """As server.clock.Clock. Both clocks are the one that is told: it is never set back."""

    def __init__(self) -> None:
        self._file = Path(os.environ["TOLD_CLOCK"])

    def now(self) -> datetime:
        return datetime.fromisoformat(self._file.read_text()).astimezone(UTC)

    def monotonic(self) -> float:
        return self.now().timestamp()

    async def wait(self, woken: asyncio.Event, seconds: float) -> None:
        end = self.monotonic() + seconds
        while not woken.is_set() and self.monotonic() < end:  # noqa: ASYNC110  nobody here sets the clock
            await asyncio.sleep(LOOK_S)


def main() -> None:
    from statectl.store import ids

    ids.now = lambda: ToldClock().now().strftime("%Y-%m-%dT%H:%M:%SZ")  # before anybody takes it from there
    from statectl.server import clock

    clock.SystemClock = ToldClock
    from statectl.__main__ import main as statectl

    sys.exit(statectl())


if __name__ == "__main__":
    main()
