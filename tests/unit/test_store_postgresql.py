"""A store on PostgreSQL that cannot be used is one line with what to do about it; passwords stand in none."""

import subprocess
import sys
import threading
import time
from pathlib import Path
from urllib.parse import quote

import pytest

from statectl.errors import Refused
from statectl.store import database as database_module
from statectl.store.address import address_problem, shown
from statectl.store.database import migrations, open_database
from statectl.store.postgresql_session import placed, translated
from statectl.store.store import Store
from tests.postgresql.server import GUARDED, PASSWORD, Server, free_port

HERE = Path()


def refused(url: str) -> Refused:
    with pytest.raises(Refused) as told:
        Store.open(url, HERE).close()
    assert "\n" not in told.value.message
    assert PASSWORD not in f"{told.value.message} {told.value.hint}"
    return told.value


@pytest.mark.parametrize(
    ("url", "seen"),
    [
        ("sqlite:.statectl/state.db", "sqlite:.statectl/state.db"),
        ("postgresql://me@h:5432/db?sslmode=require", "postgresql://me@h:5432/db?sslmode=require"),
        ("postgresql:///db?host=/run/postgresql", "postgresql:///db?host=/run/postgresql"),
        ("postgresql://me@[::1]:5432,[fe80::1]/db", "postgresql://me@[::1]:5432,[fe80::1]/db"),
        ("postgresql://me:hunter2@h/db", "postgresql://me:***@h/db"),
        ("postgres://me:hun@ter2@h:5/db", "postgres://me:***@h:5/db"),
        ("postgresql://me:hun/ter2@h/db", "postgresql://me:***@h/db"),
        ("postgresql://me:hun?ter2@h/db", "postgresql://me:***@h/db"),
        ("postgresql://h/db?user=me&password=hunter2&sslmode=require", "postgresql://h/db?user=me&password=***&sslmode=require"),
        ("postgresql://h/db?pass%77ord=hunter2", "postgresql://h/db?pass%77ord=***"),
        ("postgresql://h/db?sslpassword=hunter2", "postgresql://h/db?sslpassword=***"),
        ("postgresql://me:hunter2/db", "postgresql://me:***/db"),
        ("postgresql://me:hunter2", "postgresql://me:***"),
        ("mysql://me:hunter2@h/db", "mysql://me:***@h/db"),
        ("postgresql://h/db?paasword=hunter2", "postgresql://h/db?paasword=***"),
        ("mysql:hunter2", "mysql:***"),
        ("hunter2", "***"),
    ],
)  # fmt: skip
def test_an_address_is_shown_without_its_password(url, seen):
    """Wherever the password stands, and when it was written where none belongs: it is not shown."""
    assert shown(url) == seen


def test_an_address_that_is_none_is_not_repeated():
    """What is wrong with it is said without a word of it, before anything is contacted."""
    assert address_problem("postgresql://me:hunter2/db") == "expected a number as the port"
    told = refused("postgresql://me:hunter2/db")
    assert "hunter2" not in told.message
    told = refused("postgresql://me:1/db?paasword=hunter2")
    assert "hunter2" not in told.message, told.message


def test_no_server(postgresql):
    """Nothing listens there: that is said at once, with the address."""
    began = time.monotonic()
    told = refused(f"postgresql://me@127.0.0.1:{free_port()}/db")
    assert told.code == "E520" and "cannot be reached: Connection refused" in told.message
    assert told.hint == "start the server, or mend host and port in the address"
    assert time.monotonic() - began < 3


def test_no_such_database_and_no_such_user(postgresql):
    """What must be made is named, with the command that makes it."""
    told = refused(postgresql.url("nowhere"))
    assert 'database "nowhere" does not exist' in told.message and "createdb" in told.hint
    told = refused(postgresql.url(user="nobody-knows"))
    assert 'role "nobody-knows" does not exist' in told.message and "createuser" in told.hint


