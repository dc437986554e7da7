"""What a host told of its packages: `patches` of its `ready`, checked. The shape on the wire stands in `onhost/patching/__init__.py`."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Archive:
    """One index that the host's package manager reads. Times are seconds since 1970, 0 when not told."""

    key: str  # names the archive in the ledger: apt `Origin:Codename`, rpm the repository's id
    suite: str = ""
    codename: str = ""
    origin: str = ""
    label: str = ""
    component: str = ""
    security: bool = False  # an archive for security updates (apt)
    date: int = 0  # when it was made, as it says, signed
    fetched: int = 0  # when the host fetched it
    uri: str = ""  # without user and password; for people


@dataclass(frozen=True, slots=True)
class Advisory:
    id: str
    classification: str = ""  # Security, Bugfix, Enhancement, Newpackage, Recommended ...
    severity: str = ""  # Critical, Important, Moderate, Low; '' : not said
    title: str = ""
    issued: int = 0
    updated: int = 0
    cves: tuple[str, ...] = ()
    bugs: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Package:
    """One version of one package: an installed one, or one that can be had."""

    name: str
    arch: str
    version: str  # with epoch where it has one
    section: str = ""
    priority: str = ""
    source: str = ""  # source package
    archives: tuple[int, ...] = ()  # indexes into Scan.archives; () of an installed one: no archive has this version
    advisories: tuple[str, ...] = ()
    sha256: str = ""
    size: int = 0
    built: int = 0  # rpm

    @property
    def key(self) -> tuple[str, str]:
        return self.name, self.arch


@dataclass(frozen=True, slots=True)
class Needs:
    """What still runs old code."""

    reboot: bool = False
    reasons: tuple[str, ...] = ()  # for people: `kernel 6.1.0-41 is installed, 6.1.0-40 runs`
    services: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # unit: replaced files that it still uses
    processes: tuple[str, ...] = ()  # of no service: `4711 bash`


@dataclass(frozen=True, slots=True)
class Scan:
    """`trouble`: why nothing of it may be believed, '' when it may. `stale`: what was old when it was looked at, in words."""

    manager: str  # apt | dnf | zypper
    taken: int  # by the host's clock
    boot_id: str = ""
    trouble: str = ""
    stale: tuple[str, ...] = ()
    archives: tuple[Archive, ...] = ()
    installed: tuple[Package, ...] = ()
    available: tuple[Package, ...] = ()  # newer versions of what is installed, and new packages that an upgrade brings
    new: frozenset[tuple[str, str]] = frozenset()  # (name, arch) of `available` that are not installed
    advisories: Mapping[str, Advisory] = field(default_factory=dict)
    held: frozenset[str] = frozenset()  # by the package manager's own hold or lock
    broken: tuple[str, ...] = ()  # `lab-broken is half-configured`
    needs: Needs = field(default_factory=Needs)
    pending_reboot: frozenset[tuple[str, str, str]] = frozenset()  # (name, arch, version) that we installed since the boot
    system: Mapping[str, str] = field(default_factory=dict)  # id, version_id, id_like of its os-release
