"""The first-seen ledger in the store: a delay counts from the moment at which a version was first seen, whatever clocks and hosts say."""

from datetime import UTC, datetime, timedelta

import pytest

from statectl.store.patch_ledger import Found
from statectl.store.store import Store

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
DAY = timedelta(days=1)
MAIN = "Debian:bookworm-security"


@pytest.fixture
def store(store_url, tmp_path):
    store = Store.open(store_url, tmp_path)
    yield store
    store.close()


def seconds(moment):
    return int(moment.timestamp())


def version(number, sha256="a", package="openssl", **more):
    return Found(MAIN, package, "amd64", number, sha256=sha256 and sha256 * 64, **more)


def note(store, now, *found, date=None):
    return store.patches.ledger.note({MAIN: seconds(date) if date else 0}, found, now)


def seen(store, package="openssl"):
    """{version: (first seen, seeded)}."""
    return {one.version: (one.first_seen, one.seeded) for one in store.patches.ledger.seen([package])}


def test_what_is_new_is_first_seen_now_and_never_again(store):
    """Wiped lists, an index that is published anew and a version that comes back leave the date as it was."""
    note(store, NOW, version("1"), date=NOW - DAY)
    assert note(store, NOW + DAY, version("2", "b"), date=NOW) == 1
    assert note(store, NOW + 5 * DAY, version("1"), version("2", "b"), date=NOW + 5 * DAY) == 0
    assert seen(store) == {"1": ("2026-11-19T12:00:00Z", True), "2": ("2026-11-21T12:00:00Z", False)}


def test_only_what_an_archive_had_at_first_is_dated_back(store):
    """An old date in a changelog of a version that appears later shortens no delay."""
    note(store, NOW, version("1", dated=seconds(NOW - 30 * DAY)), date=NOW - DAY)
    note(store, NOW + 3 * DAY, version("2", "b", dated=seconds(NOW - 300 * DAY)), date=NOW + 3 * DAY)
    note(store, NOW + 3 * DAY, version("3", "c", dated=seconds(NOW - 300 * DAY)), date=NOW - DAY)
    note(store, NOW + 3 * DAY, version("4", "d", dated=seconds(NOW - 300 * DAY)))
    assert seen(store) == {
        "1": ("2026-10-21T12:00:00Z", True),
        "2": ("2026-11-23T12:00:00Z", False),
        "3": ("2026-11-23T12:00:00Z", False),
        "4": ("2026-11-23T12:00:00Z", False),
    }


def test_other_hosts_of_the_first_day_add_what_the_archive_had(store):
    """The second host of a fleet has other packages of the same index: they were out by its date too."""
    note(store, NOW, version("1"), date=NOW - 40 * DAY)
    note(store, NOW + timedelta(hours=1), version("7", package="curl"), date=NOW - 40 * DAY)
    note(store, NOW + timedelta(hours=1), version("8", package="wget"), date=NOW)
    assert seen(store, "curl") == {"7": ("2026-10-11T12:00:00Z", True)}
    assert seen(store, "wget") == {"8": ("2026-11-20T13:00:00Z", False)}


def test_an_archive_of_the_future_is_first_seen_now(store):
    """Dates of archives and changelogs that lie ahead are not believed."""
    note(store, NOW, version("1", dated=seconds(NOW + DAY)), date=NOW + 9 * DAY)
    assert seen(store) == {"1": ("2026-11-20T12:00:00Z", False)}


def test_another_file_under_a_known_version_is_new(store):
    """Nobody can announce a version before its file is there: a host that did so would shorten the delay of all others."""
    note(store, NOW, version("1"))
    note(store, NOW + DAY, version("2", "e"))
    note(store, NOW + 9 * DAY, version("2", "f"))
    assert [(one.sha256[0], one.first_seen) for one in store.patches.ledger.seen(["openssl"])] == [
        ("a", "2026-11-20T12:00:00Z"),
        ("e", "2026-11-21T12:00:00Z"),
        ("f", "2026-11-29T12:00:00Z"),
    ]


def test_who_does_not_know_the_file_adds_nothing_to_a_known_version(store):
    """An installed package tells no digest; it is the version that was seen."""
    note(store, NOW, version("1"))
    assert note(store, NOW + DAY, version("1", "")) == 0


def test_a_clock_that_stands_at_1970_approves_nothing(store):
    """What is new while the clock is far behind was first seen at the newest moment that is known."""
    note(store, NOW, version("1"), date=NOW - DAY)
    note(store, NOW + DAY, version("2", "b"), date=NOW)
    note(store, datetime(1970, 1, 1, 0, 5, tzinfo=UTC), version("3", "c"), date=NOW)
    assert seen(store)["3"] == ("2026-11-21T12:00:00Z", False)


def test_a_clock_that_is_a_little_behind_moves_nothing(store):
    """Two controllers that differ by minutes change no date that is known."""
    note(store, NOW, version("1"), date=NOW - DAY)
    note(store, NOW + DAY, version("2", "b"), date=NOW)
    note(store, NOW + DAY - timedelta(minutes=10), version("3", "c"), date=NOW)
    assert {key: value[0] for key, value in seen(store).items()} == {
        "1": "2026-11-19T12:00:00Z",
        "2": "2026-11-21T12:00:00Z",
        "3": "2026-11-21T12:00:00Z",
    }


def test_what_was_seen_with_a_clock_that_was_ahead_is_brought_down(store):
    """A day in 2040 by mistake does not hold back patches until then: archives say that the clock is right again."""
    note(store, NOW, version("1"), date=NOW - DAY)
    note(store, NOW.replace(year=2040), version("2", "b", advisories=["DSA-1"]), date=NOW - DAY)
    note(store, NOW + 2 * DAY, version("3", "c"), date=NOW + DAY)
    assert {key: value[0] for key, value in seen(store).items()} == {
        "1": "2026-11-19T12:00:00Z",
        "2": "2026-11-22T12:00:00Z",
        "3": "2026-11-22T12:00:00Z",
    }
    assert store.patches.ledger.seen(["openssl"])[1].advisories == {"DSA-1": "2026-11-22T12:00:00Z"}
    assert store.patches.ledger.newest() == "2026-11-22T12:00:00Z"


def test_a_clock_that_archives_contradict_brings_nothing_down(store):
    """Who stands before the signed date of an archive is the one that is wrong."""
    note(store, NOW, version("1"), date=NOW - DAY)
    note(store, NOW + 20 * DAY, version("2", "b"), date=NOW + 19 * DAY)
    note(store, NOW + 2 * DAY, version("3", "c"))
    assert seen(store)["2"] == ("2026-12-10T12:00:00Z", False)
    assert seen(store)["3"] == ("2026-12-10T12:00:00Z", False)


def test_names_that_no_archive_has_are_not_remembered(store):
    """A name of a kilobyte cannot be kept, so it is never seen and never approved; the others of the same scan are."""
    assert note(store, NOW, version("1", package="x" * 1000), version("2"), version("9" * 1000)) == 1


def test_a_bootstrap_of_many_versions_dates_all_of_them(store, monkeypatch):
    """It is written in parts, and the later ones belong to the same first look."""
    monkeypatch.setattr("statectl.store.patch_ledger.A_WRITE", 2)
    found = [version(str(number), "", package=f"p{number}", dated=seconds(NOW - 9 * DAY)) for number in range(7)]
    assert note(store, NOW, *found) == 7
    assert {seen(store, f"p{number}")[str(number)] for number in range(7)} == {("2026-11-11T12:00:00Z", True)}
