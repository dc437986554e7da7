"""Scans, ledgers and packages for tests of baselines."""

import datetime as dt
from dataclasses import dataclass, field

from statectl.baselines.scan import Advisory, Archive, Package, Scan
from statectl.baselines.seen import Seen

NOW = dt.datetime(2026, 11, 24, 12, 0, tzinfo=dt.UTC)
DAY = dt.timedelta(days=1)
T = int(NOW.timestamp())
DEBIAN = {"id": "debian", "version": "12", "codename": "bookworm", "id_like": []}
RHEL = {"id": "rhel", "version": "9.4", "id_like": ["fedora"]}
MAIN = Archive("Debian:bookworm", "stable", "bookworm", "Debian", "Debian", "main", date=T - 999, fetched=T - 60)
SECURITY = Archive(
    "Debian:bookworm-security", "stable-security", "bookworm-security", "Debian", "Debian-Security", "main",
    security=True, date=T - 999, fetched=T - 60,
)  # fmt: skip
APPSTREAM = Archive("appstream", label="appstream", fetched=T - 60)


@dataclass
class Memory:
    """A first-seen ledger of what `noted` says: {(archive, name, version): moment}."""

    seen: list[Seen] = field(default_factory=list)
    feeds: dict[tuple[str, str], list[Advisory]] = field(default_factory=dict)

    def note(self, archive, name, version, moment, *, arch="amd64", cached="", security=None, **more):
        security = archive.security if security is None else security
        self.seen.append(Seen(archive.key, Package(name, arch, version, **more), moment, security, cached=cached))
        return self

    def first_seen(self, archive, package):
        found = [
            one.first_seen
            for one in self.seen
            if (one.archive, *one.package.key, one.package.version) == (archive, *package.key, package.version)
        ]
        return found[0] if found else None

    def versions(self, name, arch):
        return [one for one in self.seen if one.package.key == (name, arch)]

    def advisory(self, archive, package, above=""):
        return self.feeds.get((package.name, package.version), ())


def deb(name, version, *archives, arch="amd64", **more):
    return Package(name, arch, version, **{"section": "net", "priority": "optional", "archives": archives, **more})


def rpm(name, version, *advisories, arch="x86_64", **more):
    return Package(name, arch, version, **{"archives": (0,), "advisories": advisories, **more})


def apt_scan(installed, available=(), *, ledger=None, at=NOW, **more):
    """Archives 0 main, 1 security. `ledger`: notes all of it at `at` unless it is noted already."""
    scan = Scan("apt", T, archives=(MAIN, SECURITY), installed=tuple(installed), available=tuple(available),
                **{"system": DEBIAN, **more})  # fmt: skip
    return _noted(scan, ledger, at)


def rpm_scan(installed, available=(), *, ledger=None, at=NOW, **more):
    scan = Scan("dnf", T, archives=(APPSTREAM,), installed=tuple(installed), available=tuple(available),
                **{"system": RHEL, **more})  # fmt: skip
    return _noted(scan, ledger, at)


def _noted(scan, ledger, at):
    for package in (*scan.installed, *scan.available) if ledger is not None else ():
        for index in package.archives:
            archive = scan.archives[index]
            if ledger.first_seen(archive.key, package) is None:
                ledger.note(archive, package.name, package.version, at, arch=package.arch)
    return scan
