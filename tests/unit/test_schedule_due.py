"""A schedule fires at every moment that the reference says and at no other, also where clocks are changed."""

import ast
import datetime as dt
import random
import time
from itertools import islice, takewhile
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from statectl.schedules import Timing, fires, fires_before, next_fire, parse_schedule, previous_fire
from statectl.schedules.jitter import delay_of
from tests.sweeps.schedules import (
    DAY,
    ZONES,
    Case,
    case,
    clock_of,
    compare,
    expression,
    minutes_of,
    moment_of,
    reference,
)

SAMPLE = 120
PURE = Path(__file__).parents[2] / "statectl" / "schedules"


def at(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(text).replace(tzinfo=dt.UTC)


def timing(text: str, zone: str = "UTC", offset: int = 0, anchor: str = "1970-01-01T00:00") -> Timing:
    return Timing(parse_schedule(text), ZoneInfo(zone) if zone != "UTC" else dt.UTC, offset, at(anchor))


def following(given: Timing, after: str, count: int) -> list[str]:
    """The next fires, as UTC to the minute."""
    found = []
    moment = at(after)
    for _ in range(count):
        fire = next_fire(given, moment)
        if fire is None:
            break
        moment = fire
        found.append(f"{fire:%Y-%m-%dT%H:%M}")
    return found


@given(data=st.data())
@settings(max_examples=SAMPLE, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
def test_generated_schedules_agree_with_the_reference(data):
    """Every fire of generated expressions, zones and stretches of 2024 to 2040, forwards and backwards, is the reference's."""

    def number(low, high):
        return data.draw(st.integers(low, high))

    compare(case(number), number)


@pytest.mark.parametrize(
    ("zone", "first", "days"),
    [
        ("America/Sao_Paulo", dt.date(2017, 10, 1), 30),  # midnight does not exist
        ("Pacific/Apia", dt.date(2011, 12, 20), 20),  # a day does not exist
        ("Australia/Lord_Howe", dt.date(2026, 3, 25), 20),  # half an hour twice
        ("America/New_York", dt.date(2026, 3, 1), 14),
        ("Europe/Oslo", dt.date(2026, 10, 20), 10),
        ("Antarctica/Troll", dt.date(2026, 3, 25), 10),  # two hours at once
    ],
)
def test_changes_of_clocks(zone, first, days):
    """Around a change, generated schedules fire when a clock first shows their time, or first shows a later one."""
    chance = random.Random(zone)
    clock = clock_of(zone, first - dt.timedelta(20), first + dt.timedelta(days + 20))
    assert len(clock.begins) > 1, "there is a change in it"
    for _ in range(40):
        one = expression(chance.randint)
        _compare_with(clock, Case(one, zone, chance.choice((0, 0, 2)), first, days))


def _compare_with(clock, one):
    end = one.start + dt.timedelta(one.days)
    low, high = one.start.toordinal() * DAY, end.toordinal() * DAY
    expected = reference(one.one, clock, one.offset, one.start, end + dt.timedelta(3))
    try:
        schedule = parse_schedule(one.one.text)
    except ValueError:
        return
    timing = Timing(schedule, ZoneInfo(one.zone), one.offset)
    found = list(fires(timing, moment_of(low), moment_of(high)))
    assert found == [moment_of(minute) for minute in expected if low < minute <= high], str(one)
    back = list(takewhile(lambda moment: moment > moment_of(low), fires_before(timing, moment_of(high))))
    assert back == found[::-1], str(one)


@pytest.mark.parametrize("zone", ZONES)
def test_the_reference_reads_the_clock(zone):
    """The reference itself: stepping through every minute of a year's changes shows each time of day first where it says."""
    clock = clock_of(zone)
    for change in clock.begins[1:5]:
        first: dict[int, int] = {}
        for minute in range(change - 300, change + 301):
            first.setdefault(minutes_of(moment_of(minute).astimezone(ZoneInfo(zone)).replace(tzinfo=None)), minute)
        shown = sorted(first)
        for local in range(shown[0] + 200, shown[-1] - 200):
            # an hour that is skipped is shown first when the next time that exists is
            expected = first.get(local) or min(first[later] for later in shown if later > local)
            assert clock.first_shown(local) == expected, (zone, moment_of(change), local)


def test_a_time_that_does_not_exist_fires_once_behind_the_gap():
    """02:30 on the night clocks go forward is 03:00, once, also when several times of the gap were named."""
    night = timing("cron(30 2 * * ? *)", "Europe/Oslo")
    assert following(night, "2026-03-27T12:00", 3) == ["2026-03-28T01:30", "2026-03-29T01:00", "2026-03-30T00:30"]
    often = timing("cron(0/15 2,3 29 3 ? 2026)", "Europe/Oslo")
    once = [f"2026-03-29T01:{minute}" for minute in ("00", "15", "30", "45")]
    assert following(often, "2026-01-01T00:00", 9) == once
    assert [f"{fire:%Y-%m-%dT%H:%M}" for fire in fires_before(often, at("2027-01-01T00:00"))] == once[::-1]


def test_a_time_that_exists_twice_fires_the_first_time():
    """02:30 on the night clocks go back fires once, in summer time; asked in between, it is over."""
    night = timing("cron(30 2 * * ? *)", "Europe/Oslo")
    assert following(night, "2026-10-24T12:00", 2) == ["2026-10-25T00:30", "2026-10-26T01:30"]
    assert next_fire(night, at("2026-10-25T01:15")) == at("2026-10-26T01:30")
    assert previous_fire(night, at("2026-10-25T01:15")) == at("2026-10-25T00:30"), (
        "02:15 the second time: 02:30 has been"
    )


def test_a_skipped_day_fires_at_its_end():
    """30 December 2011 did not exist in Apia: its noon is the first moment of the 31st, and midnight of that is the same one."""
    noon = timing("cron(0 0,12 30,31 12 ? 2011)", "Pacific/Apia")
    assert following(noon, "2011-12-29T12:00", 5) == ["2011-12-30T10:00", "2011-12-30T22:00"]


@pytest.mark.parametrize(
    ("text", "offset", "expected"),
    [
        ("cron(30 23 ? * TUE#3 *)", 0, ["2026-11-17T23:30", "2026-12-15T23:30"]),
        ("cron(30 23 ? * TUE#3 *)", 2, ["2026-11-19T23:30", "2026-12-17T23:30"]),
        ("cron(0 0 ? * 3L *)", 0, ["2026-11-24T00:00", "2026-12-29T00:00"]),
        ("cron(0 2 L * ? *)", 0, ["2026-11-30T02:00", "2026-12-31T02:00"]),
        ("cron(15 10 ? * 6L *)", 0, ["2026-11-27T10:15", "2026-12-25T10:15"]),
        ("cron(0 12 1W 8 ? *)", 0, ["2027-08-02T12:00", "2028-08-01T12:00"]),  # 1 August 2027 is a Sunday
        ("cron(0 12 1W 5 ? 2027)", 0, ["2027-05-03T12:00"]),  # a Saturday: Monday 3, not Friday before
        ("cron(0 12 31W 1,5 ? 2027)", 0, ["2027-01-29T12:00", "2027-05-31T12:00"]),
        ("cron(0 12 31W 4,5 ? 2027)", 0, ["2027-05-31T12:00"]),  # no 31 April, so none near it
        ("cron(0 0 31 * ? 2027)", 0, [f"2027-{month:02}-31T00:00" for month in (1, 3, 5, 7, 8, 10, 12)]),
        ("cron(0 0 13 * FRI 2027)", 0, None),  # both day fields: either
        ("cron(0 0 ? 2 MON#5 *)", 0, ["2044-02-29T00:00", "2072-02-29T00:00"]),
        ("cron(59 23 31 12 ? 2199)", 6, ["2200-01-06T23:59"]),
    ],
)
def test_examples_of_the_reference(text, offset, expected):
    """The test vectors of the reference, and days that seldom exist."""
    found = following(timing(text, offset=offset), "2026-11-01T00:00", len(expected or range(80)))
    if expected is None:
        assert len(found) == 53 + 12 - 1, "every Friday and every 13th, one of which is both"
    else:
        assert found == expected


def test_what_never_fires_again_is_none():
    """A year that is over, and a 29 February that is a Monday when there is none in those years, answer at once."""
    began = time.process_time()
    assert next_fire(timing("cron(0 0 ? 2 MON#5 2026-2043)"), at("2026-11-23T00:00")) is None
    assert next_fire(timing("cron(0 0 * * ? 2025)"), at("2026-01-01T00:00")) is None
    assert previous_fire(timing("cron(0 0 * * ? 2025)"), at("2024-12-31T23:59")) is None
    assert next_fire(timing("cron(0 0 ? 2 MON#5 *)"), at("2026-11-23T00:00")) is not None
    assert time.process_time() - began < 0.1


def test_at_is_once_and_in_its_zone():
    """at() fires at its moment, in UTC or in the zone of what it stands in, and at no other."""
    once = timing("at(2027-06-30T22:00)")
    assert following(once, "2027-06-30T21:59", 3) == ["2027-06-30T22:00"]
    assert (next_fire(once, at("2027-06-30T22:00")), previous_fire(once, at("2027-06-30T21:59"))) == (None, None)
    assert following(timing("at(2027-06-30T22:00)", "Europe/Oslo"), "2027-01-01T00:00", 3) == ["2027-06-30T20:00"]


def test_rate_counts_from_its_anchor():
    """The first fire is the anchor, and then every interval of elapsed time; nothing fires before it."""
    every = timing("rate(7 days)", "Europe/Oslo", anchor="2026-10-22T02:17")
    assert following(every, "2026-01-01T00:00", 2) == ["2026-10-22T02:17", "2026-10-29T02:17"]
    assert next_fire(every, at("2026-10-22T02:17")) == at("2026-10-29T02:17")
    assert previous_fire(every, at("2026-10-29T02:16")) == at("2026-10-22T02:17")
    assert previous_fire(every, at("2026-10-22T02:16")) is None
    assert [f"{one:%d}" for one in islice(fires_before(every, at("2026-11-06T00:00")), 9)] == ["05", "29", "22"]


def test_an_offset_is_for_cron_only():
    """Days behind a rate() or at() mean nothing, so they are refused."""
    with pytest.raises(ValueError, match="cron"):
        timing("rate(1 day)", offset=1)


def test_delays_are_spread_and_always_the_same():
    """The delay of a host depends on the names alone, stays below its bound, and a fleet is spread over all of it."""
    bound = dt.timedelta(minutes=10)
    delays = [delay_of("web", f"web{number}", bound) for number in range(1000)]
    assert delays == [delay_of("web", f"web{number}", bound) for number in range(1000)]
    assert all(dt.timedelta(0) <= delay < bound for delay in delays)
    tenths = [sum(delay * 10 // bound == tenth for delay in delays) for tenth in range(10)]
    assert min(tenths) > 50, tenths
    assert delay_of("web", "web1", bound) != delay_of("base", "web1", bound)
    assert delay_of("web", "web1", bound) == dt.timedelta(milliseconds=199599), "also of another version"
    assert delay_of("web", "web1", dt.timedelta(0)) == dt.timedelta(0)


@pytest.mark.parametrize("path", sorted(PURE.glob("*.py")), ids=lambda path: path.name)
def test_no_clock_and_no_files(path):
    """Nothing in `schedules` asks what time it is or reads a file: the moment is an argument."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Attribute):
            assert node.attr not in ("now", "utcnow", "today", "time_ns", "monotonic"), node.lineno
        if isinstance(node, ast.ImportFrom | ast.Import):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else [node.module]
            assert not set(names) & {"time", "os", "pathlib", "io", "zoneinfo", "random"}, node.lineno
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            assert node.func.id not in ("open", "print", "input"), node.lineno
