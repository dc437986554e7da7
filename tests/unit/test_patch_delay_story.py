"""The story of a delay, with every part as it is used: version 2 on day 0, version 3 on day 5, approval after 7 days, on a clock of ours."""

from datetime import UTC, datetime, timedelta

import pytest

from statectl.baselines.evaluate import Evaluator
from statectl.baselines.model import Baseline, Filter, Rule
from statectl.baselines.patching import Index
from statectl.baselines.scan import read_scan
from statectl.patches.cache import PackageCache
from statectl.patches.ledger import StoredLedger
from statectl.patches.polling import Poller
from statectl.patches.snapshots import Snapshots
from statectl.store.store import Store
from tests.unit.patch_archives import content_of, digest_of, make_apt

NOW = datetime(2026, 11, 1, 12, 0, tzinfo=UTC)
DAY = timedelta(days=1)
KEY = "Debian:bookworm-security"
BOOKWORM = {"id": "debian", "version_id": "12", "version": "12", "codename": "bookworm", "family": "debian"}
WEEK = Baseline(
    "prod",
    "debian",
    rules=(Rule(Filter(suite=("*-security",)), after_days=7, compliance="high"),),
    max_index_age_s=30 * 86400,
)


class Fleet:
    """One host that has version 1, one archive, one controller."""

    def __init__(self, root, *, cached):
        self.root = root
        self.store = Store.open("sqlite:state.db", root)
        patches = self.store.patches
        self.cache = PackageCache(patches, root / "cache", 10**6, 90) if cached else None
        self.index = Index(
            "security", f"file://{root}/archive", ("bookworm-security",), ("main",), ("amd64",), trusted="a test"
        )

    def day(self, number, *, offered):
        """The archive offers that version, the host is scanned, the index is polled -> the evaluation."""
        now = NOW + number * DAY
        make_apt(self.root / "archive", [("tool", offered)], now - timedelta(hours=1), None)
        message = {
            "manager": "apt", "taken": int(now.timestamp()),
            "archives": [{"key": KEY, "suite": "stable-security", "codename": "bookworm-security", "origin": "Debian", "security": True,
                          "date": int((now - timedelta(hours=1)).timestamp()), "fetched": int(now.timestamp())}],
            "installed": [["tool", "amd64", "1", "utils", "optional", "tool", [], [], 0]],
            "available": [["tool", "amd64", offered, "utils", "optional", "tool", [0], [], 0, digest_of(content_of("tool", offered)), 10]],
        }  # fmt: skip
        scan = read_scan(message, BOOKWORM)
        StoredLedger(self.store.patches).note(scan, now)
        self.store.patches.keep_scan("web1", message, "2026-11-01T00:00:00Z")
        (polled,) = Poller(self.store.patches, self.root, lambda: now, self.cache).poll([self.index])
        assert (polled.trouble, polled.warnings) == ("", [])
        return Evaluator(WEEK, StoredLedger(self.store.patches), now).evaluate(scan)


@pytest.fixture(params=[True, False], ids=["with the cache", "without it"])
def fleet(request, tmp_path):
    fleet = Fleet(tmp_path, cached=request.param)
    fleet.day(-20, offered="1")
    yield fleet
    fleet.store.close()


def wanted(found):
    return [(one.version, one.cached) for one in found.install]


def test_a_version_that_was_replaced_is_installed_from_the_cache_or_told_as_superseded(fleet):
    """On day 7 exactly version 2, from its kept file; without the file the reason says what happened, and nothing newer slips in."""
    assert wanted(fleet.day(0, offered="2")) == []
    assert wanted(fleet.day(5, offered="3")) == []
    found = fleet.day(8, offered="3")
    if fleet.cache is not None:
        assert wanted(found) == [("2", digest_of(content_of("tool", "2")))]
        assert fleet.cache.path(found.install[0].cached).read_bytes() == content_of("tool", "2")
    else:
        assert wanted(found) == []
        said = " ".join([*found.trouble, *(state.reason for state in found.states)])
        assert "superseded before approval" in said, said
    assert [version for version, _ in wanted(fleet.day(13, offered="3"))] == ["3"]


def test_wiped_lists_and_a_controller_at_1970_shorten_nothing(fleet):
    """The host that fetches its lists anew, and the clock that fell back, change no date."""
    fleet.day(0, offered="2")
    ledger = StoredLedger(fleet.store.patches)
    before = [one.first_seen for one in ledger.versions("tool", "amd64")]
    fleet.day(3, offered="2")
    scan = read_scan(fleet.store.patches.scan("web1").message, BOOKWORM)
    StoredLedger(fleet.store.patches).note(scan, datetime(1970, 1, 2, tzinfo=UTC))
    assert [one.first_seen for one in StoredLedger(fleet.store.patches).versions("tool", "amd64")] == before


def test_a_snapshot_of_day_8_gives_day_20_the_same(fleet):
    """Version 3 is approved by then, and stays out for who names the snapshot."""
    fleet.day(0, offered="2")
    fleet.day(8, offered="2")
    snapshots = Snapshots(fleet.store.patches)
    snapshots.snapshot("night", {"prod": WEEK}, NOW + 8 * DAY)
    fleet.day(9, offered="3")
    as_of, baselines = snapshots.snapshot("night", {}, NOW + 20 * DAY)
    ledger = StoredLedger(fleet.store.patches)
    assert [one.package.version for one in ledger.frozen(as_of).versions("tool", "amd64")][-1] == "2"
    scan = read_scan(fleet.store.patches.scan("web1").message, BOOKWORM)
    found = Evaluator(baselines["prod"], ledger.frozen(as_of), as_of).evaluate(scan)
    assert "3" not in [one.version for one in found.install]
    assert wanted(Evaluator(WEEK, ledger, NOW + 20 * DAY).evaluate(scan))[0][0] == "3"
