"""`statectl window`: what people and programs are told of maintenance windows."""

import datetime as dt
from zoneinfo import ZoneInfo

import pytest

from statectl.cli.formats.terminal import Screen
from statectl.cli.formats.window_text import list_lines, show_lines, window_document
from statectl.sections import load
from tests.bad_input.loading import write

STATES = """\
maintenance_windows:
  sunday-night:
    description: When nobody is at work
    schedule: cron(0 2 ? * SUN *)
    timezone: Europe/Oslo
    duration: 4h
    cutoff: 1h
    end_date: 2026-12-07T00:00:00Z
  always: {schedule: cron(0 0 * * ? *), duration: 24h}
  off: {schedule: cron(0 2 ? * TUE#2 *), duration: 2h, schedule_offset: 2, enabled: false}
"""
PLAIN = Screen(width=100, unicode=False)


def at(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(text).replace(tzinfo=dt.UTC)


@pytest.fixture
def windows(tmp_path):
    project = load(write(tmp_path, {"states/a.yml": STATES}), env={})
    assert project.problems == ()
    return project.maintenance_windows


def test_closed_open_closing(windows):
    """Closed with the next openings, open until when, and open but taking nothing new: on the window's wall and in UTC."""
    sunday = windows["sunday-night"]

    def shown(moment: str, count: int = 1) -> list[str]:
        return list(list_lines([sunday], at(moment), count, PLAIN))

    assert shown("2026-11-28T20:30", 9) == [
        "sunday-night  cron(0 2 ? * SUN *)  Europe/Oslo",
        "  closed",
        "  opens Sun 2026-11-29 02:00 CET to 06:00   2026-11-29T01:00:00Z   in 4h 30m",
        "  opens Sun 2026-12-06 02:00 CET to 06:00   2026-12-06T01:00:00Z   in 7d",
        "  and never again",
    ]
    until = "open until Sun 2026-11-29 06:00 CET (2026-11-29T05:00:00Z)"
    cutoff = "nothing new from Sun 2026-11-29 05:00 CET (2026-11-29T04:00:00Z)"
    assert shown("2026-11-29T01:00", 0)[1] == f"  ok {until}, 4h from now; {cutoff}"
    assert shown("2026-11-29T04:00", 0)[1] == f"  ! {until}, 1h from now; nothing new begins any more"
    assert shown("2026-11-29T05:00", 0)[1] == "  closed"
    assert shown("2026-12-06T05:00")[1:] == ["  closed", "  never opens again"]


def test_list_and_show(windows):
    """All windows by name; one with all its fields and the place where it stands."""
    lines = list(list_lines(list(windows.values()), at("2026-11-23T12:00"), 1, PLAIN))
    assert [line for line in lines if not line.startswith(" ")] == [
        "sunday-night  cron(0 2 ? * SUN *)  Europe/Oslo",
        "always        cron(0 0 * * ? *)  UTC",
        "off           cron(0 2 ? * TUE#2 *) and 2 days  UTC",
    ]
    assert "  disabled: it never opens" in lines
    assert list(show_lines(windows["sunday-night"], at("2026-11-23T12:00"), 1, PLAIN)) == [
        "sunday-night   When nobody is at work",
        "  schedule  cron(0 2 ? * SUN *)",
        "  timezone  Europe/Oslo",
        "  duration  4h, nothing new in the last 1h",
        "  until     Mon 2026-12-07 01:00 CET (2026-12-07T00:00:00Z)",
        "  place     states/a.yml:2:3",
        "  closed",
        "  opens Sun 2026-11-29 02:00 CET to 06:00   2026-11-29T01:00:00Z   in 5d 13h",
    ]
    assert next(list_lines([], at("2026-11-23T12:00"), 1, PLAIN)).startswith("No maintenance windows.")


def test_document(windows):
    """Programs read the same: whether it is open and takes work, and openings in UTC and on the wall."""
    open_now = window_document(windows["sunday-night"], at("2026-11-29T04:30"), 2)
    assert (open_now["open"], open_now["accepts_work"]) == (True, False)
    assert open_now["opening"]["cutoff"] == "2026-11-29T04:00:00Z"
    assert open_now["next"] == [
        {
            "start": "2026-12-06T01:00:00Z",
            "cutoff": "2026-12-06T04:00:00Z",
            "end": "2026-12-06T05:00:00Z",
            "start_local": "2026-12-06T02:00:00+01:00",
            "end_local": "2026-12-06T06:00:00+01:00",
        }
    ]
    off = window_document(windows["off"], at("2026-11-29T04:30"), 2)
    assert (off["open"], off["opening"], off["next"], off["schedule_offset_days"]) == (False, None, [], 2)


def test_the_command(project):
    """`window list` and `window show` at this very moment: a window of 24 hours a day is open, and its next opening is midnight."""
    project.write("states/windows.yml", STATES)
    said = project.statectl("window", "list", "--json", "--next", "3", expect=0).json
    assert said["format"] == "statectl.windows/1.0"
    assert list(said["windows"]) == ["always", "off", "sunday-night"]
    always = said["windows"]["always"]
    assert (always["open"], len(always["next"])) == (True, 3)
    now = dt.datetime.fromisoformat(said["as_of"])
    midnight = now.replace(hour=0, minute=0, second=0) + dt.timedelta(days=1)
    assert dt.datetime.fromisoformat(always["next"][0]["start"]) == midnight
    assert abs(now - dt.datetime.now(ZoneInfo("Europe/Oslo"))) < dt.timedelta(minutes=5)
    text = project.statectl("window", "show", "always", expect=0).out
    assert "open until" in text
    assert text.count("opens ") == 5
    wrong = project.statectl("window", "show", "alwys", expect=64)
    assert "did you mean `always`?" in wrong.err
    project.statectl("window", "list", "--next", "-1", expect=64)


def test_a_broken_project_is_said(project):
    """With a mistake in the files no window is shown: nobody could rely on it."""
    project.write("states/windows.yml", STATES.replace("4h", "25h"))
    said = project.statectl("window", "list", expect=4)
    assert "from 1h to 24h" in said.err
    assert said.out == ""
