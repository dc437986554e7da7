"""patch report, patch history and compliance in a project, from a store that holds scans and installs; no host is contacted."""

import csv
import datetime as dt
import io
import json

import pytest

from statectl.baselines.evaluation import Evaluation, PatchState
from statectl.baselines.model import Baseline
from statectl.baselines.scan import Archive, Scan
from statectl.patches.history import record_patch_operation
from statectl.store.store import Store
from tests.cli.local_project import LocalProject

STATES = """\
patch_baselines:
  debian-prod:
    os: debian
    approve:
      - {suite: ["*-security"], after: 3 days, compliance: critical}
  debian-test:
    os: debian
    approve:
      - {suite: ["*"], after: 0 days}
associations:
  patched:
    targets: one, two, never
    schedule: rate(1 day)
    patch_baseline: debian-prod
"""
DEBIAN = {"os": {"id": "debian", "version_id": "12", "name": "debian"}}
NOW = dt.datetime.now(dt.UTC)
OPENSSL = PatchState(
    "openssl", "amd64", "Missing", "3.0.14-1", "3.0.15-1", level="critical", classification="Security",
    reason="rule 1 approves it", advisories=("DSA-1",), first_seen=NOW - dt.timedelta(days=9),
)  # fmt: skip
BASH = PatchState("bash", "amd64", "InstalledOther", "5", "5")


def stamp(**before: float) -> str:
    return (NOW - dt.timedelta(**before)).strftime("%Y-%m-%dT%H:%M:%SZ")


@pytest.fixture
def fleet(project: LocalProject) -> LocalProject:
    project.hosts("one", "two", "never", "free")
    project.states(STATES)
    store = Store.open("sqlite:.statectl/state.db", project.root)
    for host in ("one", "two", "never", "free"):
        store.saw(host, host, DEBIAN)
    keep(store, "two", [BASH], "OLD", hours=30)
    keep(store, "one", [OPENSSL, BASH], "A1", days=1)
    keep(store, "two", [OPENSSL, BASH], "A1", days=1)
    moves = [{"name": "openssl", "arch": "amd64", "from": "3.0.14-1", "to": "3.0.15-1", "outcome": "installed"}]
    keep(store, "two", [OPENSSL, BASH], "B2", operation="install", moves=moves, hours=3)
    store.close()
    return project


def keep(store, host, states, run, *, operation="scan", moves=(), baseline="debian-prod", **before):
    fetched = int((NOW - dt.timedelta(**before)).timestamp())
    record_patch_operation(
        store,
        Evaluation(baseline, tuple(states), compliant=all(one.state != "Missing" for one in states), level="critical"),
        run=run, host=host, baseline=Baseline(baseline, "debian"), operation=operation, started=stamp(**before),
        ended=stamp(**before), scan=Scan("apt", fetched, archives=(Archive("a", fetched=fetched),)), commit="c0ffee" * 6,
        moves=moves,
    )  # fmt: skip


def test_report_says_how_each_host_stands(fleet):
    """Missing, installed and never scanned: with the denominator, and exit 3 for what is unknown."""
    document = fleet.statectl("patch", "report", "--json", "-t", "one, two, never", expect=3).json
    states = {entry["host"]: (entry["baseline"], entry["status"]) for entry in document["entries"]}
    assert states == {
        "one": ("debian-prod", "pending"), "two": ("debian-prod", "compliant"), "never": ("debian-prod", "unknown"),
    }  # fmt: skip
    assert (document["hosts_compliant"], document["hosts_total"]) == (1, 3)
    said = fleet.statectl("patch", "report", "-t", "one", expect=0).out
    assert "0 of 1 host compliant, 1 pending" in said and "DSA-1" in said


def test_report_of_the_past(fleet):
    """--as-of judges by what was recorded then: before the install, the patch was missing."""
    then = fleet.statectl("patch", "report", "--json", "-t", "two", "--as-of", "20h", expect=0).json
    assert [entry["status"] for entry in then["entries"]] == ["pending"]
    assert then["as_of"] < stamp(hours=19)
    earlier = fleet.statectl("patch", "report", "--json", "-t", "two", "--as-of", "29h", expect=0).json
    assert [(entry["run"], entry["status"]) for entry in earlier["entries"]] == [("OLD", "compliant")]


def test_report_in_several_forms_at_once(fleet):
    """Files beside stdout: a page and a table for the auditor from one reading."""
    fleet.statectl("patch", "report", "-t", "one, two", "-o", "html=r.html", "-o", "csv=r.csv", "--all", expect=0)
    page = (fleet.root / "r.html").read_text()
    assert page.startswith("<!DOCTYPE html>") and "openssl" in page
    rows = list(csv.DictReader(io.StringIO((fleet.root / "r.csv").read_text())))
    (mine,) = [row for row in rows if row["host"] == "two" and row["package"] == "openssl"]
    assert (mine["state"], mine["installed"], mine["installed_by_run"]) == ("Installed", "3.0.15-1", "B2")
    assert {row["package"] for row in rows} == {"openssl", "bash"}


