"""One host's scan under one baseline: the versions it could have, the state of each package, what is to be installed."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from statectl.baselines.decide import APPROVED, PENDING, PINNED, REJECTED, Decider, Decision, about
from statectl.baselines.evaluation import COMPLIANT, STATES, Evaluation, PatchState, Wanted
from statectl.baselines.filters import worst_severity
from statectl.baselines.model import LEVELS
from statectl.baselines.names import OverrideEntry
from statectl.baselines.scan import Advisory, Archive, Package, Scan
from statectl.baselines.seen import Seen
from statectl.baselines.systems import APT
from statectl.baselines.versions_of import Candidate, choose, compare, newest, superseded_reason, with_replacements


@dataclass(frozen=True, slots=True)
class Outcome:
    """What becomes of one package. `state` None: it is not installed. `may_come`: versions that may be installed, `wanted` among them."""

    candidates: tuple[Candidate, ...]
    state: PatchState | None
    wanted: Wanted | None
    may_come: tuple[Wanted, ...]


class Judge:
    """Decisions of one decider, each made once for all hosts that tell the same of a version, or of all versions of a package."""

    def __init__(self, decider: Decider) -> None:
        self.decider = decider
        self.archives: dict[Archive, int] = {}
        self.advisories: dict[Advisory, int] = {}
        self.settled: dict[tuple[object, ...], PatchState] = {}  # of installed packages without any update
        self.outcomes: dict[tuple[object, ...], Outcome] = {}  # of all others
        self.made: dict[tuple[object, ...], Candidate] = {}
        self.seen: dict[tuple[str, str], tuple[Seen, ...]] = {}

    def host(self, scan: Scan) -> "OnHost":
        return OnHost(self, scan)


class OnHost:
    """One scan. Archives and advisories are numbered so that what hosts tell alike is one key."""

    def __init__(self, judge: Judge, scan: Scan) -> None:
        self.judge = judge
        self.scan = scan
        self.decider = judge.decider
        self.baseline = judge.decider.baseline
        self.packages = judge.decider.packages
        known = judge.archives
        # when it was made, fetched, and from which mirror decides nothing
        self._archives = [
            known.setdefault(replace(one, date=0, fetched=0, uri=""), len(known)) for one in scan.archives
        ]
        numbers = judge.advisories
        self._advisories = {name: numbers.setdefault(one, len(numbers)) for name, one in scan.advisories.items()}
        self._within: dict[tuple[int, ...], tuple[int, ...]] = {}
        self._reads = tuple(sorted(set(self._archives)))
        self._keys = {one.key for one in scan.archives}
        self.installed = self._newest_installed()
        self.available: dict[tuple[str, str], list[Package]] = {}
        for one in scan.available:
            self.available.setdefault((one.name, one.arch), []).append(one)

    def _key(self, package: Package) -> tuple[object, ...]:
        within = self._within.get(package.archives)
        if within is None:
            within = self._within[package.archives] = tuple(self._archives[index] for index in package.archives)
        told = package.advisories
        numbers = tuple(self._advisories.get(name, name) for name in told) if told else ()
        return (*package.key, package.version, package.section, package.priority, package.sha256, within, numbers)

    # Candidates

    def candidates(self, key: tuple[str, str]) -> list[Candidate]:
        """Every version of it that an archive has, or had before something newer took its place, in no order.

        A version that is gone without a successor was withdrawn, or the host's data are older than those of others: it does not count.
        """
        listed = self.available.get(key, [])
        seen = self._seen(key)
        cached = {one.package.version: one.cached for one in seen if one.cached}
        own = self.installed.get(key)
        above = own.version if own is not None else ""
        found = [self._candidate(one, cached.get(one.version, ""), above) for one in listed]
        there = {one.version for one in listed} | ({own.version} if own is not None else set())
        gone: dict[str, Candidate] = {}
        for one in seen:
            version = one.package.version
            if version in there or version in gone or (own is not None and compare(version, above, self.packages) < 0):
                continue
            if any(compare(other.version, version, self.packages) > 0 for other in listed):
                archives = [index for index, archive in enumerate(self.scan.archives) if archive.key == one.archive]
                package = replace(one.package, archives=tuple(archives))
                gone[version] = self._candidate(
                    package, cached.get(version, ""), above, obtainable=False, security=one.security or None
                )
        found += gone.values()
        return found

    def _candidate(
        self, package: Package, cached: str, above: str, *, obtainable: bool = True, security: bool | None = None
    ) -> Candidate:
        """`above`: the installed version; what that has fixed is no reason to approve this one."""
        key = (*self._key(package), cached, above, obtainable, security)
        made = self.judge.made.get(key)
        if made is None:
            archives = [self.scan.archives[index] for index in package.archives]
            advisories = about(package, self.scan.advisories, self.decider.ledger, archives, above)
            decision = self.decider.decide(package, archives, advisories, security=security)
            decision = replace(decision, cached=cached, obtainable=obtainable)
            made = self.judge.made[key] = Candidate(package, decision, tuple(advisories))
        return made

    def settled(self, key: tuple[str, str]) -> list[Candidate]:
        """The candidates, as `superseded` has them."""
        candidates = self.candidates(key)
        if self.baseline.superseded != "latest":
            return candidates
        own = self.installed.get(key)
        return with_replacements(candidates, own.version if own is not None else "", self.packages)

    # States

    def evaluation(
        self,
        trouble: list[str],
        override: Sequence[OverrideEntry] | None,
        failed: Collection[tuple[str, str, str]],
    ) -> Evaluation:
        states: list[PatchState] = []
        install: list[Wanted] = []
        outcomes: dict[tuple[str, str], Outcome] = {}
        waiting = {(name, arch) for name, arch, _ in self.scan.pending_reboot}
        for key, package in self.installed.items():
            if key not in self.available and key not in waiting:
                states.append(self._settled_state(package))
                continue
            outcome = outcomes[key] = self.outcome(key, failed)
            assert outcome.state is not None  # it is installed
            states.append(outcome.state)
            if outcome.wanted is not None:
                install.append(outcome.wanted)
            elif outcome.state.reason.startswith("superseded"):
                trouble.append(f"{package.name}: {outcome.state.reason}")
        for key in self.available:
            if key not in outcomes:
                outcomes[key] = self.outcome(key, failed)
        states += self._not_here()
        if override is not None:
            install, unmet = self._overridden(override, outcomes)
            trouble += unmet
        chosen = {(one.name, one.arch, one.version) for one in install}
        allowed = [
            one
            for outcome in outcomes.values()
            for one in outcome.may_come
            if (one.name, one.arch, one.version) not in chosen
        ]
        bad = self._not_compliant()
        levels = [LEVELS.index(one.level) for one in states if one.state in bad]
        return Evaluation(
            self.baseline.name,
            tuple(states),
            tuple(install),
            tuple(allowed),
            tuple(self._blocked(outcomes, install, allowed)),
            tuple(trouble),
            compliant=not levels,
            level=LEVELS[min(levels)] if levels else "unspecified",
        )

    def outcome(self, key: tuple[str, str], failed: Collection[tuple[str, str, str]] = ()) -> Outcome:
        """Of a package that has newer versions, is not installed, or waits for a reboot."""
        name, arch = key
        own, listed = self.installed.get(key), self.available.get(key, ())
        held = bool(self.scan.held) and (name in self.scan.held or f"{name}:{arch}" in self.scan.held)
        waits = own is not None and (name, arch, own.version) in self.scan.pending_reboot
        missed = tuple(sorted(one[2] for one in failed if one[:2] == key)) if failed else ()
        told = tuple(self._key(one) for one in listed)
        asked = (self._key(own) if own is not None else None, told, self._reads, held, waits, missed)
        found = self.judge.outcomes.get(asked)
        if found is None:
            found = self.judge.outcomes[asked] = self._outcome(key, held=held, waits=waits, missed=missed)
        return found

    def _outcome(self, key: tuple[str, str], *, held: bool, waits: bool, missed: Sequence[str]) -> Outcome:
        own = self.installed.get(key)
        versions = self.settled(key)
        state, wanted = None, None
        if own is not None:
            state, wanted = self._state(own, versions, held=held, waits=waits, missed=missed)
            withheld = newest((one for one in versions if self._withheld(one, own)), self.packages)
            if withheld is not None:
                state = replace(state, withheld=withheld.version)
        return Outcome(tuple(versions), state, wanted, () if held else tuple(self._may_come(versions)))

    def _not_compliant(self) -> frozenset[str]:
        bad = frozenset(STATES) - frozenset(COMPLIANT)
        return bad - {"AvailableSecurityUpdate"} if self.baseline.available_security_updates == "compliant" else bad

    def _seen(self, key: tuple[str, str]) -> list[Seen]:
        """The versions of it that were ever seen in the archives of this host."""
        every = self.judge.seen.get(key)
        if every is None:
            every = self.judge.seen[key] = tuple(self.decider.ledger.versions(*key))
        return [one for one in every if one.archive in self._keys]

    def _newest_installed(self) -> dict[tuple[str, str], Package]:
        """One for each name and architecture: of a kernel in several versions the newest counts."""
        found = {(one.name, one.arch): one for one in self.scan.installed}
        if len(found) < len(self.scan.installed):
            for one in self.scan.installed:
                if compare(one.version, found[one.key].version, self.packages) > 0:
                    found[one.key] = one
        return found

    def _settled_state(self, package: Package) -> PatchState:
        key = self._key(package)
        found = self.judge.settled.get(key)
        if found is None:
            found = self.judge.settled[key] = self._installed_state(package)
        return found

    def _installed_state(self, package: Package) -> PatchState:
        """Of a package to which nothing is to be done."""
        decision, advisories = self._of_installed(package)
        state = "Installed" if decision.status == APPROVED else "InstalledOther"
        reason = decision.reason
        if decision.status == REJECTED and self.baseline.rejected_action == "block":
            state = "InstalledRejected"
        return _told(package, state, package.version, decision, advisories, reason, self.packages)

    def _of_installed(self, package: Package) -> tuple[Decision, tuple[Advisory, ...]]:
        """A version that no archive has any more is judged by those that had it."""
        security: bool | None = None
        indexes = package.archives
        if not indexes:
            seen = [one for one in self._seen(package.key) if one.package.version == package.version]
            keys = {one.archive for one in seen}
            indexes = tuple(index for index, one in enumerate(self.scan.archives) if one.key in keys)
            security = any(one.security for one in seen) or None
        archives = [self.scan.archives[index] for index in indexes]
        advisories = about(package, self.scan.advisories, self.decider.ledger, archives)
        return (
            self.decider.decide(package, archives, advisories, security=security, installed=True),
            tuple(advisories),
        )

    def _state(
        self, package: Package, candidates: list[Candidate], *, held: bool, waits: bool, missed: Sequence[str]
    ) -> tuple[PatchState, Wanted | None]:
        """Of an installed package that has newer versions, or waits for a reboot; and what is to be installed of it."""
        packages = self.packages
        choice = choose(candidates, package.version, packages)
        target = choice.wanted
        now = self._installed_state(package)
        wanted: Wanted | None = None
        if target is not None and not held:
            wanted = _wanted(target)
        if now.state == "InstalledRejected":
            return now, wanted
        if target is not None:
            state, reason = "Missing", target.decision.reason
            if held:
                reason = f"held back on the host by its package manager; {reason}"
            elif target.version in missed:
                state, reason = "Failed", f"the last installation failed; {reason}"
            return _told(package, state, target.version, target.decision, target.advisories, reason, packages), wanted
        if choice.lost is not None and choice.replaced_by is not None:
            lost, reason = choice.lost, superseded_reason(choice.lost, choice.replaced_by)
            return _told(package, "Missing", lost.version, lost.decision, lost.advisories, reason, packages), None
        if waits:
            return replace(now, state="InstalledPendingReboot", reason="installed since the last boot"), None
        above = [
            one
            for one in candidates
            if one.decision.security and one.can_be_had and compare(one.version, package.version, packages) > 0
        ]
        waiting = newest(above, packages)
        rejected = self.decider.rejected.find(package, ()) is not None  # the package as it is, not only a version of it
        if waiting is not None and not (rejected and waiting.decision.status == REJECTED):
            reason = waiting.decision.reason
            return (
                _told(
                    package,
                    "AvailableSecurityUpdate",
                    waiting.version,
                    waiting.decision,
                    waiting.advisories,
                    reason,
                    packages,
                ),
                None,
            )
        kept = newest((one for one in candidates if one.decision.status in (PENDING, PINNED)), packages)
        if kept is not None and compare(kept.version, package.version, packages) > 0:
            now = replace(now, reason=f"{now.reason}; {kept.version}: {kept.decision.reason}".removeprefix("; "))
        return now, None

    def _withheld(self, candidate: Candidate, installed: Package) -> bool:
        decision = candidate.decision
        approved = decision.status == PINNED and decision.approved_at is not None
        return approved and compare(candidate.version, installed.version, self.packages) > 0

    def _not_here(self) -> list[PatchState]:
        """Packages that the approved list names and the host does not have."""
        entries = self.decider.approved.plain_packages()
        if not entries:
            return []
        there = {name for name, _ in self.installed}
        return [
            PatchState(name, "", "NotApplicable", "", "", reason=f"`{entry.text}` is approved and not installed here")
            for entry, name in entries
            if name not in there
        ]

    # What may be done

    def _may_come(self, candidates: Sequence[Candidate]) -> list[Wanted]:
        """Versions that may be installed: approved ones, and those of the rejected list where it lets dependencies in."""
        good = {APPROVED, REJECTED} if self.baseline.rejected_action == "allow_as_dependency" else {APPROVED}
        return [_wanted(one) for one in candidates if one.can_be_had and one.decision.status in good]

    def _blocked(
        self, outcomes: dict[tuple[str, str], Outcome], install: list[Wanted], allowed: list[Wanted]
    ) -> list[str]:
        """Names of which nothing may come. A name of which one version is rejected and another approved is none of them."""
        if self.baseline.rejected_action != "block" or not self.decider.rejected:
            return []
        coming = {one.name for one in (*install, *allowed)}
        rejected = {
            name
            for (name, _), outcome in outcomes.items()
            if name not in coming and any(one.decision.status == REJECTED for one in outcome.candidates)
        }
        listed = [name for name in self.decider.rejected.whole_packages() if name not in coming]
        return sorted({*rejected, *listed})

    def _overridden(
        self, override: Sequence[OverrideEntry], outcomes: dict[tuple[str, str], Outcome]
    ) -> tuple[list[Wanted], list[str]]:
        """The newest version that an entry names of each package that is here and can be updated; and entries that name none."""
        install: list[Wanted] = []
        used: set[int] = set()
        for key, outcome in outcomes.items():
            package = self.installed.get(key)
            if package is None:
                continue
            named = []
            for one in outcome.candidates:
                if not one.can_be_had or compare(one.version, package.version, self.packages) <= 0:
                    continue
                entries = [index for index, entry in enumerate(override) if entry.names(one.package)]
                used.update(entries)
                if entries:
                    named.append(one)
            best = newest(named, self.packages)
            if best is not None and package.name not in self.scan.held:
                install.append(_wanted(best))
        return install, [
            f"override list: `{one.id}`{f' {one.title}' if one.title else ''} names nothing that can be installed here"
            for index, one in enumerate(override)
            if index not in used
        ]

    # Explaining

    def decisions(self, name: str) -> list[Decision]:
        installed = {key: one for key, one in self.installed.items() if one.name == name}
        keys = dict.fromkeys([*installed, *(key for key in self.available if key[0] == name)])
        found: list[Decision] = []
        for key in keys:
            own = installed.get(key)
            versions = self.settled(key)
            told = {one.version for one in versions}
            found += [one.decision for one in versions]
            if own is not None and own.version not in told:
                decision, _ = self._of_installed(own)
                found.append(replace(decision, obtainable=bool(own.archives)))
        return _newest_first(found, self.packages)


def _wanted(one: Candidate) -> Wanted:
    decision = one.decision
    return Wanted(decision.name, decision.arch, decision.version, "" if decision.obtainable else decision.cached)


def _newest_first(decisions: list[Decision], packages: str) -> list[Decision]:
    from functools import cmp_to_key

    order = cmp_to_key(lambda one, other: compare(one, other, packages))
    return sorted(decisions, key=lambda one: (one.arch, order(one.version)), reverse=True)


def _told(
    package: Package,
    state: str,
    version: str,
    decision: Decision,
    advisories: Sequence[Advisory],
    reason: str,
    packages: str,
) -> PatchState:
    """A state with what advisories say of the version that it is about."""
    severity = worst_severity(advisories)
    worst = next((one for one in advisories if one.severity == severity), None)
    classification = worst.classification if worst is not None else ""
    if packages == APT and not classification and decision.security:
        classification = "Security"  # as its archive says
    return PatchState(
        package.name,
        package.arch,
        state,
        package.version,
        version,
        decision.level,
        classification,
        severity,
        reason,
        tuple(one.id for one in advisories),
        tuple(dict.fromkeys(cve for one in advisories for cve in one.cves)),
        decision.first_seen,
        decision.approved_at,
    )
