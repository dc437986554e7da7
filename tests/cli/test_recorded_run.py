"""Nothing that happened is missing from any way of looking at it: one run with everything in it, seen while it goes on and afterwards."""

import json
import os
import subprocess
import sys
import time
import xml.etree.ElementTree as ET

import pytest

from statectl.cli.formats.apply_text import result_line
from statectl.cli.formats.terminal import Screen
from tests.cli.local_project import LocalProject, Said, environment
from tests.cli.simulated import KINDS, simulated

HOSTS = {
    "changed1": "changes",
    "right1": "right",
    "failing1": "fails",
    "failing2": "fails",
    "gone1": "unreachable",
    "held1": "refuses",
    "cut1": "cut",
    "warned1": "warns",
    "waited1": "waits",
    "restarted1": "restarts",
    "dead1": "restart fails",
    "later1": "pending",
}
TEXTS = {
    "failing1": "the disk is full",
    "failing2": "the disk is full",
    "gone1": "nobody answers there",
    "held1": "somebody else is at it",
    "cut1": "the line went dead",
    "warned1": "the clock is an hour off",
    "waited1": "held by run EARLIER",
    "dead1": "it does not come back",
}
# what each host has to be seen with, wherever hosts have lines of their own
SEEN = {
    "changed1": ("changed",),
    "failing1": ("the disk is full", "skipped"),
    "failing2": ("the disk is full", "skipped"),
    "gone1": ("unreachable", "nobody answers there"),
    "held1": ("refused", "somebody else is at it"),
    "cut1": ("unknown", "the line went dead"),
    "warned1": ("the clock is an hour off",),
    "restarted1": ("service:app",),
    "dead1": ("it does not come back",),
    "later1": ("pending", "until window night"),
}


def command(project, *argv: str, background: bool = False):
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.cli.simulated", *argv],
        cwd=project.root,
        env=environment(project.home),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    if background:
        return process
    out, err = process.communicate(timeout=120)
    assert "Traceback" not in err, err
    return Said(argv, process.returncode, out, err)


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    """The run in every format at once, and whoever followed it from its beginning: (project, what it said, its files, follower)."""
    assert set(HOSTS.values()) <= set(KINDS)
    place = tmp_path_factory.mktemp("recorded")
    project = LocalProject(place)
    simulated(project, list(HOSTS), files=2, kinds=HOSTS, texts=TEXTS, seconds=2)
    files = {name: place / name for name in ("json", "jsonl", "md", "junit")}
    formats = [word for name, path in files.items() for word in ("-o", f"{name}={path}")]
    running = command(project, "apply", "--yes", "--max-errors", "90%", *formats, background=True)
    end = time.monotonic() + 60
    follower = None
    while follower is None:
        assert time.monotonic() < end
        under_way = [one for one in project.statectl("runs", "list", "--json").json["runs"] if not one["ended"]]
        if under_way:
            follower = command(project, "runs", "follow", under_way[0]["id"], background=True)
    out, err = running.communicate(timeout=120)
    followed = follower.communicate(timeout=120)
    said = Said(("apply",), running.returncode, out, err)
    assert "Traceback" not in err, said
    assert follower.returncode == running.returncode == 1, followed
    return project, said, {name: path.read_text() for name, path in files.items()}, followed


def run_id(recorded) -> str:
    return json.loads(recorded[2]["json"])["run"]


def lines_of(text: str) -> list[str]:
    return [line for line in text.splitlines() if line.strip()]


def report_of(out: str) -> list[str]:
    """What comes behind the plan."""
    lines = lines_of(out)
    starts = [place for place, line in enumerate(lines) if line.startswith("✖ 1  ")]
    return lines[starts[0] :]


def test_the_text_tells_everything(recorded):
    """On stderr each change, failure, warning, restart and unknown has its line; the report on stdout names or counts all of them."""
    _, said, _, _ = recorded
    for host, words in SEEN.items():
        own = "\n".join(line for line in said.err.splitlines() if host in line)
        for word in words:
            if word != "skipped":
                assert word in own, (host, word, said.err)
    assert "→ restart restarted1/service:app" in said.err
    assert "waited1: held by run EARLIER" in said.err
    report = "\n".join(report_of(said.out))
    for text in TEXTS.values():
        if text != TEXTS["waited1"]:
            assert text in report, report
    assert "failing[1-2]" in report
    assert "skipped  file:/etc/app-1.conf" in report
    assert "pending: restart service:app, until window night on later1" in report
    assert "13 changed, 2 failed, 2 skipped, 1 pending, 2 restarts or reloads on 12 hosts." in report
    assert "6 done, 6 not done (3 failed, 1 refused, 1 unknown, 1 unreachable)." in report


