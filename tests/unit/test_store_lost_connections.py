"""A store on PostgreSQL whose server goes away, and comes back, or another one does: nothing is there twice, nothing is lost."""

import os
import signal
import threading
import time
from pathlib import Path

import pytest

from statectl.errors import Refused
from statectl.store import postgresql as postgresql_module
from statectl.store import postgresql_session
from statectl.store.records import HostRecord, Status
from statectl.store.slots import Claim, moment_of
from statectl.store.store import Store
from tests.postgresql.relay import MOMENTS, Relay
from tests.postgresql.server import Server

HERE = Path()
T0, T1 = moment_of("2026-11-23T12:00:00Z"), moment_of("2026-11-23T12:10:00Z")


@pytest.fixture
def relay(postgresql):
    relay = Relay(postgresql.port)
    yield relay
    relay.close()


@pytest.fixture
def store(postgresql_url, postgresql, relay):
    store = Store.open(postgresql_url.replace(f":{postgresql.port}/", f":{relay.port}/"), HERE)
    yield store
    store.close()


@pytest.fixture
def own():
    """A server of this test alone."""
    with Server() as server:
        yield server


def audited(store: Store) -> list[str]:
    """What was done, in order; every row of it once and in the chain."""
    assert store.verify_audit() is None
    with store._database.reading() as connection:
        return [row["action"] for row in connection.execute("SELECT action FROM audit ORDER BY sequence")]


def work(store: Store, number: int) -> None:
    run_id = store.begin_run("apply", {}, run_id=f"R{number}", hosts=["web1"])
    store.under_way.begun(run_id, iter(["web1"]))
    statuses = [Status(f"file:/{place}", "web", "drifted") for place in range(3)]
    store.record_hosts(run_id, [HostRecord("web1", "changed", statuses=statuses, results=[{"address": "file:/0"}])])
    store.end_run(run_id, "done", {"changed": 1})


def check(store: Store, runs: int) -> None:
    assert [run["id"] for run in store.list_runs(1000)] == [f"R{number}" for number in reversed(range(runs))]
    assert audited(store) == ["apply.begin", "run.end"] * runs
    for number in range(runs):
        run = store.run(f"R{number}")
        assert run["outcome"] == "done" and run["hosts"]["web1"]["results"] == [{"address": "file:/0"}]
    assert len(store.status_changes()) == 3


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_verb_whose_connection_is_lost_is_done_once(store, relay, monkeypatch, moment):
    """Before, in and after its commit, with the answer or without: the whole verb is there once, and nobody is bothered."""
    monkeypatch.setattr(postgresql_session, "SILENCE_S", 0.25)
    for number in range(3):
        for verb in range(4):
            relay.lose(moment)
            if verb == 0:
                store.begin_run("apply", {}, run_id=f"R{number}", hosts=["web1"])
            elif verb == 1:
                store.under_way.begun(f"R{number}", iter(["web1"]))
            elif verb == 2:
                statuses = [Status(f"file:/{place}", "web", "drifted") for place in range(3)]
                record = HostRecord("web1", "changed", statuses=statuses, results=[{"address": "file:/0"}])
                store.record_hosts(f"R{number}", [record])
            else:
                assert store.under_way.targets(f"R{number}") == {"web1": (True, "changed")}
                store.end_run(f"R{number}", "done", {"changed": 1})
    assert relay.lost == 12
    check(store, 3)


@pytest.mark.parametrize("moment", ["before", "answered"])
def test_a_slot_whose_claim_was_lost_in_its_commit_is_ours(store, relay, moment):
    """What the claim returns is what is in the store: neither a slot that nobody runs, nor one that is claimed twice."""
    store.slots.remember({("web", ""): "d"}, T0)
    claim = Claim("web", "", T0, T1, (T1,), ())
    relay.lose(moment)
    ours, passed = store.slots.claim([claim], "p")
    assert [one.scheduled for one in ours] == [T1] and not passed
    assert store.slots.claim([claim], "q") == ([], [])


