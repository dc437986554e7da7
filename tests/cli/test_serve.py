"""`statectl serve` as a process, in a project of this machine alone."""

import contextlib
import http.client
import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta

import pytest

from tests.cli.local_project import environment

STATES = """\
associations:
  web:
    targets: all
    schedule: rate(30 minutes)
    files:
      "{{ machine }}/motd": {source: motd}
"""
SLOW = """\
associations:
  slow:
    targets: all
    schedule: rate(30 minutes)
    files:
      "{{ machine }}/slow": {content: x, validate: "sh -c 'touch {{ machine }}.begun; sleep 3' %s"}
    links: {"{{ machine }}/later": slow}
"""


@pytest.fixture
def serving(project):
    """`serving(*options)` -> a serve that listens, its port; `said()` what it told so far."""
    started = []

    def begin(*options):
        told = project.home / f"stderr{len(started)}"
        with told.open("w") as stderr:
            process = subprocess.Popen(
                [sys.executable, "-m", "statectl", "serve", "--listen", "127.0.0.1:0", *options],
                cwd=project.root,
                env=environment(project.home),
                stdin=subprocess.DEVNULL,
                stderr=stderr,
            )
        started.append((process, told))
        process.said = told.read_text
        until(lambda: "/metrics" in process.said() or process.poll() is not None)
        found = re.search(r":(\d+)/health", process.said())
        assert found, process.said()
        process.port = int(found[1])
        return process

    yield begin
    for process, told in started:
        if process.poll() is None:
            process.kill()
            process.wait()
        assert "Traceback" not in told.read_text(), told.read_text()


def until(ready, seconds=40, told=str):
    end = time.monotonic() + seconds
    while not ready():
        assert time.monotonic() < end, f"it never came {told()}"
        time.sleep(0.05)


def get(process, path, **headers):
    connection = http.client.HTTPConnection("127.0.0.1", process.port, timeout=10)
    connection.request("GET", path, headers=headers)
    answer = connection.getresponse()
    text = answer.read().decode()
    connection.close()
    return answer.status, text


@contextlib.contextmanager
def store(project):
    database = sqlite3.connect(project.root / ".statectl" / "state.db", isolation_level=None)
    database.row_factory = sqlite3.Row
    try:
        yield database
    finally:
        database.close()


def slots(project):
    with store(project) as database:
        return [dict(row) for row in database.execute("SELECT * FROM slots ORDER BY scheduled")]