def test_the_documents_have_every_event(recorded):
    """JSON, JSON lines and the store's record hold the same events of the same hosts, each with its reason."""
    project, _, files, _ = recorded
    whole = json.loads(files["json"])
    rows = [json.loads(line) for line in files["jsonl"].splitlines()]
    assert {row.pop("host"): row for row in rows if row.pop("type") == "host"} == whole["hosts"]
    shown = project.statectl("runs", "show", run_id(recorded), "--json", expect=0).json
    in_lines = [
        json.loads(line)
        for line in project.statectl("runs", "show", run_id(recorded), "-o", "jsonl", expect=0).out.splitlines()
    ]
    assert {row["host"]: row["results"] for row in in_lines if row["type"] == "host"} == {
        host: entry["results"] for host, entry in shown["hosts"].items()
    }
    assert in_lines[-1]["outcome"] == shown["outcome"] == whole["outcome"] == "failed"
    assert shown["stop"] == whole["stop"]
    assert set(shown["hosts"]) == set(whole["hosts"]) == set(HOSTS)
    for host, entry in whole["hosts"].items():
        kept = shown["hosts"][host]
        assert [kept[key] for key in ("outcome", "reason", "code")] == [
            entry[key] for key in ("outcome", "reason", "code")
        ]
        warnings = [{"type": "log", "level": "warning", "text": text} for text in entry["warnings"]]
        assert (kept["results"] or []) == [*entry["results"], *entry["notified"], *warnings]
        for word in SEEN.get(host, ()):
            assert word in json.dumps(entry), (host, word)


def test_junit_and_markdown_tell_everything(recorded):
    """Each resource and each restart is a case of its own, warnings are its suite's output, and the comment holds the report."""
    _, _, files, _ = recorded
    suites = {suite.get("name"): suite for suite in ET.fromstring(files["junit"])}
    events = json.loads(files["json"])["hosts"]
    for host, entry in events.items():
        cases = [case.get("name") for case in suites[host]]
        told = [one["address"] for one in entry["results"]]
        restarts = [f"{one['verb']} {one['address']}" for one in entry["notified"]]
        assert [name for name in cases if name] == told + restarts
    assert "the clock is an hour off" in suites["warned1"].find("system-out").text
    errors = {case.get("name"): case.find("error") for case in suites["hosts"]}
    assert {name for name, error in errors.items() if error is not None} == {
        name for name, entry in events.items() if entry["outcome"] not in ("ok", "changed")
    }
    assert "the clock is an hour off" in files["md"]
    for text in TEXTS.values():
        assert text in files["md"] or text == TEXTS["waited1"]


@pytest.mark.parametrize("verbose", [(), ("-v",)])
def test_runs_show_tells_everything(recorded, verbose):
    """Afterwards `runs show` has a line for each event: also restarts, warnings and what waits; with -v what is as wanted too."""
    project, _, _, _ = recorded
    said = project.statectl("runs", "show", run_id(recorded), *verbose, expect=0).out
    blocks: dict[str, str] = {}
    host = ""
    for line in said.splitlines():
        host = line.split()[0] if not line.startswith(" ") else host
        blocks[host] = blocks.get(host, "") + line + "\n"
    for name, words in SEEN.items():
        for word in words:
            assert word in blocks[name], (name, word, said)
    assert ("file:/etc/app-0.conf" in blocks["right1"]) == bool(verbose)


def test_following_shows_what_the_run_showed(recorded):
    """Whoever follows sees the same lines and the same report as the one who started the run, live and once it has ended."""
    project, said, _, (live_out, live_err) = recorded
    told = [line for line in lines_of(said.err) if not line.startswith("waited1")]
    assert len(told) > 15
    assert sorted(line for line in lines_of(live_err) if not line.startswith("waited1")) == sorted(told)
    assert "waited1: held by run EARLIER" in live_err
    assert lines_of(live_out) == report_of(said.out)
    later = command(project, "runs", "follow", run_id(recorded))
    assert later.code == 1
    assert sorted(lines_of(later.err)) == sorted(told)
    assert lines_of(later.out) == report_of(said.out)


@pytest.mark.parametrize(
    ("outcome", "line"),
    [
        ("changed", "✔ file:/x  changed"),
        ("ok", "· file:/x  as wanted"),
        ("unknown", "⚠ file:/x  unknown: the power went"),
        ("skipped", "· file:/x  skipped: the power went"),
        ("failed", "✖ file:/x  the power went"),
    ],
)
def test_each_outcome_has_its_words(outcome, line):
    """What was not changed, or of which nobody knows, is never called changed."""
    entry = {"address": "file:/x", "outcome": outcome, "action": "none", "reason": "the power went"}
    assert result_line("h", entry, Screen(), with_host=False) == line


def test_a_spent_budget_is_told_to_who_looks_later(tmp_path):
    """Why a run stopped is in its report whoever asks for it, with the number of errors that were allowed."""
    project = LocalProject(tmp_path)
    names = [f"h{number}" for number in range(6)]
    simulated(project, names, kinds=dict.fromkeys(names, "fails"))
    said = command(project, "apply", "--yes", "--max-concurrency", "1", "--max-errors", "1")
    (run,) = [one for one in project.statectl("runs", "list", "--json").json["runs"] if one["verb"] == "apply"]
    followed = command(project, "runs", "follow", run["id"])
    assert "Stopped: more than 1 error (--max-errors); nothing new was started." in said.out
    assert followed.code == said.code == 1
    assert lines_of(followed.out) == report_of(said.out)
    assert os.linesep.join(lines_of(followed.err)) == os.linesep.join(lines_of(said.err))
