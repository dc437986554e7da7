"""The versions of one package that a host could have, with the decision on each, and which of them it should have."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

from statectl.baselines.decide import APPROVED, PENDING, PINNED, REJECTED, Decision
from statectl.baselines.scan import Advisory, Package
from statectl.baselines.systems import APT
from statectl.onhost.versions import compare_versions


@dataclass(frozen=True, slots=True)
class Candidate:
    package: Package
    decision: Decision
    advisories: tuple[Advisory, ...] = ()

    @property
    def version(self) -> str:
        return self.package.version

    @property
    def can_be_had(self) -> bool:
        return self.decision.obtainable or bool(self.decision.cached)


@dataclass(frozen=True, slots=True)
class Choice:
    """`wanted` can be installed; `lost` is approved and newer, and cannot be had any more."""

    wanted: Candidate | None
    lost: Candidate | None = None
    replaced_by: Candidate | None = None  # what took the place of `lost`


@lru_cache(maxsize=200_000)
def compare(one: str, other: str, packages: str) -> int:
    """Remembered: hosts of a fleet ask the same."""
    return compare_versions(one, other, "deb" if packages == APT else "rpm")


def newest(candidates: Iterable[Candidate], packages: str) -> Candidate | None:
    found: Candidate | None = None
    for one in candidates:
        if found is None or compare(one.version, found.version, packages) > 0:
            found = one
    return found


def choose(candidates: Sequence[Candidate], installed: str, packages: str) -> Choice:
    """The newest approved version above the installed one. `installed`: '' for a package that is not there."""
    above = [one for one in candidates if not installed or compare(one.version, installed, packages) > 0]
    approved = [one for one in above if one.decision.status == APPROVED]
    wanted = newest((one for one in approved if one.can_be_had), packages)
    lost = newest((one for one in approved if not one.can_be_had), packages)
    if lost is None or (wanted is not None and compare(wanted.version, lost.version, packages) > 0):
        return Choice(wanted)
    return Choice(wanted, lost, _next(lost, above, packages))


def _next(lost: Candidate, above: Iterable[Candidate], packages: str) -> Candidate | None:
    """The oldest version above it that can be had."""
    later = [one for one in above if one.can_be_had and compare(one.version, lost.version, packages) > 0]
    found: Candidate | None = None
    for one in later:
        if found is None or compare(one.version, found.version, packages) < 0:
            found = one
    return found


def with_replacements(candidates: Sequence[Candidate], installed: str, packages: str) -> list[Candidate]:
    """`superseded: latest`: what took the place of an approved version that cannot be had is approved in its stead."""
    choice = choose(candidates, installed, packages)
    lost, instead = choice.lost, choice.replaced_by
    if lost is None or instead is None or instead.decision.status in (APPROVED, REJECTED, PINNED):
        return list(candidates)
    reason = (
        f"it replaced {lost.version}, which is approved ({lost.decision.reason}) and cannot be had any more "
        "(superseded: latest)"
    )
    decision = replace(
        instead.decision,
        status=APPROVED,
        by="superseded: latest",
        reason=reason,
        level=lost.decision.level,
        approved_at=instead.decision.first_seen,
        span=lost.decision.span,
    )
    return [replace(one, decision=decision) if one is instead else one for one in candidates]


def superseded_reason(lost: Candidate, instead: Candidate) -> str:
    """For people: what was approved, what took its place, and when that is approved."""
    decision = lost.decision
    approved = f" on {decision.approved_at:%Y-%m-%d %H:%M}" if decision.approved_at is not None else ""
    came = instead.decision.first_seen
    before = came is not None and decision.approved_at is not None and came <= decision.approved_at
    word = "superseded before approval" if before else "superseded"
    later = instead.decision
    if later.status == PENDING and later.approved_at is not None:
        then = f"will be approved on {later.approved_at:%Y-%m-%d %H:%M}"
    else:
        then = f"is not approved: {later.reason}"
    return (
        f"{word}: {lost.version} was approved by {decision.by}{approved}, no archive has it any more and it was not kept; "
        f"{instead.version} replaced it and {then}"
    )