@pytest.mark.parametrize(("how", "away_s"), [("fast", 0), ("immediate", 0), ("fast", 5)])
def test_the_server_is_restarted_under_a_writer(own, how, away_s):
    """Orderly or killed, at once or after five seconds: whoever writes goes on, and each of its writes is there once."""
    store = Store.open(own.url(), HERE)
    done = threading.Event()
    runs = 0

    def restart() -> None:
        time.sleep(0.3)
        own.restart(how, away_s=away_s)
        time.sleep(0.3)
        done.set()

    thread = threading.Thread(target=restart)
    thread.start()
    while not done.is_set():
        work(store, runs)
        runs += 1
    thread.join()
    assert runs > 2
    with store._database.reading() as connection:
        assert connection.execute("SELECT count(*) FROM audit").fetchone()[0] == 2 * runs
    check(store, runs)
    store.close()


def test_another_server_takes_over(own, relay):
    """The server is killed under a writer and its standby promoted: what was committed is there, and the rest is done there."""
    with Server(of=own) as standby:
        own.psql("ALTER SYSTEM SET synchronous_standby_names = '*'")
        own.psql("SELECT pg_reload_conf()")
        relay.lead_to(own.port)
        store = Store.open(own.url(port=relay.port), HERE)
        done = threading.Event()
        runs = 0

        def fail_over() -> None:
            time.sleep(0.5)
            own.stop("immediate")
            relay.lead_to(standby.port)  # it reads for a while before it may be written
            time.sleep(0.3)
            standby.psql("SELECT pg_promote()")
            time.sleep(0.5)
            done.set()

        thread = threading.Thread(target=fail_over)
        thread.start()
        while not done.is_set():
            work(store, runs)
            runs += 1
        thread.join()
        assert runs > 2
        check(store, runs)
        store.close()
        own.start()


def test_a_server_that_does_not_come_back_is_one_line(own, monkeypatch):
    """After its bound the verb gives up, and says for how long it tried; a later one works when the server is there again."""
    monkeypatch.setattr(postgresql_module, "RETURN_S", 1.0)
    store = Store.open(own.url(), HERE)
    own.stop()
    began = time.monotonic()
    with pytest.raises(Refused, match=r"the connection to store postgresql://statectl@127.*refused.* within 1 s"):
        store.begin_run("apply", {}, run_id="R0")
    assert time.monotonic() - began < 3
    own.start()
    work(store, 0)
    check(store, 1)
    store.close()


def test_a_commit_of_which_nothing_can_be_learned_is_said(store, relay, postgresql, monkeypatch):
    """Nobody answers any more after a commit was asked for: it is not told as failed, nor as done."""
    monkeypatch.setattr(postgresql_module, "RETURN_S", 1.0)
    relay.lose("answered", then=1)
    with pytest.raises(Refused, match="whether the last change was kept is not known") as told:
        store.begin_run("apply", {}, run_id="R0")
    assert "runs list" in told.value.hint
    relay.lead_to(postgresql.port)
    assert [run["id"] for run in store.list_runs()] == ["R0"]


def test_a_server_that_is_slow_for_a_while_is_waited_for(own):
    """Stopped for a few seconds, it is only slow: the verb returns when it goes on."""
    store = Store.open(own.url(), HERE)
    stopped = own.processes()
    for pid in stopped:
        os.kill(pid, signal.SIGSTOP)
    timer = threading.Timer(2, lambda: [os.kill(pid, signal.SIGCONT) for pid in stopped])
    timer.start()
    began = time.monotonic()
    work(store, 0)
    assert time.monotonic() - began > 1.5
    check(store, 1)
    store.close()


def test_what_was_said_of_old_transactions_is_swept(store, postgresql_url):
    """One row a process tells of its last transaction; those of processes that are long gone do not stay."""
    with store._database.transaction() as connection:
        connection.execute("INSERT INTO store_commits VALUES ('gone', 7, now() - interval '2 days')")
    other = Store.open(postgresql_url, HERE)
    work(other, 0)
    with other._database.reading() as connection:
        rows = connection.execute("SELECT process, number FROM store_commits ORDER BY number").fetchall()
    assert [row["number"] for row in rows] == [1, 4]
    other.close()
