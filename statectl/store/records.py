"""What a run learned of one host, as it is handed to the store. No database here."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Status:
    """One row of `current`: how one address on one host stands."""

    address: str
    association: str
    status: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class HostRecord:
    """Everything that one run learned of one host."""

    host: str
    outcome: str
    reason: str = ""
    code: str = ""  # of the reason
    hint: str = ""
    started: str = ""
    ended: str = ""
    results: Sequence[Mapping[str, Any]] | None = None
    deviations: Sequence[Mapping[str, Any]] = ()
    statuses: Sequence[Status] | None = None  # None: the host was not read; its rows stay as they were
    facts: Mapping[str, Any] | None = None
    memory: Mapping[str, Any] | None = None
    host_id: str = ""
    run_counter: int = 0
    scope: Sequence[str] | None = None  # associations that were read; None: all of the host
    parameters: Mapping[str, int] | None = None  # versions that its files were made with, by selector; None: not known
    partial: bool = False  # statuses are of some addresses only: the others' rows stay as they were
