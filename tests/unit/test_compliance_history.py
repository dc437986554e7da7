"""How compliance came to be what it is: replayed from what the store wrote down when it happened."""

from pathlib import Path

import pytest

from statectl.cli.formats.compliance_text import history_lines
from statectl.cli.formats.terminal import Screen
from statectl.compliance.history import history
from statectl.store import store as store_module
from statectl.store.records import HostRecord, Status
from statectl.store.store import Store
from statectl.targets.ranges import compress

EXPECTED = [("web1", "web"), ("web2", "web"), ("web2", "base"), ("new", "web")]


@pytest.fixture
def ran(tmp_path: Path, store_url: str, monkeypatch: pytest.MonkeyPatch):
    """`ran(minute, verb, {host: (outcome, {address: status})})` records a run -> the store."""
    store = Store.open(store_url, tmp_path)
    number = 0

    def run(minute: int, verb: str, hosts: dict[str, tuple[str, dict[str, str] | None]]) -> Store:
        nonlocal number
        number += 1
        at = f"2026-11-23T10:{minute:02}:00Z"
        monkeypatch.setattr(store_module, "now", lambda: at)
        store.begin_run(verb, {}, run_id=f"R{number}")
        for host, (outcome, found) in hosts.items():
            statuses = None if found is None else [Status(address, "web", word) for address, word in found.items()]
            store.record_host(f"R{number}", HostRecord(host, outcome, statuses=statuses))
        store.end_run(f"R{number}", "done", {})
        return store

    yield run
    store.close()


def standing(store: Store) -> list[tuple[str, int, dict[str, int]]]:
    moments = history(EXPECTED, store.readings(), store.status_changes())
    assert all(moment.hosts_total == 3 for moment in moments)
    assert all(sum(moment.by_status.values()) == 3 for moment in moments)
    return [(moment.run, moment.hosts_compliant, moment.by_status) for moment in moments]


def test_each_run_that_read_hosts_is_a_moment(ran):
    """Hosts are unknown until they are read, drift and are put right, are lost and come back: each moment has its own counts."""
    right, wrong = {"file:/a": "compliant", "file:/b": "compliant"}, {"file:/a": "drifted", "file:/b": "compliant"}
    ran(0, "plan", {"web1": ("planned", right), "web2": ("planned", right)})
    ran(1, "run", {"web1": ("ok", None)})
    ran(2, "drift", {"web1": ("planned", wrong), "web2": ("planned", right)})
    ran(3, "plan", {"web1": ("unreachable", None), "web2": ("planned", right)})
    ran(4, "apply", {"web1": ("changed", right), "web2": ("failed", {"file:/a": "failed", "file:/b": "pending"})})
    store = ran(5, "apply", {"web2": ("ok", right), "new": ("changed", right)})
    assert standing(store) == [
        ("R1", 2, {"unknown": 1, "compliant": 2}),
        ("R3", 1, {"unknown": 1, "drifted": 1, "compliant": 1}),
        ("R4", 1, {"unknown": 2, "compliant": 1}),
        ("R5", 1, {"failed": 1, "unknown": 1, "compliant": 1}),
        ("R6", 3, {"compliant": 3}),
    ]


def test_only_what_moved_is_written_down(ran):
    """What is compliant from the first reading on has no row; each change of status has one, with what it was before."""
    ran(0, "plan", {"web1": ("planned", {"file:/a": "compliant", "file:/b": "pending"})})
    ran(1, "plan", {"web1": ("planned", {"file:/a": "compliant", "file:/b": "pending"})})
    store = ran(2, "plan", {"web1": ("planned", {"file:/a": "drifted"})})
    changes = [
        tuple(change[key] for key in ("address", "before", "after", "run_id")) for change in store.status_changes()
    ]
    assert changes == [
        ("file:/b", "", "pending", "R1"),
        ("file:/a", "compliant", "drifted", "R3"),
        ("file:/b", "pending", "", "R3"),
    ]
    assert store.drifted() == {("web1", "web", "file:/a"): "2026-11-23T10:02:00Z"}


def test_associations_that_are_gone_do_not_count(ran):
    """A deviation of an association that no longer concerns the host is no deviation of now."""
    store = ran(0, "plan", {"web1": ("planned", {"file:/a": "drifted"})})
    (moment,) = history([("web1", "base")], store.readings(), store.status_changes())
    assert (moment.hosts_compliant, moment.changes) == (1, [])


def test_runs_that_change_nothing_are_counted(ran):
    """The text folds runs after which all was as before, says how many, and how many are left out at the end."""
    for minute in range(5):
        store = ran(minute, "plan", {"web1": ("planned", {"file:/a": "compliant"})})
    store = ran(5, "drift", {"web1": ("planned", {"file:/a": "drifted"})})
    moments = history([("web1", "web")], store.readings(), store.status_changes())[::-1]
    assert list(history_lines(moments, 6, Screen(width=100), compress)) == [
        "History, newest first, 6 runs that read hosts:",
        "  2026-11-23T10:05:00Z  0 of 1 host compliant, 1 drifted  after drift R6",
        "      ~ drifted   web  file:/a  web1  (was compliant)",
        "  2026-11-23T10:04:00Z  the same after 4 runs more, the last of them plan R5",
        "  2026-11-23T10:00:00Z  1 of 1 host compliant  after plan R1",
    ]
    cut = list(history_lines(moments[:1], 6, Screen(width=100), compress))
    assert cut[-1] == "  … 5 earlier runs (--limit shows more)"
    assert list(history_lines([], 0, Screen(), compress)) == ["No history: no run of this store has read a host."]


def test_what_hosts_say_is_harmless_in_the_history(ran):
    """An address is a host's text when nothing declares it any more."""
    store = ran(0, "plan", {"web1": ("planned", {"file:/\x1b[2J": "drifted"})})
    moments = history([("web1", "web")], store.readings(), store.status_changes())
    assert "\x1b" not in "\n".join(history_lines(moments, 1, Screen(), compress))
