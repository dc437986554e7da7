"""The store keeps what was acknowledged, once, in order, and says so when it cannot."""

import sqlite3
import stat

import pytest

from statectl.errors import Refused
from statectl.store.database import migrations, open_database
from statectl.store.records import HostRecord, Status
from statectl.store.store import Store


@pytest.fixture
def store(tmp_path):
    store = Store.open("sqlite:.statectl/state.db", tmp_path)
    yield store
    store.close()


def test_migrations_are_numbered_without_gaps():
    """Each migration follows the one before, so that a store of any age has one way up."""
    assert [number for number, _ in migrations()] == list(range(1, len(migrations()) + 1))


def test_a_failed_migration_leaves_the_old_schema(tmp_path, monkeypatch):
    """A migration is one transaction: killed or refused half way, the store is as it was, and the next start tries again."""
    database = open_database("sqlite:x.db", tmp_path)
    database.close()
    scripts = tmp_path / "migrations"
    scripts.mkdir()
    for _, path in migrations():
        (scripts / path.name).write_text(path.read_text())
    bad = scripts / f"{len(migrations()) + 1:04}.sql"
    bad.write_text("CREATE TABLE half (a INTEGER); INSERT INTO nowhere VALUES (1);")
    monkeypatch.setattr("statectl.store.database.MIGRATIONS", scripts)
    with pytest.raises(Refused, match="nowhere"):
        open_database("sqlite:x.db", tmp_path)
    bad.write_text("CREATE TABLE half (a INTEGER);")
    database = open_database("sqlite:x.db", tmp_path)
    with database.transaction() as connection:
        assert connection.execute("SELECT count(*) FROM half").fetchone()[0] == 0
    database.close()


def test_a_result_left_on_a_host_is_taken_over(store):
    """A run of which this store knows nothing, or not the end, has its result afterwards."""
    result = {
        "run": "R2222222",
        "kind": "apply",
        "outcome": "applied",
        "started": 1767225600,
        "ended": 1767225605,
        "controller": "ci@runner",
        "results": [{"type": "result", "address": "file:/a", "outcome": "changed"}],
        "notified": [],
    }
    store.take_over("web1", result)
    run = store.run("R2222222")
    assert run["who"] == "ci@runner"
    assert run["hosts"]["web1"]["results"][0]["address"] == "file:/a"
    assert run["hosts"]["web1"]["outcome"] == "changed"  # as if it had been heard to its end
    store.take_over("web1", result)  # twice is once
    assert len(store.list_runs()) == 1


@pytest.mark.parametrize(
    ("memory", "outcome"),
    [
        ({"host_id": "h", "run_counter": 4, "lock": None}, "unreachable"),
        ({"host_id": "h", "run_counter": 5, "lock": None}, "unknown"),  # it began: its result comes, or went elsewhere
        ({"host_id": "h", "run_counter": 4, "lock": {"run": "R2222222"}}, "unknown"),  # it may begin yet
        ({"host_id": "h", "run_counter": 4, "lock": {"run": "R3333333"}}, "unreachable"),  # our own lock
        ({"host_id": "other", "run_counter": 0, "lock": None}, "unknown"),
    ],
)
def test_an_apply_that_never_began_is_known_after_the_next_contact(store, memory, outcome):
    """Lost before the host got the word to begin: it counts no more runs than before, so nothing was written, and that is said."""
    known = {"host_id": "h", "run_counter": 4, "lock": None}
    first = store.begin_run("apply", {}, run_id="R1111111")
    store.record_host(first, HostRecord("web1", "ok", facts={}, memory=known, host_id="h", run_counter=4))
    lost = store.begin_run("apply", {}, run_id="R2222222")
    told = HostRecord("web1", "unknown", "channel lost", facts={}, memory=known, host_id="h", run_counter=5)
    store.record_host(lost, told)
    assert store.run(lost)["hosts"]["web1"]["outcome"] == "unknown"
    now = store.begin_run("plan", {}, run_id="R3333333")
    store.record_host(now, HostRecord("web1", "ok", facts={}, memory=memory, host_id="h", run_counter=5))
    assert store.run(lost)["hosts"]["web1"]["outcome"] == outcome
    assert ("nothing was written" in store.run(lost)["hosts"]["web1"]["reason"]) == (outcome == "unreachable")
    assert store.run(first)["hosts"]["web1"]["outcome"] == "ok"


def test_files_are_private_and_ignored(tmp_path, store):
    """Nobody else reads the database, and git never sees it."""
    path = tmp_path / ".statectl" / "state.db"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert (path.parent / ".gitignore").read_text() == "*\n"


def test_since_is_kept_while_the_status_stays(store, monkeypatch):
    """`since` tells when a status began, not when it was last seen; other associations' rows are left alone."""
    times = iter(f"2026-01-01T00:00:{n:02}Z" for n in range(60))
    monkeypatch.setattr("statectl.store.store.now", lambda: next(times))
    run = store.begin_run("plan", {}, run_id="R2345678")
    first = [Status("file:/a", "web", "compliant"), Status("file:/b", "base", "drifted")]
    store.record_host(run, HostRecord("web1", "ok", statuses=first))
    before = {row["address"]: row for row in store.current()}
    store.record_host(run, HostRecord("web1", "ok", statuses=[Status("file:/a", "web", "compliant")], scope=["web"]))
    after = {row["address"]: row for row in store.current()}
    assert after["file:/a"]["since"] == before["file:/a"]["since"]
    assert after["file:/a"]["checked"] > before["file:/a"]["checked"]
    assert after["file:/b"] == before["file:/b"]
    store.record_host(run, HostRecord("web1", "ok", statuses=[Status("file:/a", "web", "drifted")], scope=["web"]))
    assert {row["address"]: row["since"] for row in store.current()}["file:/a"] > before["file:/a"]["since"]


