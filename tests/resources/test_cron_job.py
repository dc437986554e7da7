import pytest
from mistakes import mistake

from statectl.project.scalars import Plain
from statectl.resources.cron_job import Model, edges, short
from statectl.resources.model import Edge

JOB = {"name": "backup", "command": "/usr/bin/backup"}


def test_short_form():
    """Only `absent`."""
    assert short("x", Plain("absent")) == {"state": "absent"}
    assert short("x", Plain("daily")) is None


def test_every_field_of_a_job_has_a_value():
    """So that what somebody writes into the file by hand is a difference."""
    model = Model(**JOB, minute=5)
    assert (model.minute, model.hour, model.weekday, model.user, model.env) == ("5", "*", "*", "root", {})
    assert Model(**JOB, special="@daily").special == "daily"
    assert Model(**JOB, special="daily").minute is None


@pytest.mark.parametrize(
    "fields",
    [
        {"minute": "*/5"},
        {"minute": "0-30/10,45"},
        {"hour": "0,12", "minute": "0"},
        {"weekday": "mon-fri"},
        {"weekday": "7"},
        {"month": "Jan"},
        {"day": "1,15", "month": "*/2"},
    ],
)
def test_times_that_cron_knows(fields):
    """All forms of crontab(5)."""
    assert Model(**JOB, **fields)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"minute": "60"}, "out of range: 0 to 59"),
        ({"hour": "24"}, "out of range: 0 to 23"),
        ({"day": "0"}, "out of range: 1 to 31"),
        ({"month": "foo"}, "out of range: 1 to 12 or a name such as feb"),
        ({"weekday": "fri-mon"}, "the range ends before it starts"),
        ({"minute": "5/10"}, "a step needs a range or * before it, such as */5 or 10-50/5"),
        ({"minute": "*/0"}, "a step must be 1 to 59"),
        ({"minute": "* * * * * root evil #"}, "expected a time field of crontab such as 5, */10 or 1-5,20"),
        ({"special": "often"}, "expected one of reboot, yearly, annually, monthly, weekly, daily, midnight, hourly"),
        ({"special": "daily", "hour": "3"}, "`special` and `hour` exclude each other; keep one of them"),
        ({}, "cron_job needs a time: at least one of minute, hour, day, month, weekday, or `special`"),
        ({"minute": 1, "command": "date +%F"}, r"cron turns % into a line break; write \% for a percent sign"),
        (
            {"minute": 1, "command": "a\n* * * * * root b"},
            "a cron command is one line; put more into a script and call that",
        ),
        ({"minute": 1, "env": {"A": "x\ny"}}, 'the value of A must be one line of text without "'),
        (
            {"minute": 1, "env": {"A": "x"}, "file": "/etc/crontab"},
            "`env` would hold for every job of the shared file; leave out `file` or `env`",
        ),
        (
            {"minute": 1, "file": "/etc/cron.d/a.b"},
            "expected /etc/crontab or a file below /etc/cron.d whose name holds only letters, digits, _ and -",
        ),
        (
            {"minute": 1, "user": "a b"},
            "user or group name not valid: letters, digits, _ . - and not starting with a digit or -",
        ),
    ],
)
def test_mistakes_say_the_fix(fields, expected):
    """cron itself would skip the line, or run something else, without a word to anybody."""
    assert mistake(Model, **{**JOB, **fields}) == expected


def test_an_escaped_percent_sign_is_fine():
    """As crontab(5) wants it."""
    assert Model(**JOB | {"command": r"date +\%F"}, minute=1).command == r"date +\%F"


def test_names_are_file_names():
    """cron skips files whose name holds a dot."""
    assert mistake(Model, **{**JOB, "name": "a.b", "minute": 1}).startswith("cron job name not valid")


def test_edges():
    """After its user and its directory."""
    assert edges(Model(**JOB, minute=1, user="app")) == [Edge("directory:/etc/cron.d"), Edge("user:app")]
