"""An event loop whose clock jumps to the next thing that is due: hours of waiting pass at once, and a hang is an error."""

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from typing import Any

THREAD_S = 0.05  # what a thread needs for anything


class Hang(AssertionError):
    """Nothing is due, nobody will ever wake this up."""


class _Selector(selectors.DefaultSelector):
    """Waits for nobody: what would be waited passes on the clock."""

    now = 0.0

    def select(self, timeout: float | None = None) -> Any:
        if timeout is None:
            raise Hang("everything waits, and nothing is due")
        self.now += max(0.0, timeout)
        return super().select(0)


class VirtualLoop(asyncio.SelectorEventLoop):
    """`time()` is virtual. What would go to a thread is done at once and known `THREAD_S` later: a run has one order of events."""

    def __init__(self) -> None:
        self._virtual = _Selector()
        super().__init__(self._virtual)

    def time(self) -> float:
        return self._virtual.now

    def run_in_executor(self, executor: Any, func: Callable[..., Any], *args: Any) -> Any:
        del executor
        future = self.create_future()
        result, failed = None, None
        try:
            result = func(*args)
        except Exception as error:  # noqa: BLE001  as an executor does
            failed = error

        def known() -> None:
            if future.cancelled():
                return
            if failed is not None:
                future.set_exception(failed)
            else:
                future.set_result(result)

        self.call_later(THREAD_S, known)
        return future


def run(main: Coroutine[Any, Any, Any]) -> Any:
    """Like asyncio.run, in virtual time."""
    loop = VirtualLoop()
    try:
        return loop.run_until_complete(main)
    finally:
        pending = asyncio.all_tasks(loop)
        for task in pending:
            task.cancel()
        if pending:
            loop.run_until_complete(asyncio.gather(*pending, return_exceptions=True))
        loop.close()
