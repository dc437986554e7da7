"""Patch operations in the store: every one is kept, none replaces another, and what did not change costs next to nothing."""

import datetime as dt
import json
from dataclasses import replace

import pytest

from statectl.baselines.evaluation import Evaluation, PatchState, Wanted
from statectl.baselines.model import Baseline, Pin
from statectl.baselines.scan import Archive, Needs, Package, Scan
from statectl.patches.history import after_moves, patch_operation, record_patch_operation
from statectl.store.store import Store

START = dt.datetime(2026, 11, 20, 2, tzinfo=dt.UTC)
BASELINE = Baseline("debian-prod", "debian")
OPENSSL = PatchState(
    "openssl", "amd64", "Missing", "3.0.14-1", "3.0.15-1", level="critical", classification="Security",
    severity="Important", reason="rule 1 approves it 3 days after it was first seen (2026-11-10)", advisories=("DSA-5764-1",),
    cves=("CVE-2026-1",), first_seen=START - dt.timedelta(days=10), approved_at=START - dt.timedelta(days=7),
)  # fmt: skip
BASH = PatchState("bash", "amd64", "InstalledOther", "5.2.15-2", "5.2.15-2")


@pytest.fixture
def store(store_url, tmp_path):
    store = Store.open(store_url, tmp_path)
    yield store
    store.close()


def at(**after):
    return (START + dt.timedelta(**after)).strftime("%Y-%m-%dT%H:%M:%SZ")


def evaluated(*states, unknown=""):
    missing = [one for one in states if one.state == "Missing"]
    return Evaluation(
        "debian-prod",
        tuple(states),
        tuple(Wanted(one.name, one.arch, one.version) for one in missing),
        unknown=unknown,
        compliant=not missing and not unknown,
        level=missing[0].level if missing else "unspecified",
    )


def keep(store, evaluation, run, *, host="web1", baseline=BASELINE, operation="scan", hours=0, **more):
    record_patch_operation(
        store, evaluation, run=run, host=host, baseline=baseline, operation=operation, started=at(hours=hours),
        ended=at(hours=hours, minutes=1), **more,
    )  # fmt: skip


def size(store, table):
    with store.database.reading() as connection:
        return connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]


def test_no_scan_overwrites_another(store):
    """Two baselines of one host, and two runs of one baseline, are all there afterwards: the last of each is what counts."""
    other = Baseline("debian-test", "debian")
    keep(store, evaluated(OPENSSL, BASH), "A1")
    keep(store, evaluated(BASH), "A2", baseline=other, hours=1)
    keep(store, evaluated(BASH), "A3", hours=2, commit="c0ffee")
    assert [one.run for one in store.patch_history.operations()] == ["A1", "A2", "A3"]
    latest = {one.baseline: one for one in store.patch_history.latest()}
    assert latest["debian-prod"].run == "A3" and latest["debian-prod"].compliant
    assert latest["debian-prod"].commit == "c0ffee"
    assert latest["debian-test"].run == "A2"
    first = store.patch_history.latest(baseline="debian-prod", until=at(hours=1))
    assert [one.run for one in first] == ["A1"]
    rows = store.patch_history.rows([first[0].listed])[first[0].listed]
    assert {row["name"]: row["state"] for row in rows} == {"openssl": "Missing", "bash": "InstalledOther"}


def test_unchanged_scan_costs_no_copy(store):
    """Of a hundred scans with the same outcome on ten hosts, the list and its rows are there once."""
    for run in range(10):
        store.patch_history.keep(
            [
                patch_operation(
                    evaluated(OPENSSL, BASH), run=f"R{run}", host=f"web{host}", baseline=BASELINE, operation="scan",
                    started=at(hours=run), ended=at(hours=run),
                )
                for host in range(10)
            ]
        )  # fmt: skip
    assert (size(store, "patch_operations"), size(store, "patch_lists"), size(store, "patch_rows")) == (100, 1, 2)


def test_order_of_the_packages_makes_no_other_list(store):
    """The same packages told in another order are the same list."""
    keep(store, evaluated(OPENSSL, BASH), "A1")
    keep(store, evaluated(BASH, OPENSSL), "A2", hours=1)
    assert size(store, "patch_lists") == 1


def test_outcome_that_nobody_knows_is_a_failure():
    """What is not known to have been installed is not called installed."""
    told = patch_operation(
        evaluated(OPENSSL), run="A", host="h", baseline=BASELINE, operation="install", started=at(), ended=at(),
        moves=[{"name": "openssl", "arch": "amd64", "from": "1", "to": "2", "outcome": "unknown"}],
    )  # fmt: skip
    assert told.moves[0].outcome == "failed" and json.loads(told.rows[0])["state"] == "Failed"


def test_moment_of_a_scan_stands_in_no_row(store):
    """Of a package that nobody saw come, the moment of approval is that of the scan: it is left out, or no two scans would be alike."""
    for hour in range(3):
        scanned = START + dt.timedelta(hours=hour)
        keep(store, evaluated(replace(BASH, state="Installed", approved_at=scanned)), f"R{hour}", hours=hour)
    assert (size(store, "patch_operations"), size(store, "patch_lists"), size(store, "patch_rows")) == (3, 1, 1)


