"""Changelogs of Debian packages: the vulnerabilities that each entry names, and when it was written."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from email.utils import parsedate_to_datetime

from statectl.patches.fixes import CVE

MAX_ENTRIES, MAX_CHARACTERS, MAX_CVES = 400, 1024 * 1024, 500
_HEAD = re.compile(r"([A-Za-z0-9][A-Za-z0-9+.-]*) \(([^()\s]+)\)[^;\n]*;")
_FOOT = re.compile(r" -- .*?>  ?(.+)")


@dataclass(frozen=True, slots=True)
class ChangelogEntry:
    """`written`: seconds since 1970, 0 when that cannot be read."""

    source: str
    version: str
    cves: tuple[str, ...]
    written: int


def entries(text: str) -> Iterator[ChangelogEntry]:
    """The newest first, as they stand. What is no changelog has none."""
    source = version = ""
    cves: dict[str, None] = {}
    count = 0
    for line in text[:MAX_CHARACTERS].splitlines():
        head = _HEAD.match(line)
        if head:
            source, version, cves = head[1], head[2], {}
            continue
        foot = _FOOT.match(line) if source else None
        if foot:
            yield ChangelogEntry(source, version, tuple(cves)[:MAX_CVES], _seconds(foot[1]))
            source = ""
            count += 1
            if count >= MAX_ENTRIES:
                return
        elif source:
            cves.update(dict.fromkeys(CVE.findall(line)))


def _seconds(text: str) -> int:
    try:
        return max(int(parsedate_to_datetime(text.strip()).timestamp()), 0)
    except (ValueError, TypeError, OverflowError):
        return 0
