"""A window is open from its schedule for its duration, takes nothing new behind its cutoff, and keeps to its dates."""

import datetime as dt
import random
from itertools import islice
from zoneinfo import ZoneInfo

from statectl.schedules import Timing, Window, accepts_work, fires, next_opening, opening_at, openings, parse_schedule

HOUR = dt.timedelta(hours=1)
OSLO = ZoneInfo("Europe/Oslo")


def at(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(text).replace(tzinfo=dt.UTC)


def window(text: str = "cron(0 2 ? * SUN *)", duration: float = 4, cutoff: float = 1, **fields) -> Window:
    return Window(Timing(parse_schedule(text), fields.pop("zone", OSLO)), duration * HOUR, cutoff * HOUR, **fields)


def test_open_closing_closed():
    """Sunday 02:00 in Oslo for four hours: open from the first moment to the last, and nothing new in the last hour."""
    sunday = window()
    assert opening_at(sunday, at("2026-11-29T00:59:59")) is None
    opening = opening_at(sunday, at("2026-11-29T01:00"))
    assert (opening.start, opening.cutoff, opening.until) == (
        at("2026-11-29T01:00"),
        at("2026-11-29T04:00"),
        at("2026-11-29T05:00"),
    )
    assert accepts_work(sunday, at("2026-11-29T03:59:59"))
    assert not accepts_work(sunday, at("2026-11-29T04:00"))
    assert opening_at(sunday, at("2026-11-29T04:59:59")) == opening
    assert opening_at(sunday, at("2026-11-29T05:00")) is None
    assert not accepts_work(sunday, at("2026-11-29T05:00"))
    assert next_opening(sunday, at("2026-11-29T01:00")).start == at("2026-12-06T01:00")


def test_a_change_of_clocks_inside():
    """Four hours are four hours, also in the night that has an hour less: 01:00 to 06:00 on the wall."""
    opening = next_opening(window("cron(0 1 ? * SUN *)"), at("2026-03-28T00:00"))
    assert (opening.start.astimezone(OSLO).hour, opening.until.astimezone(OSLO).hour) == (1, 6)
    assert opening.until - opening.start == 4 * HOUR


def test_dates():
    """Nothing opens before the start date, not even late; from the end date on it is closed, also in the middle of an opening."""
    dated = window(start_date=at("2026-11-29T02:00"), end_date=at("2026-12-13T02:30"))
    assert opening_at(dated, at("2026-11-29T02:00")) is None, "began before the start date"
    found = list(openings(dated, at("2026-01-01T00:00")))
    assert [one.start for one in found] == [at("2026-12-06T01:00"), at("2026-12-13T01:00")]
    assert (found[1].cutoff, found[1].until) == (at("2026-12-13T01:30"), at("2026-12-13T02:30"))
    assert opening_at(dated, at("2026-12-13T02:30")) is None
    assert not accepts_work(dated, at("2026-12-13T01:30"))
    on_the_dot = window(start_date=at("2026-11-29T01:00"), end_date=at("2026-12-06T01:00"))
    assert [one.start for one in openings(on_the_dot, at("2026-01-01T00:00"))] == [at("2026-11-29T01:00")]
    assert opening_at(on_the_dot, at("2026-11-29T01:00")) is not None
    short = window(end_date=at("2026-11-29T01:20"))
    assert not accepts_work(short, at("2026-11-29T01:00")), (
        "nothing new fits before an end that is nearer than the cutoff"
    )


def test_switched_off():
    """A window that is not enabled is never open and has no next opening."""
    off = window(enabled=False)
    assert opening_at(off, at("2026-11-29T02:00")) is None
    assert next_opening(off, at("2026-11-29T02:00")) is None


def test_once():
    """at() opens once, in the window's zone, and never again."""
    once = window("at(2027-06-30T22:00)")
    assert next_opening(once, at("2027-01-01T00:00")).start == at("2027-06-30T20:00")
    assert next_opening(once, at("2027-06-30T20:00")) is None


def test_openings_that_overlap():
    """Every six hours for seven: it never closes, and the opening that began last says until when and whether work may begin."""
    always = window("cron(0 0/6 * * ? *)", 7, 2, zone=dt.UTC)
    for minute in range(0, 1440, 7):
        assert opening_at(always, at("2026-11-29T00:00") + dt.timedelta(minutes=minute)) is not None
    assert opening_at(always, at("2026-11-29T06:30")).until == at("2026-11-29T13:00")
    assert not accepts_work(always, at("2026-11-29T05:30"))
    assert accepts_work(always, at("2026-11-29T06:00"))


def test_open_is_what_an_opening_says():
    """At random moments of random windows: open exactly when one of the openings that were told before lies around the moment."""
    chance = random.Random(5)
    for _ in range(60):
        zone = chance.choice((OSLO, ZoneInfo("Australia/Lord_Howe"), dt.UTC))
        text = chance.choice(
            ("cron(30 1,2 * * ? *)", "cron(0 0/5 ? * MON-FRI *)", "rate(7 hours)", "cron(0 2 L * ? *)")
        )
        start = at("2026-01-01T00:00") + chance.randrange(4000) * HOUR
        end = start + chance.randrange(1, 4000) * HOUR
        one = window(text, chance.randrange(1, 25), 0, zone=zone, start_date=start, end_date=end)
        told = [
            (moment, min(moment + one.duration, end))
            for moment in fires(one.timing, start - dt.timedelta(seconds=1), end - dt.timedelta(seconds=1))
        ]
        assert [
            (opening.start, opening.until) for opening in islice(openings(one, at("2025-01-01T00:00")), 2000)
        ] == told
        for _ in range(30):
            moment = start + chance.randrange(-100, 4100) * HOUR + dt.timedelta(minutes=chance.randrange(60))
            expected = any(begin <= moment < until for begin, until in told)
            assert (opening_at(one, moment) is not None) == expected, (text, moment)
