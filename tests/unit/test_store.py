"""The store keeps what was acknowledged, once, in order, and says so when it cannot."""

import sqlite3
import stat
from pathlib import Path

import pytest

from statectl.errors import Refused
from statectl.store.database import migrations, open_database
from statectl.store.records import HostRecord, Status
from statectl.store.store import Store


@pytest.fixture
def store(tmp_path, store_url):
    store = Store.open(store_url, tmp_path)
    yield store
    store.close()


@pytest.fixture
def file_store(tmp_path):
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


def test_files_are_private_and_ignored(tmp_path, file_store):
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


def test_the_audit_chain_names_a_changed_row(store):
    """One changed byte or one missing row is found."""
    run = store.begin_run("apply", {"target": "all"}, run_id="R2345678")
    store.end_run(run, "done", {"changed": 1})
    assert store.verify_audit() is None
    with store._database.transaction() as connection:
        connection.execute("UPDATE audit SET detail = replace(detail, 'all', 'a1l') WHERE sequence = 1")
    assert store.verify_audit() == "audit row 1 was changed"
    with store._database.transaction() as connection:
        connection.execute("DELETE FROM audit WHERE sequence = 1")
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


def test_a_page_that_nobody_reads_is_found_when_the_store_is_opened(tmp_path, file_store):
    """The whole file is checked at every start, not only what the command happens to read."""
    file_store.close()
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


def test_a_newer_store_is_refused(tmp_path, file_store):
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


def test_what_was_written_in_one_second_is_read_in_its_order(store, monkeypatch):
    """Runs, readings and changes of a status that carry the same time come in the order in which they were written, and again so."""
    monkeypatch.setattr("statectl.store.store.now", lambda: "2026-11-23T12:00:00Z")
    names = [f"R{number}" for number in (7, 3, 9, 1)]
    for place, name in enumerate(names):
        store.begin_run("plan", {}, run_id=name)
        word = ("drifted", "failed")[place % 2]
        ended = "2026-11-23T12:00:00Z"
        store.record_host(name, HostRecord("web1", "ok", ended=ended, statuses=[Status("file:/a", "web", word)]))
    assert [run["id"] for run in store.list_runs()] == names[::-1]
    assert [row["run_id"] for row in store.readings()] == names
    assert [(row["before"], row["after"]) for row in store.status_changes()] == [
        ("", "drifted"),
        ("drifted", "failed"),
        ("failed", "drifted"),
        ("drifted", "failed"),
    ]


def test_text_is_the_same_on_every_database(store):
    """Names sort by their bytes, LIKE minds case, and no character makes a row impossible to keep."""
    names = ["web-10", "Web1", "web1", "wéb", "web_2", "weḃ", "z\0z", "😀"]
    run = store.begin_run("plan", {}, run_id="R1")
    store.record_hosts(run, [HostRecord(name, "ok", reason=r"it's 100 % \ 'quoted' ?") for name in names])
    kept = list(store.run(run)["hosts"])
    assert [name for name in kept if "z" not in name] == sorted(name for name in names if "z" not in name)
    assert len(kept) == len(names)
    assert {entry["reason"] for entry in store.run(run)["hosts"].values()} == {r"it's 100 % \ 'quoted' ?"}
    with store._database.reading() as connection:
        assert len(connection.execute("SELECT host FROM host_runs WHERE host LIKE 'web%'").fetchall()) == 3


def test_long_values_are_kept(store):
    """A path of 4,000 characters, a word that a host says at length, and a reason of a megabyte are kept as they are."""
    run = store.begin_run("apply", {}, run_id="R1")
    address = "file:/" + "/".join(f"directory-{number * 7919 % 10007}" for number in range(280))[:4000]
    deviation = {"address": address, "association": "web", "outcome": "changed", "kind": "intended"}
    statuses = [Status(address, "web", "drifted", "r" * 1_000_000)]
    store.record_host(run, HostRecord("web1", "changed", deviations=[deviation], statuses=statuses))
    store.take_over("web1", {"run": "R2", "outcome": "o" * 300, "results": []})
    (row,) = store.current()
    assert row["address"] == address and len(row["reason"]) == 1_000_000
    assert len(store.run("R2")["hosts"]["web1"]["outcome"]) == 200


