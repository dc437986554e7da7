"""A row: one fault, how it is injected and mended, and what must be said of it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tests.faults.scene import Scene

DONE, FAILED, UNREACHABLE, REFUSED, INTERRUPTED = 0, 1, 3, 5, 130
KILLED = -9
ROWS: dict[str, "Row"] = {}
NOT_RUN: dict[str, str] = {}  # rows whose feature does not exist yet, with the feature


@dataclass(frozen=True)
class Row:
    """One fault.

    id         as in docs/reliability.md: `N03`; variants of one row are `N03.reject`
    title      what happens, in a few words
    prepare    makes the scene another one before anything runs in it; what it leaves is ended through `scene.closers`
    inject     breaks something, before the run; what it returns is kept in `scene.injected`
    during     called in a thread of its own while the command runs (`scene.process`); it waits for its moment by itself
    mend       removes the fault, and nothing else: healing is the next run's
    says       judges what the command printed and what the row promises beyond the oracles; raises AssertionError
    healed     the same, after the healing runs
    doctor     text that `statectl doctor VICTIM` prints while the fault is there; where it exits with an error, a next step too
    codes      exit codes the command may end with
    bound_s    O1: it ends within so many seconds
    lost       the channel may be lost: outcomes of the faulty host may be `unknown` until the next contact
    silent     the command itself is ended by the fault: nothing that it said is judged
    witness    O2: the second host is expected to get there in the same run
    states     YAML added to the workload's association file (associations of their own)
    command    what is run; the words {victim}, {witness} and {project} stand for two names and a path; the healing runs are always `apply --yes --json`
    suite      lab suite of both hosts
    slower_s   seconds that `states` add to the time of a clean run
    heal_code  exit code of the first run after the fault was mended (it must still converge)
    stdin      what the command (and doctor) may read
    extras     further hosts, in `scene.extras`: not in the inventory unless the row puts them there
    prefix     argv in front of the command, such as `unshare -m`
    sweep      a module of tests/sweeps with its options: the row is that sweep, and nothing else here counts
    """

    id: str
    title: str
    prepare: Callable[[Scene], None] | None = None
    inject: Callable[[Scene], Any] | None = None
    during: Callable[[Scene], None] | None = None
    mend: Callable[[Scene], None] | None = None
    says: Callable[[Scene], None] | None = None
    healed: Callable[[Scene], None] | None = None
    doctor: str = ""
    codes: tuple[int, ...] = (DONE,)
    bound_s: float = 60
    lost: bool = False
    silent: bool = False
    witness: bool = True
    states: str = ""
    command: tuple[str, ...] = ("apply", "--yes", "--json")
    suite: str = "bookworm"
    slower_s: float = 0
    heal_code: int = DONE
    stdin: str = ""
    extras: int = 0
    prefix: tuple[str, ...] = ()
    sweep: tuple[str, ...] = ()


def row(made: Row) -> Row:
    """Register a row."""
    if made.id in ROWS or made.id in NOT_RUN:
        raise ValueError(f"row {made.id} appears twice")
    ROWS[made.id] = made
    return made
