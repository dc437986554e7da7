"""`inventory_sources` in the settings: how long what programs and clouds answer may be used."""

import re
from collections.abc import Mapping

FIELDS: Mapping[str, str] = {
    "cache": "How old an answer of a program or a cloud may be that is used without asking again, such as 10m (default 0s: asked each time)",
    "if_failing": "How old an answer may be that is used, with a warning, when the source fails, such as 1d (default: as `cache`)",
}
EXPECTED = "expected a duration from 0s to 30d, such as 30s, 10m, 12h or 1d"
_TEXT = re.compile(r"([0-9]{1,7})([smhd])")
_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_MOST_S = 30 * 86400.0


def seconds(text: str) -> float:
    """Of a text without a problem."""
    match = _TEXT.fullmatch(text)
    return float(match[1]) * _UNITS[match[2]] if match is not None else -1.0


def expected(text: str) -> str:
    """What it must be, '' when it is that."""
    return "" if 0 <= seconds(text) <= _MOST_S else EXPECTED
