"""A slot is decided about once: whatever the clock does, and however long nobody looked."""

import datetime as dt
import random
import time
from zoneinfo import ZoneInfo

from statectl.schedules import Timing, fires, parse_schedule
from statectl.schedules.slots import MOST_MISSED, Slot, decide

START = dt.datetime(2026, 11, 23, 0, 0, tzinfo=dt.UTC)
HOURLY = Timing(parse_schedule("cron(0 * * * ? *)"))
MINUTE = dt.timedelta(minutes=1)


def hours(count: float) -> dt.datetime:
    return START + dt.timedelta(hours=count)


def test_a_slot_has_an_identity():
    """Association and scheduled time in UTC, whatever zone the time came in."""
    local = dt.datetime(2026, 11, 29, 2, 0, tzinfo=ZoneInfo("Europe/Oslo"))
    assert Slot("web", local).id == "web@2026-11-29T01:00:00Z"


def test_a_new_association_waits_for_its_first_slot():
    """What was seen first in the middle of an hour is due at the next full one, and a slot at that very moment was before it."""
    assert decide("web", HOURLY, hours(0.5), hours(0.9)).run == ()
    assert decide("web", HOURLY, hours(0.5), hours(1)).run == (Slot("web", hours(1)),)
    assert decide("web", HOURLY, hours(1), hours(1.5)).run == ()


def test_missed_slots():
    """After hours without anybody: one run for all, none, or each; what does not run is told as missed."""
    down = {"last": hours(1), "now": hours(4.5)}
    slots = [Slot("web", hours(n)) for n in (2, 3, 4)]
    once = decide("web", HOURLY, **down, missed="once")
    assert (list(once.run), list(once.missed), once.late) == (slots[2:], slots[:2], True)
    skipped = decide("web", HOURLY, **down, missed="skip")
    assert (list(skipped.run), list(skipped.missed), skipped.late) == ([], slots, False)
    each = decide("web", HOURLY, **down, missed="all")
    assert (list(each.run), list(each.missed)) == (slots, [])
    assert once.last == skipped.last == each.last == hours(4)
    on_time = decide("web", HOURLY, hours(1), hours(4) + MINUTE, missed="skip")
    assert (list(on_time.run), list(on_time.missed)) == (slots[2:], slots[:2]), "a minute is not late"


def test_never_a_burst():
    """A year without anybody is not made up for: at most so many run, and that there were more is said."""
    for policy, runs in (("once", 1), ("skip", 0), ("all", MOST_MISSED)):
        found = decide("web", HOURLY, START - dt.timedelta(days=365), hours(4.5), missed=policy)
        assert len(found.run) == runs
        assert len(found.run) + len(found.missed) == MOST_MISSED
        assert found.more_missed
        assert found.last == hours(4)
    began = time.process_time()
    decide("web", Timing(parse_schedule("cron(* * * * ? *)")), START - dt.timedelta(days=20_000), START, missed="all")
    assert time.process_time() - began < 0.5, "what is not made up for is not counted either"


def test_a_clock_that_jumps_fires_nothing_twice():
    """Set back an hour, a day, to 1970 and on again, or forward and back: no slot runs a second time, none of real time is lost."""
    for seed in range(100):
        chance = random.Random(seed)
        zone = ZoneInfo(chance.choice(("Europe/Oslo", "America/New_York", "Australia/Lord_Howe")))
        timing = Timing(
            parse_schedule(chance.choice(("cron(0/20 * * * ? *)", "cron(30 1,2 * * ? *)", "rate(30 minutes)"))), zone
        )
        real = dt.datetime(2026, 10, 24, 12, 0, tzinfo=dt.UTC)
        first = last = latest = real
        ran: list[Slot] = []
        off = dt.timedelta(0)
        for _ in range(250):
            real += dt.timedelta(minutes=chance.randint(1, 9))
            jump = chance.random()
            if jump < 0.02:
                off = chance.choice(
                    [dt.timedelta(hours=1), -dt.timedelta(hours=1), -dt.timedelta(days=1), dt.timedelta(0)]
                )
            now = real + off if jump > 0.005 else dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
            found = decide("web", timing, last, now, missed="all", most=1000)
            assert found.last >= last
            last, latest = found.last, max(latest, now)
            ran += found.run
        expected = [Slot("web", moment) for moment in fires(timing, first, latest)]
        assert ran == expected, f"seed {seed}"


def test_ten_thousand_are_decided_within_a_second():
    """Ten thousand associations, schedules of every kind in three zones: is anything due? In less than a second of this CPU."""
    chance = random.Random(1)
    days = ("?", "*", "15W", "L", "LW", "31", "1,15")
    weeks = ("MON", "TUE#3", "6L", "MON-FRI")
    zones = (dt.UTC, ZoneInfo("Europe/Oslo"), ZoneInfo("Australia/Lord_Howe"))
    timings = []
    for number in range(10_000):
        day = chance.choice(days)
        week = chance.choice(weeks) if day in "?*" else "?"
        seldom = f"cron({chance.randrange(60)} {chance.randrange(24)} {day} * {week} *)"
        text = (seldom, seldom, seldom, "rate(30 minutes)", "cron(0/5 * * * ? *)")[number % 5]
        timings.append(Timing(parse_schedule(text), zones[number % 3]))
    now = dt.datetime(2026, 11, 23, 17, 0, 3, tzinfo=dt.UTC)
    began = time.process_time()
    due = sum(len(decide("web", one, now - 5 * MINUTE, now).run) for one in timings)
    taken = time.process_time() - began
    assert due > 2000
    assert taken < 1.0