def test_passwords_in_libpqs_ways(postgresql, monkeypatch, tmp_path):
    """Wrong or missing is said without it; PGPASSWORD, a password file and a service file keep it out of the project."""
    schema = "guarded_area"
    postgresql.psql(f"CREATE SCHEMA {schema} AUTHORIZATION {GUARDED}")
    url = postgresql.url(schema=schema, user=GUARDED)
    for name in ("PGPASSWORD", "PGPASSFILE", "PGSERVICEFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    told = refused(url)
    assert "no password supplied" in told.message and "~/.pgpass" in told.hint
    told = refused(url.replace(f"{GUARDED}@", f"{GUARDED}:wrong-{quote(PASSWORD, safe='')}@"))
    assert "password authentication failed" in told.message and "wrong-" not in told.message
    assert f"{GUARDED}:***@" in told.message
    Store.open(url.replace(f"{GUARDED}@", f"{GUARDED}:{quote(PASSWORD, safe='')}@"), HERE).close()
    monkeypatch.setenv("PGPASSWORD", PASSWORD)
    Store.open(url, HERE).close()
    monkeypatch.delenv("PGPASSWORD")
    kept = tmp_path / ".pgpass"
    kept.write_text(f"127.0.0.1:{postgresql.port}:*:{GUARDED}:{PASSWORD.replace(':', chr(92) + ':')}\n")
    kept.chmod(0o600)
    monkeypatch.setenv("PGPASSFILE", str(kept))
    Store.open(url, HERE).close()
    service = tmp_path / "services"
    service.write_text(
        f"[fleet]\nhost=127.0.0.1\nport={postgresql.port}\ndbname=postgres\nuser={GUARDED}\n"
        f"options=-csearch_path={schema}\n"
    )
    monkeypatch.setenv("PGSERVICEFILE", str(service))
    Store.open("postgresql:///?service=fleet", HERE).close()


def test_no_right(postgresql):
    """A user that may not make tables, or not write to them, is told which right is missing."""
    url = postgresql.url(user="guest")
    postgresql.psql("CREATE ROLE guest LOGIN")
    told = refused(url)
    assert "permission denied for schema public" in told.message and "GRANT" in told.hint


def test_a_schema_that_is_not_there(postgresql):
    """A search path that leads nowhere is said, with the statement that mends it."""
    told = refused(postgresql.url(schema="not_there"))
    assert told.code == "E520" and "CREATE SCHEMA" in told.hint, (told.message, told.hint)


def test_tables_of_something_else(postgresql, postgresql_url):
    """A schema with other tables is left alone, and another place is named; the same database may hold the store in a schema of its own."""
    schema = postgresql_url.rpartition("%3D")[2]
    postgresql.psql(f"CREATE TABLE {schema}.orders (id int)")
    told = refused(postgresql_url)
    assert told.code == "E521" and "belongs to something else" in told.message and "search_path" in told.hint
    assert postgresql.psql(f"SELECT count(*) FROM pg_tables WHERE schemaname = '{schema}'") == "1"


def test_another_encoding(postgresql):
    """A database that cannot hold every text is refused before anything is lost in it."""
    postgresql.psql("CREATE DATABASE old ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0")
    told = refused(postgresql.url("old"))
    assert "its encoding is LATIN1" in told.message and "-E UTF8" in told.hint


def test_a_newer_schema(postgresql, postgresql_url):
    """What a newer version wrote is not touched."""
    Store.open(postgresql_url, HERE).close()
    postgresql.psql(f"UPDATE {postgresql_url.rpartition('%3D')[2]}.store_schema SET version = 9999")
    told = refused(postgresql_url)
    assert told.code == "E521" and "newer statectl (schema 9999" in told.message


def test_a_server_that_may_only_be_read():
    """A standby is named as such when something is to be written, with the setting that finds the right one; it can be read."""
    with Server() as server:
        Store.open(server.url(), HERE).close()
        with Server(of=server) as standby:
            store = Store.open(standby.url(), HERE)
            assert store.list_runs() == []
            with pytest.raises(Refused, match="read-only") as told:
                store.begin_run("plan", {}, run_id="R1")
            assert "target_session_attrs" in told.value.hint
            store.close()
            both = f"postgresql://statectl@127.0.0.1:{standby.port},127.0.0.1:{server.port}/postgres"
            store = Store.open(both, HERE)
            store.begin_run("plan", {}, run_id="R1")
            store.close()


def test_a_server_that_shuts_down_or_starts_is_waited_for(monkeypatch):
    """Not ready yet is not an error: the first command after a restart waits for it, within its bound."""
    with Server() as server:
        Store.open(server.url(), HERE).close()
        asked = []

        def passing(url):
            import psycopg

            asked.append(url)
            if len(asked) < 4:
                raise psycopg.OperationalError("FATAL:  the database system is starting up")
            return connect(url)

        from statectl.store import postgresql as module

        connect = module.connect
        monkeypatch.setattr(module, "connect", passing)
        Store.open(server.url(), HERE).close()
        assert len(asked) == 4


def test_a_full_disk(postgresql, postgresql_url, monkeypatch):
    """What the server has no room for is not there, and the line says whose disk it is."""
    store = Store.open(postgresql_url, HERE)
    with pytest.raises(Refused) as told, store._database.transaction() as connection:  # noqa: PT012
        connection.execute("UPDATE runs SET ended = ''")
        postgresql_raise(connection, "53100", "could not extend file: No space left on device")
    assert "No space left on device" in told.value.message and told.value.hint == "make room on the server's disk"
    store.begin_run("plan", {}, run_id="R1")  # the connection is as good as before
    store.close()


def postgresql_raise(connection, state: str, text: str) -> None:
    connection.execute(f"DO $$ BEGIN RAISE EXCEPTION '{text}' USING ERRCODE = '{state}'; END $$")


def test_damaged_pages(postgresql_url):
    """What the server finds damaged is told as damage, not as something to try again."""
    store = Store.open(postgresql_url, HERE)
    with pytest.raises(Refused) as told, store._database.transaction() as connection:
        postgresql_raise(connection, "XX001", "invalid page in block 0 of relation base/5/16384")
    assert told.value.code == "E522" and "is damaged: invalid page" in told.value.message
    store.close()


def test_the_driver_is_missing():
    """Without the extra, the line says what to install."""
    script = (
        "import sys; sys.modules['psycopg'] = None\n"
        "from pathlib import Path\nfrom statectl.errors import Refused\nfrom statectl.store.database import open_database\n"
        "try: open_database('postgresql://me:hunter2@h/db', Path())\n"
        "except Refused as error: print(error.code, error.message, error.hint)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == (
        "E520 store postgresql://me:***@h/db needs psycopg, which is not installed pip install 'statectl[postgresql]'\n"
    )


def test_another_writer_is_waited_for_and_then_named(postgresql_url, monkeypatch):
    """One writes at a time; who waits too long is told so; who reads waits for nobody."""
    from statectl.store import postgresql_session

    first = Store.open(postgresql_url, HERE)
    monkeypatch.setattr(postgresql_session, "SETTINGS", postgresql_session.SETTINGS.replace("10s", "1s"))
    second = Store.open(postgresql_url, HERE)
    with first._database.transaction() as connection:
        connection.execute("INSERT INTO plans VALUES ('P', '', '', NULL, 0, ?)", (b"",))
        began = time.monotonic()
        assert second.list_runs() == []
        assert time.monotonic() - began < 0.5
        with pytest.raises(Refused, match="is held by another process for over 10 s"):
            second.begin_run("plan", {}, run_id="R1")
        assert 0.9 < time.monotonic() - began < 5
        waiting = threading.Thread(target=lambda: second.begin_run("plan", {}, run_id="R2"))
        waiting.start()
        time.sleep(0.2)
    waiting.join()
    assert [run["id"] for run in second.list_runs()] == ["R2"]
    first.close()
    second.close()


def test_stores_in_different_schemas_do_not_wait_for_each_other(postgresql, postgresql_url):
    """The lock is of one store, not of the server."""
    postgresql.psql("CREATE SCHEMA beside")
    first, second = Store.open(postgresql_url, HERE), Store.open(postgresql.url(schema="beside"), HERE)
    with first._database.transaction():
        began = time.monotonic()
        second.begin_run("plan", {}, run_id="R1")
        assert time.monotonic() - began < 2
    first.close()
    second.close()


def test_two_that_migrate_at_once(postgresql_url):
    """One does it and the other waits; both then work on the same store."""
    opened: list[Store] = []
    at_once = threading.Barrier(4)

    def come() -> None:
        at_once.wait()
        opened.append(Store.open(postgresql_url, HERE))

    threads = [threading.Thread(target=come) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(opened) == 4
    for number, store in enumerate(opened):
        store.begin_run("plan", {}, run_id=f"R{number}")
    assert len(opened[0].list_runs()) == 4
    assert opened[0].verify_audit() is None
    for store in opened:
        store.close()


def test_a_failed_migration_leaves_the_old_schema(postgresql_url, tmp_path, monkeypatch):
    """Refused half way, the store is as it was, and the next start tries again."""
    open_database(postgresql_url, HERE).close()
    for _, path in migrations():
        (tmp_path / path.name).write_text(path.read_text())
    bad = tmp_path / f"{len(migrations()) + 1:04}.sql"
    bad.write_text("CREATE TABLE half (a INTEGER); INSERT INTO nowhere VALUES (1);")
    monkeypatch.setattr(database_module, "MIGRATIONS", tmp_path)
    assert "nowhere" in refused(postgresql_url).message
    bad.write_text("CREATE TABLE half (a INTEGER);")
    database = open_database(postgresql_url, HERE)
    with database.reading() as connection:
        assert connection.execute("SELECT count(*) FROM half").fetchone()[0] == 0
    database.close()


def test_the_dialect():
    """Placeholders outside of quotes only; text sorts by its bytes; what only SQLite has is left out."""
    assert (
        placed("SELECT '?', a FROM t WHERE b LIKE '%' AND c = ?")
        == b"SELECT '?', a FROM t WHERE b LIKE '%%' AND c = %s"
    )
    assert translated("CREATE TABLE t (a VARCHAR(16), b TEXT, c INTEGER, d BLOB)") == (
        'CREATE TABLE t (a TEXT COLLATE "C", b TEXT COLLATE "C", c BIGINT, d BYTEA)'
    )
    assert translated("UPDATE runs SET sequence = rowid") == ""
