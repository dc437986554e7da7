"""A schedule is read exactly as the reference says, or refused at the place that is wrong; it is never guessed."""

import datetime as dt

import pytest

from statectl.schedules import At, Cron, Rate, ScheduleError, parse_schedule
from statectl.schedules.parse import DaysOfMonth, DaysOfWeek


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("rate(1 minute)", 60), ("rate(30 minutes)", 1800), ("rate(1 hour)", 3600), ("rate(7 days)", 604800)],
)
def test_rate(text, seconds):
    """The interval of a rate is its number of units."""
    assert parse_schedule(text) == Rate(seconds, text)


def test_at():
    """at() is a moment in UTC."""
    parsed = parse_schedule("at(2027-06-30T22:00)")
    assert isinstance(parsed, At)
    assert parsed.moment == dt.datetime(2027, 6, 30, 22, 0, tzinfo=dt.UTC)


def cron(text):
    parsed = parse_schedule(text)
    assert isinstance(parsed, Cron)
    return parsed


def test_cron_of_the_guide():
    """The examples of the reference mean what its text says: 1 is Sunday, L the last, # the n-th."""
    third_tuesday = cron("cron(30 23 ? * TUE#3 *)")
    assert (third_tuesday.days_of_week, third_tuesday.days_of_month) == (DaysOfWeek(nth=(3, 3)), None)
    assert cron("cron(0 0 ? * 3L *)").days_of_week == DaysOfWeek(last=3)
    assert cron("cron(0 2 L * ? *)").days_of_month == DaysOfMonth(last=True)
    assert cron("cron(15 10 ? * 6L *)").days_of_week == DaysOfWeek(last=6)
    assert cron("cron(0/30 * * * ? *)").minutes == {0, 30}
    assert cron("cron(0 */30 * * * ? *)").minutes == {0, 30}
    assert cron("cron(0 12 15W * ? *)").days_of_month == DaysOfMonth(nearest=15)
    assert cron("cron(0 12 LW * ? *)").days_of_month == DaysOfMonth(last_weekday=True)
    assert cron("cron(0 2 ? JAN-MAR MON-FRI *)").months == {1, 2, 3}
    assert cron("cron(0 2 ? * fri-mon *)").days_of_week == DaysOfWeek(days=frozenset({6, 7, 1, 2}))
    assert len(cron("cron(0 2 ? * SUN *)").years) == 230


@pytest.mark.parametrize(
    ("text", "part", "offset", "fix"),
    [
        ("rate(0 minutes)", "at least 1 minute", 5, "rate(1 minute)"),
        ("rate(1 hours)", "singular", 5, "rate(1 hour)"),
        ("rate(5 hour)", "plural", 5, "rate(5 hours)"),
        ("rate(5)", "unit", 5, ""),
        ("rate(1 week)", "unit", 5, "rate(7 days)"),
        ("rate(2h)", "unit", 5, "rate(2 hours)"),
        ("rate(500 days)", "at most 366", 5, ""),
        ("0 2 * * SUN", "expected rate", 0, "cron(0 2 * * SUN *)"),
        ("*/5 2 * * 1", "expected rate", 0, "cron(*/5 2 * * MON *)"),
        ("0 2 * * 1-5", "expected rate", 0, ""),
        ("cron(0 2 * * SUN)", "6 fields", 5, "cron(0 2 * * SUN *)"),
        ("cron(60 2 * * ? *)", "minutes: expected 0 to 59", 5, ""),
        ("cron(0 24 * * ? *)", "hours: expected 0 to 23", 7, ""),
        ("cron(0 2 ? * ? *)", "only one", 13, ""),
        ("cron(0 2 ? * MOO *)", "day of week: expected 1 to 7 or SUN to SAT", 13, ""),
        ("cron(0 2 ? * TUE#6 *)", "1 to 5", 13, ""),
        ("cron(0 2 1-5W * ? *)", "one day", 9, ""),
        ("cron(0 2 ? FOO MON *)", "month: expected 1 to 12", 11, ""),
        ("cron(0 2 30,31 2 ? *)", "never run", 9, ""),
        ("cron(5 0 2 * * ? *)", "seconds", 5, ""),
        ("cron(0/0 2 * * ? *)", "step", 5, ""),
        ("cron(0 2 ? * SUN 1969)", "year", 17, ""),
        ("cron()", "got 0", 5, ""),
        ("at(tomorrow)", "date and time", 3, ""),
        ("at(2027-02-30T10:00)", "no such date", 3, ""),
        ("daily", "expected rate", 0, ""),
        ("rate(30 minutes" + " " * 300, "too long", 0, ""),
    ],
)
def test_refused(text, part, offset, fix):
    """A wrong schedule names what is wrong, where, and what was probably meant."""
    with pytest.raises(ScheduleError) as caught:
        parse_schedule(text)
    assert part in caught.value.message
    assert (caught.value.offset, caught.value.fix) == (offset, fix)
    if fix:
        parse_schedule(fix)