def test_everything_that_is_known_of_a_patch_comes_back(store):
    """Level, severity, classification, advisories, CVEs, reason and times of a patch are what was handed in."""
    keep(store, evaluated(OPENSSL), "A1")
    (one,) = store.patch_history.latest()
    assert store.patch_history.rows([one.listed])[one.listed] == [
        {
            "name": "openssl", "arch": "amd64", "state": "Missing", "from": "3.0.14-1", "to": "3.0.15-1", "level": "critical",
            "classification": "Security", "severity": "Important", "reason": OPENSSL.reason, "advisories": ["DSA-5764-1"],
            "cves": ["CVE-2026-1"], "first_seen": "2026-11-10T02:00:00Z", "approved_at": "2026-11-13T02:00:00Z",
        }
    ]  # fmt: skip


def test_counts_are_those_of_ssm(store):
    """By state; and of what is not compliant: critical by level, security by kind, the others."""
    plain = PatchState("vim", "amd64", "Missing", "1", "2", level="low")
    minor = replace(OPENSSL, name="curl", level="low")
    keep(store, evaluated(OPENSSL, BASH, plain, minor), "A1")
    (one,) = store.patch_history.latest()
    told = one.detail["counts"]
    assert {name: count for name, count in told.items() if count} == {
        "missing": 3, "installed_other": 1, "critical_non_compliant": 1, "security_non_compliant": 2, "other_non_compliant": 1,
    }  # fmt: skip


def test_install_is_kept_with_what_it_moved(store):
    """From, to, outcome, run, baseline and commit of every move; and the states are those after it."""
    keep(store, evaluated(OPENSSL, BASH), "A1")
    moves = [
        {"name": "openssl", "arch": "amd64", "from": "3.0.14-1", "to": "3.0.15-1", "outcome": "installed"},
        {
            "name": "libnew",
            "arch": "amd64",
            "from": "",
            "to": "1-1",
            "outcome": "installed",
            "reason": "openssl needs it",
        },
    ]
    keep(store, evaluated(OPENSSL, BASH), "A2", operation="install", hours=1, moves=moves, commit="c0ffee", scan=None)
    (now,) = store.patch_history.latest()
    assert now.operation == "install" and now.compliant and now.level == "unspecified"
    states = {row["name"]: (row["state"], row["from"]) for row in store.patch_history.rows([now.listed])[now.listed]}
    assert states == {
        "openssl": ("Installed", "3.0.15-1"), "libnew": ("InstalledOther", "1-1"), "bash": ("InstalledOther", "5.2.15-2"),
    }  # fmt: skip
    told = store.patch_history.moves(host="web1", name="openssl")
    assert told == [
        {
            "run_id": "A2", "host": "web1", "baseline": "debian-prod", "at": at(hours=1, minutes=1), "name": "openssl",
            "arch": "amd64", "version_from": "3.0.14-1", "version_to": "3.0.15-1", "outcome": "installed", "reason": "",
            "commit": "c0ffee", "rolls_back": "",
        }
    ]  # fmt: skip
    assert [one["name"] for one in store.patch_history.moves(run="A2")] == ["openssl", "libnew"]


def test_the_same_operation_told_twice_is_one(store):
    """A result that is delivered again after a lost connection makes no second install."""
    moves = [{"name": "openssl", "arch": "amd64", "from": "1", "to": "3.0.15-1", "outcome": "installed"}]
    for _ in range(2):
        keep(store, evaluated(OPENSSL), "A2", operation="install", moves=moves)
    assert len(store.patch_history.operations()) == 1
    assert len(store.patch_history.moves()) == 1


def test_unknown_has_no_rows(store):
    """Of a host of which nothing can be said no list is kept, and the reason is."""
    keep(store, evaluated(unknown="the data are 9 days old"), "A1")
    (one,) = store.patch_history.latest()
    assert (one.unknown, one.listed, one.compliant) == ("the data are 9 days old", "", False)
    assert store.patch_history.rows([one.listed]) == {}


def test_age_of_the_data_and_what_waits_is_kept(store):
    """The oldest fetch and the newest date of the archives, what was stale, and which services run old code."""
    fetched = int(START.timestamp()) - 7200
    scan = Scan(
        "apt", int(START.timestamp()), stale=("security.debian.org: 3 days old",),
        archives=(Archive("a", fetched=fetched, date=fetched - 60), Archive("b", fetched=fetched + 60, date=fetched)),
        installed=(Package("bash", "amd64", "1"),),
        needs=Needs(reboot=True, reasons=("kernel 2 is installed, 1 runs",), services={"ssh.service": ("/usr/lib/x",)}),
    )  # fmt: skip
    keep(store, evaluated(BASH), "A1", scan=scan)
    (one,) = store.patch_history.latest()
    assert one.detail["fetched"] == "2026-11-20T00:00:00Z" and one.detail["dated"] == "2026-11-20T00:00:00Z"
    assert one.detail["stale"] == ["security.debian.org: 3 days old"]
    assert one.detail["needs_reboot"] == ["kernel 2 is installed, 1 runs"]
    assert one.detail["needs_restart"] == ["ssh.service"]


