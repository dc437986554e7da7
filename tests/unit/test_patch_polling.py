"""Indexes that the controller reads: what is signed, whole and not too old is remembered; everything else changes nothing."""

import shutil
from datetime import UTC, datetime, timedelta

import pytest

from statectl.baselines.patching import Index
from statectl.patches import signatures
from statectl.patches.polling import Poller
from statectl.store.store import Store
from tests.unit.patch_archives import Signer, digest_of, make_apt, make_rpm, served

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
DAY = timedelta(days=1)
HOUR = timedelta(hours=1)
KEY = "Debian:bookworm-security"
UPDATE = (
    '<update type="security"><id>RLSA-2026:1</id><title>openssl update</title><issued date="2026-11-01 10:00:00"/>'
    "<severity>Important</severity>"
    '<references><reference type="cve" id="CVE-2026-1111" title="CVE-2026-1111"/></references><pkglist><collection>'
    '<package name="openssl" epoch="1" version="3.0.7" release="2.el9" arch="x86_64"><filename>x</filename></package>'
    "</collection></pkglist></update>"
)


@pytest.fixture(scope="module")
def signer(tmp_path_factory):
    for program in ("gpg", "gpgv"):
        if shutil.which(program) is None:
            pytest.skip(f"no {program} here")
    found = Signer(tmp_path_factory.mktemp("keys") / "home")
    yield found
    found.stop()


@pytest.fixture(scope="module")
def stranger(tmp_path_factory):
    found = Signer(tmp_path_factory.mktemp("keys") / "home")
    yield found
    found.stop()


@pytest.fixture
def store(tmp_path):
    store = Store.open("sqlite:state.db", tmp_path)
    yield store
    store.close()


@pytest.fixture
def archive(tmp_path):
    return tmp_path / "archive"


def apt(archive, signer, **more):
    keys = str(signer.keys) if signer is not None else ""
    return Index("security", f"file://{archive}", ("bookworm-security",), ("main",), ("amd64",), keys, **more)


def rpm(archive, gpgkey="", **more):
    return Index("base", baseurl=f"file://{archive}", repository="baseos", gpgkey=gpgkey, **more)


def poll(store, index, now, tmp_path):
    (polled,) = Poller(store.patches, tmp_path, lambda: now).poll([index])
    return polled


def seen(store, *names):
    return {(one.package, one.version): one for one in store.patches.ledger.seen(names)}


@pytest.mark.parametrize("form", ["xz", "gz", ""])
def test_a_signed_archive_is_read_whole(store, archive, signer, tmp_path, form):
    """Each version of the list is known with its checksum, under the key that hosts tell, dated by the archive at the first look."""
    make_apt(archive, [("openssl", "3.0.14"), ("curl", "7.88")], NOW - DAY, signer, form=form)
    polled = poll(store, apt(archive, signer), NOW, tmp_path)
    assert (polled.trouble, polled.packages, polled.new) == ("", 2, 2)
    one = seen(store, "openssl")["openssl", "3.0.14"]
    assert (one.archive, one.arch, one.security, one.seeded) == (KEY, "amd64", True, True)
    assert (one.first_seen, one.sha256) == ("2026-11-19T12:00:00Z", digest_of(b"openssl 3.0.14\n"))
    assert one.attributes == {"section": "libs", "priority": "optional", "source": "openssl", "size": 15}


def test_a_version_that_appears_later_is_first_seen_then(store, archive, signer, tmp_path):
    """The second reading finds what is new; what was replaced keeps its date, also when it returns."""
    make_apt(archive, [("openssl", "3.0.14")], NOW - DAY, signer)
    poll(store, apt(archive, signer), NOW, tmp_path)
    make_apt(archive, [("openssl", "3.0.15")], NOW + DAY, signer)
    assert poll(store, apt(archive, signer), NOW + DAY + HOUR, tmp_path).new == 1
    make_apt(archive, [("openssl", "3.0.14"), ("openssl", "3.0.15")], NOW + 2 * DAY, signer)
    polled = poll(store, apt(archive, signer), NOW + 3 * DAY, tmp_path)
    assert (polled.packages, polled.new) == (2, 0)
    found = seen(store, "openssl")
    assert found["openssl", "3.0.14"].first_seen == "2026-11-19T12:00:00Z"
    assert (found["openssl", "3.0.15"].first_seen, found["openssl", "3.0.15"].seeded) == ("2026-11-21T13:00:00Z", False)


