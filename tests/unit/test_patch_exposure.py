"""Who is exposed to what: from stored scans and feeds, with nothing guessed where nothing is known."""

from datetime import UTC, datetime, timedelta

import pytest

from statectl.patches.exposure import Exposures
from statectl.patches.fixes import Fix
from statectl.store.patch_feeds import KeptFeed
from statectl.store.store import Store

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
DAY = timedelta(days=1)
BOOKWORM = {"id": "debian", "version_id": "12", "codename": "bookworm"}
TRIXIE = {"id": "debian", "version_id": "13", "codename": "trixie"}
ROCKY = {"id": "rocky", "version_id": "9.4"}
CVE = "CVE-2026-1111"


@pytest.fixture
def store(tmp_path):
    store = Store.open("sqlite:state.db", tmp_path)
    yield store
    store.close()


def scan(store, host, at, installed, available=(), **more):
    def row(name, version, source="", advisories=()):
        return [name, "amd64", version, "", "", source or name, [0], list(advisories), 0]

    message = {
        "manager": "apt",
        "archives": [{"key": "Debian:bookworm-security"}],
        "installed": [row(*one) for one in installed],
        "available": [[*row(*one), "", 0] for one in available],
        **more,
    }
    store.patches.keep_scan(host, message, at)


def feed(store, *fixes, name="debian", at=NOW):
    by_package = {}
    for package, fix in fixes:
        by_package.setdefault(package, []).append(fix.fields())
    kept = KeptFeed(name, "debian", "x", "", "", len(fixes), {}, "", "")
    store.patches.feeds.replace(kept, by_package, {fix.cve for _, fix in fixes}, at)


def fixed(version, release="debian:12", cve=CVE, **more):
    return Fix(cve, more.pop("advisory", ""), release, "source", "fixed", version, **more)


def found(store, systems, cve=CVE):
    exposures = Exposures(store.patches, store.patches.scans(), systems, cve)
    return {host: exposures.of(host) for host in systems}


def test_a_host_with_an_older_version_is_exposed(store):
    """By its source package, in its release, with the version that fixes it, where that can be had, and since when."""
    scan(
        store,
        "web1",
        "2026-11-10T00:00:00Z",
        [("libssl3", "3.0.14-1", "openssl")],
        [("libssl3", "3.0.15-1", "openssl")],
    )
    feed(store, ("openssl", fixed("3.0.15-1", severity="high", advisory="DSA-1", title="a hole")))
    (one,) = found(store, {"web1": BOOKWORM})["web1"]
    assert (one.state, one.package, one.installed, one.fixed) == ("exposed", "libssl3", "3.0.14-1", "3.0.15-1")
    assert (one.available, one.advisory, one.severity, one.source) == ("3.0.15-1", "DSA-1", "high", "debian")
    assert (one.since, one.scanned, one.reason) == ("2026-11-20T12:00:00Z", "2026-11-10T00:00:00Z", "a hole")


def test_since_when_is_the_later_of_the_version_and_the_word(store):
    """A version that came after the vulnerability was known exposes from then on."""
    feed(store, ("openssl", fixed("3.0.15-1")), at=NOW - 9 * DAY)
    scan(store, "web1", "2026-11-13T00:00:00Z", [("openssl", "3.0.14-1")])
    scan(store, "web1", "2026-11-19T00:00:00Z", [("openssl", "3.0.14-1")])
    (one,) = found(store, {"web1": BOOKWORM})["web1"]
    assert (one.since, one.scanned) == ("2026-11-13T00:00:00Z", "2026-11-19T00:00:00Z")


def test_every_host_has_an_answer(store):
    """Fixed, not affected, in another release, and unknown where nobody looked or nobody knows: never silently fine."""
    for host, version in (("old", "3.0.14-1"), ("new", "3.0.15-1")):
        scan(store, host, "2026-11-10T00:00:00Z", [("openssl", version)])
    scan(store, "bare", "2026-11-10T00:00:00Z", [("bash", "5")])
    scan(store, "later", "2026-11-10T00:00:00Z", [("openssl", "3.0.14-1")])
    scan(store, "rocky", "2026-11-10T00:00:00Z", [("openssl", "3.0.14-1")])
    store.patches.keep_scan("broken", {"trouble": "dpkg was interrupted"}, "2026-11-10T00:00:00Z")
    feed(store, ("openssl", fixed("3.0.15-1")))
    systems = {
        "old": BOOKWORM,
        "new": BOOKWORM,
        "bare": BOOKWORM,
        "later": TRIXIE,
        "rocky": ROCKY,
        "broken": {},
        "gone": {},
    }
    states = {host: [(one.state, one.reason) for one in some] for host, some in found(store, systems).items()}
    nobody = ("unknown", "nothing that names it is about this host's system")
    assert states == {
        "old": [("exposed", "")],
        "new": [("fixed", "")],
        "bare": [("not affected", "")],
        "later": [nobody],
        "rocky": [nobody],
        "broken": [("unknown", "dpkg was interrupted")],
        "gone": [("unknown", "never scanned")],
    }


def test_what_nothing_fixes_yet_is_told_as_that(store):
    """An open vulnerability has no version to wait for."""
    scan(store, "web1", "2026-11-10T00:00:00Z", [("curl", "7")])
    feed(store, ("curl", Fix(CVE, "", "debian:12", "source", "open", "", "low")))
    (one,) = found(store, {"web1": BOOKWORM})["web1"]
    assert (one.state, one.fixed, one.available, one.severity) == ("exposed", "", "", "low")


def test_advisories_of_the_host_count_without_any_feed(store):
    """What dnf and zypper tell of an update is enough."""
    scan(
        store, "web1", "2026-11-10T00:00:00Z", [("curl", "7-1")], [("curl", "7-2", "curl", ["RLSA-1"])], manager="dnf",
        advisories={"RLSA-1": {"severity": "Important", "title": "curl update", "cves": [CVE]}},
    )  # fmt: skip
    (one,) = found(store, {"web1": ROCKY})["web1"]
    assert (one.state, one.fixed, one.available, one.advisory) == ("exposed", "7-2", "7-2", "RLSA-1")
    assert (one.severity, one.source, one.since) == ("Important", "updateinfo", "2026-11-10T00:00:00Z")


def test_of_two_feeds_the_one_that_names_a_fix_is_shown(store):
    """A host is in the list once for each package and vulnerability."""
    scan(store, "web1", "2026-11-10T00:00:00Z", [("curl", "7")])
    feed(store, ("curl", Fix(CVE, "", "debian:12", "source", "open", "")), name="a")
    feed(store, ("curl", fixed("8", advisory="DSA-2")), name="b")
    (one,) = found(store, {"web1": BOOKWORM})["web1"]
    assert (one.fixed, one.advisory, one.source) == ("8", "DSA-2", "b")


def test_all_vulnerabilities_of_a_host(store):
    """Without a name: what it is exposed to, and nothing of what is fixed."""
    scan(store, "web1", "2026-11-10T00:00:00Z", [("curl", "7"), ("openssl", "3.0.15-1")])
    feed(
        store,
        ("curl", fixed("8", cve="CVE-2026-2")),
        ("openssl", fixed("3.0.15-1")),
        ("zlib", fixed("9", cve="CVE-2026-3")),
    )
    assert [one.cve for one in found(store, {"web1": BOOKWORM}, "")["web1"]] == ["CVE-2026-2"]