def test_time_that_no_calendar_has_is_none(store):
    """A host that says an absurd time of its indexes breaks no record."""
    keep(store, evaluated(BASH), "A1", scan=Scan("apt", 0, archives=(Archive("a", fetched=10**15, date=10**15),)))
    assert store.patch_history.latest()[0].detail["fetched"] == ""


def test_failed_move_makes_the_patch_failed():
    """What was tried and did not come to be is Failed with the reason, and keeps its level."""
    moves = [
        {"name": "openssl", "arch": "amd64", "from": "3.0.14-1", "to": "3.0.15-1", "outcome": "failed", "reason": "postinst exited 1"}
    ]  # fmt: skip
    told = patch_operation(
        evaluated(OPENSSL, BASH), run="A", host="h", baseline=BASELINE, operation="install", started=at(), ended=at(),
        moves=moves,
    )  # fmt: skip
    assert (told.compliant, told.level) == (False, "critical")
    (row,) = [row for row in map(json.loads, told.rows) if row["name"] == "openssl"]
    assert (row["state"], row["reason"], row["from"]) == ("Failed", "postinst exited 1", "3.0.14-1")


def test_reboot_that_is_owed_makes_what_was_installed_wait():
    """Installed and not in force is InstalledPendingReboot, which is not compliant."""
    moves = [{"name": "openssl", "arch": "amd64", "from": "3.0.14-1", "to": "3.0.15-1", "outcome": "installed"}]
    told = patch_operation(
        evaluated(OPENSSL), run="A", host="h", baseline=BASELINE, operation="install", started=at(), ended=at(),
        moves=moves, waits_for_reboot=True,
    )  # fmt: skip
    assert json.loads(told.rows[0])["state"] == "InstalledPendingReboot"
    assert not told.compliant and told.level == "critical"


def test_older_version_than_wanted_leaves_the_patch_missing():
    """A rollback does not make a patch installed, and what was kept back stays as it was."""
    moves = patch_operation(
        evaluated(OPENSSL), run="A", host="h", baseline=BASELINE, operation="install", started=at(), ended=at(),
        moves=[
            {"name": "openssl", "arch": "amd64", "from": "3.0.14-1", "to": "3.0.13-1", "outcome": "installed"},
            {"name": "bash", "arch": "amd64", "from": "5", "to": "6", "outcome": "kept", "reason": "it would remove zsh"},
        ],
    ).moves  # fmt: skip
    after = after_moves((OPENSSL, BASH), moves)
    assert [(one.state, one.installed) for one in after] == [("Missing", "3.0.13-1"), ("InstalledOther", "5.2.15-2")]


def test_rollback_makes_an_approved_patch_missing_again():
    """What the baseline approves and a rollback took back is Missing, with the run; what nobody approved is as it was, elsewhere."""
    installed = replace(OPENSSL, state="Installed", installed=OPENSSL.version)
    told = patch_operation(
        evaluated(installed, BASH), run="B", host="h", baseline=BASELINE, operation="install", started=at(), ended=at(),
        rolls_back="A1",
        moves=[
            {"name": "openssl", "arch": "amd64", "from": "3.0.15-1", "to": "3.0.14-1", "outcome": "installed"},
            {"name": "bash", "arch": "amd64", "from": "5.2.15-2", "to": "5.2.15-1", "outcome": "installed"},
        ],
    )  # fmt: skip
    states = {
        row["name"]: (row["state"], row["from"], row["to"], row.get("reason")) for row in map(json.loads, told.rows)
    }
    assert states["openssl"] == ("Missing", "3.0.14-1", "3.0.15-1", "rolled back: A1")
    assert states["bash"] == ("InstalledOther", "5.2.15-1", "5.2.15-1", None)
    assert (told.compliant, told.level) == (False, "critical")


def test_pins_stand_with_their_patch_until_they_end(store):
    """A pin that holds on the day of the scan is kept with the patch, one that has ended is not."""
    baseline = Baseline(
        "debian-prod", "debian",
        pins=(
            Pin("open*", "*", dt.date(2026, 11, 20), "vendor does not support it yet"),
            Pin("bash", "*", dt.date(2026, 11, 19), "over"),
        ),
    )  # fmt: skip
    keep(store, evaluated(OPENSSL, BASH), "A1", baseline=baseline)
    (one,) = store.patch_history.latest()
    pins = {row["name"]: row.get("pin") for row in store.patch_history.rows([one.listed])[one.listed]}
    pin = {"version": "*", "until": "2026-11-20", "reason": "vendor does not support it yet"}
    assert pins == {"openssl": pin, "bash": None}


def test_index_of_a_thousand_hosts_is_read_in_parts(store):
    """More rows than one statement takes values are all found."""
    many = [PatchState(f"p{number:04}", "amd64", "InstalledOther", "1", "1") for number in range(1200)]
    keep(store, evaluated(*many), "A1")
    (one,) = store.patch_history.latest()
    assert len(store.patch_history.rows([one.listed])[one.listed]) == 1200
