"""What a host told of its packages: `patches` of its `ready`, checked. The shape on the wire stands in `onhost/patching/__init__.py`."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

MAX_TEXT = 1000  # characters; of a longer one the rest is cut
MAX_PACKAGES = 60_000
MAX_ARCHIVES = 1000
MAX_ADVISORIES = 20_000


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
    pending_reboot: frozenset[tuple[str, str, str]] = (
        frozenset()
    )  # (name, arch, version) that we installed since the boot
    system: Mapping[str, Any] = field(
        default_factory=dict
    )  # the facts `os`: id, id_like, family, version, major, codename


def read_scan(message: Mapping[str, Any], system: Mapping[str, Any]) -> Scan:
    """`patches` of a host's `ready`, or as it was stored. `system`: its facts `os`. Raises ValueError on what is no scan.

    The host is not trusted: every value is checked for its type, texts are cut, and rows beyond the bounds are refused.
    """
    reader = _Reader(message)
    archives = tuple(reader.archive(one) for one in reader.rows("archives", MAX_ARCHIVES, dict))
    count = len(archives)
    advisories = reader.map("advisories", MAX_ADVISORIES)
    needs = reader.map("needs", 100)
    return Scan(
        manager=reader.text("manager"),
        taken=reader.number(message.get("taken")),
        boot_id=reader.text("boot_id"),
        trouble=reader.text("trouble"),
        stale=reader.texts(message.get("stale")),
        archives=archives,
        installed=tuple(reader.package(row, count) for row in reader.rows("installed", MAX_PACKAGES, list)),
        available=tuple(reader.package(row, count) for row in reader.rows("available", MAX_PACKAGES, list)),
        new=frozenset((_text(row[0]), _text(row[1])) for row in reader.rows("new", MAX_PACKAGES, list, 2)),
        advisories={_text(name): reader.advisory(_text(name), one) for name, one in advisories.items()},
        held=frozenset(reader.texts(message.get("held"))),
        broken=reader.texts(message.get("broken")),
        needs=Needs(
            reboot=needs.get("reboot") is True,
            reasons=reader.texts(needs.get("reasons")),
            services={_text(unit): reader.texts(paths) for unit, paths in (needs.get("services") or {}).items()},
            processes=reader.texts(needs.get("processes")),
        ),
        pending_reboot=frozenset(
            (_text(row[0]), _text(row[1]), _text(row[2]))
            for row in reader.rows("pending_reboot", MAX_PACKAGES, list, 3)
        ),
        system=dict(system),
    )


class _Reader:
    def __init__(self, message: Mapping[str, Any]) -> None:
        self._message = message

    def text(self, key: str) -> str:
        return _text(self._message.get(key) or "")

    def number(self, value: Any) -> int:
        if value is None:
            return 0
        if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 2**40:
            raise ValueError("a number of the scan is not valid")
        return value

    def texts(self, value: Any) -> tuple[str, ...]:
        if value is None:
            return ()
        if not isinstance(value, list | tuple) or len(value) > MAX_PACKAGES:
            raise ValueError("a list of the scan is not valid")
        return tuple(map(_text, value))

    def rows(self, key: str, most: int, kind: type, length: int = 0) -> list[Any]:
        rows = self._message.get(key) or []
        if not isinstance(rows, list) or len(rows) > most or any(not isinstance(row, kind) for row in rows):
            raise ValueError(f"`{key}` of the scan is not valid")
        if length and any(len(row) != length for row in rows):
            raise ValueError(f"`{key}` of the scan is not valid")
        return rows

    def map(self, key: str, most: int) -> Mapping[str, Any]:
        value = self._message.get(key) or {}
        if not isinstance(value, dict) or len(value) > most:
            raise ValueError(f"`{key}` of the scan is not valid")
        return value

    def archive(self, one: Mapping[str, Any]) -> Archive:
        words = {name: _text(one.get(name) or "") for name in ("key", "suite", "codename", "origin", "label")}
        words |= {name: _text(one.get(name) or "") for name in ("component", "uri")}
        times = {name: self.number(one.get(name)) for name in ("date", "fetched")}
        return Archive(**words, security=one.get("security") is True, **times)  # type: ignore[arg-type]

    def package(self, row: list[Any], archives: int) -> Package:
        """[name, arch, version, section, priority, source, [archive], [advisory], built, sha256, size], the last two may be missing."""
        if not 9 <= len(row) <= 11:
            raise ValueError("a package of the scan is not valid")
        within = tuple(self.number(one) for one in row[6] or ())
        if any(one >= archives for one in within):
            raise ValueError("a package of the scan names an archive that is not there")
        words = [_text(one or "") for one in row[:6]]
        sha256 = _text(row[9] or "") if len(row) > 9 else ""
        size = self.number(row[10]) if len(row) > 10 else 0
        name, arch, version, section, priority, source = words
        return Package(
            name,
            arch,
            version,
            section,
            priority,
            source,
            within,
            self.texts(row[7]),
            sha256,
            size,
            self.number(row[8]),
        )

    def advisory(self, name: str, one: Any) -> Advisory:
        if not isinstance(one, dict):
            raise ValueError("an advisory of the scan is not valid")  # noqa: TRY004  callers handle one kind
        words = {key: _text(one.get(key) or "") for key in ("classification", "severity", "title")}
        times = {key: self.number(one.get(key)) for key in ("issued", "updated")}
        return Advisory(name, **words, **times, cves=self.texts(one.get("cves")), bugs=self.texts(one.get("bugs")))  # type: ignore[arg-type]


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError("a text of the scan is not valid")  # noqa: TRY004  callers handle one kind
    return value if len(value) <= MAX_TEXT else value[:MAX_TEXT]
