"""Do one thing on many hosts, at most so many at once, until done, cancelled or over the error budget.

The one implementation for every verb and, later, every worker. It knows nothing of plans: `work` does, and returns the
host's outcome as a word.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from statectl.rollout.budget import Budget

TERMINATED = "terminated"  # never started: the budget was spent, or the run was cancelled


@dataclass
class Cancel:
    """Set once: nothing new starts. Set twice: what runs is stopped at its next border, then let go."""

    requested: asyncio.Event = field(default_factory=asyncio.Event)
    aborted: asyncio.Event = field(default_factory=asyncio.Event)

    def request(self) -> None:
        if self.requested.is_set():
            self.aborted.set()
        self.requested.set()


async def run_targets(
    waves: Sequence[Sequence[str]],
    work: Callable[[str], Awaitable[str]],
    *,
    concurrency: int,
    budget: Budget,
    cancel: Cancel,
    on_outcome: Callable[[str, str], None] | None = None,
) -> dict[str, str]:
    """Run `work(host)` for every host of every wave in order; a wave begins when the one before has ended.

    Returns {host: outcome word}; hosts that were never started are `terminated`. An exception of `work` is a bug and
    propagates once what is in flight has ended.
    """
    outcomes: dict[str, str] = {}

    async def one(host: str) -> None:
        outcome = await work(host)
        outcomes[host] = outcome
        budget.record(outcome)
        if on_outcome:
            on_outcome(host, outcome)

    for wave in waves:
        waiting = list(reversed(wave))
        running: set[asyncio.Task[None]] = set()
        abort = asyncio.create_task(cancel.aborted.wait())
        try:
            while waiting or running:
                while waiting and len(running) < concurrency and not budget.spent and not cancel.requested.is_set():
                    running.add(asyncio.create_task(one(waiting.pop())))
                if not running:
                    break
                done, _ = await asyncio.wait({*running, abort}, return_when=asyncio.FIRST_COMPLETED)
                if abort in done:
                    for task in running:
                        task.cancel()
                    await asyncio.gather(*running, return_exceptions=True)
                    break
                for task in [task for task in running if task.done()]:
                    running.discard(task)
                    task.result()
        finally:
            abort.cancel()
            if running:
                await asyncio.gather(*running, return_exceptions=True)
        for host in reversed(waiting):
            outcomes.setdefault(host, TERMINATED)
        if cancel.aborted.is_set():
            for host in wave:
                outcomes.setdefault(host, "unknown")  # stopped in the middle: only its next contact tells
    return outcomes
