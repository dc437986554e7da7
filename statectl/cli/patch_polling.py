"""Indexes that `statectl serve` reads every so often, beside its runs, and what it says of them."""

import asyncio
import datetime as dt
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from statectl.errors import StatectlError

if TYPE_CHECKING:
    from statectl.baselines.patching import Patching
    from statectl.store.patch_indexes import KeptPoll
    from statectl.store.store import Store

Clock = Callable[[], dt.datetime]
Say = Callable[[str], None]
LOOK_S = 60.0


async def keep_polling(store: "Store", root: Path, patching: "Patching", clock: Clock, say: Say, warn: Say) -> None:
    """Until it is cancelled. Without `poll` it returns at once."""
    if not patching.poll_s or not patching.indexes:
        return
    stopped = threading.Event()
    try:
        while True:
            wait = await asyncio.to_thread(poll_if_due, store, root, patching, clock, say, warn, stopped)
            await asyncio.sleep(min(wait, LOOK_S))
    finally:
        stopped.set()  # the index that is being read is read to its end


def poll_if_due(
    store: "Store", root: Path, patching: "Patching", clock: Clock, say: Say, warn: Say, stopped: threading.Event
) -> float:
    """-> seconds until the next one is due, by what the store knows: another controller may have read them."""
    from statectl.cli.patch_memory import Memory
    from statectl.patches.polling import Poller, poll_names

    try:
        names = [name for index in patching.indexes for name in poll_names(index)]
        wait = due_in(store.patches.polls.all(), names, patching.poll_s, clock())
        if wait > 0:
            return wait
        poller = Poller(store.patches, root, clock, Memory(root, patching, store).cache())
        for one in poller.poll(patching.indexes):
            if one.trouble:
                warn(f"warning[{one.code}]: {one.trouble}")
            elif one.new:
                say(f"index {one.name}: {one.new} new of {one.packages} packages")
            for text in one.warnings:
                warn(f"warning[E644]: {text}")
            if stopped.is_set():
                return 0.0
        return float(patching.poll_s)
    except StatectlError as error:  # of the store; runs go on, and this is tried again
        warn(f"warning[{error.code}]: indexes were not read: {error.message}")
        return LOOK_S


def due_in(polls: "Mapping[str, KeptPoll]", names: Sequence[str], every_s: int, now: dt.datetime) -> float:
    """Seconds, 0 or less: now. One that was tried in the future was tried by a clock that was wrong."""
    from statectl.store.patch_ledger import moment_of

    waits = []
    for name in names:
        kept = polls.get(name)
        if kept is None or not kept.tried:
            return 0.0
        waits.append((moment_of(kept.tried) - now).total_seconds() + every_s)
    wait = min(waits, default=0.0)
    return 0.0 if wait > every_s else wait
