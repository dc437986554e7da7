"""Package files that are kept: exactly what the index names, whole or not at all, and within their bounds."""

import errno
import os
from datetime import UTC, datetime, timedelta

import pytest

from statectl.baselines.patching import Index
from statectl.baselines.scan import Package
from statectl.patches import cache as cache_module
from statectl.patches.cache import PackageCache
from statectl.patches.ledger import StoredLedger
from statectl.patches.polling import Poller
from statectl.store.store import Store
from tests.unit.patch_archives import content_of, digest_of, make_apt

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
DAY = timedelta(days=1)
KEY = "Debian:bookworm-security"


@pytest.fixture
def store(tmp_path):
    store = Store.open("sqlite:state.db", tmp_path)
    yield store
    store.close()


@pytest.fixture
def archive(tmp_path):
    return tmp_path / "archive"


@pytest.fixture
def cache(store, tmp_path):
    return PackageCache(store.patches, tmp_path / "cache", 1000, 90)


def host_has(store, *packages):
    rows = [[name, "amd64", version, "", "", name, [], [], 0] for name, version in packages]
    message = {"manager": "apt", "installed": rows, "available": []}
    store.patches.keep_scan("web1", message, "2026-11-20T11:00:00Z")


def poll(store, archive, cache, tmp_path, now):
    index = Index("security", f"file://{archive}", ("bookworm-security",), ("main",), ("amd64",), trusted="a test")
    (polled,) = Poller(store.patches, tmp_path, lambda: now, cache).poll([index])
    return polled


def files(tmp_path):
    return {path.name for path in (tmp_path / "cache").rglob("*") if path.is_file()}


def digest(name, version):
    return digest_of(content_of(name, version))


def test_a_version_that_a_host_needs_is_kept_when_its_index_drops_it(store, archive, cache, tmp_path):
    """Version 2 of day 0 can be delivered on day 7, though version 3 replaced it on day 5."""
    host_has(store, ("openssl", "1"), ("curl", "9"))
    make_apt(archive, [("openssl", "2"), ("curl", "9"), ("vim", "3")], NOW, None)
    polled = poll(store, archive, cache, tmp_path, NOW)
    assert (polled.new, polled.kept, polled.warnings) == (3, 1, [])
    make_apt(archive, [("openssl", "3")], NOW + 5 * DAY, None)
    poll(store, archive, cache, tmp_path, NOW + 5 * DAY)
    ledger = StoredLedger(store.patches)
    known = {one.package.version: one.cached for one in ledger.versions("openssl", "amd64")}
    assert known == {"2": digest("openssl", "2"), "3": digest("openssl", "3")}
    assert ledger.first_seen(KEY, Package("openssl", "amd64", "2", sha256=known["2"])) == NOW
    path = cache.path(known["2"])
    assert path is not None and path.read_bytes() == b"openssl 2\n"
    assert path.stat().st_mode & 0o077 == 0


def test_a_file_that_is_another_one_is_not_kept(store, archive, cache, tmp_path):
    """The checksum is that of the signed index, not what a mirror sends."""
    host_has(store, ("openssl", "1"))
    make_apt(archive, [("openssl", "2")], NOW, None)
    (archive / "pool/openssl_2_amd64.deb").write_bytes(b"openssl 6\n")
    polled = poll(store, archive, cache, tmp_path, NOW)
    assert polled.trouble == "" and polled.new == 1 and polled.kept == 0
    assert polled.warnings == ["openssl 2: the file has another checksum than the index says"]
    assert files(tmp_path) == set() and cache.held() == {}
    (archive / "pool/openssl_2_amd64.deb").write_bytes(content_of("openssl", "2"))
    assert poll(store, archive, cache, tmp_path, NOW + DAY).kept == 1


def test_a_full_disk_is_said_and_breaks_nothing(store, archive, cache, tmp_path, monkeypatch):
    """What is there stays, nothing half-written does, the ledger is written, and the next reading tries again."""
    host_has(store, ("openssl", "1"), ("curl", "1"))
    make_apt(archive, [("curl", "2")], NOW, None)
    poll(store, archive, cache, tmp_path, NOW)
    make_apt(archive, [("openssl", "2"), ("curl", "3")], NOW + DAY, None)

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patched:
        patched.setattr(cache_module.os, "fsync", full)
        polled = poll(store, archive, cache, tmp_path, NOW + DAY)
    assert (polled.trouble, polled.new, polled.kept, len(polled.warnings)) == ("", 2, 0, 1)
    assert "No space left on device while" in polled.warnings[0] and "cache_max" in polled.warnings[0]
    assert files(tmp_path) == {digest("curl", "2")}
    assert poll(store, archive, cache, tmp_path, NOW + DAY).kept == 2


def test_the_cache_stays_within_its_size(store, archive, tmp_path):
    """What was used longest ago goes first; the file that was just delivered stays."""
    cache = PackageCache(store.patches, tmp_path / "cache", 21, 90)
    host_has(store, ("aa", "0"), ("bb", "0"), ("cc", "0"), ("dd", "0"), ("ee", "0"))
    for place, name in enumerate(("aa", "bb", "cc", "dd", "ee")):
        make_apt(archive, [(name, "1")], NOW + place * DAY, None)
        poll(store, archive, cache, tmp_path, NOW + place * DAY)
    assert files(tmp_path) == {digest(name, "1") for name in ("bb", "cc", "dd", "ee")}
    store.patches.files.used([digest("bb", "1")], NOW + 9 * DAY)
    make_apt(archive, [("aa", "22")], NOW + 9 * DAY, None)
    poll(store, archive, cache, tmp_path, NOW + 9 * DAY)
    assert files(tmp_path) == {digest("aa", "22"), digest("bb", "1"), digest("dd", "1"), digest("ee", "1")}
    assert set(cache.held()) == files(tmp_path)


def test_what_nobody_used_for_long_goes(store, archive, cache, tmp_path):
    """After its days, or when its file is lost; and what a killed process left."""
    host_has(store, ("openssl", "1"), ("curl", "1"))
    make_apt(archive, [("openssl", "2"), ("curl", "2")], NOW, None)
    poll(store, archive, cache, tmp_path, NOW)
    store.patches.files.used([digest("curl", "2")], NOW + 50 * DAY)
    left = tmp_path / "cache" / digest("curl", "2")[:2] / ".part-x"
    left.write_bytes(b"half")
    os.utime(left, (NOW.timestamp(), NOW.timestamp()))
    pruned = cache.prune(NOW + 91 * DAY)
    assert (pruned.files, pruned.size, pruned.lost) == (1, 10, 0)
    assert files(tmp_path) == {digest("curl", "2")}
    (tmp_path / "cache" / digest("curl", "2")[:2] / digest("curl", "2")).unlink()
    assert cache.path(digest("curl", "2")) is None
    assert cache.prune(NOW + 91 * DAY).lost == 1 and cache.held() == {}


@pytest.mark.parametrize("name", ["", "../../etc/passwd", "A" * 64, "a" * 63, "a/" * 32])
def test_only_a_digest_names_a_file(cache, name):
    """What a host or a plan says is no path."""
    assert cache.path(name) is None


def test_a_file_that_rotted_is_not_delivered(store, archive, cache, tmp_path):
    """It is read before it is given away."""
    host_has(store, ("openssl", "1"))
    make_apt(archive, [("openssl", "2")], NOW, None)
    poll(store, archive, cache, tmp_path, NOW)
    path = cache.path(digest("openssl", "2"))
    path.write_bytes(b"rotten")
    assert cache.path(digest("openssl", "2")) is None
