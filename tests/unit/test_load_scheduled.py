"""What stands beside a schedule in the files: read as it is meant, refused at its place; and which edits count as one."""

import datetime as dt
import os
from zoneinfo import ZoneInfo

import jsonschema
import pytest
import yaml

from statectl.project.schema import settings_schema, states_schema
from statectl.schedules import next_fire
from statectl.sections import load, table
from statectl.server.definition import Definitions, looked_at
from statectl.server.lines import hosts_of, lines_of
from tests.bad_input.loading import lines, load_files, write

GOOD = """\
associations:
  web:
    targets: all
    schedule: cron(30 2 ? * TUE#2 *)
    timezone: Europe/Oslo
    schedule_offset: 2
    jitter: 1h30m
    only_at_schedule: true
    where:
      - {targets: "env=dev", mode: audit}
      - {targets: "h1", schedule: rate(1 hour)}
    files: {/etc/motd: {source: motd}}
  by-hand: {targets: all, files: {/a: {content: x}}}
"""


def web(body, rest=""):
    return {"states/a.yml": f"associations:\n  web: {{targets: all, {body}}}\n{rest}"}


def test_every_field_arrives(tmp_path):
    """Zone, offset, jitter and edits are in the value; a line for each schedule; none for an association without one."""
    project = load_files(tmp_path, {"states/a.yml": GOOD, "states/motd": "x"})
    assert lines(project) == []
    one = project.associations["web"]
    assert (one.timezone, one.schedule_offset, one.jitter_s, one.only_at_schedule) == ("Europe/Oslo", 2, 5400, True)
    own, variant = lines_of(one, "d")
    assert own.key == ("web", "") and variant.key == ("web", "h1")
    assert own.timing.zone == ZoneInfo("Europe/Oslo")
    after = dt.datetime(2026, 11, 1, tzinfo=dt.UTC)
    assert next_fire(own.timing, after) == dt.datetime(2026, 11, 12, 1, 30, tzinfo=dt.UTC)
    assert next_fire(variant.timing, after) == dt.datetime(2026, 11, 1, 1, tzinfo=dt.UTC)
    assert lines_of(project.associations["by-hand"], "d") == []
    matches = {"env=dev": frozenset({"h1", "h2"}), "h1": frozenset({"h1", "h3"})}
    hosts = ["h1", "h2", "h3", "h4"]
    assert hosts_of(one, "", hosts, matches) == [
        "h1",
        "h2",
        "h4",
    ]  # the first entry that matches wins, whatever it says
    assert hosts_of(one, "h1", hosts, matches) == ["h3"]


@pytest.mark.parametrize(
    ("body", "place", "text"),
    [
        ("timezone: UTC", "timezone", "`timezone` goes with a `schedule`"),
        ("jitter: 5m", "jitter", "`jitter` goes with a `schedule`"),
        ("only_at_schedule: true", "only_at", "`only_at_schedule` goes with a `schedule`"),
        ("schedule: rate(1 hour), timezone: Europe/Olso", "Europe", "IANA name"),
        ("schedule: rate(1 hour), schedule_offset: 2", "schedule_offset", "goes with cron() only"),
        ("schedule: cron(0 2 * * ? *), schedule_offset: 7", "7", "from 1 to 6"),
        ("schedule: rate(1 hour), jitter: 5", "5", "30s, 10m or 1h30m"),
        ("schedule: rate(1 hour), jitter: 25h", "25h", "at most 24h"),
        ("schedule: rate(1 hour), jitter: ''", "''", "30s, 10m or 1h30m"),
        ("schedule: rate(1 hour), only_at_schedule: 1", " 1}", "true or false"),
    ],
)
def test_what_is_wrong_is_shown_at_its_place(tmp_path, body, place, text):
    """Each mistake once, with file, line and column."""
    files = web(body)
    line = files["states/a.yml"].splitlines()[1]
    column = line.index(place) + 1 + place.startswith(" ")
    (found,) = lines(load_files(tmp_path, files))
    assert text in found and f"states/a.yml:2:{column}:" in found


