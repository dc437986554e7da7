"""The `patching` block of statectl.yml: indexes that the controller reads itself, feeds of vulnerabilities, and the package cache.

Addresses stand here and nowhere else: what a host tells is never fetched.
"""

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from statectl.baselines.patching import FEED_KINDS, Feed, Index, Patching
from statectl.project.findings import Findings
from statectl.project.yaml_nodes import Path
from statectl.project.yaml_tree import BROKEN

FIELDS: Mapping[str, str] = {
    "refresh": "How old the indexes of a host may be for a scan, such as 6h (default 1h); older ones are fetched beside its own, which stay as they are",
    "poll": "How often `statectl serve` reads the indexes, such as 1h; from 1m to 7d (default: it does not; `statectl patch poll` does)",
    "indexes": "Indexes of packages that the controller reads itself, so that versions are known when they appear",
    "feeds": "Feeds of vulnerabilities by name: a kind (debian, osv, oval) and a source",
    "cache": "Directory in which packages are kept, relative to the project: a version that was approved can be installed when the index has it no more (default: none are kept)",
    "cache_max": "How large the cache may become, such as 20GiB (default 10GiB); what was used longest ago goes first",
    "cache_days": "For how many days a package is kept that no index has any more and nobody installed: 1 to 3650 (default 90)",
    "snapshot_days": "For how many days snapshots are kept: 1 to 3650 (default 30)",
}
INDEX_FIELDS: Mapping[str, str] = {
    "name": "What messages call it",
    "uri": "apt: address of the archive, https://, http:// or file://",
    "suites": "apt: a list: [bookworm, bookworm-updates]",
    "components": "apt: a list (default [main])",
    "architectures": "apt: a list (default [amd64])",
    "signed_by": "apt: file with the keys, relative to the project: .gpg or .asc",
    "baseurl": "rpm: address of the repository, the directory that holds repodata",
    "gpgkey": "rpm: file with the keys, relative to the project; repomd.xml.asc is checked with them",
    "repository": "rpm: the id that the repository has on the hosts",
    "trusted": "Why it needs no signature; a text that reviewers read",
}
FEED_FIELDS: Mapping[str, str] = {
    "kind": "debian (JSON of the Debian security tracker), osv (JSON, JSON lines, a zip or a directory of them) or oval (XML of Debian, Ubuntu or RHEL)",
    "source": "https:// or http:// address, or a file or directory, relative to the project",
}
MAX_INDEXES, MAX_FEEDS = 200, 50
_DURATION, _SIZE = re.compile(r"([0-9]{1,6})([smhd])"), re.compile(r"([0-9]{1,6}) ?(MiB|GiB|TiB|MB|GB|TB)")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_BYTES = {"MiB": 1024**2, "GiB": 1024**3, "TiB": 1024**4, "MB": 10**6, "GB": 10**9, "TB": 10**12}
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_WORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9+._~:-]{0,199}")
_SUITE = re.compile(r"[A-Za-z0-9][A-Za-z0-9+._~-]{0,99}(?:/[A-Za-z0-9][A-Za-z0-9+._~-]{0,99}){0,5}")


def read_patching(findings: Findings, value: Any, path: Path) -> Patching:
    """The block, with what is wrong in `findings`."""
    fields = _known(findings, value, path, FIELDS, "`patching`")
    usual = Patching()
    refresh = poll = size = days = kept = None
    if "refresh" in fields:
        refresh = _duration(findings, fields["refresh"], (*path, "refresh"))
    if "poll" in fields:
        poll = _duration(findings, fields["poll"], (*path, "poll"))
    if "cache_max" in fields:
        size = _size(findings, fields["cache_max"], (*path, "cache_max"))
    if "cache_days" in fields:
        days = findings.number(fields["cache_days"], (*path, "cache_days"), 1, 3650)
    if "snapshot_days" in fields:
        kept = findings.number(fields["snapshot_days"], (*path, "snapshot_days"), 1, 3650)
    cache = findings.text(fields["cache"], (*path, "cache")) if "cache" in fields else None
    indexes = _indexes(findings, fields.get("indexes"), (*path, "indexes"))
    if cache and not indexes:
        findings.add(
            "E109",
            (*path, "cache"),
            "`cache` needs `indexes`: packages are fetched from where they are named",
            key=True,
        )
    return Patching(
        refresh or usual.refresh_s,
        poll or usual.poll_s,
        indexes,
        _feeds(findings, fields.get("feeds"), (*path, "feeds")),
        cache or "",
        size or usual.cache_max,
        days or usual.cache_days,
        kept or usual.snapshot_days,
    )


def _indexes(findings: Findings, value: Any, path: Path) -> tuple[Index, ...]:
    if value is None or value is BROKEN:
        return ()
    if not isinstance(value, list):
        findings.wrong(path, "expected a list of maps with `uri` or `baseurl`")
        return ()
    if len(value) > MAX_INDEXES:
        findings.wrong(path, f"expected at most {MAX_INDEXES} indexes")
    found: list[Index] = []
    for place, one in enumerate(value[:MAX_INDEXES]):
        index = _index(findings, one, (*path, place))
        if index is not None and any(index.name == other.name for other in found):
            findings.wrong((*path, place, "name"), f"another index is called {index.name} too")
        elif index is not None:
            found.append(index)
    return tuple(found)