def test_mistakes_of_the_command_line(fleet):
    """A baseline that nobody knows, a moment to come and a format that does not exist are told before anything else."""
    assert (
        "no patch baseline 'debian-prd'" in fleet.statectl("patch", "report", "--baseline", "debian-prd", expect=64).err
    )
    assert "is not over yet" in fleet.statectl("patch", "report", "--as-of", "2999-01-01", expect=64).err
    assert "output format not known" in fleet.statectl("patch", "report", "-o", "pdf", expect=64).err


def test_two_baselines_do_not_fight(fleet):
    """A host that was also scanned by another baseline keeps both results; that other one is shown when it is asked for."""
    store = Store.open("sqlite:.statectl/state.db", fleet.root)
    keep(store, "one", [BASH], "T9", baseline="debian-test", minutes=5)
    store.close()
    document = fleet.statectl("patch", "report", "--json", "-t", "one", expect=0).json
    assert [(entry["baseline"], entry["status"]) for entry in document["entries"]] == [("debian-prod", "pending")]
    other = fleet.statectl("patch", "report", "--json", "-t", "one", "--baseline", "debian-test", expect=0).json
    assert [(entry["baseline"], entry["status"]) for entry in other["entries"]] == [("debian-test", "compliant")]


def test_compliance_counts_patches_beside_associations(fleet):
    """Hosts with a baseline by an association are judged; one that only a baseline of statectl would concern, and never did, is not."""
    document = fleet.statectl("compliance", "--json").json
    entries = {(entry["host"], entry["baseline"]): entry for entry in document["entries"] if entry["baseline"]}
    assert {key: entry["status"] for key, entry in entries.items()} == {
        ("one", "debian-prod"): "pending", ("two", "debian-prod"): "compliant", ("never", "debian-prod"): "unknown",
    }  # fmt: skip
    assert entries["one", "debian-prod"]["deviations"][0]["wanted"] == "3.0.15-1"
    assert "free" not in {entry["host"] for entry in document["entries"]}


def test_scan_older_than_two_intervals_is_unknown(fleet):
    """The schedule of the association that names the baseline says how old a scan may be."""
    fleet.states(STATES.replace("rate(1 day)", "rate(1 hour)"))
    document = fleet.statectl("compliance", "--json", "-t", "two", expect=3).json
    (entry,) = [entry for entry in document["entries"] if entry["baseline"]]
    assert entry["status"] == "unknown" and entry["reason"].endswith("more than two intervals ago")


def test_history_says_what_when_and_by_whom(fleet):
    """An install with its run, baseline and commit; and a version that came between two scans from outside."""
    store = Store.open("sqlite:.statectl/state.db", fleet.root)
    keep(store, "two", [PatchState("bash", "amd64", "InstalledOther", "6", "6")], "C3", minutes=10)
    store.close()
    found = fleet.statectl("patch", "history", "two", "--json", expect=0).json
    assert [(one["package"], one["before"], one["after"], one["by"], one["run"]) for one in found["changes"]] == [
        ("openssl", "3.0.15-1", "", "outside statectl", "C3"), ("bash", "5", "6", "outside statectl", "C3"),
        ("openssl", "3.0.14-1", "3.0.15-1", "statectl", "B2"),
        ("openssl", "", "3.0.14-1", "outside statectl", "A1"),
    ]  # fmt: skip
    assert found["recorded_since"] == stamp(hours=30)
    rows = list(
        csv.DictReader(io.StringIO(fleet.statectl("patch", "history", "-o", "csv", "--package", "bash", expect=0).out))
    )
    assert [(row["host"], row["after"], row["commit"]) for row in rows] == [("two", "6", "c0ffee" * 6)]
    text = fleet.statectl("patch", "history", "--since", "5h", "--limit", "1", expect=0).out
    assert "outside statectl" in text and "2 more (--limit shows more)" in text
    lines = fleet.statectl("patch", "history", "-o", "jsonl", "--until", "2h", expect=0).out.splitlines()
    assert [json.loads(line)["run"] for line in lines] == ["B2", "A1"]


def test_history_of_a_host_that_was_never_scanned(fleet):
    """A name of which nothing is recorded is told as that, not as a host without changes."""
    said = fleet.statectl("patch", "history", "never", expect=64)
    assert "no patch operation of 'never' is recorded in this store" in said.err


def test_history_of_an_empty_store(project):
    """Before the first scan it is said that there is none."""
    assert "No patch operation is recorded" in project.statectl("patch", "history", expect=0).out


def test_project_without_baselines_knows_nothing_of_patches(project):
    """A project that names no baseline and never scanned has no entry of one in its compliance."""
    project.statectl("apply", "--yes", expect=0)
    document = project.statectl("compliance", "--json", expect=0).json
    assert [entry["baseline"] for entry in document["entries"]] == [""] * len(document["entries"])
    assert document["oldest_index"] == ""