def test_the_setting(tmp_path):
    """`serve: {missed: skip}` arrives; another word is refused at its place; once is the default."""
    inventory = {"inventory.yml": "hosts: {h1: {}}\n"}
    head = "project: p\ninventory: inventory.yml\n"
    assert load(write(tmp_path / "1", {**inventory, "statectl.yml": head}), env={}).settings.missed == "once"
    files = {**inventory, "statectl.yml": f"{head}serve: {{missed: skip}}\n"}
    assert load(write(tmp_path / "2", files), env={}).settings.missed == "skip"
    files = {**inventory, "statectl.yml": f"{head}serve: {{missed: never, often: 1}}\n"}
    found = lines(load(write(tmp_path / "3", files), env={}))
    assert any("statectl.yml:3:17" in line for line in found) and any("often" in line for line in found), found


def test_the_schema_agrees():
    """An editor accepts what the loader accepts."""
    assert list(jsonschema.Draft7Validator(states_schema(table())).iter_errors(yaml.safe_load(GOOD))) == []
    settings = jsonschema.Draft7Validator(settings_schema())
    assert list(settings.iter_errors({"project": "p", "serve": {"missed": "all"}})) == []
    assert list(settings.iter_errors({"project": "p", "serve": {"missed": "no"}})) != []


BASE = """\
associations:
  web:
    targets: all
    schedule: rate(1 hour)
    where: [{targets: h1, vars: {a: 1}}]
    use: {site: {}}
    given:
      - when: facts.os.id == 'debian'
        files: {/c: {source: deep/c}}
    files:
      /a: {template: a.j2}
    trees: {/t: {source: tree}}
profiles:
  site: {files: {/b: {fragments: {one: {source: b}}}}}
  other: {files: {/z: {content: x}}}
"""
FILES = {"states/a.j2": "a", "states/b": "b", "states/deep/c": "c", "states/tree/x/y": "y", "states/unused": "u"}


def definition(place, states=BASE, more=None, definitions=None):
    project = load(write(place, {**FILES, **(more or {}), "states/only.yml": states}), env={})
    assert lines(project) == []
    return (definitions or Definitions()).of(project.associations["web"], project.profiles, project.root)[0]


@pytest.mark.parametrize(
    ("states", "files"),
    [
        (BASE.replace("targets: all", "targets: h1"), {}),
        (BASE.replace("{a: 1}", "{a: 2}"), {}),
        (BASE.replace("'debian'", "'fedora'"), {}),
        (BASE.replace("one: {", "two: {"), {}),
        *((BASE, {name: "edited"}) for name in FILES if name != "states/unused"),
        (BASE, {"states/tree/x/new": "n"}),
    ],
)
def test_edits_that_count(tmp_path, states, files):
    """What the association, its profiles or the files that it names say: each edit is another definition."""
    definitions = Definitions()
    before = definition(tmp_path, definitions=definitions)
    assert definition(tmp_path, definitions=definitions) == before
    os.utime(tmp_path / "states/b", ns=(1, 1))
    assert definition(tmp_path, definitions=definitions) == before
    assert definition(tmp_path, states, files, definitions) != before


@pytest.mark.parametrize(
    ("states", "files"),
    [
        ("# a comment\n\n" + BASE, {}),
        (BASE.replace("rate(1 hour)", "rate(2 hours)\n    jitter: 5m\n    description: x\n    severity: high"), {}),
        (BASE.replace("{a: 1}", "{a: 1}, schedule: rate(1 day)"), {}),
        (BASE.replace("/z: {content: x}", "/z: {content: y}"), {}),
        (BASE, {"states/unused": "edited"}),
        (BASE, {"states/other.yml": "associations: {more: {targets: all}}\n"}),
    ],
)
def test_edits_that_do_not_count(tmp_path, states, files):
    """Comments, other files, when it runs and what it is called for people: the same definition."""
    assert definition(tmp_path / "1") == definition(tmp_path / "2", states, files)


def test_a_look_at_files(tmp_path):
    """Two looks differ after an edit, a new file in a directory, and a file that is gone; and not without one."""
    write(tmp_path, {"a": "1", "d/b": "2"})
    paths = [tmp_path / "a", tmp_path / "d", tmp_path / "missing"]
    first = looked_at(paths)
    assert looked_at(paths) == first
    (tmp_path / "d" / "c").write_text("new")
    second = looked_at(paths)
    assert second != first
    (tmp_path / "a").unlink()
    assert looked_at(paths) != second
