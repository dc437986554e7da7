"""What a baseline says of one version of one package: rejected, pinned, approved by name, approved by a rule, or nothing.

In this order. Global filters come before the rules; the approved list is not asked for them, the rejected list wins over all.
"""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import NamedTuple

from statectl.baselines.filters import fits
from statectl.baselines.model import Baseline, Pin, Rule
from statectl.baselines.names import NameList, version_is
from statectl.baselines.scan import Advisory, Archive, Package
from statectl.baselines.seen import Ledger
from statectl.baselines.systems import APT
from statectl.problems import Span

APPROVED, PENDING, REJECTED, PINNED = "approved", "pending", "rejected", "pinned"
UNMATCHED, FILTERED = "unmatched", "filtered"


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


class Decider:
    """One baseline at one moment, for hosts of one product. `packages`: apt or rpm; `now` in UTC."""

    def __init__(self, baseline: Baseline, ledger: Ledger, now: dt.datetime, packages: str, product: str) -> None:
        self.baseline = baseline
        self.ledger = ledger
        self.now = now
        self.packages = packages
        self.product = product
        self.approved = NameList(baseline.approved, packages)
        self.rejected = NameList(baseline.rejected, packages)
        self.pins = [pin for pin in baseline.pins if now.date() <= pin.until]

    def decide(
        self,
        package: Package,
        archives: Sequence[Archive],
        advisories: Sequence[Advisory],
        *,
        security: bool | None = None,
        installed: bool = False,
    ) -> Decision:
        """archives: those of the host that have this version, or had it.

        security: known from elsewhere, for versions that no archive has any more; installed: pins do not speak of it
        """
        if security is None:
            security = any(one.security for one in archives) if self.packages == APT else bool(advisories)
        seen = self._first_seen(package, archives)
        found = Decision(
            package.name,
            package.arch,
            package.version,
            UNMATCHED,
            "",
            "",
            first_seen=seen,
            archive=archives[0].key if archives else "",
            security=security,
        )
        rejected = self._rejected(found, package, advisories)
        if rejected is not None:
            return rejected
        otherwise = self._named(found, package, archives, advisories) or self._ruled(
            found, package, archives, advisories
        )
        by_name = installed and otherwise.by.startswith("approved: ")
        if seen is None and not by_name and otherwise.status in (APPROVED, PENDING):
            # delays count from there, and a snapshot holds only what was seen before it
            reason = f"{otherwise.by} speaks of it, but when it was first seen is not on record"
            otherwise = replace(otherwise, status=PENDING, reason=reason, approved_at=None)
        return otherwise if installed else self._pinned(otherwise, package) or otherwise

    def _first_seen(self, package: Package, archives: Sequence[Archive]) -> dt.datetime | None:
        moments = [self.ledger.first_seen(key, package) for key in dict.fromkeys(one.key for one in archives)]
        return min((one for one in moments if one is not None), default=None)

    def _rejected(self, found: Decision, package: Package, advisories: Sequence[Advisory]) -> Decision | None:
        match = self.rejected.find(package, advisories)
        if match is None:
            return None
        entry, _ = match
        what = (
            "it is never installed"
            if self.baseline.rejected_action == "block"
            else "it comes only where another one needs it"
        )
        reason = f"`{entry.text}` of the rejected list names it: {what}"
        return replace(found, status=REJECTED, by=f"rejected: {entry.text}", reason=reason, span=entry.span)

    def _pinned(self, otherwise: Decision, package: Package) -> Decision | None:
        """`approved_at` and the level of the decision without the pin stay where that approves it now."""
        pin = self.pin_of(package.name)
        if pin is None or (pin.version != "*" and version_is(package.version, pin.version)):
            return None
        stays = "where it is" if pin.version == "*" else f"at {pin.version}"
        reason = f"pinned: {pin.package} stays {stays} until the end of {pin.until} ({pin.reason})"
        approved = otherwise.status == APPROVED
        return replace(
            otherwise,
            status=PINNED,
            by="pin",
            reason=reason,
            approved_at=otherwise.approved_at if approved else None,
            level=otherwise.level if approved else "unspecified",
            span=pin.span,
        )

    def pin_of(self, name: str) -> Pin | None:
        """The first pin in force that is about this package."""
        return next((pin for pin in self.pins if name == pin.package or fnmatchcase(name, pin.package)), None)

    def _named(
        self, found: Decision, package: Package, archives: Sequence[Archive], advisories: Sequence[Advisory]
    ) -> Decision | None:
        match = self.approved.find(package, advisories)
        if match is None or not (found.security or self.baseline.approved_include_non_security):
            return None
        entry, _ = match
        level = self.baseline.approved_compliance
        if level == "unspecified" and self.baseline.rules:
            ruled = self._ruled(found, package, archives, advisories)
            level = ruled.level if ruled.status == APPROVED else level
        return replace(
            found,
            status=APPROVED,
            by=f"approved: {entry.text}",
            reason=f"`{entry.text}` of the approved list names it",
            level=level,
            approved_at=found.first_seen,
            span=entry.span,
        )

    def _ruled(
        self, found: Decision, package: Package, archives: Sequence[Archive], advisories: Sequence[Advisory]
    ) -> Decision:
        """The first rule that approves it now; else the one that will do so first; else why none does."""
        if self.baseline.filters is not None:
            within, why = fits(self.baseline.filters, package, archives, advisories, self.product)
            if why:
                reason = f"the filters of the baseline leave it out: {why}"
                return replace(found, status=FILTERED, by="filters", reason=reason)
            if len(within) < len(archives):
                found = replace(found, first_seen=self._first_seen(package, within) or found.first_seen)
            archives = within
        best: _Ruling | None = None
        why_not: list[str] = []
        since: dt.datetime | None = None
        for number, rule in enumerate(self.baseline.rules, 1):
            one = self._by_rule(found, number, rule, package, archives, advisories)
            if isinstance(one, str):
                why_not.append(f"rule {number}: {one}")
            elif one.approves:
                best = one if best is None or not best.approves else best
                since = one.due if since is None else min(since, one.due)
            elif best is None or (not best.approves and one.due < best.due):
                best = one
        if best is not None:
            return replace(
                found,
                status=APPROVED if best.approves else PENDING,
                by=f"rule {best.number}",
                reason=best.reason,
                level=best.rule.compliance,
                approved_at=since or best.due,
                first_seen=best.seen,
                archive=best.archive,
                span=best.rule.span,
            )
        if not self.baseline.rules:
            why_not = ["the baseline has no rules, and the approved list does not name it"]
        named = self.approved.find(package, advisories)
        if named is not None:
            why_not.insert(
                0,
                f"`{named[0].text}` of the approved list names it, but it is no security update (include_non_security)",
            )
        return replace(found, reason="; ".join(why_not))

    def _by_rule(
        self,
        found: Decision,
        number: int,
        rule: Rule,
        package: Package,
        archives: Sequence[Archive],
        advisories: Sequence[Advisory],
    ) -> "_Ruling | str":
        """What this rule says, or why it says nothing of it."""
        matching, why = fits(rule.filter, package, archives, advisories, self.product)
        if why:
            return why
        if not (found.security or rule.include_non_security):
            what = "no security archive has it" if self.packages == APT else "it is in no advisory"
            return f"{what}, and the rule takes security updates only"
        seen = found.first_seen
        if len(matching) < len(archives):
            seen = self._first_seen(package, matching) or seen
        start = seen or self.now  # a version that nobody noted is new
        known = f"{start:%Y-%m-%d %H:%M}" if seen is not None else "now"
        archive = matching[0].key if matching else found.archive
        if rule.until is not None:
            if start.date() > rule.until:
                return f"it takes what was first seen until {rule.until}, this was first seen {known}"
            reason = f"rule {number} approves what was first seen until the end of {rule.until} (first seen {known})"
            return _Ruling(number, rule, True, start, reason, seen, archive)
        days = rule.after_days or 0
        due = start + dt.timedelta(days=days)
        approves = due <= self.now
        when = f"{days} day{'s' * (days != 1)} after it was first seen ({known})" if days else "at once"
        reason = f"rule {number} approves it {when}" + ("" if approves else f": on {due:%Y-%m-%d %H:%M}")
        return _Ruling(number, rule, approves, due, reason, seen, archive)


class _Ruling(NamedTuple):
    """A rule that matches, and when it approves or will."""

    number: int
    rule: Rule
    approves: bool
    due: dt.datetime
    reason: str
    seen: dt.datetime | None
    archive: str


def about(
    package: Package, told: Mapping[str, Advisory], ledger: Ledger, archives: Sequence[Archive], above: str = ""
) -> list[Advisory]:
    """Every advisory of a version: those the host told of, then those of feeds that `above` has not fixed; the host's win."""
    found = {name: told.get(name) or Advisory(name) for name in package.advisories}
    for key in dict.fromkeys(one.key for one in archives):
        for one in ledger.advisory(key, package, above):
            found.setdefault(one.id, one)
    return list(found.values())
