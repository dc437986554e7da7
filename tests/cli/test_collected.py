"""statectl inventory refresh, query, history, diff and show: what is on hosts is collected, kept and asked for with the real command."""

import csv
import io
import json
import sqlite3
import time

import pytest

from tests.cli.local_project import LocalProject
from tests.cli.test_hostile_text import HARMFUL

PROBE = "#!/bin/sh\ncat {path}\n"


@pytest.fixture
def fleet(project: LocalProject) -> LocalProject:
    """Two names of this machine with a custom type each can change, and no state on either."""
    project.hosts(
        "one", "two", more="  never: {connection: local, tags: {env: other}, vars: {machine: /nonexistent}}\n"
    )
    declare(project, [{"Name": "r4", "Unit": "12", "Weight": 7}])
    return project


def declare(project: LocalProject, content: object) -> None:
    project.write("rack.json", json.dumps(content))
    old = (project.root / "statectl.yml").read_text().partition("collect:")[0]
    block = f"collect:\n  custom:\n    Rack: {{run: [cat, {project.root}/rack.json], timeout: 5s}}\n"
    project.write("statectl.yml", old + block)


def refresh(project: LocalProject, *options: str, **more):
    return project.statectl("inventory", "refresh", "-t", "one,two", *options, **more)


def query(project: LocalProject, *argv: str, expect: int = 0):
    return project.statectl("inventory", "query", *argv, expect=expect)


def test_collect_ask_and_compare(fleet):
    """One refresh, and everything else is answered from the store; a change is found in history and difference."""
    said = refresh(fleet, "--json", expect=0).json
    assert {row["host"]: (row["outcome"], row["missing"]) for row in said["refreshed"]} == {
        "one": ("ok", {}), "two": ("ok", {}),
    }  # fmt: skip
    assert refresh(fleet, expect=0).out.endswith("2 hosts collected, 0 with something new.\n")
    assert query(fleet, "custom.Rack.unit >= 9 and kernel.running=*", "-o", "name").out == "one\ntwo\n"
    never = query(fleet, "not custom.Rack.weight > 6", "--json")
    assert (never.json["hosts"], never.json["never_collected"]) == ([], ["never"])
    assert "warning[W158]" in never.err and "leaves never out" in never.err
    shown = fleet.statectl("inventory", "show", "one", "--type", "Custom:Rack", "--json", expect=0).json
    assert shown["entries"] == [{"Name": "r4", "Unit": "12", "Weight": 7}]
    before = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    time.sleep(1.1)  # moments are whole seconds
    declare(fleet, [{"Name": "r4", "Unit": "13", "Weight": 7}, {"Name": "r5", "Unit": "1"}])
    assert (
        "1 with something new"
        in fleet.statectl("inventory", "refresh", "-t", "one", "--type", "Custom:Rack", expect=0).out
    )
    newest = fleet.statectl("inventory", "history", "one", "--type", "custom.Rack", "--json", expect=0).json["history"][
        0
    ]
    assert newest["changed"] == {"r4": {"Unit": ["12", "13"]}}
    assert list(newest["added"]) == ["r5"]
    said = fleet.statectl("inventory", "diff", "one", "--since", before, expect=0).out
    assert "~ r4  Unit: 12 → 13" in said and "+ r5" in said
    assert (
        fleet.statectl("inventory", "diff", "one", "--since", before, "--at", before, expect=0).out
        == "No difference.\n"
    )
    then = fleet.statectl("inventory", "show", "one", "--type", "custom:Rack", "--at", before, "--json", expect=0).json
    assert [entry["Unit"] for entry in then["entries"]] == ["12"]
    assert "Unit" in query(fleet, "--type", "Custom:Rack", "--where", "unit>12", "-o", "csv").out
    assert query(fleet, "--type", "Custom:Rack", "--where", "unit > 12", "-o", "name").out == "one\n"
    counted = query(fleet, "--type", "Custom:Rack", "--count-by", "name", "--json").json["counts"]
    assert counted == [{"name": "r4", "count": 2}, {"name": "r5", "count": 1}]
    by = query(fleet, "--count-by", "custom.Rack.r4.unit", "--json").json["counts"]
    assert {row["custom.Rack.r4.unit"]: row["count"] for row in by} == {"12": 1, "13": 1, "(never collected)": 1}


