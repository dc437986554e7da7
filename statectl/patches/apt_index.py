"""An archive of apt, read as apt does: InRelease with its signature, then the lists that it names, each with its checksum."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from functools import partial
from pathlib import Path

from statectl.baselines.patching import Index
from statectl.errors import Refused, Unreachable
from statectl.onhost.patching.apt_scan import row_of
from statectl.patches.fetching import NotFetched, fetch
from statectl.patches.index_files import MAX_COMPRESSED, MAX_PACKAGES, IndexRead, Listed, damaged, opened
from statectl.patches.signatures import signed_text
from statectl.store.patch_ledger import Found

MAX_RELEASE = 32 * 1024**2
FUTURE = timedelta(days=1)
FORMS = (".xz", ".gz", "")
_FIELD = re.compile(r"([A-Za-z0-9][A-Za-z0-9-]*):[ \t]*(.*)")
_KEPT = frozenset(("Package", "Architecture", "Version", "Source", "Section", "Priority", "Filename", "Size", "SHA256"))


@dataclass(frozen=True, slots=True)
class Release:
    """`files`: {path: (sha256, size)}."""

    fields: Mapping[str, str]
    files: Mapping[str, tuple[str, int]]
    made: int
    valid_until: int


def read_apt(
    index: Index, suite: str, keys: Path | None, known: Mapping[str, str], made_before: str, place: Path, now: datetime
) -> IndexRead | None:
    """None: nothing is new. Files lie in `place`. `keys` None: it needs no signature.

    Raises Unreachable (E640), Refused (E641: signature, age) and Failed (E642: damaged).
    """
    base = f"{index.uri.rstrip('/')}/dists/{suite}"
    file = place / "InRelease"
    try:
        got = fetch(f"{base}/InRelease", file, most=MAX_RELEASE, validators=known)
    except NotFetched as error:
        if keys is not None or not error.missing:
            raise unreachable(index.name, f"{base}/InRelease", error) from None
        try:
            got = fetch(f"{base}/Release", file, most=MAX_RELEASE, validators=known)
        except NotFetched as second:
            raise unreachable(index.name, f"{base}/Release", second) from None
    if got.unchanged or (known.get("sha256") and got.sha256 == known["sha256"]):
        return None
    text = signed_text(index.name, file, keys) if keys is not None else _unsigned(file.read_bytes())
    release = _release(index.name, text)
    _check_age(index.name, suite, release, made_before, now)
    files = [
        (component, *_fetched(index.name, base, release, component, architecture, place))
        for component in index.components
        for architecture in index.architectures
    ]
    archives, rows = {}, []
    for component, path, name in files:
        row = _row(release, component, f"{index.uri.rstrip('/')} {suite}")
        archives[str(row["key"])] = release.made
        rows.append((row, path, name))
    return IndexRead(
        archives,
        partial(_all, index.name, rows),
        {**got.validators, "sha256": got.sha256},
        release.made,
        base=index.uri,
    )


def unreachable(index: str, address: str, error: NotFetched) -> Unreachable:
    return Unreachable(f"index {index}: {address} {error.why}", code="E640", hint="statectl explain E640")


def _unsigned(data: bytes) -> bytes:
    """The text of a clear-signed file that nobody checks, or of one without a signature."""
    if not data.startswith(b"-----BEGIN PGP SIGNED MESSAGE-----"):
        return data
    body = data.partition(b"\n\n")[2].partition(b"\n-----BEGIN PGP SIGNATURE-----")[0]
    return b"\n".join(line.removeprefix(b"- ") for line in body.split(b"\n"))


def _release(index: str, data: bytes) -> Release:
    fields: dict[str, str] = {}
    files: dict[str, tuple[str, int]] = {}
    last = ""
    for line in data.decode("utf-8", "replace").splitlines():
        match = _FIELD.match(line)
        if match:
            last = match[1]
            fields.setdefault(last, match[2].strip())
        elif last == "SHA256" and line.startswith(" "):
            words = line.split()
            if len(words) == 3 and re.fullmatch("[0-9a-f]{64}", words[0]) and words[1].isdigit():
                files[words[2]] = (words[0], int(words[1]))
    made = _seconds(fields.get("Date", ""))
    if not made or not files:
        raise damaged(index, "InRelease has no Date, or no list of SHA256")
    until = fields.get("Valid-Until", "")
    if until and not _seconds(until):
        raise damaged(index, f"InRelease has a Valid-Until that is no time: {until[:80]!r}")
    return Release(fields, files, made, _seconds(until))


def _check_age(index: str, suite: str, release: Release, made_before: str, now: datetime) -> None:
    made = datetime.fromtimestamp(release.made, UTC)
    shown = f"{made:%Y-%m-%d %H:%M} UTC"
    named = {release.fields.get("Suite", ""), release.fields.get("Codename", "")}
    if not {suite, suite.partition("/")[0]} & named and named != {""}:
        # `bookworm/updates` of old security archives has the codename bookworm
        raise _refused(f"index {index}: InRelease is of {' and '.join(sorted(filter(None, named)))}, not of {suite}")
    if made - now > FUTURE:
        raise _refused(
            f"index {index}: InRelease is of {shown}, which is ahead of the clock here", "set the clock of this machine"
        )
    if release.valid_until and release.valid_until < now.timestamp():
        until = datetime.fromtimestamp(release.valid_until, UTC)
        raise _refused(f"index {index}: InRelease is valid until {until:%Y-%m-%d %H:%M} UTC only")
    if made_before and made.strftime("%Y-%m-%dT%H:%M:%SZ") < made_before:
        raise _refused(
            f"index {index}: InRelease is of {shown}, older than the one that was read before it ({made_before})"
        )


def _fetched(
    index: str, base: str, release: Release, component: str, architecture: str, place: Path
) -> tuple[Path, str]:
    """-> (the list of packages, its name), checked."""
    plain = f"{component}/binary-{architecture}/Packages"
    name = next((plain + form for form in FORMS if plain + form in release.files), "")
    if not name:
        raise Unreachable(
            f"index {index}: it has no {component} for {architecture}",
            code="E640",
            hint="check components and architectures",
        )
    digest, size = release.files[name]
    if size > MAX_COMPRESSED:
        raise damaged(index, f"{name} is {size} bytes, more than it may be")
    path = place / name.replace("/", "_")
    addresses = [f"{base}/{name}"]
    if release.fields.get("Acquire-By-Hash", "").lower() == "yes":
        addresses.insert(0, f"{base}/{name.rpartition('/')[0]}/by-hash/SHA256/{digest}")
    for place_of, address in enumerate(addresses):
        try:
            got = fetch(address, path, most=size)
        except NotFetched as error:
            if error.missing and place_of + 1 < len(addresses):
                continue
            if "ended after" in error.why or "bytes" in error.why:
                raise damaged(index, f"{name}: {error.why}") from None
            raise unreachable(index, address, error) from None
        if got.size != size:
            raise damaged(index, f"{name} is {got.size} bytes, InRelease says {size}")
        if got.sha256 != digest:
            raise damaged(index, f"{name} has another checksum than InRelease says")
        break
    return path, name


def _row(release: Release, component: str, place: str) -> dict[str, object]:
    """As a host tells this archive: both find it under one key."""
    words = {name: release.fields.get(name.capitalize(), "") for name in ("SUITE", "CODENAME", "ORIGIN", "LABEL")}
    return row_of({**words, "COMPONENT": component, "SITE": ""}, place, release.made, 0)


def _all(index: str, rows: list[tuple[dict[str, object], Path, str]]) -> Iterator[Listed]:
    count = 0
    for row, path, name in rows:
        with opened(index, path, name) as source:
            for fields in stanzas(source.lines()):
                count += 1
                if count > MAX_PACKAGES:
                    raise damaged(index, f"it lists over {MAX_PACKAGES} packages")
                listed = _listed(str(row["key"]), bool(row["security"]), fields)
                if listed is not None:
                    yield listed


def stanzas(lines: Iterator[str]) -> Iterator[dict[str, str]]:
    """Of each paragraph the fields that are used; continued lines belong to others."""
    fields: dict[str, str] = {}
    for line in lines:
        if not line.strip():
            if fields:
                yield fields
                fields = {}
        elif line[0] not in " \t":
            name, _, value = line.partition(":")
            if name in _KEPT:
                fields[name] = value.strip()
    if fields:
        yield fields


def _listed(archive: str, security: bool, fields: Mapping[str, str]) -> Listed | None:
    if not all(fields.get(name) for name in ("Package", "Version", "Architecture")):
        return None
    size = int(fields["Size"]) if fields.get("Size", "").isdigit() else 0
    more: dict[str, object] = {
        "section": fields.get("Section", ""),
        "priority": fields.get("Priority", ""),
        "source": fields.get("Source", fields["Package"]).partition(" ")[0],
        "size": size,
    }
    found = Found(
        archive,
        fields["Package"],
        fields["Architecture"],
        fields["Version"],
        fields.get("SHA256", ""),
        security,
        {name: value for name, value in more.items() if value},
    )
    return Listed(found, fields.get("Filename", ""), size) if found.fits else None


def _seconds(text: str) -> int:
    try:
        return max(int(parsedate_to_datetime(text).timestamp()), 0) if text else 0
    except (ValueError, TypeError, OverflowError):
        return 0


def _refused(message: str, hint: str = "") -> Refused:
    return Refused(message, code="E641", hint=hint or "statectl explain E641")
