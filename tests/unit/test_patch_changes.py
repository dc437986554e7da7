"""What became of packages: what runs did, and what somebody else did between two scans, as evidence and not as proof."""

import datetime as dt

import pytest

from statectl.baselines.evaluation import Evaluation, PatchState
from statectl.baselines.model import Baseline
from statectl.patches.changes import OUTSIDE, RESOURCE, STATECTL, UNFINISHED, changes
from statectl.patches.history import record_patch_operation
from statectl.store.records import HostRecord
from statectl.store.store import Store

START = dt.datetime(2026, 11, 20, tzinfo=dt.UTC)
BASELINE, OTHER = Baseline("debian-prod", "debian"), Baseline("debian-test", "debian")


@pytest.fixture
def store(store_url, tmp_path):
    store = Store.open(store_url, tmp_path)
    yield store
    store.close()


def at(hour):
    return (START + dt.timedelta(hours=hour)).strftime("%Y-%m-%dT%H:%M:%SZ")


def keep(store, hour, *, host="web1", baseline=BASELINE, run="", moves=(), operation="", **versions):
    states = [PatchState(name, "amd64", "InstalledOther", version, version) for name, version in versions.items()]
    record_patch_operation(
        store, Evaluation(baseline.name, tuple(states), compliant=True), run=run or f"R{hour}", host=host, baseline=baseline,
        operation=operation or ("install" if moves else "scan"), started=at(hour), ended=at(hour), commit="c0ffee", moves=moves,
    )  # fmt: skip


def move(name, before, after, outcome="installed"):
    return {"name": name, "arch": "amd64", "from": before, "to": after, "outcome": outcome}


def found(store, **options):
    history = store.patch_history
    return changes(history.turns(), history.moves(), history.rows, history.package_resources(), **options)


def short(changed):
    return [(one.host, one.package, one.before, one.after, one.by, one.run) for one in changed]


def test_install_is_told_with_run_baseline_and_commit(store):
    """What an install moved is ours, and the scan after it is no second change."""
    keep(store, 1, bash="1")
    keep(store, 2, bash="1", moves=[move("bash", "1", "2")])
    keep(store, 3, bash="2")
    (one,) = found(store)
    assert (one.before, one.after, one.by, one.outcome) == ("1", "2", STATECTL, "installed")
    assert (one.run, one.baseline, one.commit, one.at) == ("R2", "debian-prod", "c0ffee", at(2))


def test_version_that_no_run_moved_is_outside(store):
    """Another version than at the last scan, a package that came and one that went: found outside, between two moments."""
    keep(store, 1, bash="1", vim="1")
    keep(store, 2, bash="2", zsh="1")
    assert short(found(store)) == [
        ("web1", "zsh", "", "1", OUTSIDE, "R2"), ("web1", "vim", "1", "", OUTSIDE, "R2"), ("web1", "bash", "1", "2", OUTSIDE, "R2"),
    ]  # fmt: skip
    assert {(one.since, one.at, one.outcome) for one in found(store)} == {(at(1), at(2), "found")}


def test_change_after_our_own_install_is_outside(store):
    """What we installed and somebody else then moved on is two changes: ours, and theirs."""
    keep(store, 1, bash="1")
    keep(store, 2, bash="1", moves=[move("bash", "1", "2")])
    keep(store, 3, bash="3")
    assert short(found(store)) == [
        ("web1", "bash", "2", "3", OUTSIDE, "R3"),
        ("web1", "bash", "1", "2", STATECTL, "R2"),
    ]


def test_install_by_another_baseline_is_not_outside(store):
    """A host with two baselines: what one of them installed is no stranger's work to the other, and is told once."""
    keep(store, 1, run="A", bash="1")
    keep(store, 1, run="A", bash="1", baseline=OTHER)
    keep(store, 2, run="B", bash="1", baseline=OTHER, moves=[move("bash", "1", "2")])
    keep(store, 3, run="C", bash="2")
    keep(store, 3, run="C", bash="2", baseline=OTHER)
    assert short(found(store)) == [("web1", "bash", "1", "2", STATECTL, "B")]


def test_outside_change_that_two_baselines_see_is_one(store):
    """Both baselines of a host find the same other version in the same run: one change."""
    for hour, version in ((1, "1"), (2, "2")):
        for baseline in (BASELINE, OTHER):
            keep(store, hour, bash=version, baseline=baseline)
    assert len(found(store)) == 1


def test_failed_install_is_not_blamed_on_others(store):
    """A package that a failed install had tried, and that turns out to be there, is told as that."""
    keep(store, 1, bash="1")
    keep(store, 2, bash="1", moves=[move("bash", "1", "2", "failed")])
    keep(store, 3, bash="2")
    later, tried = found(store)
    assert (later.by, later.run, later.outcome) == (UNFINISHED, "R2", "found")
    assert (tried.by, tried.outcome) == (STATECTL, "failed")


def test_package_that_an_association_declares_is_ours(store):
    """An upgrade by a `package:` resource of an apply between the scans is told as that run's."""
    keep(store, 0, bash="1")
    store.begin_run("apply", {}, run_id="PKG")
    result = {"address": "package:bash", "outcome": "changed"}
    store.record_host("PKG", HostRecord("web1", "changed", started=at(1), ended=at(1), deviations=[result]))
    keep(store, 2, bash="2")
    assert short(found(store)) == [("web1", "bash", "1", "2", RESOURCE, "PKG")]


def test_first_scan_is_no_change(store):
    """What was there when a host was first looked at came from nobody."""
    keep(store, 1, bash="1", vim="2")
    keep(store, 1, host="web2", bash="1")
    assert found(store) == []


def test_hosts_and_packages_do_not_mix(store):
    """Each host is compared with itself, and --package leaves the others out."""
    keep(store, 1, bash="1", vim="1")
    keep(store, 2, host="web2", bash="9")
    keep(store, 3, bash="2", vim="2")
    assert [one.host for one in found(store)] == ["web1", "web1"]
    assert short(found(store, package="vim")) == [("web1", "vim", "1", "2", OUTSIDE, "R3")]


def test_scans_that_found_the_same_are_not_read(store):
    """Of a hundred scans without news the first and the last are read, and those on both sides of a change."""
    for hour in range(100):
        keep(store, hour, bash="1" if hour < 50 else "2")
    assert [one.run for one in store.patch_history.turns()] == ["R0", "R49", "R50", "R99"]
    assert [(one.since, one.at) for one in found(store)] == [(at(49), at(50))]


def test_unknown_in_between_hides_no_change(store):
    """A scan that could say nothing stands between two that differ: the change is found, and since when is that of the known one."""
    keep(store, 1, bash="1")
    unknown = Evaluation(BASELINE.name, unknown="no answer")
    record_patch_operation(
        store, unknown, run="U", host="web1", baseline=BASELINE, operation="scan", started=at(2), ended=at(2)
    )
    keep(store, 3, bash="2")
    assert [(one.since, one.at, one.by) for one in found(store)] == [(at(1), at(3), OUTSIDE)]
