"""When a schedule fires: after a moment, before a moment, in a range. All moments are in UTC; the clock is an argument."""

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import takewhile

from statectl.schedules.days import days_of
from statectl.schedules.local_time import moment_of, repeated
from statectl.schedules.parse import FIRST_YEAR, LAST_YEAR, At, Cron, Rate, Schedule

EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
LEAST_OFFSET, MOST_OFFSET = 1, 6  # days
_INSTANT = dt.timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Timing:
    """A schedule and what it is counted by."""

    schedule: Schedule
    zone: dt.tzinfo = dt.UTC  # of the times of day of cron() and at()
    offset_days: int = 0  # cron() only: that many days later, at the same time of day
    anchor: dt.datetime = EPOCH  # rate() only: the first fire, and every interval from there

    def __post_init__(self) -> None:
        if self.offset_days and not isinstance(self.schedule, Cron):
            raise ValueError("an offset in days goes with cron() only")


def next_fire(timing: Timing, after: dt.datetime) -> dt.datetime | None:
    """The first one later than `after`; None: it never fires again."""
    return next(fires_after(timing, after), None)


def previous_fire(timing: Timing, at: dt.datetime) -> dt.datetime | None:
    """The last one at or before `at`; None: it had never fired by then."""
    return next(fires_before(timing, at), None)


def fires(timing: Timing, after: dt.datetime, until: dt.datetime) -> Iterator[dt.datetime]:
    """Those later than `after`, up to and with `until`."""
    return takewhile(lambda moment: moment <= until, fires_after(timing, after))


def fires_after(timing: Timing, after: dt.datetime) -> Iterator[dt.datetime]:
    """All later than `after`, the earliest first."""
    schedule = timing.schedule
    if isinstance(schedule, Rate):
        return _rate_after(schedule, timing.anchor, after)
    if isinstance(schedule, At):
        moment = moment_of(schedule.moment.replace(tzinfo=None), timing.zone)
        return iter([moment] if moment > after else [])
    return _cron_after(schedule, timing, after)


def fires_before(timing: Timing, at: dt.datetime) -> Iterator[dt.datetime]:
    """All at or before `at`, the latest first."""
    schedule = timing.schedule
    if isinstance(schedule, Rate):
        return _rate_before(schedule, timing.anchor, at)
    if isinstance(schedule, At):
        moment = moment_of(schedule.moment.replace(tzinfo=None), timing.zone)
        return iter([moment] if moment <= at else [])
    return _cron_before(schedule, timing, at)


def _rate_after(rate: Rate, anchor: dt.datetime, after: dt.datetime) -> Iterator[dt.datetime]:
    every = dt.timedelta(seconds=rate.every_s)
    moment = anchor if after < anchor else anchor + ((after - anchor) // every + 1) * every
    while moment.year <= LAST_YEAR:
        yield moment
        moment += every


def _rate_before(rate: Rate, anchor: dt.datetime, at: dt.datetime) -> Iterator[dt.datetime]:
    every = dt.timedelta(seconds=rate.every_s)
    moment = anchor + ((at - anchor) // every) * every
    while moment >= anchor:
        yield moment
        moment -= every


def _cron_after(cron: Cron, timing: Timing, after: dt.datetime) -> Iterator[dt.datetime]:
    offset = dt.timedelta(days=timing.offset_days)
    local = after.astimezone(timing.zone).replace(tzinfo=None)
    last = after
    for named in _times_from(cron, local - offset + _INSTANT):
        moment = moment_of(named + offset, timing.zone)
        if moment > last:  # times of one gap are one moment; in a repeated hour, times of the first pass are over
            yield moment
            last = moment


def _cron_before(cron: Cron, timing: Timing, at: dt.datetime) -> Iterator[dt.datetime]:
    offset = dt.timedelta(days=timing.offset_days)
    local = at.astimezone(timing.zone)
    last = at + _INSTANT
    for named in _times_back_from(cron, local.replace(tzinfo=None) + repeated(local) - offset):
        moment = moment_of(named + offset, timing.zone)
        if moment < last:
            yield moment
            last = moment


def _times_from(cron: Cron, start: dt.datetime) -> Iterator[dt.datetime]:
    """Times of day that the expression names, without a zone, from `start` on."""
    months, hours, minutes = sorted(cron.months), sorted(cron.hours), sorted(cron.minutes)
    for year in range(max(start.year, FIRST_YEAR), LAST_YEAR + 1):
        if year not in cron.years:
            continue
        for month in months:
            if (year, month) < (start.year, start.month):
                continue
            for day in days_of(cron, year, month):
                today = (year, month, day)
                if today < (start.year, start.month, start.day):
                    continue
                first = today == (start.year, start.month, start.day)
                for hour in hours:
                    if first and hour < start.hour:
                        continue
                    for minute in minutes:
                        named = dt.datetime(year, month, day, hour, minute)  # noqa: DTZ001  the zone comes later
                        if named >= start:
                            yield named


def _times_back_from(cron: Cron, start: dt.datetime) -> Iterator[dt.datetime]:
    """The same up to and with `start`, the latest first."""
    months, hours, minutes = (sorted(field, reverse=True) for field in (cron.months, cron.hours, cron.minutes))
    for year in range(min(start.year, LAST_YEAR), FIRST_YEAR - 1, -1):
        if year not in cron.years:
            continue
        for month in months:
            if (year, month) > (start.year, start.month):
                continue
            for day in reversed(days_of(cron, year, month)):
                today = (year, month, day)
                if today > (start.year, start.month, start.day):
                    continue
                first = today == (start.year, start.month, start.day)
                for hour in hours:
                    if first and hour > start.hour:
                        continue
                    for minute in minutes:
                        named = dt.datetime(year, month, day, hour, minute)  # noqa: DTZ001  the zone comes later
                        if named <= start:
                            yield named
