"""What an evaluation says of one host: a state for every package, what is to be installed, what may come along."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

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
    blocked: tuple[str, ...] = ()  # names, and globs of names, that must neither come nor be depended on
    trouble: Sequence[str] = ()
    unknown: str = ""
    compliant: bool = False
    level: str = "unspecified"  # the worst of what is not compliant
