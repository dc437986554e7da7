"""Generated schedules against a reference that counts differently: does ever one fire at another moment than it should?

    python -m tests.sweeps.schedules --expressions 100000      prints `100000 expressions, N fires, 0 wrong`

The reference shares no code with `statectl.schedules`: it does not parse, it asks of every day of a calendar whether it fits the
parts the expression was made of, and of every minute that somebody's clock may show, at which minute of UTC it is shown first. A
minute that is never shown is the first one behind the gap. Years 2024 to 2040, and zones with every kind of change there is.
"""

import argparse
import bisect
import datetime as dt
import random
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from itertools import islice
from zoneinfo import ZoneInfo

from statectl.schedules import ScheduleError, Timing, fires, fires_before, next_fire, parse_schedule, previous_fire

DAY = 1440
MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
WEEKDAYS = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")
FIRST, LAST = dt.date(2024, 1, 1), dt.date(2040, 12, 31)
ZONES = (
    *("UTC", "Europe/Oslo", "America/New_York", "Australia/Lord_Howe", "Pacific/Apia", "America/Sao_Paulo"),
    *("America/Santiago", "Africa/Cairo", "Asia/Beirut", "Africa/Casablanca", "Asia/Kolkata", "Pacific/Chatham"),
    *("Antarctica/Troll", "America/Nuuk"),
)
LATEST = 40  # so many are asked for backwards as well
Number = Callable[[int, int], int]  # a number from low to high, both included


class Wrong(AssertionError):
    """The schedule and the reference do not agree."""


# -- expressions: their text, and what they mean, made together


@dataclass(frozen=True)
class Expression:
    text: str
    minute: Callable[[int], bool]
    hour: Callable[[int], bool]
    month: Callable[[int], bool]
    year: Callable[[int], bool]
    day: Callable[[dt.date], bool]


def expression(number: Number) -> Expression:
    """One cron(), with every form that a field may have."""
    minute, hour = _field(number, 0, 59), _field(number, 0, 23)
    month = _field(number, 1, 12, MONTHS) if number(0, 2) == 0 else ("*", _always)
    year = ("*", _always) if number(0, 3) else _years(number)
    which = number(0, 9)  # which of the two day fields says something: mostly one
    of_month = _day_of_month(number) if which in (0, 1, 2, 3, 8) else (("?", "*")[number(0, 1)], None)
    of_week = _day_of_week(number) if which in (4, 5, 6, 7, 8) else (("?", "*")[number(0, 1)], None)
    if of_month[0] == of_week[0] == "?":
        of_week = ("*", None)
    says = [meaning for _, meaning in (of_month, of_week) if meaning is not None]
    return Expression(
        f"cron({minute[0]} {hour[0]} {of_month[0]} {month[0]} {of_week[0]} {year[0]})",
        minute[1],
        hour[1],
        month[1],
        year[1],
        lambda day: not says or any(meaning(day) for meaning in says),
    )


def _always(_: int) -> bool:
    return True


def _field(
    number: Number, low: int, high: int, names: tuple[str, ...] | None = None
) -> tuple[str, Callable[[int], bool]]:
    if number(0, 2):  # mostly one value: what fires seldom has more to get wrong than what fires always
        value = number(low, high)
        return _named(number, value, low, names), lambda given: given == value
    parts = [_part(number, low, high, names) for _ in range(1 + number(0, 1) * number(0, 2))]
    return ",".join(text for text, _ in parts), lambda given: any(fits(given) for _, fits in parts)


def _part(number: Number, low: int, high: int, names: tuple[str, ...] | None) -> tuple[str, Callable[[int], bool]]:
    form, step = number(0, 5), number(1, high - low + 1)
    a, b = number(low, high), number(low, high)
    first, second = _named(number, a, low, names), _named(number, b, low, names)
    size = high - low + 1

    def within(value: int) -> bool:  # a range that ends before it begins goes round
        return (value - a) % size <= (b - a) % size

    if form == 0:
        return "*", _always
    if form == 1:
        return first, lambda value: value == a
    if form == 2:
        return f"{first}-{second}", within
    if form == 3:
        return f"{first}/{step}", lambda value: value >= a and (value - a) % step == 0
    if form == 4:
        return f"*/{step}", lambda value: (value - low) % step == 0
    return f"{first}-{second}/{step}", lambda value: within(value) and (value - a) % size % step == 0


def _named(number: Number, value: int, low: int, names: tuple[str, ...] | None) -> str:
    """A number, or its name in some case."""
    if names is None or number(0, 1):
        return str(value)
    return (names[value - low], names[value - low].lower(), names[value - low].title())[number(0, 2)]