def _index(findings: Findings, value: Any, path: Path) -> Index | None:
    fields = _known(findings, value, path, INDEX_FIELDS, "an index")
    if not isinstance(value, dict):
        return None
    before = len(findings.problems)
    words = {name: findings.text(fields[name], (*path, name)) or "" for name in fields if name not in _LISTS}
    lists = {name: _words(findings, fields[name], (*path, name)) for name in _LISTS if name in fields}
    apt, rpm = "uri" in fields, "baseurl" in fields
    if apt == rpm:
        findings.add("E109", path, "an index needs either `uri` (apt) or `baseurl` (rpm)")
        return None
    for name in _OF["baseurl" if apt else "uri"]:
        if name in fields:
            findings.add("E101", (*path, name), f"`{name}` is not for an index of {'apt' if apt else 'rpm'}", key=True)
    for name in ("name", "suites") if apt else ("name", "repository"):
        if name not in fields:
            findings.add("E109", path, f"an index of {'apt' if apt else 'rpm'} needs `{name}`")
    if "name" in fields and not _NAME.fullmatch(words["name"] or "-"):
        findings.wrong((*path, "name"), "expected letters, digits, . _ and -, at most 64")
    address = "uri" if apt else "baseurl"
    problem = address_problem(words[address])
    if words[address] and problem:
        findings.wrong((*path, address), problem)
    if not any(words.get(name) for name in ("signed_by", "gpgkey", "trusted")) and (
        apt or words[address].startswith("http:")
    ):
        hint = f"{'signed_by' if apt else 'gpgkey'}: FILE, or trusted: WHY"
        findings.add(
            "E109",
            path,
            f"an index needs {'`signed_by`' if apt else '`gpgkey` or https'}, or `trusted` with a reason",
            hint=hint,
        )
    if len(findings.problems) > before:
        return None
    if apt:
        lists = {"components": ("main",), "architectures": ("amd64",), **lists}
    typed: dict[str, Any] = {**words, **lists}
    return Index(**typed)


_LISTS = ("suites", "components", "architectures")
_OF = {"uri": ("uri", *_LISTS, "signed_by"), "baseurl": ("baseurl", "gpgkey", "repository")}


def _words(findings: Findings, value: Any, path: Path) -> tuple[str, ...]:
    words = findings.texts(value, path, "names") or []
    for place, word in enumerate(words):
        if not _SUITE.fullmatch(word) or ".." in word:
            findings.wrong((*path, place), "expected a name of letters, digits and - . _ + ~")
    if isinstance(value, list) and not value:
        findings.wrong(path, "expected at least one name")
    return tuple(words)


def _feeds(findings: Findings, value: Any, path: Path) -> tuple[Feed, ...]:
    if value is None or value is BROKEN:
        return ()
    found = []
    entries = findings.map(value, path, "expected a map of feeds by name") or {}
    if len(entries) > MAX_FEEDS:
        findings.wrong(path, f"expected at most {MAX_FEEDS} feeds")
    for name, one in entries.items():
        below = (*path, name)
        if not _NAME.fullmatch(name):
            findings.add("E108", below, f"`{name[:80]}`: expected letters, digits, . _ and -, at most 64", key=True)
            continue
        fields = _known(findings, one, below, FEED_FIELDS, "a feed")
        missing = [key for key in FEED_FIELDS if key not in fields]
        if missing:
            if isinstance(one, dict):
                findings.add("E109", below, f"a feed needs `{missing[0]}`", key=True)
            continue
        kind = findings.choice(fields["kind"], (*below, "kind"), FEED_KINDS)
        source = findings.text(fields["source"], (*below, "source"))
        if source and "://" in source and (problem := address_problem(source)):
            findings.wrong((*below, "source"), problem)
        elif kind and source:
            found.append(Feed(name, kind, source))
    return tuple(found)


def address_problem(text: str) -> str:
    """What is wrong with an address that the controller fetches from, '' when nothing is."""
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        return "expected an https://, http:// or file:// address"
    del port
    if re.search(r"[\x00-\x20\x7f]", text) or parts.scheme not in ("https", "http", "file"):
        return "expected an https://, http:// or file:// address"
    if parts.scheme == "file":
        return "" if not parts.netloc and parts.path.startswith("/") else "expected file:///PATH"
    if parts.password is not None or parts.username is not None:
        return "an address holds no user and password"
    return "" if parts.hostname else "expected the name of a server in the address"


def _duration(findings: Findings, value: Any, path: Path) -> int | None:
    match = _DURATION.fullmatch(value) if isinstance(value, str) else None
    seconds = int(match[1]) * _SECONDS[match[2]] if match else 0
    if value is BROKEN or 60 <= seconds <= 7 * 86400:
        return seconds or None
    findings.wrong(path, "expected a duration from 1m to 7d, such as 30m, 1h or 1d")
    return None


def _size(findings: Findings, value: Any, path: Path) -> int | None:
    match = _SIZE.fullmatch(value) if isinstance(value, str) else None
    if value is BROKEN or (match and int(match[1])):
        return int(match[1]) * _BYTES[match[2]] if match else None
    findings.wrong(path, "expected a size such as 500MiB or 20GiB")
    return None


def _known(findings: Findings, value: Any, path: Path, allowed: Mapping[str, str], where: str) -> dict[str, Any]:
    found = findings.map(value, path) or {}
    for key, below in found.items():
        if key not in allowed:
            findings.unknown(path, key, allowed, where, below)
    return {key: below for key, below in found.items() if key in allowed}