def test_a_partial_reading_leaves_the_other_rows(store):
    """Drift reads what was applied; what it did not read keeps its status and the time it was last read."""
    run = store.begin_run("plan", {}, run_id="R2345678")
    both = [Status("file:/a", "web", "compliant"), Status("file:/b", "web", "exempt", "router")]
    store.record_host(run, HostRecord("web1", "planned", statuses=both))
    store.record_host(run, HostRecord("web1", "planned", statuses=[Status("file:/a", "web", "drifted")], partial=True))
    assert {row["address"]: row["status"] for row in store.current()} == {"file:/a": "drifted", "file:/b": "exempt"}


def test_a_plan_is_applied_once(store):
    """The second apply of one plan is refused and names the first."""
    store.save_plan(
        {"id": "V7KQ2MXP", "created": "2026-01-01T00:00:00Z", "expires": "2999-01-01T00:00:00Z", "has_changes": True}
    )
    store.mark_applied("V7KQ2MXP")
    with pytest.raises(Refused, match="was applied at"):
        store.mark_applied("V7KQ2MXP")


def test_the_audit_chain_names_a_changed_row(tmp_path, store):
    """One changed byte or one missing row is found."""
    run = store.begin_run("apply", {"target": "all"}, run_id="R2345678")
    store.end_run(run, "done", {"changed": 1})
    assert store.verify_audit() is None
    database = sqlite3.connect(tmp_path / ".statectl" / "state.db")
    database.execute("UPDATE audit SET detail = replace(detail, 'all', 'a1l') WHERE sequence = 1")
    database.commit()
    assert store.verify_audit() == "audit row 1 was changed"
    database.execute("DELETE FROM audit WHERE sequence = 1")
    database.commit()
    database.close()
    assert store.verify_audit() == "audit row 1 is missing"


@pytest.mark.parametrize(
    ("damage", "told"),
    [(b"not a database, not at all........" * 40, "is damaged: "), (b"", "is empty: whatever it held is gone")],
)
def test_a_damaged_store_is_one_line(tmp_path, damage, told):
    """A file that is no database, or that lost its content, is refused with the place and left as it is."""
    path = tmp_path / ".statectl" / "state.db"
    path.parent.mkdir()
    path.write_bytes(damage)
    with pytest.raises(Refused, match=told):
        Store.open("sqlite:.statectl/state.db", tmp_path)
    assert path.read_bytes() == damage


def test_a_page_that_nobody_reads_is_found_when_the_store_is_opened(tmp_path, store):
    """The whole file is checked at every start, not only what the command happens to read."""
    store.close()
    path = tmp_path / ".statectl" / "state.db"
    database = sqlite3.connect(path)
    size = database.execute("PRAGMA page_size").fetchone()[0]
    page = database.execute("SELECT rootpage FROM sqlite_master WHERE name = 'plans'").fetchone()[0]
    database.close()
    with path.open("r+b") as stream:
        stream.seek((page - 1) * size)
        stream.write(b"\xa5" * size)
    with pytest.raises(Refused, match="is damaged: "):
        Store.open("sqlite:.statectl/state.db", tmp_path)


def test_a_new_store_appears_whole_or_not_at_all(tmp_path, monkeypatch):
    """Killed while it is made: nothing stands in its place, and the next start makes it."""

    class Killed(BaseException):
        pass

    def killed(self):
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr("statectl.store.database.Database.bring_up_to_date", killed)
        with pytest.raises(Killed):
            Store.open("sqlite:.statectl/state.db", tmp_path)
    assert not (tmp_path / ".statectl" / "state.db").exists()
    Store.open("sqlite:.statectl/state.db", tmp_path).close()
    assert (tmp_path / ".statectl" / "state.db").stat().st_mode & 0o777 == 0o600


def test_a_newer_store_is_refused(tmp_path, store):
    """A store of a newer version is left as it is."""
    database = sqlite3.connect(tmp_path / ".statectl" / "state.db")
    database.execute("PRAGMA user_version = 9999")
    database.commit()
    database.close()
    with pytest.raises(Refused, match="newer statectl"):
        Store.open("sqlite:.statectl/state.db", tmp_path)


def test_a_second_connection_takes_no_locks_away(tmp_path):
    """A process that opens the store twice still counts as there: another one that comes and goes takes nothing away from it."""
    import subprocess
    import sys

    first = Store.open("sqlite:state.db", tmp_path)
    Store.open("sqlite:state.db", tmp_path).close()
    other = "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); c.execute('SELECT count(*) FROM runs').fetchone(); c.close()"
    subprocess.run([sys.executable, "-c", other, str(tmp_path / "state.db")], check=True)
    first.begin_run("apply", {}, run_id="R1")
    first.end_run("R1", "done", {})
    with sqlite3.connect(tmp_path / "state.db") as fresh:
        assert fresh.execute("SELECT id, outcome FROM runs").fetchall() == [("R1", "done")]
    fresh.close()
    first.close()