def _years(number: Number) -> tuple[str, Callable[[int], bool]]:
    a, b, step = number(2023, 2041), number(2023, 2041), number(1, 9)
    a, b = min(a, b), max(a, b)
    form = number(0, 3)
    if form == 0:
        return str(a), lambda year: year == a
    if form == 1:
        return f"{a}-{b}", lambda year: a <= year <= b
    if form == 2:
        return f"{a}/{step}", lambda year: year >= a and (year - a) % step == 0
    return f"{a},{b}", lambda year: year in (a, b)


def _day_of_month(number: Number) -> tuple[str, Callable[[dt.date], bool] | None]:
    form, n = number(0, 5), number(1, 31)
    if form == 0:
        return "L", lambda day: (day + dt.timedelta(1)).month != day.month
    if form == 1:
        return ("LW", "WL")[number(0, 1)], lambda day: day == max(_working_days(day.year, day.month))
    if form == 2:
        return f"{n}W", lambda day: day == _nearest_working_day(day.year, day.month, n)
    text, fits = _field(number, 1, 31)
    return text, (lambda day: fits(day.day)) if text != "*" else None


def _day_of_week(number: Number) -> tuple[str, Callable[[dt.date], bool] | None]:
    form, n, which = number(0, 5), number(1, 7), number(1, 5)
    if form == 0:
        return "L", lambda day: day.strftime("%a") == "Sat"
    if form == 1:
        name = _named(number, n, 1, WEEKDAYS)
        return f"{name}L", lambda day: _weekday(day) == n and (day + dt.timedelta(7)).month != day.month
    if form == 2:
        name = _named(number, n, 1, WEEKDAYS)
        return f"{name}#{which}", lambda day: _weekday(day) == n and (day.day + 6) // 7 == which
    text, fits = _field(number, 1, 7, WEEKDAYS)
    return text, (lambda day: fits(_weekday(day))) if text != "*" else None


def _weekday(day: dt.date) -> int:
    """1 = Sunday."""
    return day.isoweekday() % 7 + 1


@cache
def _working_days(year: int, month: int) -> list[dt.date]:
    days = [dt.date(year, month, 1) + dt.timedelta(n) for n in range(31)]
    return [day for day in days if day.month == month and day.isoweekday() <= 5]


@cache
def _nearest_working_day(year: int, month: int, n: int) -> dt.date | None:
    try:
        dt.date(year, month, n)
    except ValueError:
        return None
    return min(_working_days(year, month), key=lambda day: abs(day.day - n))


# -- the reference: minutes counted from the first day of year 1


def minutes_of(moment: dt.datetime) -> int:
    return moment.toordinal() * DAY + moment.hour * 60 + moment.minute