def test_targets_ask_for_it(fleet):
    """-t and an association's targets choose by what was collected; who was never collected is left alone and told."""
    refresh(fleet, expect=0)
    fleet.states(
        'associations: {a: {targets: "custom.Rack.unit < 20", files: {"{{ machine }}/x": {content: "ours\\n"}}}}\n'
    )
    planned = fleet.statectl("plan", "--json")
    assert sorted(planned.json["hosts"]) == ["one", "two"]
    assert any(problem["code"] == "W158" for problem in planned.json["problems"]), planned
    ran = fleet.statectl("run", "-t", "custom.Rack.unit=12", "--json", "--", "true")
    assert sorted(json.loads(ran.out)["hosts"]) == ["one", "two"]
    fleet.statectl("run", "-t", "custom.Rack.unit>12", "--", "true", expect=4)
    assert "W163" not in planned.out + ran.err
    with sqlite3.connect(fleet.root / ".statectl" / "state.db") as connection:
        connection.execute("UPDATE collected_types SET checked = '2026-01-02T03:04:05Z' WHERE host = 'two'")
    connection.close()
    ran = fleet.statectl("run", "-t", "custom.Rack.unit=12", "--json", "--", "true")
    assert "warning[W163]" in ran.err and "chooses two by inventory of 2026-01-02T03:04:05Z" in ran.err
    assert any(problem["code"] == "W163" for problem in fleet.statectl("plan", "--json").json["problems"])
    assert "W158" not in fleet.statectl("validate", expect=0).out


def test_the_page_of_a_host(fleet):
    """Identity, when it was seen, key facts, associations and what was collected, from the store alone; without a store as before."""
    bare = fleet.statectl("inventory", "show", "one", "--json", expect=0)
    assert "identity" not in bare.json["hosts"]["one"]
    assert not (fleet.root / ".statectl" / "state.db").exists()
    refresh(fleet, expect=0)
    fleet.states('associations: {a: {targets: one, files: {"{{ machine }}/x": {content: "ours\\n"}}}}\n')
    fleet.statectl("apply", "--yes", expect=0)
    page = fleet.statectl("inventory", "show", "one", "--json", expect=0).json["hosts"]["one"]
    assert page["associations"]["a"]["statuses"] == {"compliant": 1}
    assert page["collected"]["Custom:Rack"]["state"] == "content"
    assert page["identity"]["host_id"] and page["last_seen"]
    assert page["variables"]["machine"]["value"].endswith("machine/one")
    said = fleet.statectl("inventory", "show", "one", expect=0).out
    assert "association a: 1 compliant" in said and "os.name" in said


def test_what_fails_costs_itself(fleet):
    """A command that fails or hangs is told beside the rest; a host that cannot be reached is exit 3 and keeps nobody."""
    old = (fleet.root / "statectl.yml").read_text().partition("collect:")[0]
    fleet.write(
        "statectl.yml",
        old + "collect:\n  custom:\n    Bad: {run: [false]}\n    Slow: {run: [sleep, '30'], timeout: 300ms}\n",
    )
    text = (fleet.root / "inventories/local/hosts.yml").read_text()
    fleet.write("inventories/local/hosts.yml", text + "  away: {address: 127.0.0.1, port: 1}\n")
    said = fleet.statectl("inventory", "refresh", "-t", "one,away", "--json", expect=3).json["refreshed"]
    one = next(row for row in said if row["host"] == "one")
    assert one["outcome"] == "ok"
    assert "exit" in one["missing"]["Custom:Bad"]
    assert "did not end in 0.3 s" in one["missing"]["Custom:Slow"]
    assert next(row for row in said if row["host"] == "away")["outcome"] == "unreachable"
    text = fleet.statectl("inventory", "refresh", "-t", "one", expect=0).out
    assert "one  Custom:Slow: " in text and text.endswith("1 host collected, 0 with something new.\n")
    assert query(fleet, "package.no-such-package=* or kernel.running=*", "-o", "name").out == "one\n"


