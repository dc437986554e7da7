"""From the text of a schedule to a value. `cron()` has the six fields of EventBridge and SSM, not the five of crontab.

Days of the week count from 1 = Sunday, as in every example of SSM's guide (its agent's library counts from 0; the guide
wins). Where both day fields say something, a day that fits either counts, as cron does; `?` says nothing.
"""

import datetime as dt
import re
from dataclasses import dataclass

MAX_LENGTH = 256
UNITS = {"minute": 60, "hour": 3600, "day": 86400}
MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
WEEKDAYS = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")
FIRST_YEAR, LAST_YEAR = 1970, 2199
_LONGEST = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)


class ScheduleError(ValueError):
    """What is wrong, where in the text (from 0), and the text that is probably meant."""

    def __init__(self, message: str, offset: int, length: int, *, fix: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.offset = offset
        self.length = length
        self.fix = fix


@dataclass(frozen=True, slots=True)
class Rate:
    every_s: int
    text: str


@dataclass(frozen=True, slots=True)
class At:
    moment: dt.datetime  # UTC
    text: str


@dataclass(frozen=True, slots=True)
class DaysOfMonth:
    """Days 1 to 31; `last`: the last day; `nearest`: the weekday nearest to that day; `last_weekday`: LW."""

    days: frozenset[int] = frozenset()
    last: bool = False
    nearest: int | None = None
    last_weekday: bool = False


@dataclass(frozen=True, slots=True)
class DaysOfWeek:
    """Days 1 (Sunday) to 7; `last`: that day's last one in the month; `nth`: (day, which one)."""

    days: frozenset[int] = frozenset()
    last: int | None = None
    nth: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class Cron:
    minutes: frozenset[int]
    hours: frozenset[int]
    days_of_month: DaysOfMonth | None  # None: `?` or `*`, the day of the week alone decides
    months: frozenset[int]
    days_of_week: DaysOfWeek | None  # None: `?` or `*`, the day of the month alone decides; both None: every day
    years: frozenset[int]
    text: str


Schedule = Rate | Cron | At


@dataclass(frozen=True, slots=True)
class _Field:
    """One field of cron(): its text and where it stands."""

    name: str
    text: str
    offset: int

    def error(self, message: str, *, fix: str = "") -> ScheduleError:
        return ScheduleError(f"{self.name}: {message}", self.offset, len(self.text), fix=fix)


def parse_schedule(text: str) -> Schedule:
    """Read a schedule. Raises ScheduleError."""
    if len(text) > MAX_LENGTH:
        raise ScheduleError(f"schedule too long (max {MAX_LENGTH} characters)", 0, len(text))
    match = re.fullmatch(r"(rate|cron|at)\((.*)\)", text)
    if match is None:
        fix = _from_crontab(text)
        raise ScheduleError(
            "expected rate(30 minutes), cron(0 2 ? * SUN *) or at(2027-06-30T22:00)", 0, len(text), fix=fix
        )
    inside, offset = match[2], match.start(2)
    if match[1] == "rate":
        return _rate(text, inside, offset)
    if match[1] == "at":
        return _at(text, inside, offset)
    return _cron(text, inside, offset)


def _from_crontab(text: str) -> str:
    """What a line of crontab would be here, or ''. Crontab counts days of the week from 0 = Sunday, we from 1."""
    fields = text.split()
    if len(fields) == 6 and "(" not in text:
        return f"cron({text})"
    if len(fields) != 5 or "(" in text:
        return ""
    day = fields[4]
    if re.fullmatch(r"[0-7]", day):
        day = WEEKDAYS[int(day) % 7]
    elif re.search(r"\d", day):
        return ""
    return f"cron({' '.join(fields[:4])} {day} *)"


def _rate(text: str, inside: str, offset: int) -> Rate:
    match = re.fullmatch(r"(\d{1,9}) (minute|hour|day)(s?)", inside)
    if match is None:
        number = re.match(r"\s*(\d+)\s*([a-zA-Z]*)", inside)
        fix = ""
        if number is not None:
            unit = {"m": "minute", "h": "hour", "d": "day"}.get(number[2][:1].lower(), "")
            week = number[2].lower().startswith("week")
            count = int(number[1][:9]) * (7 if week else 1)
            unit = "day" if week else unit
            fix = f"rate({count} {unit}{'' if count == 1 else 's'})" if unit and count else ""
        raise ScheduleError("rate: expected a number and a unit: minutes, hours or days", offset, len(inside), fix=fix)
    count, unit, plural = int(match[1]), match[2], match[3]
    if count == 0:
        raise ScheduleError(f"rate: at least 1 {unit}", offset, len(inside), fix=f"rate(1 {unit})")
    if (count == 1) is bool(plural):
        right = f"rate({count} {unit}{'' if count == 1 else 's'})"
        raise ScheduleError("rate: singular for 1, plural for more", offset, len(inside), fix=right)
    if count * UNITS[unit] > 366 * 86400:
        raise ScheduleError("rate: at most 366 days", offset, len(inside))
    return Rate(count * UNITS[unit], text)


def _at(text: str, inside: str, offset: int) -> At:
    if not re.fullmatch(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(:\d{2})?", inside):
        raise ScheduleError("at: expected a date and time in UTC such as 2027-06-30T22:00", offset, len(inside))
    try:
        moment = dt.datetime.fromisoformat(inside).replace(tzinfo=dt.UTC)
    except ValueError:
        raise ScheduleError("at: there is no such date or time", offset, len(inside)) from None
    return At(moment, text)


def _cron(text: str, inside: str, offset: int) -> Cron:
    words = [(match[0], offset + match.start()) for match in re.finditer(r"\S+", inside)]
    names = ["minutes", "hours", "day of month", "month", "day of week", "year"]
    if len(words) == 7:
        names = ["seconds", *names]
    if len(words) != len(names):
        fix = _from_crontab(inside)
        message = f"cron: expected 6 fields (minutes hours day-of-month month day-of-week year), got {len(words)}"
        raise ScheduleError(message, offset, max(1, len(inside)), fix=fix)
    fields = [_Field(name, word.upper(), place) for name, (word, place) in zip(names, words, strict=True)]
    if len(fields) == 7:
        seconds = fields.pop(0)
        if seconds.text not in ("0", "00"):
            raise seconds.error("only 0; leave the field out")
    minutes, hours, month_days, months, week_days, years = fields
    if month_days.text == "?" and week_days.text == "?":
        raise week_days.error("only one of the two day fields may be `?`")
    result = Cron(
        _numbers(minutes, 0, 59),
        _numbers(hours, 0, 23),
        _days_of_month(month_days),
        _numbers(months, 1, 12, MONTHS),
        _days_of_week(week_days),
        _numbers(years, FIRST_YEAR, LAST_YEAR),
        text,
    )
    days = result.days_of_month
    if result.days_of_week is None and days is not None and days.days:
        first = min(days.days)
        if all(_LONGEST[month - 1] < first for month in result.months):
            raise month_days.error("this day is in none of the months; the schedule would never run")
    return result


def _days_of_month(field: _Field) -> DaysOfMonth | None:
    text = field.text
    if text in ("?", "*"):
        return None
    if text == "L":
        return DaysOfMonth(last=True)
    if text in ("LW", "WL"):
        return DaysOfMonth(last_weekday=True)
    if text.endswith("W"):
        if not re.fullmatch(r"[1-9]|[12]\d|3[01]", text[:-1]):
            raise field.error("W stands behind one day from 1 to 31, such as 15W")
        return DaysOfMonth(nearest=int(text[:-1]))
    return DaysOfMonth(days=_numbers(field, 1, 31))


def _days_of_week(field: _Field) -> DaysOfWeek | None:
    text = field.text
    if text in ("?", "*"):
        return None
    if text == "L":
        return DaysOfWeek(days=frozenset({7}))
    if text.endswith("L"):
        return DaysOfWeek(last=_number(field, text[:-1], 1, 7, WEEKDAYS))
    if "#" in text:
        day, _, which = text.partition("#")
        if not re.fullmatch(r"[1-5]", which):
            raise field.error("behind # stands which one of the month, 1 to 5, such as TUE#3")
        return DaysOfWeek(nth=(_number(field, day, 1, 7, WEEKDAYS), int(which)))
    return DaysOfWeek(days=_numbers(field, 1, 7, WEEKDAYS))


def _number(field: _Field, text: str, low: int, high: int, names: tuple[str, ...]) -> int:
    if text in names:
        return names.index(text) + 1
    if not re.fullmatch(r"\d{1,4}", text) or not low <= int(text) <= high:
        words = f" or {names[0]} to {names[-1]}" if names else ""
        raise field.error(f"expected {low} to {high}{words}")
    return int(text)


def _numbers(field: _Field, low: int, high: int, names: tuple[str, ...] = ()) -> frozenset[int]:
    """`*`, `5`, `1,5`, `1-5`, `0/30`, `*/15`, `MON-FRI`; a range may wrap (FRI-MON), except in years."""
    chosen: set[int] = set()
    for part in field.text.split(","):
        span, slash, step_text = part.partition("/")
        step = 1
        if slash:
            if not re.fullmatch(r"\d{1,4}", step_text) or int(step_text) == 0:
                raise field.error("behind / stands a step of at least 1")
            step = int(step_text)
        if span == "*":
            first, last = low, high
        elif "-" in span:
            first_text, _, last_text = span.partition("-")
            first = _number(field, first_text, low, high, names)
            last = _number(field, last_text, low, high, names)
        else:
            first = _number(field, span, low, high, names)
            last = high if slash else first
        if first > last and low == FIRST_YEAR:
            raise field.error("a range of years runs forward")
        values = range(first, last + 1) if first <= last else [*range(first, high + 1), *range(low, last + 1)]
        chosen.update(values[::step])
    return frozenset(chosen)
