"""What the loop needs of others: files that are read and hosts that are worked on (`Runs`), and slots in the store (`SlotRecords`)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from statectl.rollout.run_targets import Cancel
from statectl.schedules.slots import Missed
from statectl.server.jobs import Job, Placed
from statectl.server.lines import Line
from statectl.store.slots import Claim, Claimed, Key, Known, Passed


@dataclass(frozen=True, slots=True)
class Look:
    """What the files say."""

    lines: Sequence[Line]
    missed: Missed = "once"


@dataclass(frozen=True, slots=True)
class Ended:
    """How a run ended. hosts: {name: (outcome, reason)}."""

    outcome: str
    code: int  # what `apply` would exit with
    hosts: Mapping[str, tuple[str, str]]


class Runs(Protocol):
    """How the files are read and hosts are worked on. look and place are called in a thread; all raise StatectlError."""

    def look(self) -> Look: ...
    def place(self, slots: Sequence[Claimed]) -> tuple[list[Placed], Mapping[str, frozenset[str]]]: ...
    async def run(self, job: Job, run_id: str, cancel: Cancel) -> Ended: ...


class SlotRecords(Protocol):
    """What is needed of `store.slots.Slots`."""

    def known(self) -> dict[Key, Known]: ...
    def remember(self, found: Mapping[Key, str], at: datetime) -> None: ...
    def claim(self, claims: Sequence[Claim], process: str) -> tuple[list[Claimed], list[Passed]]: ...
    def claim_edit(
        self, association: str, definition: str, at: datetime, process: str, *, run: bool
    ) -> Claimed | None: ...
    def begin(self, slots: Sequence[Claimed], run_id: str) -> None: ...
    def end(self, ends: Sequence[tuple[Claimed, str, str]]) -> None: ...
    def close_interrupted(self) -> list[Passed]: ...
    def beat(self, process: str) -> list[str]: ...
    def leave(self, process: str) -> None: ...
    def forget_old(self, at: datetime) -> None: ...