def test_formats_of_entries(fleet):
    """CSV, JSON lines and the table hold the same entries; a spreadsheet is given no formula."""
    declare(fleet, [{"Name": "=cmd|' /C calc'!A0", "Note": "@x"}, {"Name": "plain", "Note": "-1"}])
    refresh(fleet, expect=0)
    options = ("--type", "Custom:Rack")
    rows = list(csv.DictReader(io.StringIO(query(fleet, "one", *options, "-o", "csv").out)))
    assert [row["Name"] for row in rows] == ["'=cmd|' /C calc'!A0", "plain"]
    assert [row["Note"] for row in rows] == ["'@x", "'-1"]
    lines = [json.loads(line) for line in query(fleet, "one", *options, "-o", "jsonl").out.splitlines()]
    assert sorted(line["Name"] for line in lines) == ["=cmd|' /C calc'!A0", "plain"]
    assert "2 entries on 1 host." in query(fleet, "one", *options).out


def test_text_of_a_host_steers_nothing(fleet):
    """What stands in the inventory of a host is shown escaped, in every format."""
    nasty = "x\x1b[31mred\u202e\x07|{{ 7*7 }}"
    declare(fleet, [{"Name": nasty, "Note": nasty}])
    refresh(fleet, expect=0)
    before = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    declare(fleet, [{"Name": nasty, "Note": "other"}])
    time.sleep(1.1)
    refresh(fleet, expect=0)
    for argv in (
        ("query", "one", "--type", "Custom:Rack"),
        ("query", "one", "--type", "Custom:Rack", "-o", "csv"),
        ("query", "one", "--type", "Custom:Rack", "-o", "jsonl"),
        ("query", "--count-by", "custom.Rack.name"),
        ("query", "custom.Rack.name=*"),
        ("history", "one"),
        ("diff", "one", "--since", before),
        ("show", "one", "--type", "Custom:Rack"),
        ("show", "one", "--type", "Custom:Rack", "--json"),
    ):
        said = fleet.statectl("inventory", *argv, expect=0).out
        assert not HARMFUL.search(said.replace("\n", "")), (argv, said)
        assert "7*7" in said or argv[0] == "history", (argv, said)


@pytest.mark.parametrize(
    ("argv", "code", "said"),
    [
        (("query", "package.x < "), 4, "expected a value after <"),
        (("query", "certificate.not_after < tomorrow"), 4, "is not a time (at column 25)"),
        (("query", "nosuch"), 4, 'unknown host "nosuch"'),
        (("query", "--where", "a=1"), 64, "--where is about the entries of a type"),
        (("query", "--type", "Aplication"), 64, "did you mean Application?"),
        (("query", "--type", "Application", "--where", "nam=x"), 4, "Application has no attribute `nam` (at column 1)"),
        (("query", "--type", "Application", "--count-by", "nam"), 64, "Application has no attribute 'nam'"),
        (("query", "--count-by", "nonsense nonsense"), 64, "neither a fact nor collected"),
        (("refresh", "--type", "Nope"), 64, "no type 'Nope'"),
        (("history", "one"), 64, "nothing was ever collected of one"),
        (("diff", "one", "--since", "yesterday"), 64, "`yesterday` is not a time"),
        (("diff", "one", "--since", "1h", "--at", "2h"), 64, "--since 1h is after --at 2h"),
        (("show", "one", "--at", "1h"), 64, "--at is about the entries of a type"),
        (("show", "one", "-o", "csv"), 64, "is for the entries of a type"),
        (("show", "one", "--type", "usage", "--at", "1h"), 64, "nothing was ever collected of one"),
    ],
)
def test_mistakes_on_the_command_line(fleet, argv, code, said):
    """Each is one line with what is right, and its exit code."""
    found = fleet.statectl("inventory", *argv, expect=code)
    assert said in found.err, found


def test_explain_shows_the_schema(project):
    """Every type and attribute by the name that expressions use."""
    said = project.statectl("explain", "facts", expect=0).out
    assert "package." in said and "facts.memory" in said
    said = project.statectl("explain", "facts.package", expect=0).out
    assert "installed_time" in said and "package.NAME" in said
    assert "facts.network:" in project.statectl("explain", "facts.network", expect=0).out
    project.statectl("explain", "facts.nothing", expect=64)