def test_an_archive_that_did_not_change_is_not_read_again(store, archive, signer, tmp_path):
    """The server is asked once, and answers that nothing is new; a changed list of components is read all the same."""
    make_apt(archive, [("openssl", "3.0.14")], NOW - DAY, signer)
    with served(archive) as (address, asked):
        index = Index("security", address, ("bookworm-security",), ("main",), ("amd64",), str(signer.binary))
        assert poll(store, index, NOW, tmp_path).new == 1
        asked.clear()
        polled = poll(store, index, NOW + HOUR, tmp_path)
        assert (polled.unchanged, polled.trouble, polled.packages) == (True, "", 1)
        assert asked == ["304 /dists/bookworm-security/InRelease"]
        more = Index("security", address, ("bookworm-security",), ("main", "contrib"), ("amd64",), str(signer.binary))
        assert "it has no contrib for amd64" in poll(store, more, NOW + HOUR, tmp_path).trouble
    assert store.patches.polls.all()["security"].read_at == "2026-11-20T13:00:00Z"


def test_files_by_their_hash_are_found(store, archive, signer, tmp_path):
    """An archive that is being updated keeps its old lists under their checksums: those are asked for."""
    make_apt(archive, [("openssl", "3.0.14")], NOW - DAY, signer, by_hash=True)
    assert poll(store, apt(archive, signer), NOW, tmp_path).new == 1


def broken_signature(archive):
    path = archive / "dists/bookworm-security/InRelease"
    path.write_bytes(path.read_bytes().replace(b"Label: Debian-Security", b"Label: Debian-Securitx"))


def changed_list(archive):
    path = archive / "dists/bookworm-security/main/binary-amd64/Packages.xz"
    data = bytearray(path.read_bytes())
    data[20] ^= 1
    path.write_bytes(data)


def cut_list(archive):
    path = archive / "dists/bookworm-security/main/binary-amd64/Packages.xz"
    path.write_bytes(path.read_bytes()[:-9])


def longer_list(archive):
    path = archive / "dists/bookworm-security/main/binary-amd64/Packages.xz"
    path.write_bytes(path.read_bytes() + b"more")


def no_list(archive):
    (archive / "dists/bookworm-security/main/binary-amd64/Packages.xz").unlink()


def nothing(archive):
    shutil.rmtree(archive)


@pytest.mark.parametrize(
    ("damage", "code", "words"),
    [
        (broken_signature, "E641", "the signature of InRelease is bad: it was changed after it was signed"),
        (changed_list, "E642", "main/binary-amd64/Packages.xz has another checksum than InRelease says"),
        (cut_list, "E642", "Packages.xz is "),
        (longer_list, "E642", "Packages.xz: is "),
        (no_list, "E640", "Packages.xz is not there"),
        (nothing, "E640", "InRelease is not there"),
    ],
)
def test_a_damaged_archive_changes_nothing(store, archive, signer, tmp_path, damage, code, words):
    """One clear line for each, and the ledger as it was; mended, it is read."""
    make_apt(archive, [("openssl", "3.0.14")], NOW - DAY, signer)
    poll(store, apt(archive, signer), NOW, tmp_path)
    make_apt(archive, [("openssl", "3.0.15")], NOW, signer)
    damage(archive)
    polled = poll(store, apt(archive, signer), NOW + HOUR, tmp_path)
    assert polled.code == code and words in polled.trouble and "\n" not in polled.trouble, polled.trouble
    assert [version for _, version in seen(store, "openssl")] == ["3.0.14"]
    kept = store.patches.polls.all()["security"]
    assert (kept.trouble, kept.read_at, kept.packages) == (polled.trouble, "2026-11-20T12:00:00Z", 1)
    make_apt(archive, [("openssl", "3.0.15")], NOW, signer)
    assert poll(store, apt(archive, signer), NOW + 2 * HOUR, tmp_path).new == 1
    assert store.patches.polls.all()["security"].trouble == ""


