"""The commands with a store on PostgreSQL: one controller, and two that share it."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import quote

import pytest

from tests.cli.local_project import LocalProject, environment
from tests.postgresql.server import GUARDED, PASSWORD

STATES = """\
associations:
  web:
    targets: all
    schedule: rate(1 hour)
    files:
      "{{ machine }}/motd": {content: "hello\\n"}
"""


@pytest.fixture
def shared(project, postgresql_url):
    """A project whose store is a server, and no file."""
    project.states(STATES.replace("    schedule: rate(1 hour)\n", ""))
    project.hosts("a", "b")
    settings = (project.root / "statectl.yml").read_text()
    project.write("statectl.yml", settings + f"store: {postgresql_url}\n")
    return project


def test_every_command_that_uses_the_store(shared, postgresql, postgresql_url):
    """Plan, apply, drift, compliance and the lists of runs say the same as with a file, and no file is made."""
    plan = shared.statectl("plan", "--json", expect=0).json
    shared.statectl("apply", plan["id"], "--yes", expect=0)
    again = shared.statectl("apply", plan["id"], "--yes", expect=5)
    assert "was applied at" in again.err
    motd = shared.machine / "a" / "motd"
    assert motd.read_text() == "hello\n"
    motd.write_text("by hand\n")
    assert "motd" in shared.statectl("drift", expect=2).out
    compliance = shared.statectl("compliance", "--json", expect=0).json
    assert "drifted" in str(compliance)
    shared.statectl("apply", "--yes", expect=0)
    assert motd.read_text() == "hello\n"
    runs = shared.statectl("runs", "list", "--json", expect=0).json["runs"]
    assert [run["verb"] for run in runs] == ["apply", "drift", "apply", "plan"]
    assert "motd" in shared.statectl("runs", "show", runs[0]["id"], expect=0).out
    assert shared.statectl("compliance", "--history", expect=0).out
    assert not (shared.root / ".statectl" / "state.db").exists()
    schema = postgresql_url.rpartition("%3D")[2]
    assert postgresql.psql(f"SELECT count(*) FROM {schema}.runs") == "4"


def test_a_password_is_shown_nowhere(shared, postgresql, postgresql_url):
    """In settings or in the environment: no listing, error or verbose log repeats it."""
    schema = postgresql_url.rpartition("%3D")[2]
    postgresql.psql(f"ALTER SCHEMA {schema} OWNER TO {GUARDED}")
    good = postgresql_url.replace("statectl@", f"{GUARDED}:{quote(PASSWORD, safe='')}@")
    secret = quote(PASSWORD, safe="")
    said = [
        shared.statectl("plan", "-vv", env={"STATECTL_STORE": good}, expect=0),
        shared.statectl("config", "show", env={"STATECTL_STORE": good}, expect=0),
        shared.statectl("config", "show", "--json", env={"STATECTL_STORE": good}, expect=0),
        shared.statectl("plan", env={"STATECTL_STORE": good.replace(secret, f"not-{secret}")}, expect=5),
        shared.statectl("plan", env={"STATECTL_STORE": good.replace("@127", "127")}, expect=4),
    ]
    for one in said[:3]:
        assert f"{GUARDED}:***@" in one.out or one.argv[0] == "plan"
    settings = (shared.root / "statectl.yml").read_text()
    shared.write("statectl.yml", settings.replace(postgresql_url, good.replace(f":{postgresql.port}", ":x")))
    said.append(shared.statectl("validate", expect=4))
    for wrong in (good.replace("@127", "127"), f"mysql://me:{secret}@h/db", f"postgresql://h:x/db?password={secret}"):
        shared.write("statectl.yml", settings.replace(postgresql_url, wrong))
        said.append(shared.statectl("validate", expect=4))
    shared.write("statectl.yml", settings.replace(postgresql_url, good))
    said.append(shared.statectl("runs", "list", "-vv", expect=0))
    for one in said:
        assert PASSWORD not in one.out + one.err, one
        assert secret not in one.out + one.err, one
        if "not-" in str(one.argv):
            assert "password authentication failed" in one.err


@pytest.fixture
def second(shared, tmp_path):
    """Another clone of the project, as another controller has it, for the same machine and store."""
    place = tmp_path / "elsewhere"
    place.mkdir()
    other = LocalProject(place)
    for file in ("statectl.yml", "states/only.yml", "inventories/local/hosts.yml"):
        other.write(file, (shared.root / file).read_text())
    for file in (other.root / "states").rglob("*.yml"):
        if file.name != "only.yml":
            file.unlink()
    return other


def test_two_controllers_see_each_others_runs(shared, second):
    """What one plans the other applies and both list; applies at once on both lose no run."""
    plan = shared.statectl("plan", "--json", expect=0).json
    second.statectl("apply", plan["id"], "--yes", expect=0)
    again = shared.statectl("apply", plan["id"], "--yes", expect=5)
    assert "was applied at" in again.err
    both = [
        subprocess.Popen(
            [sys.executable, "-m", "statectl", "drift", "--json"],
            cwd=one.root,
            env=environment(one.home),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        for one in (shared, second) * 2
    ]
    for process in both:
        out, err = process.communicate(timeout=120)
        assert process.returncode == 0, (out, err)
    lists = [one.statectl("runs", "list", "--json", expect=0).json["runs"] for one in (shared, second)]
    assert lists[0] == lists[1]
    assert sorted(run["verb"] for run in lists[0]) == ["apply", "drift", "drift", "drift", "drift", "plan"]


def test_a_slot_fires_once_over_two_controllers(shared, second, postgresql, postgresql_url):
    """Both serve the same schedules on the same store at the same time: each slot is run by one of them."""
    for one in (shared, second):
        one.states(STATES)
    schema = postgresql_url.rpartition("%3D")[2]
    shared.statectl("serve", "--once", expect=0)
    for hour in range(3):
        postgresql.psql(f"UPDATE {schema}.schedules SET last = to_char((now() AT TIME ZONE 'UTC') - interval '61 minutes', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"')")  # fmt: skip
        postgresql.psql(f"DELETE FROM {schema}.slots")
        with ThreadPoolExecutor(2) as threads:
            told = list(threads.map(lambda one: one.statectl("serve", "--once", expect=0), (shared, second)))
        applies = postgresql.psql(f"SELECT count(*) FROM {schema}.runs WHERE verb = 'apply'")
        assert int(applies) == hour + 1, [str(one) for one in told]
        states = postgresql.psql(f"SELECT state FROM {schema}.slots ORDER BY scheduled").splitlines()
        assert states.count("done") == 1 and set(states) <= {"done", "missed"}, states
