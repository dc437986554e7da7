"""The ledger that evaluations ask, filled from the store in few queries: a thousand hosts share one.

ledger = StoredLedger(records.patches)
ledger.note(scan, now, changelogs)      what a host told for the first time is remembered
ledger.prepare(names)                   else at the first question about a package that no noted scan has
ledger.frozen(as_of)                    the same without what was first seen later
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from copy import copy
from datetime import datetime
from functools import lru_cache

from statectl.baselines.scan import Advisory, Package, Scan
from statectl.baselines.seen import Seen
from statectl.onhost.versions import compare_versions
from statectl.patches.changelogs import ChangelogEntry
from statectl.patches.changelogs import entries as read_changelog
from statectl.patches.fixes import Fix, fix_of, kind_of_versions, release_named, releases_of_archive, source_of
from statectl.store.patch_ledger import MAX_NAME, TOLERATED, Found, SeenVersion, moment_of
from statectl.store.patches import Patches

Key = tuple[str, str, str, str]  # archive, package, arch, version


class StoredLedger:
    """Satisfies `baselines.seen.Ledger`. For one thread."""

    def __init__(self, patches: Patches) -> None:
        self._patches = patches
        self._prepared: set[str] = set()
        self._seen: dict[Key, dict[str, Seen]] = {}  # by the digest of the file
        self._told: dict[Key, set[str]] = {}  # advisories
        self._listed: dict[tuple[str, str], list[Seen]] = {}
        self._keys: dict[str, list[Key]] = {}
        self._fixes: dict[str, list[Fix]] = {}
        self._about: dict[tuple[str, str, str, str, str], tuple[Advisory, ...]] = {}
        self._moments: dict[str, datetime] = {}
        self._until: datetime | None = None
        self._cached = frozenset(one.sha256 for one in patches.files.all())
        newest = patches.ledger.newest()
        self._newest = [moment_of(newest)] if newest else []  # shared with frozen views, as all the rest

    # --- filling

    def prepare(self, names: Iterable[str]) -> None:
        """Read what is known of these packages."""
        fresh = set(names) - self._prepared
        if not fresh:
            return
        self._prepared |= fresh
        for one in self._patches.ledger.seen(fresh):
            self._add(one)

    def note(self, scan: Scan, now: datetime, changelogs: Mapping[str, str] | None = None) -> int:
        """What this scan tells for the first time -> how many versions. Of a scan with trouble nothing.

        changelogs  {"name arch version": text}, as the host told them
        """
        if scan.trouble:
            return 0
        self.prepare(one.name for some in (scan.installed, scan.available) for one in some)
        entries = _entries(changelogs or {})
        fresh = [
            found
            for some in (scan.available, scan.installed)
            for package in some
            for place in package.archives
            if (found := self._new(scan, package, place, entries)) is not None
        ]
        ahead = bool(self._newest) and self._newest[0] - now > TOLERATED
        count = 0
        if fresh or ahead:
            dates = {one.key: one.date for one in scan.archives if one.key}
            count = self._patches.ledger.note(dates, fresh, now)
            self._forget(None if ahead else {one.package for one in fresh})
            newest = self._patches.ledger.newest()
            self._newest[:] = [moment_of(newest)] if newest else []
        told = {cve for one in scan.advisories.values() for cve in one.cves} if fresh else set()
        self._note_changelogs(scan, entries, told, now)
        return count

    def frozen(self, as_of: datetime | None) -> "StoredLedger":
        """What it said at that moment: versions that were first seen later are not there. None: all of it."""
        if as_of is None:
            return self
        view = copy(self)
        view._until = as_of  # noqa: SLF001  its own kind
        return view

    # --- answering

    def first_seen(self, archive: str, package: Package) -> datetime | None:
        """None: never. A package whose digest is known is looked for by it: another file of the same version does not count."""
        one = self._one(archive, package)
        if one is None or (self._until is not None and one.first_seen > self._until):
            return None
        return one.first_seen

    def versions(self, name: str, arch: str) -> Sequence[Seen]:
        """Every version that was ever seen of it, in any archive, as they were noted."""
        self.prepare((name,))
        known = self._listed.get((name, arch), [])
        return known if self._until is None else [one for one in known if one.first_seen <= self._until]

    def advisory(self, archive: str, package: Package, above: str = "") -> Sequence[Advisory]:
        """What feeds and changelogs say of this version. `above`: only what is not fixed in that version already."""
        key = (archive, package.name, package.source, package.version, above)
        known = self._about.get(key)
        if known is None:
            known = self._about[key] = tuple(self._advisories(archive, package, above))
        return known

    # --- inside

    def _add(self, one: SeenVersion) -> None:
        key = (one.archive, one.package, one.arch, one.version)
        more = one.attributes
        package = Package(
            one.package, one.arch, one.version, section=str(more.get("section", "")),
            priority=str(more.get("priority", "")), source=str(more.get("source", "")), sha256=one.sha256,
            size=int(str(more.get("size") or 0)), built=int(str(more.get("built") or 0)),
        )  # fmt: skip
        first = self._moments.get(one.first_seen)
        if first is None:
            first = self._moments[one.first_seen] = moment_of(one.first_seen)
        cached = one.sha256 if one.sha256 in self._cached else ""
        seen = Seen(one.archive, package, first, one.security, one.seeded, cached)
        if key not in self._seen:
            self._keys.setdefault(one.package, []).append(key)
        self._seen.setdefault(key, {})[one.sha256] = seen
        self._told.setdefault(key, set()).update(one.advisories)
        self._listed.setdefault((one.package, one.arch), []).append(seen)

    def _forget(self, names: set[str] | None) -> None:
        """They are read again when they are asked for. None: all."""
        for name in set(self._prepared) if names is None else names:
            self._prepared.discard(name)
            for key in self._keys.pop(name, ()):
                del self._seen[key], self._told[key]
                self._listed.pop((key[1], key[2]), None)

    def _one(self, archive: str, package: Package) -> Seen | None:
        if package.name not in self._prepared:
            self.prepare((package.name,))
        known = self._seen.get((archive, package.name, package.arch, package.version))
        if known is None:
            return None
        if package.sha256 in known:
            return known[package.sha256]
        return None if package.sha256 else max(known.values(), key=lambda one: one.first_seen)

    def _new(
        self, scan: Scan, package: Package, place: int, entries: Mapping[str, Sequence[ChangelogEntry]]
    ) -> Found | None:
        """What the store does not know yet of this package in this archive."""
        archive = scan.archives[place]
        key = (archive.key, package.name, package.arch, package.version)
        known = self._seen.get(key)
        if (
            known is not None
            and (package.sha256 in known or not package.sha256)
            and self._told[key].issuperset(one[:MAX_NAME] for one in package.advisories)
        ) or not archive.key:
            return None
        more = {
            "section": package.section, "priority": package.priority, "source": package.source, "size": package.size,
            "built": package.built,
        }  # fmt: skip
        found = Found(
            archive.key, package.name, package.arch, package.version, package.sha256, archive.security,
            {name: value for name, value in more.items() if value}, package.advisories,
            _dated(scan, package, entries),
        )  # fmt: skip
        return found if found.fits else None

    def _note_changelogs(
        self, scan: Scan, entries: Mapping[str, Sequence[ChangelogEntry]], told: set[str], now: datetime
    ) -> None:
        """Vulnerabilities that changelogs name are fixed in the version of their entry, in the host's release."""
        system = str(scan.system.get("id") or "")
        release = str(scan.system.get("codename") or scan.system.get("version_id") or "")
        fixes: dict[str, dict[Fix, None]] = {}
        for some in entries.values():
            for one in some:
                for cve in one.cves:
                    fix = Fix(cve, "", release_named(system, release), "source", "fixed", one.version, "", one.written)
                    fixes.setdefault(one.source, {})[fix] = None
                    told.add(cve)
        if fixes:
            self._patches.feeds.add_changelogs(
                {name: [fix.fields() for fix in some] for name, some in fixes.items()}, told, now
            )
            for name in fixes:
                self._fixes.pop(name, None)
            self._about.clear()
        elif told:
            self._patches.feeds.know(told, now)

    def _advisories(self, archive: str, package: Package, above: str) -> Iterator[Advisory]:
        source, version = source_of(package)
        releases = releases_of_archive(archive, package.version)
        kind = kind_of_versions(package.arch, archive)
        found: dict[str, list[Fix]] = {}
        for name in dict.fromkeys((source, package.name)):
            for fix in self._fixes_of(name):
                own = version if fix.kind == "source" else package.version
                if (
                    fix.status == "fixed"
                    and fix.fixed
                    and name == (source if fix.kind == "source" else package.name)
                    and (not fix.release or fix.release in releases)
                    and _compare(fix.fixed, own, kind) <= 0
                    and (not above or _compare(fix.fixed, above, kind) > 0)
                ):
                    found.setdefault(fix.advisory or fix.cve, []).append(fix)
        for name, fixes in found.items():
            severity = next((fix.severity for fix in fixes if fix.severity), "")
            title = next((fix.title for fix in fixes if fix.title), "")
            issued = max(fix.issued for fix in fixes)
            cves = tuple(dict.fromkeys(fix.cve for fix in fixes if fix.cve))
            yield Advisory(name, "Security", severity, title, issued, issued, cves)

    def _fixes_of(self, name: str) -> list[Fix]:
        known = self._fixes.get(name)
        if known is None:
            some = self._patches.feeds.fixes((name,)).get(name, ())
            known = self._fixes[name] = [fix_of(fields) for _, fixes in some for fields in fixes]
        return known


_compare = lru_cache(maxsize=50_000)(compare_versions)


def _entries(changelogs: Mapping[str, str]) -> dict[str, list[ChangelogEntry]]:
    return {key: list(read_changelog(text)) for key, text in changelogs.items()}


def _dated(scan: Scan, package: Package, entries: Mapping[str, Sequence[ChangelogEntry]]) -> int:
    """When this version is known to have been out, by its changelog or its advisories; 0: they do not say."""
    for one in entries.get(f"{package.name} {package.arch} {package.version}", ())[:1]:
        if one.written:
            return one.written
    issued = [scan.advisories[name].issued for name in package.advisories if name in scan.advisories]
    return min((moment for moment in issued if moment), default=0)