def make_due(project):
    """As if the last slot that was decided about lay an hour ago."""
    with store(project) as database:
        ago = (datetime.now(UTC) - timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
        assert database.execute("UPDATE schedules SET last = ?", (ago,)).rowcount >= 1


def prepared(project, states=STATES, *hosts):
    project.states(states)
    project.write("states/motd", "hello\n")
    project.hosts(*(hosts or ("a",)))
    project.statectl("serve", "--once", expect=0)
    assert slots(project) == []  # the first look on a store runs nothing that is not due
    make_due(project)


def test_once_converges_and_repairs(project):
    """What is due is applied, recorded with its slot and told; drift is put right at the next slot; between slots nothing runs."""
    prepared(project)
    said = project.statectl("serve", "--once", expect=0)
    motd = project.machine / "a" / "motd"
    assert motd.read_text() == "hello\n"
    missed, done = slots(project)
    assert (missed["state"], done["state"], done["cause"]) == ("missed", "done", "schedule")
    assert re.search(r"web@\S+Z  due: run \S+ on 1 host", said.err), said
    assert re.search(r"web@\S+Z  done in \d+ s: 1 changed; next \d{4}-", said.err), said
    (run,) = project.statectl("runs", "list", "--json", expect=0).json["runs"]
    assert (run["id"], run["verb"], run["scope"]["slot"]) == (done["run_ids"], "apply", [f"web@{done['scheduled']}"])
    assert f"for web@{done['scheduled']}" in project.statectl("runs", "list", env={"COLUMNS": "160"}, expect=0).out
    assert f"scheduled for web@{done['scheduled']}" in project.statectl("runs", "show", run["id"], expect=0).out
    motd.write_text("by hand\n")
    assert project.statectl("serve", "--once", expect=0).err == ""
    assert motd.read_text() == "by hand\n"
    project.statectl("compliance", "--json", expect=0)
    make_due(project)
    with store(project) as database:
        database.execute("DELETE FROM slots")
    project.statectl("serve", "--once", "-q", expect=0)
    assert motd.read_text() == "hello\n"


def test_an_edit_is_applied_once(project):
    """A file that the association names was edited: the next look applies it; what only says when it runs is no edit."""
    prepared(project)
    project.statectl("serve", "--once", expect=0)
    project.write("states/motd", "edited\n")
    said = project.statectl("serve", "--once", expect=0)
    assert "edited: run" in said.err, said
    assert (project.machine / "a" / "motd").read_text() == "edited\n"
    assert project.statectl("serve", "--once", expect=0).err == ""
    project.states(STATES.replace("rate(30 minutes)", "rate(31 minutes)\n    description: other\n    jitter: 0s"))
    project.write("states/motd", "edited\n")
    assert "edited" not in project.statectl("serve", "--once", expect=0).err
    project.states(STATES.replace("rate(30 minutes)", "rate(30 minutes)\n    only_at_schedule: true"))
    project.write("states/motd", "and again\n")
    assert "edited" not in project.statectl("serve", "--once", expect=0).err


def test_audit_only_reports(project):
    """An association in audit mode is read and recorded, and nothing is written."""
    prepared(project, STATES.replace("targets: all", "targets: all\n    mode: audit"))
    project.statectl("serve", "--once", expect=0)
    assert not (project.machine / "a" / "motd").exists()
    (entry,) = project.statectl("compliance", "--json").json["entries"]
    assert (entry["association"], entry["status"]) == ("web", "pending")


def test_a_host_with_a_mistake_is_dropped_and_the_others_go_on(project):
    """A scheduled run marks the affected host failed with the reason and converges the rest; exit 1. A typed apply writes nothing."""
    prepared(
        project,
        STATES.replace("{source: motd}", '{content: "{{ vars.word | upper }}"}').replace("vars.word", "word"),
        "a",
        "b",
    )
    project.write(
        "inventories/local/hosts.yml",
        "hosts:\n"
        f"  a: {{connection: local, vars: {{machine: {project.machine}/a, word: fine}}}}\n"
        f"  b: {{connection: local, vars: {{machine: {project.machine}/b}}}}\n",
    )
    project.statectl("apply", "--yes", expect=4)
    assert not (project.machine / "a" / "motd").exists()
    said = project.statectl("serve", "--once", expect=1)
    assert (project.machine / "a" / "motd").read_text() == "FINE"
    assert not (project.machine / "b" / "motd").exists()
    assert slots(project)[-1]["state"] == "failed"
    assert "b failed (states/only.yml:" in slots(project)[-1]["reason"], said
    run = project.statectl("runs", "show", slots(project)[-1]["run_ids"], "--json", expect=0).json
    assert {name: host["outcome"] for name, host in run["hosts"].items()} == {"a": "changed", "b": "failed"}


def test_what_the_host_refuses_drops_that_host_only(project):
    """A resource that one host cannot take as declared fails that host, with the address, and nothing is written there."""
    project.states(
        STATES.replace("{source: motd}", "{content: x}").replace(
            "files:", 'files:\n      "{{ machine }}/first": {content: x}'
        )
    )
    project.hosts("a", "b")
    project.statectl("serve", "--once", expect=0)
    make_due(project)
    (project.machine / "b" / "motd").mkdir()
    (project.machine / "b" / "motd" / "inside").write_text("x")
    said = project.statectl("serve", "--once", expect=1)
    assert (project.machine / "a" / "motd").read_text() == "x"
    assert not (project.machine / "b" / "first").exists(), said
    assert "b failed (file:" in slots(project)[-1]["reason"]


def test_files_that_are_wrong(project):
    """With files that cannot be read nothing is claimed, and the exit is 4; once they are right, what was missed runs."""
    prepared(project)
    project.write("states/wrong.yml", "associations: [\n")
    said = project.statectl("serve", "--once", expect=4)
    assert "states/wrong.yml:" in said.err
    assert slots(project) == []
    (project.root / "states" / "wrong.yml").unlink()
    project.statectl("serve", "--once", expect=0)
    assert slots(project)[-1]["state"] == "done"


def test_serves_health_and_metrics_and_ends_gracefully(project, serving):
    """Up within seconds; health and metrics are what the store says; files that break are told with 503 and mended; SIGTERM is exit 0."""
    prepared(project)
    moment = time.monotonic()
    process = serving()
    took = time.monotonic() - moment
    assert took < 10, took  # the promise is 2 s on a machine with nothing else to do
    until(
        lambda: slots(project) and slots(project)[-1]["state"] == "done", told=lambda: (process.said(), slots(project))
    )
    status, text = get(process, "/health")
    health = json.loads(text)
    assert (status, health["status"], health["running"], health["problems"]) == (200, "ok", [], [])
    assert datetime.fromisoformat(health["next"]["web"]) > datetime.now(UTC)
    status, text = get(process, "/metrics")
    assert status == 200
    values = dict(line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
    assert values['statectl_slots{state="done"}'] == values['statectl_slots{state="missed"}'] == "1"
    assert values['statectl_apply_runs{outcome="done"}'] == values['statectl_hosts{status="compliant"}'] == "1"
    assert int(values['statectl_next_slot_timestamp_seconds{association="web"}']) > time.time()
    assert float(values["statectl_last_run_seconds"]) > 0
    for line in text.splitlines():
        assert re.fullmatch(r'# (HELP|TYPE) \w+ .+|\w+(\{\w+="[^"]*"\})? [0-9.]+', line), line
    assert get(process, "/")[0] == 404
    assert get(process, "/health", Host="evil.example:80")[0] == 421
    process.send_signal(signal.SIGTERM)
    assert process.wait(20) == 0
    assert "another scheduler" not in process.said()


def test_killed_and_started_again(project, serving):
    """kill -9 in the middle of a run: the slot is told as interrupted at the next start and not run again; the next slot takes over."""
    prepared(project, SLOW.replace("sleep 3", "sleep 15"))
    process = serving()
    until((project.machine / "a.begun").exists)
    second = serving()
    until(lambda: "another scheduler works on this store" in second.said())
    process.kill()
    process.wait()
    second.send_signal(signal.SIGTERM)
    assert second.wait(20) == 0
    until((project.machine / "a" / "later").is_symlink)  # the host goes on by itself, and keeps its result
    again = project.statectl("serve", "--once", expect=0)
    both = again.err + second.said()
    assert re.search(r"slow@\S+  interrupted: its controller ended", both), both
    assert "was interrupted" in both
    assert [row["state"] for row in slots(project)] == ["missed", "interrupted"]
    applies = [run for run in project.statectl("runs", "list", "--json").json["runs"] if run["verb"] == "apply"]
    assert len(applies) == 1
    make_due(project)
    with store(project) as database:
        database.execute("DELETE FROM slots")
    project.statectl("serve", "--once", expect=0)
    assert slots(project)[-1]["state"] == "done"
    applies = project.statectl("runs", "show", applies[0]["id"], "--json").json
    assert applies["hosts"]["a"]["outcome"] in ("ok", "changed"), applies


def test_told_to_stop_in_the_middle(project, serving):
    """SIGTERM while a host is in hand: its file is finished, nothing further begins, the slot is interrupted, the exit is 0."""
    prepared(project, SLOW)
    process = serving()
    until((project.machine / "a.begun").exists)
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) == 0
    assert sorted(os.listdir(project.machine / "a")) == ["slow"]
    assert slots(project)[-1]["state"] == "interrupted"
    assert "hosts in hand finish" in process.said()


def test_passwords_are_read_once(project, monkeypatch):
    """A file descriptor gives its password once: every run of the process has it, not only the first."""
    from statectl.cli.scheduled_runs import ScheduledRuns
    from statectl.server.clock import SystemClock

    prepared(project)
    read, write = os.pipe()
    os.write(write, b"sesame\n")
    os.close(write)
    monkeypatch.chdir(project.root)
    options = {"inventory": None, "become_password_fd": read}
    runs = ScheduledRuns({}, options, None, SystemClock().now, verbose=0, quiet=True)
    os.close(read)
    for _ in range(2):
        password = runs._open().credentials.become_password
        assert password is not None
        assert password.reveal() == "sesame"


@pytest.mark.parametrize(
    ("listen", "text"),
    [("0.0.0.0:9797", "E601"), ("192.0.2.1:80", "E601"), ("example.org:80", "E601"), ("9797", "HOST:PORT")],
)
def test_listens_on_loopback_only(project, listen, text):
    """Any other address is refused with the reason before anything is done."""
    said = project.statectl("serve", "--listen", listen, expect=64)
    assert text in said.err


def test_an_address_that_is_taken(project, serving):
    """Two that listen on one port: the second says so and ends with 5."""
    project.states(STATES)
    project.write("states/motd", "hello\n")
    process = serving()
    said = project.statectl("serve", "--listen", f"127.0.0.1:{process.port}", expect=5)
    assert "E602" in said.err


def test_told_to_stop_at_once(project, serving):
    """A signal right behind the line that says that it serves is heard: exit 0, and nothing is left behind."""
    project.states(STATES)
    project.write("states/motd", "hello\n")
    for _ in range(3):
        process = serving()
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
