"""Baseline, scan, ledger and a moment -> what is approved and what is missing on one host, with the reason of each."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

from statectl.problems import Span

STATES = (
    "Installed",
    "InstalledOther",
    "InstalledPendingReboot",
    "InstalledRejected",
    "Missing",
    "Failed",
    "NotApplicable",
    "AvailableSecurityUpdate",
)
COMPLIANT = ("Installed", "InstalledOther", "NotApplicable")  # AvailableSecurityUpdate: as the baseline says


@dataclass(frozen=True, slots=True)
class Decision:
    """What a baseline says of one version of one package."""

    name: str
    arch: str
    version: str
    status: str  # approved | pending | rejected | pinned | unmatched | filtered
    by: str  # `rule 2`, `approved: ca-certificates`, `rejected: docker-ce*`, `pin`, '' : nothing spoke of it
    reason: str  # for people, whole: `rule 2 approves it 3 days after it was first seen (2026-11-20 10:00)`
    level: str = "unspecified"
    approved_at: dt.datetime | None = None  # when it was, or will be
    first_seen: dt.datetime | None = None
    archive: str = ""
    security: bool = False
    obtainable: bool = True  # an archive of the host has it
    cached: str = ""  # sha256 of the file that we keep
    span: Span | None = None


@dataclass(frozen=True, slots=True)
class PatchState:
    """One package of a host by one baseline."""

    name: str
    arch: str
    state: str  # of STATES
    installed: str  # version, '' : a new package
    version: str  # that it should have; of states Installed*: the installed one
    level: str = "unspecified"
    classification: str = ""
    severity: str = ""
    reason: str = ""
    advisories: tuple[str, ...] = ()
    cves: tuple[str, ...] = ()
    first_seen: dt.datetime | None = None
    approved_at: dt.datetime | None = None
    withheld: str = ""  # the version that would be approved and that a pin keeps away; '' : no pin does


@dataclass(frozen=True, slots=True)
class Wanted:
    """A version to install. `cached`: sha256 of the file that the controller delivers, '' : an archive has it."""

    name: str
    arch: str
    version: str
    cached: str = ""


@dataclass(frozen=True, slots=True)
class Evaluation:
    """`unknown`: why nothing can be said, '' when it can; then there are no states. `trouble`: what people should know of it."""

    baseline: str
    states: tuple[PatchState, ...] = ()
    install: tuple[Wanted, ...] = ()  # approved and missing
    allowed: tuple[Wanted, ...] = ()  # beside these, what may come along where a dependency needs it
    blocked: tuple[str, ...] = ()  # names that must neither come nor be depended on
    trouble: Sequence[str] = ()
    unknown: str = ""
    compliant: bool = False
    level: str = "unspecified"  # the worst of what is not compliant
