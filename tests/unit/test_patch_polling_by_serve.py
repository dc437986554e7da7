"""Indexes that serve reads every so often: when they are due by the store, and never in the way of its runs."""

import asyncio
import threading
from datetime import UTC, datetime, timedelta

import pytest

from statectl.baselines.patching import Index, Patching
from statectl.cli.patch_polling import due_in, keep_polling, poll_if_due
from statectl.store.patch_indexes import KeptPoll
from statectl.store.store import Store
from tests.unit.patch_archives import make_apt

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)


@pytest.fixture
def store(tmp_path):
    store = Store.open("sqlite:state.db", tmp_path)
    yield store
    store.close()


def tried(moment):
    return KeptPoll("a", "", "", 0, {}, moment, "")


@pytest.mark.parametrize(
    ("polls", "seconds"),
    [
        ({}, 0),
        ({"a": tried("2026-11-20T11:30:00Z")}, 1800),
        ({"a": tried("2026-11-20T10:00:00Z")}, -3600),
        ({"a": tried("2040-01-01T00:00:00Z")}, 0),
    ],
)
def test_when_an_index_is_due(polls, seconds):
    """By when anybody tried it last; a try of the future is one of a clock that was wrong."""
    assert due_in(polls, ["a"], 3600, NOW) == seconds


def indexes(tmp_path):
    make_apt(tmp_path / "archive", [("openssl", "1")], NOW - timedelta(days=1), None)
    good = Index("good", f"file://{tmp_path}/archive", ("bookworm-security",), ("main",), ("amd64",), trusted="a test")
    return good, Index("bad", f"file://{tmp_path}/nothing", ("bookworm",), ("main",), ("amd64",), trusted="a test")


def test_what_is_due_is_read_and_told_and_read_once(store, tmp_path):
    """New versions are known, troubles are told, and a second controller on the store has nothing to do."""
    patching = Patching(poll_s=3600, indexes=indexes(tmp_path))
    said, warned = [], []
    for _ in range(2):
        wait = poll_if_due(store, tmp_path, patching, lambda: NOW, said.append, warned.append, threading.Event())
        assert wait == 3600
    assert said == ["index good: 1 new of 1 packages"]
    assert len(warned) == 1 and warned[0].startswith("warning[E640]: index bad: ")
    assert store.patches.ledger.seen(["openssl"])[0].version == "1"


def test_it_goes_on_until_it_is_cancelled(store, tmp_path):
    """It begins by itself, and ends with serve."""
    patching = Patching(poll_s=3600, indexes=indexes(tmp_path))

    async def some_time():
        loop, told = asyncio.get_running_loop(), asyncio.Event()

        def warn(_):
            loop.call_soon_threadsafe(told.set)

        work = asyncio.create_task(keep_polling(store, tmp_path, patching, lambda: NOW, str, warn))
        async with asyncio.timeout(20):
            await told.wait()
            work.cancel()
            (end,) = await asyncio.gather(work, return_exceptions=True)
        assert isinstance(end, asyncio.CancelledError)

    asyncio.run(some_time())


def test_without_the_setting_nothing_is_read(store, tmp_path):
    """serve reads no index unless statectl.yml says how often."""
    index = Index("bad", "file:///nothing", ("bookworm",), trusted="a test")
    asyncio.run(keep_polling(store, tmp_path, Patching(indexes=(index,)), lambda: NOW, print, print))
    assert store.patches.polls.all() == {}
