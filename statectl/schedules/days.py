"""Which days of a month a cron() names."""

import calendar

from statectl.schedules.parse import Cron, DaysOfMonth, DaysOfWeek


def days_of(cron: Cron, year: int, month: int) -> list[int]:
    """Days 1 to 31, ascending; where both day fields say something, a day that fits either."""
    # `first` counts as the schedule does, from 1 = Sunday; calendar counts from 0 = Monday
    weekday, length = calendar.monthrange(year, month)
    first = (weekday + 1) % 7 + 1
    if cron.days_of_month is None and cron.days_of_week is None:
        return list(range(1, length + 1))
    found: set[int] = set()
    if cron.days_of_month is not None:
        found |= _by_number(cron.days_of_month, first, length)
    if cron.days_of_week is not None:
        found |= _by_weekday(cron.days_of_week, first, length)
    return sorted(found)


def _by_number(days: DaysOfMonth, first: int, length: int) -> set[int]:
    if days.last:
        return {length}
    if days.last_weekday:
        return {_nearest_weekday(length, first, length)}
    if days.nearest is not None:
        return {_nearest_weekday(days.nearest, first, length)} if days.nearest <= length else set()
    return {day for day in days.days if day <= length}


def _nearest_weekday(day: int, first: int, length: int) -> int:
    """Monday to Friday, and never in another month: of 1 that is a Saturday, Monday 3."""
    weekday = _weekday(day, first)
    if weekday == 7:
        return day - 1 if day > 1 else day + 2
    if weekday == 1:
        return day + 1 if day < length else day - 2
    return day


def _by_weekday(days: DaysOfWeek, first: int, length: int) -> set[int]:
    if days.last is not None:
        return {max(_all_of(days.last, first, length))}
    if days.nth is not None:
        weekday, which = days.nth
        return set(_all_of(weekday, first, length)[which - 1 : which])  # a fifth one may not exist
    return {day for weekday in days.days for day in _all_of(weekday, first, length)}


def _all_of(weekday: int, first: int, length: int) -> range:
    return range(1 + (weekday - first) % 7, length + 1, 7)


def _weekday(day: int, first: int) -> int:
    return (first + day - 2) % 7 + 1