@pytest.mark.parametrize(
    ("made", "until", "fields", "words"),
    [
        (NOW - 9 * DAY, NOW - HOUR, {}, "InRelease is valid until 2026-11-20 11:00 UTC only"),
        (NOW + 2 * DAY, None, {}, "InRelease is of 2026-11-22 12:00 UTC, which is ahead of the clock here"),
        (NOW - 2 * DAY, None, {}, "InRelease is of 2026-11-18 12:00 UTC, older than the one that was read before it"),
        (
            NOW,
            None,
            {"Codename": "bullseye-security"},
            "InRelease is of bullseye-security and stable-security, not of bookworm",
        ),
    ],
)
def test_an_archive_of_another_time_or_suite_changes_nothing(
    store, archive, signer, tmp_path, made, until, fields, words
):
    """A frozen, replayed or exchanged archive is signed too: its date and its name are looked at."""
    make_apt(archive, [("openssl", "3.0.14")], NOW - DAY, signer)
    poll(store, apt(archive, signer), NOW, tmp_path)
    make_apt(archive, [("openssl", "3.0.15")], made, signer, until=until, fields=fields)
    polled = poll(store, apt(archive, signer), NOW, tmp_path)
    assert polled.code == "E641" and words in polled.trouble, polled.trouble
    assert [version for _, version in seen(store, "openssl")] == ["3.0.14"]


def test_a_stranger_signs_nothing(store, archive, signer, stranger, tmp_path):
    """An archive that is signed well, by somebody else, is refused."""
    make_apt(archive, [("openssl", "6.6.6")], NOW - DAY, stranger)
    polled = poll(store, apt(archive, signer), NOW, tmp_path)
    assert (polled.code, polled.trouble) == ("E641", "index security: InRelease is not signed by a key in archive.asc")
    assert seen(store, "openssl") == {}


def test_text_around_the_signed_one_is_not_read(store, archive, signer, tmp_path):
    """What stands before and behind a good signature was signed by nobody."""
    make_apt(archive, [("openssl", "3.0.14")], NOW - DAY, signer)
    path = archive / "dists/bookworm-security/InRelease"
    path.write_bytes(b"Origin: Evil\n\n" + path.read_bytes() + b"\nOrigin: Evil\n")
    poll(store, apt(archive, signer), NOW, tmp_path)
    assert {one.archive for one in seen(store, "openssl").values()} <= {KEY}


def test_no_gpgv_no_reading(store, archive, signer, tmp_path, monkeypatch):
    """Without the program that checks signatures nothing is believed, and the message says what to install."""
    make_apt(archive, [("openssl", "3.0.14")], NOW - DAY, signer)
    monkeypatch.setattr(signatures.shutil, "which", lambda _: None)
    polled = poll(store, apt(archive, signer), NOW, tmp_path)
    assert polled.code == "E641" and "gpgv is not installed here" in polled.trouble and "install gpgv" in polled.hint


def test_an_archive_that_is_trusted_by_name_needs_no_signature(store, archive, tmp_path):
    """Only where statectl.yml says why."""
    make_apt(archive, [("openssl", "3.0.14")], NOW - DAY, None)
    assert poll(store, apt(archive, None, trusted="it is our own"), NOW, tmp_path).new == 1


def test_a_repository_of_rpms_is_read_with_its_advisories(store, archive, signer, tmp_path):
    """Versions as hosts tell them, their advisories, since when they are out, and what they fix."""
    packages = [("openssl", "1:3.0.7-2.el9"), ("curl", "7.76-1.el9")]
    make_rpm(archive, packages, NOW - DAY, signer, updates=UPDATE)
    polled = poll(store, rpm(archive, str(signer.keys)), NOW, tmp_path)
    assert (polled.trouble, polled.packages, polled.new) == ("", 2, 2)
    found = seen(store, "openssl", "curl")
    one = found["openssl", "1:3.0.7-2.el9"]
    assert (one.archive, one.arch, one.security, one.first_seen) == ("baseos", "x86_64", True, "2026-11-01T10:00:00Z")
    assert one.advisories == {"RLSA-2026:1": "2026-11-20T12:00:00Z"} and one.attributes["source"] == "openssl"
    assert found["curl", "7.76-1.el9"].first_seen == "2026-11-19T12:00:00Z"
    ((feed, fixes),) = store.patches.feeds.fixes(["openssl"])["openssl"]
    assert feed == "(base)" and fixes[0][:7] == [
        "CVE-2026-1111", "RLSA-2026:1", "repo:baseos", "binary", "fixed", "1:3.0.7-2.el9", "Important",
    ]  # fmt: skip
    assert poll(store, rpm(archive, str(signer.keys)), NOW + HOUR, tmp_path).unchanged


