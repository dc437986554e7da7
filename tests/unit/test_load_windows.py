"""Maintenance windows of the files: what is accepted means what it says, and everything else is refused at its place."""

import datetime as dt
from zoneinfo import ZoneInfo

import jsonschema
import pytest
import yaml

from statectl.project import schedules as reading
from statectl.project.schema import states_schema
from statectl.schedules import Cron, Window, next_opening
from statectl.sections import table
from tests.bad_input.loading import lines, load_files

HOUR = dt.timedelta(hours=1)
GOOD = """\
maintenance_windows:
  sunday-night:
    description: When nobody is at work
    schedule: cron(0 2 ? * SUN *)
    timezone: Europe/Oslo
    duration: 4h
    cutoff: 1h30m
    start_date: 2027-01-01T00:00:00+01:00
    end_date: 2028-01-01T00:00Z
    schedule_offset: 2
    enabled: false
"""


def window(body: str) -> str:
    return f"maintenance_windows:\n  w: {{{body}}}\n"


def test_every_field_arrives(tmp_path):
    """Each field of the section is in the value that decides when the window is open."""
    project = load_files(tmp_path, {"states/a.yml": GOOD})
    assert lines(project) == []
    one = project.maintenance_windows["sunday-night"]
    assert (one.description, one.timezone, str(one.span)) == (
        "When nobody is at work",
        "Europe/Oslo",
        "states/a.yml:2:3",
    )
    found: Window = one.window
    assert isinstance(found.timing.schedule, Cron)
    assert (found.timing.zone, found.timing.offset_days) == (ZoneInfo("Europe/Oslo"), 2)
    assert (found.duration, found.cutoff, found.enabled) == (4 * HOUR, 1.5 * HOUR, False)
    assert found.start_date == dt.datetime(2026, 12, 31, 23, 0, tzinfo=dt.UTC)
    assert found.end_date == dt.datetime(2028, 1, 1, tzinfo=dt.UTC)


def test_the_least_that_is_needed(tmp_path):
    """Schedule and duration are enough: UTC, no cutoff, no dates, enabled. A rate counts from its start date."""
    files = {
        "states/a.yml": window('schedule: "at(2027-06-30T22:00)", duration: 90m'),
        "states/b.yml": "maintenance_windows: {r: {schedule: rate(7 days), start_date: 2026-11-22T02:17Z, duration: 24h}}\n",
    }
    project = load_files(tmp_path, files)
    assert lines(project) == []
    least = project.maintenance_windows["w"].window
    assert (least.timing.zone, least.duration, least.cutoff, least.enabled) == (dt.UTC, 1.5 * HOUR, 0 * HOUR, True)
    weekly = next_opening(project.maintenance_windows["r"].window, dt.datetime(2027, 1, 1, tzinfo=dt.UTC))
    assert weekly.start == dt.datetime(2027, 1, 3, 2, 17, tzinfo=dt.UTC)