def test_a_reading_is_of_one_moment_and_waits_for_nobody(store, tmp_path, store_url):
    """While another one writes, what was there before is read, all of the same moment; and a reader keeps nobody from writing."""
    store.begin_run("plan", {}, run_id="R1")
    with store._database.transaction() as connection:
        connection.execute("UPDATE runs SET verb = 'drift'")
        assert store.list_runs()[0]["verb"] == "plan"
    other = Store.open(store_url, tmp_path)
    with store._database.reading() as connection:
        first = connection.execute("SELECT count(*) FROM runs").fetchone()[0]
        other.begin_run("plan", {}, run_id="R2")
        assert connection.execute("SELECT count(*) FROM runs").fetchone()[0] == first == 1
    assert len(store.list_runs()) == 2
    other.close()


def test_a_transaction_that_raises_leaves_nothing(store):
    """Whatever ends the block, the database or its caller: nothing of it is there, and the next one works."""
    for error in (ValueError("no"), KeyboardInterrupt()):
        with pytest.raises(type(error)), store._database.transaction() as connection:  # noqa: PT012
            connection.execute("INSERT INTO plans VALUES ('P', '', '', NULL, 0, ?)", (b"",))
            raise error
    with pytest.raises(Refused, match="no_such"), store._database.transaction() as connection:  # noqa: PT012
        connection.execute("INSERT INTO plans VALUES ('P', '', '', NULL, 0, ?)", (b"",))
        connection.execute("SELECT no_such FROM plans")
    with pytest.raises(Refused, match="no_such"), store._database.reading() as connection:
        connection.execute("SELECT no_such FROM plans")
    assert store.plan("P") is None
    store.begin_run("plan", {}, run_id="R1")


def test_a_closed_store_is_said(store):
    """After its end it is opened by nobody behind one's back."""
    store.close()
    with pytest.raises(Refused, match="is closed"):
        store.list_runs()


def test_an_older_store_keeps_its_order(tmp_path):
    """A store of the version before, made by its own migrations, is brought up to date with its runs in the order they had."""
    made = sqlite3.connect(tmp_path / "old.db", isolation_level=None)
    for number, path in migrations()[:4]:
        made.executescript(path.read_text())
        made.execute(f"PRAGMA user_version = {number}")
    at = "2026-11-23T12:00:00Z"
    for name in ("R7", "R3", "R9"):
        made.execute(
            "INSERT INTO runs (id, verb, started, ended, who, git_commit, plan_id, scope, outcome)"
            " VALUES (?, 'plan', ?, ?, 'me', '', '', '{}', 'done')",
            (name, at, at),
        )
        made.execute("INSERT INTO host_runs VALUES (?, 'web1', 'ok', '', ?, ?, NULL, '', '')", (name, at, at))
        made.execute(
            "INSERT INTO status_changes VALUES (?, ?, 'web1', 'web', 'file:/a', '', 'drifted', ?)", (at, name, name)
        )
    made.close()
    store = Store.open("sqlite:old.db", tmp_path)
    store.begin_run("plan", {}, run_id="R1")
    store.record_host("R1", HostRecord("web1", "ok", statuses=[Status("file:/b", "web", "failed")]))
    assert [run["id"] for run in store.list_runs()] == ["R1", "R9", "R3", "R7"]
    assert [row["run_id"] for row in store.readings()] == ["R7", "R3", "R9", "R1"]
    assert [row["run_id"] for row in store.status_changes()] == ["R7", "R3", "R9", "R1"]
    assert set(store.status_changes()[0]) == {
        "at",
        "run_id",
        "host",
        "association",
        "address",
        "before",
        "after",
        "reason",
    }
    store.close()


def test_every_verb_is_done_again_when_its_connection_is_lost():
    """What opens a transaction of its own carries `@repeatable`: a verb that does not would end a run for a connection that comes back."""
    import ast

    package = Path(__file__).resolve().parents[2] / "statectl"
    bare, verbs = [], 0
    for path in sorted(package.rglob("*.py")):
        for verb in ast.walk(ast.parse(path.read_text())):
            if not isinstance(verb, ast.FunctionDef) or path.name in ("sqlite.py", "postgresql.py"):
                continue
            opened = {
                ast.unparse(item.context_expr)
                for node in ast.walk(verb)
                if isinstance(node, ast.With)
                for item in node.items
            }
            if opened & {"self._database.transaction()", "self._database.reading()"}:
                verbs += 1
                if "repeatable" not in map(ast.unparse, verb.decorator_list):
                    bare.append(f"{path.name}: {verb.name}")
    assert verbs > 30 and not bare, bare
