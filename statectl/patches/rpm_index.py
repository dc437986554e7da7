"""A repository of rpm packages: repomd.xml, with its signature where a key is given, then primary and updateinfo with their checksums."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from statectl.baselines.patching import Index
from statectl.errors import Refused
from statectl.patches.apt_index import FUTURE, unreachable
from statectl.patches.fetching import NotFetched, fetch, joined
from statectl.patches.fixes import CVE, Fix
from statectl.patches.index_files import (
    MAX_COMPRESSED,
    MAX_PACKAGES,
    PIECE,
    Elements,
    IndexRead,
    Listed,
    damaged,
    opened,
)
from statectl.patches.signatures import check_detached
from statectl.store.patch_ledger import Found

MAX_REPOMD = 8 * 1024**2
MAX_UPDATES = 200_000
SECURITY = "security"


def read_rpm(
    index: Index, keys: Path | None, known: Mapping[str, str], made_before: str, place: Path, now: datetime
) -> IndexRead | None:
    """None: nothing is new. As `read_apt`."""
    address = joined(index.baseurl, "repodata/repomd.xml")
    file = place / "repomd.xml"
    try:
        got = fetch(address, file, most=MAX_REPOMD, validators=known)
    except NotFetched as error:
        raise unreachable(index.name, address, error) from None
    if got.unchanged or (known.get("sha256") and got.sha256 == known["sha256"]):
        return None
    if keys is not None:
        signature = place / "repomd.xml.asc"
        try:
            fetch(f"{address}.asc", signature, most=1024**2)
        except NotFetched as error:
            if error.missing:
                raise Refused(
                    f"index {index.name}: {address} is not signed: there is no repomd.xml.asc", code="E641",
                    hint="leave out gpgkey where the repository signs its packages only",
                ) from None  # fmt: skip
            raise unreachable(index.name, f"{address}.asc", error) from None
        check_detached(index.name, file, signature, keys)
    listing = _Listing(index.name)
    with file.open("rb") as source:
        listing.feed(source, "repomd.xml")
    _check_age(index.name, listing.made, made_before, now)
    primary = _part(index, listing, "primary", place)
    if primary is None:
        raise damaged(index.name, "repomd.xml names no primary list of packages")
    updates = _Updates(index.name, f"repo:{index.repository}")
    updateinfo = _part(index, listing, "updateinfo", place)
    if updateinfo is not None:
        with opened(index.name, *updateinfo) as source:
            updates.feed(source, updateinfo[1])
    return IndexRead(
        {index.repository: listing.made},
        partial(_packages, index, primary, updates.advisories),
        {**got.validators, "sha256": got.sha256},
        listing.made,
        updates.fixes,
        index.baseurl,
    )


def _check_age(index: str, made: int, made_before: str, now: datetime) -> None:
    moment = datetime.fromtimestamp(made, UTC) if 0 < made < 2**33 else None
    if moment is None:
        return
    if moment - now > FUTURE:
        raise Refused(
            f"index {index}: repomd.xml is of {moment:%Y-%m-%d %H:%M} UTC, which is ahead of the clock here", code="E641",
            hint="set the clock of this machine",
        )  # fmt: skip
    if made_before and moment.strftime("%Y-%m-%dT%H:%M:%SZ") < made_before:
        raise Refused(
            f"index {index}: repomd.xml is of {moment:%Y-%m-%d %H:%M} UTC, older than the one that was read before it ({made_before})",
            code="E641", hint="statectl explain E641",
        )  # fmt: skip


def _part(index: Index, listing: "_Listing", kind: str, place: Path) -> tuple[Path, str] | None:
    """-> (a file that repomd.xml names, its name), checked; None: it names none."""
    one = listing.parts.get(kind)
    if one is None:
        return None
    name = one.get("href", "")
    size = int(one["size"]) if one.get("size", "").isdigit() else MAX_COMPRESSED
    if one.get("type") not in ("sha256", "sha512") or size > MAX_COMPRESSED:
        raise damaged(index.name, f"{name[:200]} has no SHA-256 checksum, or is larger than it may be")
    path = place / f"{kind}{Path(name).suffix}"
    try:
        got = fetch(joined(index.baseurl, name), path, most=size)
    except NotFetched as error:
        if "bytes" in error.why:
            raise damaged(index.name, f"{name[:200]} {error.why}") from None
        raise unreachable(index.name, f"{index.baseurl}/{name[:200]}", error) from None
    digest = got.sha256 if one["type"] == "sha256" else _sha512(path)
    if digest != one.get("checksum", ""):
        raise damaged(index.name, f"{name[:200]} has another checksum than repomd.xml says")
    return path, path.name


def _sha512(path: Path) -> str:
    import hashlib

    with path.open("rb") as source:
        return hashlib.file_digest(source, "sha512").hexdigest()


class _Listing(Elements):
    """repomd.xml."""

    def __init__(self, where: str) -> None:
        super().__init__(where)
        self.parts: dict[str, dict[str, str]] = {}
        self.made = 0
        self._one: dict[str, str] = {}

    def begin(self, name: str, attributes: Mapping[str, str]) -> None:
        if name == "data":
            self._one = self.parts.setdefault(attributes.get("type", "")[:40], {})
        elif name == "location":
            self._one["href"] = attributes.get("href", "")
        elif name == "checksum":
            self._one["type"] = attributes.get("type", "")

    def end(self, name: str, text: str) -> None:
        if name in ("checksum", "size"):
            self._one[name] = text
        elif name == "timestamp":
            self.made = max(self.made, _number(text))


class _Updates(Elements):
    """updateinfo.xml: which advisories a build is in, and what they fix."""

    def __init__(self, where: str, release: str) -> None:
        super().__init__(where)
        self.advisories: dict[tuple[str, str, str], list[tuple[str, bool, int]]] = {}  # name, arch, version
        self.fixes: dict[str, list[Fix]] = {}
        self._release = release
        self._one: dict[str, Any] = {}
        self._path: list[str] = []
        self._count = 0

    def begin(self, name: str, attributes: Mapping[str, str]) -> None:
        self._path.append(name)
        if name == "update":
            self._count += 1
            if self._count > MAX_UPDATES:
                raise self.bad(f"updateinfo.xml lists over {MAX_UPDATES} advisories")
            self._one = {"type": attributes.get("type", ""), "cves": {}, "builds": {}}
        elif name == "issued" and self._one:
            self._one["issued"] = _moment(attributes.get("date", ""))
        elif name == "reference" and self._one and attributes.get("type", "") == "cve":
            found = CVE.findall(attributes.get("id", "") or attributes.get("title", ""))
            self._one["cves"].update(dict.fromkeys(found))
        elif name == "package" and self._one:
            version = _version(attributes)
            self._one["builds"][attributes.get("name", ""), attributes.get("arch", ""), version] = None

    def end(self, name: str, text: str) -> None:
        self._path.pop()
        if self._path and self._path[-1] == "update" and name in ("id", "title", "severity"):
            self._one[name] = text[:300]
        elif name == "update" and self._one.get("id"):
            self._add(self._one)
            self._one = {}

    def _add(self, one: Mapping[str, Any]) -> None:
        security = one["type"] == SECURITY
        issued = int(one.get("issued", 0))
        severity = "" if one.get("severity", "").lower() == "none" else one.get("severity", "")
        for build in one["builds"]:
            self.advisories.setdefault(build, []).append((one["id"], security, issued))
            if security:
                fixes = self.fixes.setdefault(build[0], [])
                fixes += [
                    Fix(
                        cve,
                        one["id"],
                        self._release,
                        "binary",
                        "fixed",
                        build[2],
                        severity,
                        issued,
                        one.get("title", ""),
                    )
                    for cve in one["cves"] or ("",)
                ]


class _Packages(Elements):
    """primary.xml; what was read waits in `ready`."""

    def __init__(self, index: Index, advisories: Mapping[tuple[str, str, str], list[tuple[str, bool, int]]]) -> None:
        super().__init__(index.name)
        self.ready: list[Listed] = []
        self._archive = index.repository
        self._advisories = advisories
        self._one: dict[str, str] = {}
        self._count = 0

    def begin(self, name: str, attributes: Mapping[str, str]) -> None:
        if name == "package":
            self._one = {}
            self._count += 1
            if self._count > MAX_PACKAGES:
                raise self.bad(f"it lists over {MAX_PACKAGES} packages")
        elif name == "version" and "version" not in self._one:
            self._one["version"] = _version(
                {
                    "epoch": attributes.get("epoch", "0"),
                    "version": attributes.get("ver", ""),
                    "release": attributes.get("rel", ""),
                }
            )
        elif name == "checksum":
            self._one["digest"] = attributes.get("type", "")
        elif name == "location":
            self._one["location"] = attributes.get("href", "")
        elif name == "size":
            self._one["size"] = attributes.get("package", "")
        elif name == "time":
            self._one["built"] = attributes.get("build", "")

    def end(self, name: str, text: str) -> None:
        if name in ("name", "arch", "checksum", "group", "sourcerpm"):
            self._one.setdefault(name, text)
        elif name == "package":
            one = self._listed(self._one)
            if one is not None and one.found.fits and one.found.arch != "src":
                self.ready.append(one)

    def _listed(self, one: Mapping[str, str]) -> Listed | None:
        if not all(one.get(name) for name in ("name", "arch", "version")):
            return None
        told = self._advisories.get((one["name"], one["arch"], one["version"]), [])
        size = _number(one.get("size", ""))
        more: dict[str, object] = {
            "section": one.get("group", ""),
            "source": one.get("sourcerpm", "").rpartition("-")[0].rpartition("-")[0],
            "size": size,
            "built": _number(one.get("built", "")),
        }
        found = Found(
            self._archive,
            one["name"],
            one["arch"],
            one["version"],
            one.get("checksum", "") if one.get("digest") == "sha256" else "",
            any(security for _, security, _ in told),
            {name: value for name, value in more.items() if value},
            [name for name, _, _ in told],
            min((issued for _, _, issued in told if issued), default=0),
        )
        return Listed(found, one.get("location", ""), size)


def _packages(
    index: Index, primary: tuple[Path, str], advisories: Mapping[tuple[str, str, str], list[tuple[str, bool, int]]]
) -> Iterator[Listed]:
    parser = _Packages(index, advisories)
    with opened(index.name, *primary) as source:
        while piece := source.read(PIECE):
            parser.feed_piece(piece, primary[1])
            ready, parser.ready = parser.ready, []
            yield from ready
        parser.feed_piece(b"", primary[1], last=True)
        yield from parser.ready


def _version(attributes: Mapping[str, str]) -> str:
    """As hosts tell it: with the epoch, unless it is 0."""
    epoch = attributes.get("epoch") or "0"
    version = f"{attributes.get('version', '')}-{attributes.get('release', '')}"
    return version if epoch == "0" else f"{epoch}:{version}"


def _number(text: str) -> int:
    """Of seconds too, which some write with a fraction."""
    text = text.partition(".")[0]
    return int(text) if text.isdigit() and len(text) < 16 else 0


def _moment(text: str) -> int:
    """`2024-05-07 12:00:00` or seconds since 1970."""
    if text.isdigit():
        return _number(text)
    for form in ("%Y-%m-%d %H:%M:%S", "%Y-%m-%d"):
        try:
            return int(datetime.strptime(text[:19].removesuffix(" UTC"), form).replace(tzinfo=UTC).timestamp())
        except ValueError:
            continue
    return 0
