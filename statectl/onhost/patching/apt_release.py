"""Release files of archives: their first fields, and the dates in them."""

import re
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Dict

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DATE = re.compile(r"(\d{1,2}) ([A-Za-z]{3}) (\d{4}) (\d{1,2}):(\d{2}):(\d{2}) (?:UTC|GMT|\+0000|Z)")


def parse_release(text: str) -> "Dict[str, str]":
    """The first fields of a Release or InRelease, until its lists of hashes."""
    fields: "Dict[str, str]" = {}
    for line in text.split("\n"):
        key, colon, value = line.partition(":")
        if key in ("MD5Sum", "SHA1", "SHA256", "SHA512"):
            break
        if colon and line[:1] not in (" ", "-", ""):
            fields.setdefault(key.strip().lower(), value.strip())
    return fields


def epoch(text: str) -> int:
    """`Sat, 11 Nov 2023 10:14:36 UTC` -> seconds since 1970, 0 when it is none."""
    match = _DATE.search(text)
    if match is None or match.group(2).lower() not in _MONTHS:
        return 0
    day, year = int(match.group(1)), int(match.group(3))
    month = _MONTHS.index(match.group(2).lower()) + 1
    if month < 3:
        year, month = year - 1, month + 12
    days = 365 * year + year // 4 - year // 100 + year // 400 + (153 * month - 457) // 5 + day - 719469
    return ((days * 24 + int(match.group(4))) * 60 + int(match.group(5))) * 60 + int(match.group(6))


def shown(when: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(when))
