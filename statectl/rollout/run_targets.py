"""Do one thing on many hosts, at most so many at once, until done, cancelled or over the error budget.

The one implementation for every verb and, later, every worker. It knows nothing of plans: `work` does, and returns the
host's outcome as a word.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from statectl.rollout.budget import Budget

TERMINATED = "terminated"  # never started: the budget was spent, or the run was cancelled
UNKNOWN = "unknown"  # let go in the middle: only its next contact tells


@dataclass
class Cancel:
    """Set once: nothing new starts. Set twice: what runs is stopped at its next border, then let go."""

    requested: asyncio.Event = field(default_factory=asyncio.Event)
    aborted: asyncio.Event = field(default_factory=asyncio.Event)

    def request(self) -> None:
        if self.requested.is_set():
            self.aborted.set()
        self.requested.set()


class Outcomes(dict[str, str]):
    """{host: outcome word}. `stopped_by`: why hosts were not started, the first reason there was: '', 'errors' or 'cancel'."""

    stopped_by: str = ""


async def run_targets(
    waves: Sequence[Sequence[str]],
    work: Callable[[str], Awaitable[str]],
    *,
    concurrency: int,
    budget: Budget,
    cancel: Cancel,
    on_outcome: Callable[[str, str], None] | None = None,
    between: Callable[[Sequence[str], Sequence[str]], Awaitable[None]] | None = None,
) -> Outcomes:
    """Run `work(host)` for every host of every wave in order; a wave begins when the one before has ended.

    `between(wave, later hosts)` is awaited after a wave that others follow, unless the run is over; it minds `cancel` itself.

    Hosts that were never started are `terminated`, those that were let go `unknown`; `work` may itself return `terminated` for a
    host that it found held back. An exception of `work` is a bug: nothing new starts, and it propagates once what is in flight ended.
    """
    outcomes = Outcomes()

    async def one(host: str) -> None:
        outcome = await work(host)
        outcomes[host] = outcome
        budget.record(host, outcome)
        if outcome == TERMINATED:  # it was held back at the last moment
            stopped()
        if on_outcome:
            on_outcome(host, outcome)

    def stopped() -> bool:
        reason = "cancel" if cancel.requested.is_set() else "errors" if budget.spent else ""
        outcomes.stopped_by = outcomes.stopped_by or reason
        return bool(outcomes.stopped_by)

    for number, wave in enumerate(waves):
        waiting = list(reversed(wave))
        running: dict[asyncio.Task[None], str] = {}
        abort = asyncio.create_task(cancel.aborted.wait())
        try:
            while waiting or running:
                while waiting and len(running) < concurrency and not stopped():
                    host = waiting.pop()
                    running[asyncio.create_task(one(host))] = host
                if not running:
                    break
                await asyncio.wait({*running, abort}, return_when=asyncio.FIRST_COMPLETED)
                if abort.done():
                    await _let_go(running, outcomes, budget)
                for task in [task for task in running if task.done()]:
                    del running[task]
                    if not task.cancelled():
                        task.result()
        finally:
            abort.cancel()
            if running:
                await asyncio.gather(*running, return_exceptions=True)
        for host in reversed(waiting):
            outcomes[host] = TERMINATED
        later = [host for following in waves[number + 1 :] for host in following]
        if between is not None and later and wave and not stopped():
            await between(wave, later)
    return outcomes


async def _let_go(running: dict[asyncio.Task[None], str], outcomes: Outcomes, budget: Budget) -> None:
    """Cancel all that runs and wait until it has let go. Who ended in this moment keeps the outcome that it has."""
    for task in running:
        task.cancel()
    await asyncio.gather(*running, return_exceptions=True)
    for host in running.values():
        if host not in outcomes:
            outcomes[host] = UNKNOWN
            budget.record(host, UNKNOWN)