def moment_of(minute: int) -> dt.datetime:
    return dt.datetime.fromordinal(minute // DAY).replace(tzinfo=dt.UTC) + dt.timedelta(minutes=minute % DAY)


@dataclass(frozen=True)
class Clock:
    """What a clock in a zone shows: from which minute of UTC on it is how many minutes ahead."""

    begins: list[int]
    ahead: list[int]

    def first_shown(self, local: int) -> int:
        """The first minute of UTC at which it shows `local`; for a minute that it skips, the first one behind the gap."""
        place = bisect.bisect_right(self.begins, local - 2 * DAY) - 1
        for index in range(max(place, 0), len(self.begins)):
            minute = local - self.ahead[index]
            end = self.begins[index + 1] if index + 1 < len(self.begins) else sys.maxsize
            if minute < self.begins[index]:
                return self.begins[index]
            if minute < end:
                return minute
        raise AssertionError("the last stretch has no end")


@cache
def clock_of(name: str, first: dt.date = FIRST - dt.timedelta(10), last: dt.date = LAST + dt.timedelta(10)) -> Clock:
    """Read off a clock in that zone: every day, and every minute of a day at whose ends it is ahead by different amounts."""
    zone = ZoneInfo(name)

    def ahead_at(minute: int) -> int:
        shown = moment_of(minute).astimezone(zone).replace(tzinfo=None)
        return minutes_of(shown) - minute

    begins, ahead = [0], [ahead_at(first.toordinal() * DAY)]
    for day in range(first.toordinal(), last.toordinal()):
        if ahead_at((day + 1) * DAY) == ahead[-1]:
            continue
        for minute in range(day * DAY, (day + 1) * DAY + 1):
            now = ahead_at(minute)
            if now != ahead[-1]:
                begins.append(minute)
                ahead.append(now)
    return Clock(begins, ahead)


def reference(one: Expression, clock: Clock, offset: int, start: dt.date, end: dt.date) -> list[int]:
    """Minutes of UTC at which it fires, complete from `start` to `end` (the days at the edges are not)."""
    times = [hour * 60 + minute for hour in range(24) if one.hour(hour) for minute in range(60) if one.minute(minute)]
    found: set[int] = set()
    day = start - dt.timedelta(offset + 2)
    while day <= end:
        if not one.year(day.year):
            day = dt.date(day.year + 1, 1, 1)
            continue
        if one.month(day.month) and one.day(day):
            base = (day.toordinal() + offset) * DAY
            found.update(clock.first_shown(base + time) for time in times)
        day += dt.timedelta(1)
    return sorted(found)


# -- the comparison


@dataclass(frozen=True)
class Case:
    one: Expression
    zone: str
    offset: int
    start: dt.date
    days: int

    def __str__(self) -> str:
        return f"{self.one.text} in {self.zone}, {self.offset} days later, {self.days} days from {self.start}"


def case(number: Number, zones: tuple[str, ...] = ZONES) -> Case:
    """An expression, a zone, and a stretch of time that is the shorter the more often it fires."""
    one = expression(number)
    zone = zones[number(0, len(zones) - 1)]
    offset = number(1, 6) if number(0, 4) == 0 else 0
    daily = sum(map(one.hour, range(24))) * sum(map(one.minute, range(60)))
    days = 2 if daily > 200 else 10 if daily > 20 else 60 if daily > 2 else 800
    if daily <= 2 and number(0, 15) == 0:
        days = (LAST - FIRST).days
    latest = (LAST - FIRST).days - days
    start = FIRST + dt.timedelta(number(0, latest))
    changes = clock_of(zone).begins[1:]
    if changes and days <= 60 and number(0, 1):  # around a change of clocks
        change = moment_of(changes[number(0, len(changes) - 1)]).date()
        start = change - dt.timedelta(number(1, days - 1))
        start = min(max(start, FIRST), LAST - dt.timedelta(days))
    return Case(one, zone, offset, start, days)


def compare(given: Case, number: Number) -> int:
    """Raises Wrong; returns how many fires there were."""
    end = given.start + dt.timedelta(given.days)
    low, high = given.start.toordinal() * DAY, end.toordinal() * DAY
    expected = reference(given.one, clock_of(given.zone), given.offset, given.start, end + dt.timedelta(3))
    inside = [minute for minute in expected if low < minute <= high]
    try:
        schedule = parse_schedule(given.one.text)
    except ScheduleError as error:
        if "never run" in error.message and not inside:
            return 0
        raise Wrong(f"{given}: refused, {error.message}") from error
    timing = Timing(schedule, ZoneInfo(given.zone) if given.zone != "UTC" else dt.UTC, given.offset)
    found = list(fires(timing, moment_of(low), moment_of(high)))
    if [moment_of(minute) for minute in inside] != found:
        differ = sorted({*map(moment_of, inside)} ^ {*found})[:5]
        raise Wrong(f"{given}: {len(inside)} expected, {len(found)} found; first {', '.join(map(str, differ))}")
    back = list(islice(fires_before(timing, moment_of(high)), min(len(inside), LATEST)))
    if back != found[: -LATEST - 1 : -1]:
        raise Wrong(f"{given}: backwards from {moment_of(high)} others: {', '.join(map(str, back[:5]))}")
    for _ in range(4):
        at = number(low, high)
        if number(0, 1) and inside:  # right at a fire, or a minute beside it
            at = min(max(inside[number(0, len(inside) - 1)] + number(-1, 1), low), high)
        place = bisect.bisect_right(inside, at)
        moment = moment_of(at)
        if place < len(inside) and next_fire(timing, moment) != moment_of(inside[place]):
            raise Wrong(f"{given}: next after {moment} is {next_fire(timing, moment)}, not {moment_of(inside[place])}")
        if place and previous_fire(timing, moment) != moment_of(inside[place - 1]):
            raise Wrong(f"{given}: last before {moment} is {previous_fire(timing, moment)}")
    return len(found)


def cases(count: int, seed: int) -> Iterator[tuple[Case, Number]]:
    for index in range(count):
        chance = random.Random(f"{seed}/{index}")
        yield case(chance.randint), chance.randint


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--expressions", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    total, wrong = 0, 0
    for given, number in cases(asked.expressions, asked.seed):
        try:
            total += compare(given, number)
        except Wrong as error:
            wrong += 1
            print(error, flush=True)
    print(f"{asked.expressions} expressions, {total} fires, {wrong} wrong")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
