"""Scans of hosts in the store: the latest of each, what hosts share once, and trouble beside what was known before it."""

from datetime import UTC, datetime, timedelta

import pytest

from statectl.store.store import Store

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)


@pytest.fixture
def store(store_url, tmp_path):
    store = Store.open(store_url, tmp_path)
    yield store
    store.close()


def row(name, version):
    return [name, "amd64", version, "libs", "optional", name, [0], [], 0]


def message(*installed, taken=1, **more):
    return {
        "manager": "apt",
        "taken": taken,
        "trouble": "",
        "archives": [{"key": "Debian:bookworm", "fetched": taken}],
        "installed": [row(*one) for one in installed],
        "available": [[*row("curl", "9"), "a" * 64, 100]],
        "advisories": {},
        **more,
    }


def contents(store):
    with store.database.reading() as connection:
        return connection.execute("SELECT count(*) FROM patch_contents").fetchone()[0]


def test_a_scan_comes_back_as_it_was_told(store):
    """Nothing of a scan is lost on its way through the store."""
    told = message(("curl", "8"), ("openssl", "3"), needs={"reboot": True})
    store.patches.keep_scan("web1", told, "2026-11-20T12:00:00Z", "R1")
    kept = store.patches.scan("web1")
    assert kept.message == told
    assert (kept.at, kept.run_id, kept.trouble, kept.tried) == (
        "2026-11-20T12:00:00Z",
        "R1",
        "",
        "2026-11-20T12:00:00Z",
    )
    assert store.patches.scan("web2") is None


def test_what_hosts_share_is_kept_once_and_swept_with_the_last_of_them(store):
    """A thousand hosts of one image cost the store one list of packages."""
    for number in range(5):
        store.patches.keep_scan(f"web{number}", message(("curl", "8"), taken=number), "2026-11-20T12:00:00Z")
    assert contents(store) == 3
    found = store.patches.scans()
    assert found["web1"].message["installed"] is found["web4"].message["installed"]
    assert [one.message["taken"] for one in found.values()] == [0, 1, 2, 3, 4]
    store.patches.keep_scan("web1", message(("curl", "9")), "2026-11-21T12:00:00Z")
    assert contents(store) == 4
    store.patches.keep_scan("web1", message(("curl", "8")), "2026-11-22T12:00:00Z")
    assert contents(store) == 3
    store.patches.scans_kept.forget(found)
    assert contents(store) == 0 and store.patches.scans() == {}


def test_trouble_replaces_nothing(store):
    """A scan that cannot be believed is told beside the one before it, which stays with its age."""
    store.patches.keep_scan("web1", {"trouble": "dpkg is interrupted"}, "2026-11-19T12:00:00Z", "R0")
    first = store.patches.scan("web1")
    assert (first.message, first.at, first.trouble) == (None, "", "dpkg is interrupted")
    told = message(("curl", "8"))
    store.patches.keep_scan("web1", told, "2026-11-20T12:00:00Z", "R1")
    store.patches.keep_scan("web1", {"trouble": "lists are broken"}, "2026-11-21T12:00:00Z", "R2")
    kept = store.patches.scan("web1")
    assert (kept.message, kept.at, kept.run_id) == (told, "2026-11-20T12:00:00Z", "R1")
    assert (kept.trouble, kept.tried, kept.tried_run) == ("lists are broken", "2026-11-21T12:00:00Z", "R2")
    store.patches.keep_scan("web1", told, "2026-11-22T12:00:00Z", "R3")
    assert store.patches.scan("web1").trouble == ""


def test_since_when_a_version_is_installed_is_known(store):
    """An upgraded package is known to be installed since the scan that first told it; the others stay as they were."""
    store.patches.keep_scan("web1", message(("curl", "8"), ("vim", "1")), "2026-11-20T12:00:00Z")
    store.patches.keep_scan("web1", message(("curl", "9"), ("vim", "1")), "2026-11-21T12:00:00Z")
    kept = store.patches.scan("web1")
    assert kept.since == {"curl amd64 9": "2026-11-21T12:00:00Z", "vim amd64 1": "2026-11-20T12:00:00Z"}
    assert kept.first_at == "2026-11-20T12:00:00Z"
    assert store.patches.scans_kept.installed_versions() == {("curl", "amd64", "9"), ("vim", "amd64", "1")}


def test_a_snapshot_is_what_it_was_when_it_was_made(store):
    """Who comes later gets what the first one froze, and an expired one goes."""
    made = store.patches.freeze("night-1", [{"name": "prod"}], NOW)
    again = store.patches.freeze("night-1", [{"name": "changed"}], NOW + timedelta(days=2))
    assert made == again and again.baselines == [{"name": "prod"}] and again.as_of == "2026-11-20T12:00:00Z"
    store.patches.freeze("night-2", [], NOW + timedelta(days=1))
    assert [one.id for one in store.patches.snapshots()] == ["night-2", "night-1"]
    assert store.patches.forget_snapshots(NOW + timedelta(hours=1)) == 1
    assert [one.id for one in store.patches.snapshots()] == ["night-2"]
