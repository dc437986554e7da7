"""Comparisons of target expressions by order: what stands behind < <= > >=, and whether a value that was found fits.

    kind     what is compared                                 written
    number   by amount                                        4096, 2.5
    version  as dpkg or rpm do, each by its own               3.0.14-1
    time     by moment                                        2026-12-24, 2026-12-24T18:00:00Z, now, now+30d, now-12h
    any      facts and custom types: numbers by amount, texts as versions if they look like them

`=` compares texts, with * and ?.
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from statectl.onhost.versions import compare_versions

OPERATORS = ("<=", ">=", "<", ">", "=")
UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_NUMBER = re.compile(r"-?[0-9]{1,15}(?:\.[0-9]{1,6})?")
_RELATIVE = re.compile(r"now(?:([+-])([0-9]{1,6})([smhdw]))?")
_MOMENT = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}(?:T[0-9]{2}:[0-9]{2}(?::[0-9]{2})?(?:Z|[+-][0-9]{2}:[0-9]{2}))?")


class NotComparable(Exception):
    """What was written is not of this kind. `hint`: what would be."""

    def __init__(self, summary: str, hint: str = "") -> None:
        super().__init__(summary)
        self.hint = hint


@dataclass(frozen=True, slots=True)
class Comparison:
    operator: str
    text: str
    kind: str = "any"
    pattern: re.Pattern[str] | None = None  # of `=`
    number: float | None = None

    def holds(self, found: Any, order: str = "", now: datetime | None = None) -> bool:
        """`order`: deb or rpm, for versions. A value that is not there comes before and after nothing. `now`: the clock, for times."""
        if self.pattern is not None:
            return self.pattern.fullmatch(as_written(found)) is not None
        if found is None or isinstance(found, bool):
            return False
        if isinstance(found, int | float):
            if self.number is None:
                return False
            return _fits((found > self.number) - (found < self.number), self.operator)
        text = str(found)
        if self.kind == "time":
            wanted = moment(self.text, now)
            return _fits((text > wanted) - (text < wanted), self.operator)
        if self.kind == "number" or (self.kind == "any" and text[:1].isdigit() != self.text[:1].isdigit()):
            return False
        if order == "rpm" and "-" not in self.text:
            text = text.partition("-")[0]  # one without a release is compared with all releases of it
        return _fits(compare_versions(text, self.text, order), self.operator)


def comparison(operator: str, text: str, kind: str) -> Comparison:
    """By order. Raises NotComparable when `text` is not of the kind."""
    number = float(text) if _NUMBER.fullmatch(text) else None
    if kind in ("text", "flag"):
        right = "true or false" if kind == "flag" else "a text"
        raise NotComparable(f"{right} has no order", "compare it with =")
    if kind == "number" and number is None:
        raise NotComparable(f"`{text}` is not a number", "write 4096 or 2.5")
    if kind == "time":
        moment(text)
    return Comparison(operator, text, kind, number=number)


def moment(text: str, now: datetime | None = None) -> str:
    """2026-11-23T18:00:00Z of a time as written. Raises NotComparable."""
    hint = "write 2026-12-24, 2026-12-24T18:00:00Z, now, now+30d or now-12h"
    relative = _RELATIVE.fullmatch(text)
    try:
        if relative is not None:
            at = now or datetime.now(UTC)
            if relative[2]:
                away = timedelta(seconds=int(relative[2]) * UNITS[relative[3]])
                at = at + away if relative[1] == "+" else at - away
        elif _MOMENT.fullmatch(text):
            at = datetime.fromisoformat(text if "T" in text else f"{text}T00:00:00+00:00")
        else:
            raise NotComparable(f"`{text}` is not a time", hint)
        return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ").rjust(20, "0")
    except (ValueError, OverflowError):
        raise NotComparable(f"`{text}` is not a time", hint) from None


def as_written(value: Any) -> str:
    """A value as `=` compares it."""
    if value is None:
        return ""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _fits(order: int, operator: str) -> bool:
    return {"<": order < 0, "<=": order <= 0, ">": order > 0, ">=": order >= 0}[operator]