# fields, the words that are pointed at, code and words of the one answer
GOOD_REST = "schedule: cron(0 2 * * ? *), duration: 2h"
CASES = [
    ("duration: 2h", "w:", "E109", "needs `schedule`"),
    ("schedule: cron(0 2 * * ? *)", "w:", "E109", "needs `duration`"),
    ("schedule: rate(7 days), duration: 2h", "w:", "E109", "needs `start_date`"),
    ("schedule: cron(0 2 ? * MOO *), duration: 2h", "MOO", "E117", "day of week"),
    ("schedule: rate(1 hours), duration: 2h, start_date: 2026-01-01T00:00Z", "1 hours", "E117", "singular"),
    ("schedule: cron(0 2 * * ? *), duration: 25h", "25h", "E108", "from 1h to 24h"),
    ("schedule: cron(0 2 * * ? *), duration: 59m", "59m", "E108", "from 1h to 24h"),
    ("schedule: cron(0 2 * * ? *), duration: 4", "4}", "E108", "did you mean `4h`?"),
    ("schedule: cron(0 2 * * ? *), duration: soon", "soon", "E108", "such as 4h"),
    ("schedule: cron(0 2 * * ? *), duration: ''", "''", "E108", "such as 4h"),
    (f"{GOOD_REST}, cutoff: 2h", "2h}", "E108", "shorter than `duration`"),
    (f"{GOOD_REST}, cutoff: 1", "1}", "E108", "did you mean `1h`?"),
    (f"{GOOD_REST}, timezone: Europe/Olso", "Europe/Olso", "E108", "did you mean `Europe/Oslo`?"),
    (f"{GOOD_REST}, timezone: berlin", "berlin", "E108", "did you mean `Europe/Berlin`?"),
    (f"{GOOD_REST}, timezone: EST5EDT4", "EST5EDT4", "E108", "did you mean `EST5EDT`?"),
    (f"{GOOD_REST}, timezone: '+25:00'", "'+25", "E108", "an offset does not know when clocks change"),
    (f"{GOOD_REST}, timezone: ../../etc/passwd", "../..", "E108", "IANA name"),
    (f"{GOOD_REST}, timezone: localtime", "localtime", "E108", "IANA name"),
    (f"{GOOD_REST}, start_date: 2027-01-01", "2027-01-01", "E108", "offset"),
    (f"{GOOD_REST}, start_date: 2027-02-30T00:00Z", "2027-02", "E108", "such as 2027-06-30T22:00:00Z"),
    (f"{GOOD_REST}, start_date: 0001-01-01T00:00+23:00", "0001", "E108", "such as 2027-06-30T22:00:00Z"),
    (
        f"{GOOD_REST}, start_date: 2027-01-02T00:00Z, end_date: 2027-01-02T00:00Z",
        "2027-01-02T00:00Z}",
        "E108",
        "after `start_date`",
    ),
    (f"{GOOD_REST}, schedule_offset: 7", "7}", "E108", "from 1 to 6"),
    ('schedule: "at(2027-01-01T00:00)", duration: 2h, schedule_offset: 1', "schedule_offset", "E110", "cron() only"),
    (f"{GOOD_REST}, enabled: yes", "yes", "E108", "did you mean `true`?"),
    (f"{GOOD_REST}, cutof: 1h", "cutof", "E101", "did you mean `cutoff`?"),
    (f"{GOOD_REST}, tasks: {{}}", "tasks", "E106", "`tasks` is not part of this version"),
    (f"{GOOD_REST}, targets: all", "targets", "E106", "`targets` is not part of this version"),
]


@pytest.mark.parametrize(("body", "pointed", "code", "words"), CASES, ids=[case[0][-40:] for case in CASES])
def test_refused(tmp_path, body, pointed, code, words):
    """A wrong field is one message with its place, code and what was probably meant; the window does not count."""
    project = load_files(tmp_path, {"states/a.yml": window(body)})
    (line,) = lines(project)
    column = window(body).splitlines()[1].index(pointed) + 1
    assert line.startswith(f"states/a.yml:2:{column}: error[{code}]"), line
    assert words in line


def test_names(tmp_path):
    """A name counts once in a project, and is lower case as all names are."""
    files = {"states/a.yml": window(GOOD_REST), "states/b.yml": window(GOOD_REST)}
    (twice,) = lines(load_files(tmp_path, files))
    assert "maintenance window `w` is defined twice" in twice
    (upper,) = lines(load_files(tmp_path / "2", {"states/a.yml": window(GOOD_REST).replace(" w:", " W:")}))
    assert "E116" in upper and "did you mean `w`?" in upper


def test_a_machine_without_zones(tmp_path, monkeypatch):
    """Where no data about time zones is installed, that is said, with what to install; UTC works there too."""
    monkeypatch.setattr(reading, "zone_of", lambda name: dt.UTC if name == "UTC" else None)
    monkeypatch.setattr(reading, "_zones", lambda: ())
    (line,) = lines(load_files(tmp_path, {"states/a.yml": window(f"{GOOD_REST}, timezone: Europe/Oslo")}))
    assert "no data about time zones" in line and "tzdata" in line
    assert lines(load_files(tmp_path / "2", {"states/a.yml": window(f"{GOOD_REST}, timezone: UTC")})) == []


def test_the_schema_agrees():
    """An editor accepts what the loader accepts, and underlines most of what it refuses."""
    schema = jsonschema.Draft7Validator(states_schema(table()))

    def faults(text):
        return list(schema.iter_errors(yaml.safe_load(text.replace("cron(0 2 * * ? *)", "'cron(0 2 * * ? *)'"))))

    assert faults(window(GOOD_REST)) == []
    for body in (
        "duration: 2h",
        f"{GOOD_REST}, tasks: {{}}",
        f"{GOOD_REST}, cutof: 1h",
        "schedule: daily, duration: 2h",
        "schedule: cron(0 2 * * ? *), duration: 4",
        f"{GOOD_REST}, schedule_offset: 7",
        f"{GOOD_REST}, start_date: tomorrow",
    ):
        assert faults(window(body)), body