def test_a_repository_whose_signature_is_another_ones_is_not_read(store, archive, signer, stranger, tmp_path):
    """Of rpms the list of lists is signed."""
    make_rpm(archive, [("openssl", "3-1")], NOW, stranger)
    polled = poll(store, rpm(archive, str(signer.keys)), NOW, tmp_path)
    assert polled.code == "E641" and "not signed by a key" in polled.trouble
    (archive / "repodata/repomd.xml.asc").unlink()
    assert "there is no repomd.xml.asc" in poll(store, rpm(archive, str(signer.keys)), NOW, tmp_path).trouble
    assert seen(store, "openssl") == {}


BOMB = b'<!DOCTYPE a [<!ENTITY x "y"><!ENTITY z "&x;&x;&x;">]><metadata>&z;</metadata>'


@pytest.mark.parametrize(
    ("primary", "words"),
    [
        (BOMB, "declares a document type or an entity"),
        (b"<metadata><package><name>x</name>", "is not whole XML"),
        (b"<a>" * 200, "stand too deep"),
        (b"<metadata><name>" + b"x" * 5_000_000 + b"</name></metadata>", "a text is longer than it may be"),
    ],
)
def test_xml_that_is_none_or_a_trap_changes_nothing(store, archive, tmp_path, primary, words):
    """A list with the right checksum can be hostile all the same."""
    make_rpm(archive, [], NOW, primary=primary)
    polled = poll(store, rpm(archive), NOW, tmp_path)
    assert polled.code == "E642" and words in polled.trouble, polled.trouble


def test_a_list_that_ends_in_the_middle_leaves_nothing_behind(store, archive, tmp_path, monkeypatch):
    """Of a list that breaks off after thousands of packages none is remembered."""
    monkeypatch.setattr("statectl.store.patch_ledger.A_WRITE", 1)
    rows = "".join(
        f'<package type="rpm"><name>p{number}</name><arch>noarch</arch><version epoch="0" ver="1" rel="1"/></package>'
        for number in range(9)
    )
    make_rpm(archive, [], NOW, primary=f"<metadata>{rows}".encode())
    assert poll(store, rpm(archive), NOW, tmp_path).code == "E642"
    assert store.patches.ledger.newest() == ""


def test_names_that_lead_out_of_the_repository_are_refused(store, archive, tmp_path):
    """Where a list is comes from the repository: it stays inside of it."""
    make_rpm(archive, [("openssl", "3-1")], NOW)
    path = archive / "repodata/repomd.xml"
    path.write_text(path.read_text().replace('href="repodata/primary', 'href="../../etc/primary'))
    polled = poll(store, rpm(archive), NOW, tmp_path)
    assert polled.code == "E640" and "outside of itself" in polled.trouble, polled.trouble


def test_the_clock_of_1970_reads_nothing(store, archive, signer, tmp_path):
    """An archive of today is ahead of a clock that stands at 1970: it is the clock that is told."""
    make_apt(archive, [("openssl", "3.0.14")], NOW - DAY, signer)
    polled = poll(store, apt(archive, signer), datetime(1970, 1, 1, tzinfo=UTC), tmp_path)
    assert polled.code == "E641" and polled.hint == "set the clock of this machine"


def test_an_index_that_is_named_no_more_is_forgotten(store, archive, signer, tmp_path):
    """Old troubles of what nobody asks for are not shown for ever."""
    make_apt(archive, [("openssl", "3.0.14")], NOW - DAY, signer)
    poll(store, apt(archive, signer), NOW, tmp_path)
    poller = Poller(store.patches, tmp_path, lambda: NOW)
    poller.forget_others([apt(archive, signer)])
    assert list(store.patches.polls.all()) == ["security"]
    poller.forget_others([])
    assert store.patches.polls.all() == {}
