"""Snapshots of patching: one moment and one set of baselines for a fleet, over several nights."""

import datetime as dt
from datetime import UTC, datetime, timedelta

import pytest

from statectl.baselines.model import Baseline, Filter, Hooks, Named, PatchSource, Pin, Rule
from statectl.errors import Refused
from statectl.patches.snapshots import Snapshots
from statectl.problems import Span
from statectl.store.store import Store

NOW = datetime(2026, 11, 20, 22, 0, tzinfo=UTC)
NIGHT = timedelta(days=1)
FULL = Baseline(
    "prod",
    "debian",
    default=True,
    patch_groups=("web",),
    filters=Filter(suite=("bookworm*",)),
    rules=(
        Rule(Filter(section=("security",)), after_days=3, compliance="high", span=Span("p.yml", 3, 5)),
        Rule(Filter(), until=dt.date(2026, 11, 1), include_non_security=True),
    ),
    approved=(Named("openssl", Span("p.yml", 9, 1)),),
    rejected=(Named("docker-*"),),
    pins=(Pin("nginx", "1.*", dt.date(2027, 1, 1), "waits for a test"),),
    sources=(PatchSource("own", uris=("https://example.org",), suites=("stable",)),),
    hooks=Hooks(before_install=("/bin/stop", "now"), timeout_s=5),
)


@pytest.fixture
def store(store_url, tmp_path):
    store = Store.open(store_url, tmp_path)
    yield store
    store.close()


def test_the_first_use_freezes_moment_and_baselines(store):
    """On the second night an edited baseline and a new one change nothing for who names the same id."""
    snapshots = Snapshots(store.patches)
    assert snapshots.snapshot("night", {"prod": FULL}, NOW) == (NOW, {"prod": FULL})
    edited = {"prod": Baseline("prod", "debian"), "other": Baseline("other", "rhel")}
    assert snapshots.snapshot("night", edited, NOW + NIGHT) == (NOW, {"prod": FULL})
    assert snapshots.snapshot("next", edited, NOW + NIGHT) == (NOW + NIGHT, edited)


def test_a_snapshot_goes_when_its_days_are_over(store):
    """An id that expired is a new snapshot when it is named again, and the list does not grow for ever."""
    snapshots = Snapshots(store.patches, keep_days=3)
    snapshots.snapshot("night", {"prod": FULL}, NOW)
    assert snapshots.snapshot("night", {}, NOW + 3 * NIGHT) == (NOW, {"prod": FULL})
    assert snapshots.snapshot("night", {}, NOW + 4 * NIGHT) == (NOW + 4 * NIGHT, {})
    assert [one.id for one in snapshots.all()] == ["night"]


@pytest.mark.parametrize("name", ["", "a b", "../x", "x" * 129, "näh"])
def test_an_id_is_a_word(store, name):
    """What could not be typed or shown again is refused with its code."""
    with pytest.raises(Refused) as caught:
        Snapshots(store.patches).snapshot(name, {}, NOW)
    assert caught.value.code == "E649"
