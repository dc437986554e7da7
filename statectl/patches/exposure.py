"""Which hosts are exposed to which vulnerabilities, as far as their last scans, feeds, advisories and changelogs say. Contacts nothing.

exposed       a package is installed in a version that is older than the one that fixes it, or that nothing fixes yet
fixed         the package is there, in a version that fixes it
not affected  something that knows the host's system knows the vulnerability, and nothing of it is here
unknown       never scanned, or nothing that knows the vulnerability is about this host's system
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from statectl.baselines.scan import Package, Scan, read_scan
from statectl.onhost.versions import compare_versions
from statectl.patches.fixes import Fix, fix_of, kind_of_versions, releases_of_host, source_of
from statectl.store.patch_scans import KeptScan
from statectl.store.patches import Patches

STATES = ("exposed", "unknown", "fixed", "not affected")
UPDATEINFO = "updateinfo"


@dataclass(frozen=True, slots=True)
class Exposure:
    """One package of one host and one vulnerability. Times are ISO 8601, '' where nothing is known.

    fixed      the version from which on it is fixed, '': none is
    available  the lowest version that the host's archives offer and that fixes it, '': none does
    approval   what the host's baseline says of it, in words; '': nothing
    source     what says so: a feed's name, `(changelogs)`, or `updateinfo`
    """

    host: str
    cve: str
    state: str
    package: str = ""
    arch: str = ""
    installed: str = ""
    fixed: str = ""
    available: str = ""
    advisory: str = ""
    severity: str = ""
    source: str = ""
    since: str = ""
    approval: str = ""
    scanned: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class _Known:
    """One fix, of which feed."""

    feed: str
    fix: Fix


class Exposures:
    """`scans`: {host: scan}; `systems`: {host: its facts `os`}; `cve`: only that one, '' for all."""

    def __init__(
        self,
        patches: Patches,
        scans: Mapping[str, KeptScan],
        systems: Mapping[str, Mapping[str, Any]],
        cve: str = "",
    ) -> None:
        self._scans = scans
        self._cve = cve
        about = patches.feeds.about(cve) if cve else {}
        self._read = {
            host: read_scan(_narrowed(kept.message, about) if cve else kept.message, systems.get(host) or {})
            for host, kept in scans.items()
            if kept.message is not None
        }
        names = {
            name
            for scan in self._read.values()
            for package in scan.installed
            for name in (package.name, source_of(package)[0])
        }
        self._fixes: dict[str, list[_Known]] = {}
        for name, some in (about if cve else patches.feeds.fixes(names)).items():
            self._fixes[name] = [
                _Known(feed, fix)
                for feed, fixes in some
                for fix in map(fix_of, fixes)
                if fix.cve and cve in ("", fix.cve)
            ]
        self._covered = frozenset(one.fix.release for some in self._fixes.values() for one in some)
        self._since = patches.feeds.known_since(self._named())
        self._about: dict[tuple[Any, ...], tuple[tuple[_Known, bool], ...]] = {}

    def of(self, host: str) -> list[Exposure]:
        """With one vulnerability always at least one entry; of all of them those that it is exposed to, and unknown for what is not scanned."""
        kept = self._scans.get(host)
        scan = self._read.get(host)
        if kept is None or scan is None:
            why = kept.trouble if kept is not None and kept.trouble else "never scanned"
            return [Exposure(host, self._cve, "unknown", reason=why)]
        releases = releases_of_host(scan.system) | {f"repo:{one.key}" for one in scan.archives}
        offers: dict[tuple[str, str], list[Package]] = {}
        for one in scan.available:
            offers.setdefault(one.key, []).append(one)
        found: dict[tuple[str, str, str], Exposure] = {}
        is_fixed = None
        for package in scan.installed:
            for known, open_here in self._judged(package, releases, scan.manager):
                if not open_here and (is_fixed is not None or known.fix.status != "fixed"):
                    continue
                entry = self._entry(host, kept, scan, package, known, offers.get(package.key, ()), exposed=open_here)
                if not open_here:
                    is_fixed = entry
                    continue
                before = found.get((entry.cve, package.name, package.arch))
                if before is None or _says_more(entry, before):
                    found[entry.cve, package.name, package.arch] = entry
            for entry in self._told(host, kept, scan, package, offers.get(package.key, ())):
                found.setdefault((entry.cve, package.name, package.arch), entry)
        if found or not self._cve:
            return sorted(found.values(), key=lambda one: (one.cve, one.package, one.arch))
        if is_fixed is not None:
            return [is_fixed]
        return [self._nothing(host, kept, releases)]

    def _named(self) -> set[str]:
        told = {cve for scan in self._read.values() for one in scan.advisories.values() for cve in one.cves}
        return {self._cve} if self._cve else told | {one.fix.cve for some in self._fixes.values() for one in some}

    def _judged(self, package: Package, releases: frozenset[str], manager: str) -> tuple[tuple[_Known, bool], ...]:
        """(what is known, is this version exposed?) of a package; the same on every host that has it."""
        key = (package.name, package.arch, package.version, package.source, releases)
        known = self._about.get(key)
        if known is None:
            known = self._about[key] = tuple(
                one for one in self._looked_up(package, releases, manager) if one[1] or self._cve
            )
        return known

    def _looked_up(self, package: Package, releases: frozenset[str], manager: str) -> Iterable[tuple[_Known, bool]]:
        source, version = source_of(package)
        kind = "deb" if manager == "apt" else "rpm"
        for name in dict.fromkeys((source, package.name)):
            for one in self._fixes.get(name, ()):
                fix = one.fix
                if (fix.release and fix.release not in releases) or name != (
                    source if fix.kind == "source" else package.name
                ):
                    continue
                if fix.status == "open":
                    yield one, True
                elif fix.status == "fixed" and fix.fixed:
                    own = version if fix.kind == "source" else package.version
                    yield one, compare_versions(own, fix.fixed, kind) < 0

    def _entry(
        self,
        host: str,
        kept: KeptScan,
        scan: Scan,
        package: Package,
        known: _Known,
        offers: Sequence[Package],
        *,
        exposed: bool,
    ) -> Exposure:
        fix = known.fix
        kind = kind_of_versions(package.arch, scan.archives[0].key if scan.archives else "")
        enough = [one for one in offers if fix.fixed and compare_versions(source_of(one)[1], fix.fixed, kind) >= 0]
        return Exposure(
            host,
            fix.cve,
            "exposed" if exposed else "fixed",
            package.name,
            package.arch,
            package.version,
            fix.fixed,
            _lowest(enough, kind),
            fix.advisory,
            fix.severity,
            known.feed if not known.feed.startswith("(") or known.feed == "(changelogs)" else UPDATEINFO,
            self._since_when(kept, package, fix.cve) if exposed else "",
            scanned=kept.at,
            reason=fix.title,
        )

    def _told(
        self, host: str, kept: KeptScan, scan: Scan, package: Package, offers: Sequence[Package]
    ) -> Iterable[Exposure]:
        """What the host's own advisories say that newer versions fix."""
        for offer in offers:
            for name in offer.advisories:
                advisory = scan.advisories.get(name)
                for cve in advisory.cves if advisory is not None else ():
                    if advisory is not None and self._cve in ("", cve):
                        yield Exposure(
                            host, cve, "exposed", package.name, package.arch, package.version, offer.version,
                            offer.version, name, advisory.severity, UPDATEINFO,
                            self._since_when(kept, package, cve), scanned=kept.at, reason=advisory.title,
                        )  # fmt: skip

    def _since_when(self, kept: KeptScan, package: Package, cve: str) -> str:
        """Known to be exposed: the version is installed, and somebody has said what is wrong with it."""
        installed = kept.since.get(f"{package.name} {package.arch} {package.version}", kept.first_at)
        return max(installed, self._since.get(cve, ""))

    def _nothing(self, host: str, kept: KeptScan, releases: frozenset[str]) -> Exposure:
        if not self._covered.isdisjoint(releases):  # somebody knows it in this host's release
            return Exposure(host, self._cve, "not affected", scanned=kept.at)
        why = "nothing that names it is about this host's system"
        return Exposure(host, self._cve, "unknown", scanned=kept.at, reason=why)


def _narrowed(message: Mapping[str, Any], about: Collection[str]) -> Mapping[str, Any]:
    """What can matter of a scan: packages that something names, and those that the host has advisories of."""
    advised = {(row[0], row[1]) for row in message.get("available") or () if row[7]}

    def matters(row: Sequence[Any]) -> bool:
        return row[0] in about or str(row[5]).partition(" ")[0] in about or (row[0], row[1]) in advised

    return {
        **message,
        "installed": [row for row in message.get("installed") or () if matters(row)],
        "available": [row for row in message.get("available") or () if matters(row)],
    }


def _says_more(one: Exposure, other: Exposure) -> bool:
    """Of two sources the one that names a fix, then the one that names an advisory."""
    return (bool(one.fixed), bool(one.advisory), bool(one.severity)) > (
        bool(other.fixed), bool(other.advisory), bool(other.severity)
    )  # fmt: skip


def _lowest(packages: Sequence[Package], kind: str) -> str:
    lowest = ""
    for one in packages:
        if not lowest or compare_versions(one.version, lowest, kind) < 0:
            lowest = one.version
    return lowest
