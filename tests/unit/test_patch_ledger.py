"""The ledger that evaluations ask: what scans told, as it was at a moment, beside what feeds and changelogs say."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from statectl.baselines.scan import Advisory, Archive, Package, Scan
from statectl.patches.fixes import Fix
from statectl.patches.ledger import StoredLedger
from statectl.store.patch_feeds import KeptFeed
from statectl.store.patch_indexes import KeptFile
from statectl.store.store import Store

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
DAY = timedelta(days=1)
KEY = "Debian:bookworm-security"
BOOKWORM = {"id": "debian", "version_id": "12", "codename": "bookworm"}
CHANGELOG = """\
openssl (3.0.15-1~deb12u1) bookworm-security; urgency=high

  * CVE-2026-1111: a hole
    and CVE-2026-2222 with it.

 -- A Maintainer <a@example.org>  Mon, 02 Nov 2026 10:00:00 +0100

openssl (3.0.14-1~deb12u1) bookworm; urgency=medium

  * CVE-2025-9999

 -- A Maintainer <a@example.org>  Mon, 03 Nov 2025 10:00:00 +0000
"""


@pytest.fixture
def store(tmp_path):
    store = Store.open("sqlite:state.db", tmp_path)
    yield store
    store.close()


@pytest.fixture
def ledger(store):
    return StoredLedger(store.patches)


def openssl(version, digest="a", **more):
    return Package("openssl", "amd64", version, source="openssl", archives=(0,), sha256=digest and digest * 64, **more)


def scan(*available, installed=(), made=NOW - DAY, **more):
    archive = Archive(KEY, origin="Debian", codename="bookworm-security", security=True, date=int(made.timestamp()))
    return Scan("apt", 1, archives=(archive,), available=available, installed=installed, system=BOOKWORM, **more)


def test_a_version_is_known_from_its_first_scan_on(ledger, store):
    """What is noted is answered at once, and the same by the next process."""
    assert ledger.first_seen(KEY, openssl("2")) is None
    ledger.note(scan(openssl("1")), NOW)
    ledger.note(scan(openssl("2", "b"), made=NOW + DAY), NOW + DAY)
    for one in (ledger, StoredLedger(store.patches)):
        assert one.first_seen(KEY, openssl("2", "b")) == NOW + DAY
        assert one.first_seen(KEY, openssl("2", "c")) is None
        assert one.first_seen("Debian:trixie-security", openssl("2", "b")) is None
        assert [(seen.package.version, seen.seeded, seen.security) for seen in one.versions("openssl", "amd64")] == [
            ("1", True, True),
            ("2", False, True),
        ]
        assert one.versions("openssl", "arm64") == []


def test_nothing_new_opens_no_transaction(ledger, store, monkeypatch):
    """A fleet that tells what is known waits for nobody's lock."""
    told = scan(openssl("1"), installed=(openssl("0", ""),))
    assert ledger.note(told, NOW) == 2

    def refuse():
        raise AssertionError("a transaction")

    monkeypatch.setattr(store.database, "transaction", refuse)
    assert ledger.note(told, NOW + DAY) == 0
    assert StoredLedger(store.patches).note(told, NOW + DAY) == 0


def test_a_scan_with_trouble_tells_nothing(ledger):
    """What cannot be believed is not remembered."""
    assert ledger.note(scan(openssl("1"), trouble="dpkg was interrupted"), NOW) == 0
    assert ledger.versions("openssl", "amd64") == []


def test_a_frozen_ledger_knows_nothing_later(ledger):
    """A snapshot gives the third night what the first one had."""
    ledger.note(scan(openssl("1")), NOW)
    ledger.note(scan(openssl("2", "b"), made=NOW + DAY), NOW + DAY)
    frozen = ledger.frozen(NOW)
    assert [seen.package.version for seen in frozen.versions("openssl", "amd64")] == ["1"]
    assert frozen.first_seen(KEY, openssl("2", "b")) is None
    assert frozen.first_seen(KEY, openssl("1")) == NOW - DAY
    assert ledger.first_seen(KEY, openssl("2", "b")) == NOW + DAY


def test_a_changelog_dates_what_the_archive_had_at_first(ledger):
    """At the first look the changelog says since when the version is out; for a later version it does not."""
    texts = {"openssl amd64 3.0.15-1~deb12u1": CHANGELOG}
    ledger.note(scan(openssl("3.0.15-1~deb12u1")), NOW, texts)
    assert ledger.first_seen(KEY, openssl("3.0.15-1~deb12u1")) == datetime(2026, 11, 2, 9, 0, tzinfo=UTC)
    later = CHANGELOG.replace("3.0.15", "3.0.16")
    ledger.note(scan(openssl("3.0.16-1~deb12u1", "b"), made=NOW), NOW + DAY, {"openssl amd64 3.0.16-1~deb12u1": later})
    assert ledger.first_seen(KEY, openssl("3.0.16-1~deb12u1", "b")) == NOW + DAY


def test_an_advisory_dates_what_the_archive_had_at_first(ledger):
    """Of rpms the advisory says since when a version is out."""
    issued = int((NOW - 12 * DAY).timestamp())
    advisories = {"RHSA-1": Advisory("RHSA-1", issued=issued)}
    ledger.note(scan(openssl("1", advisories=("RHSA-1",)), advisories=advisories), NOW)
    assert ledger.first_seen(KEY, openssl("1")) == NOW - 12 * DAY


def test_changelogs_say_what_a_version_fixes(ledger, store):
    """Vulnerabilities named between two versions are those that the step from one to the other closes, in that release only."""
    ledger.note(scan(openssl("3.0.15-1~deb12u1")), NOW, {"openssl amd64 3.0.15-1~deb12u1": CHANGELOG})
    step = ledger.advisory(KEY, openssl("3.0.15-1~deb12u1"), "3.0.14-1~deb12u1")
    assert sorted(cve for one in step for cve in one.cves) == ["CVE-2026-1111", "CVE-2026-2222"]
    assert len(ledger.advisory(KEY, openssl("3.0.15-1~deb12u1"))) == 3
    assert ledger.advisory(KEY, openssl("3.0.13-1~deb12u1")) == ()
    assert ledger.advisory("Debian:trixie-security", openssl("3.0.15-1~deb12u1")) == ()
    assert store.patches.feeds.known_since(["CVE-2026-1111"]) == {"CVE-2026-1111": "2026-11-20T12:00:00Z"}


def test_feeds_say_what_a_version_fixes_in_the_vendors_words(ledger, store):
    """Severity, advisory and vulnerabilities of a feed stand with the version, whose source package may have another name."""
    fixes = [
        Fix("CVE-2026-1", "DSA-1-1", "debian:12", "source", "fixed", "3.0.15-1", "high", 0, "a hole"),
        Fix("CVE-2026-2", "DSA-1-1", "debian:12", "source", "fixed", "3.0.15-1"),
        Fix("CVE-2026-3", "", "debian:12", "source", "open", ""),
        Fix("CVE-2026-4", "", "debian:13", "source", "fixed", "3.0.15-1"),
        Fix("CVE-2026-5", "", "debian:12", "binary", "fixed", "3.0.15-1"),
    ]
    feed = KeptFeed("tracker", "debian", "x", "", "", 5, {}, "", "")
    store.patches.feeds.replace(feed, {"openssl": [one.fields() for one in fixes]}, ["CVE-2026-1"], NOW)
    package = replace(openssl("3.0.15-1"), name="libssl3", source="openssl")
    (one,) = ledger.advisory(KEY, package)
    assert one == Advisory("DSA-1-1", "Security", "high", "a hole", 0, 0, ("CVE-2026-1", "CVE-2026-2"))
    versioned = replace(package, source="openssl (3.0.14-1)", version="9")
    assert ledger.advisory(KEY, versioned) == ()


def test_files_that_are_kept_are_told(store):
    """Whoever wants a version that the archive has no more learns that its file is here."""
    StoredLedger(store.patches).note(scan(openssl("1")), NOW)
    store.patches.files.add(KeptFile("a" * 64, "openssl", "amd64", "1", KEY, 5, "2026-11-20T12:00:00Z", ""))
    (one,) = StoredLedger(store.patches).versions("openssl", "amd64")
    assert one.cached == "a" * 64


def test_a_clock_that_was_ahead_is_set_right_without_anything_new(ledger):
    """The next scan brings down what was seen in 2040, also when it tells nothing new."""
    ledger.note(scan(openssl("1")), NOW)
    ledger.note(scan(openssl("2", "b"), made=NOW), NOW.replace(year=2040))
    assert ledger.first_seen(KEY, openssl("2", "b")) == NOW.replace(year=2040)
    ledger.note(scan(openssl("2", "b"), made=NOW), NOW + DAY)
    assert ledger.first_seen(KEY, openssl("2", "b")) == NOW + DAY
