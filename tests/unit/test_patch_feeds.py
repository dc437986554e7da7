"""Feeds of vulnerabilities: what each format says is understood, and a broken one replaces nothing."""

import gzip
import io
import json
import zipfile
from datetime import UTC, datetime, timedelta

import pytest

from statectl.baselines.patching import Feed
from statectl.patches.feeds import FeedReader
from statectl.patches.fixes import fix_of
from statectl.patches.json_pieces import NotJSON, members, values
from statectl.store.store import Store
from tests.unit.patch_archives import served

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
DAY = timedelta(days=1)
TRACKER = {
    "openssl": {
        "CVE-2026-1111": {
            "description": "a hole",
            "releases": {
                "bookworm": {"status": "resolved", "fixed_version": "3.0.15-1~deb12u1", "urgency": "high"},
                "trixie": {"status": "resolved", "fixed_version": "0", "urgency": "unimportant"},
                "bullseye": {"status": "open", "urgency": "not yet assigned"},
                "sid": {"status": "undetermined", "urgency": "low"},
            },
        },
        "TEMP-0000000-ABCDEF": {"releases": {"bookworm": {"status": "open"}}},
    },
    "curl": {"CVE-2026-2222": {"releases": {"bookworm": {"status": "open", "urgency": "low"}}}},
}
OSV = {
    "id": "DSA-5999-1",
    "modified": "2026-11-19T08:00:00Z",
    "published": "2026-11-01T08:00:00Z",
    "aliases": [],
    "upstream": ["CVE-2026-1111", "CVE-2026-3333"],
    "summary": "openssl - security update",
    "severity": [{"type": "CVSS_V3", "score": "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"}],
    "affected": [
        {
            "package": {"ecosystem": "Debian:12", "name": "openssl"},
            "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "3.0.15-1~deb12u1"}]}],
        },
        {"package": {"ecosystem": "PyPI", "name": "openssl"}, "ranges": []},
    ],
}
ROCKY = {
    "id": "RLSA-2026:77",
    "related": ["CVE-2026-4444"],
    "affected": [
        {
            "package": {"ecosystem": "Rocky Linux:9", "name": "curl"},
            "database_specific": {"severity": "Important"},
            "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "0:7.76.1-31.el9"}]}],
        }
    ],
}
SUSE = {
    "id": "SUSE-SU-2026:1-1",
    "upstream": ["CVE-2026-5555"],
    "affected": [
        {
            "package": {"ecosystem": "SUSE:Linux Enterprise Server 15 SP5", "name": "glibc"},
            "ecosystem_specific": {"binaries": [{"glibc": "2.31-1", "glibc-locale": "2.31-1"}]},
            "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "2.31-1"}]}],
        }
    ],
}
OPEN = {
    "id": "DEBIAN-CVE-2026-6666",
    "affected": [
        {
            "package": {"ecosystem": "Debian:12", "name": "zlib"},
            "ecosystem_specific": {"urgency": "low"},
            "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}]}],
        }
    ],
}
RHEL = """<?xml version="1.0"?>
<oval_definitions xmlns="http://oval.mitre.org/XMLSchema/oval-definitions-5" xmlns:red-def="http://oval.mitre.org/XMLSchema/oval-definitions-5#linux">
<generator><timestamp xmlns="http://oval.mitre.org/XMLSchema/oval-common-5">2026-11-18T01:00:00</timestamp></generator>
<definitions><definition class="patch" id="d1"><metadata><title>RHSA-2026:9: openssl security update (Important)</title>
<affected family="unix"><platform>Red Hat Enterprise Linux 9</platform></affected>
<reference ref_id="RHSA-2026:9" source="RHSA"/><reference ref_id="CVE-2026-1111" source="CVE"/>
<advisory><severity>Important</severity><issued date="2026-11-02"/><cve>CVE-2026-7777</cve></advisory></metadata>
<criteria operator="AND"><criterion test_ref="t0"/><criteria><criterion test_ref="t1"/><criterion test_ref="t2"/><criterion test_ref="t3"/></criteria></criteria>
</definition></definitions>
<tests><red-def:rpminfo_test id="t1"><red-def:object object_ref="o1"/><red-def:state state_ref="s1"/></red-def:rpminfo_test>
<red-def:rpminfo_test id="t2"><red-def:object object_ref="o1"/><red-def:state state_ref="s2"/></red-def:rpminfo_test>
<red-def:rpminfo_test id="t3"><red-def:object object_ref="o1"/><red-def:state state_ref="s3"/></red-def:rpminfo_test></tests>
<objects><red-def:rpminfo_object id="o1"><red-def:name>openssl</red-def:name></red-def:rpminfo_object></objects>
<states><red-def:rpminfo_state id="s1"><red-def:evr datatype="evr_string" operation="less than">1:3.0.7-28.el9</red-def:evr></red-def:rpminfo_state>
<red-def:rpminfo_state id="s2"><red-def:signature_keyid operation="equals">199e</red-def:signature_keyid></red-def:rpminfo_state>
<red-def:rpminfo_state id="s3"><red-def:evr datatype="evr_string" operation="greater than or equal">1:3.0.0-1</red-def:evr></red-def:rpminfo_state></states>
</oval_definitions>"""
UBUNTU = """<oval_definitions><definitions><definition><metadata><title>CVE-2026-8888 on Ubuntu</title>
<affected><platform>Ubuntu 22.04 LTS</platform></affected><reference source="CVE" ref_id="CVE-2026-8888"/>
<advisory><severity>Medium</severity></advisory></metadata><criteria><criterion test_ref="t"/></criteria></definition></definitions>
<tests><dpkginfo_test id="t"><object object_ref="o"/><state state_ref="s"/></dpkginfo_test></tests>
<objects><dpkginfo_object id="o"><name var_ref="v" var_check="at least one"/></dpkginfo_object></objects>
<states><dpkginfo_state id="s"><evr datatype="debian_evr_string" operation="less than">0:2.0-1ubuntu1</evr></dpkginfo_state></states>
<variables><constant_variable id="v"><value>libfoo1</value><value>foo-utils</value></constant_variable></variables></oval_definitions>"""


@pytest.fixture
def store(store_url, tmp_path):
    store = Store.open(store_url, tmp_path)
    yield store
    store.close()


def update(store, root, *feeds, now=NOW):
    return list(FeedReader(store.patches, root, lambda: now).update(feeds))


def known(store, package):
    """What is known of a package, without titles."""
    found = store.patches.feeds.fixes([package]).get(package, [])
    return [
        (fix.cve, fix.advisory, fix.release, fix.kind, fix.status, fix.fixed, fix.severity)
        for _, fixes in found
        for fix in map(fix_of, fixes)
    ]


def debian(source="tracker.json"):
    return Feed("debian", "debian", source)


def test_the_tracker_of_debian(store, tmp_path):
    """Fixed, open and not affected, by release, with Debian's own urgency as severity; what it does not know is left out."""
    (tmp_path / "tracker.json").write_text(json.dumps(TRACKER))
    (one,) = update(store, tmp_path, debian())
    assert (one.trouble, one.entries) == ("", 4)
    assert known(store, "openssl") == [
        ("CVE-2026-1111", "", "debian:12", "source", "fixed", "3.0.15-1~deb12u1", "high"),
        ("CVE-2026-1111", "", "debian:13", "source", "not_affected", "", "unimportant"),
        ("CVE-2026-1111", "", "debian:11", "source", "open", "", ""),
    ]
    assert known(store, "curl") == [("CVE-2026-2222", "", "debian:12", "source", "open", "", "low")]
    assert set(store.patches.feeds.known_since(["CVE-2026-1111", "CVE-2026-2222", "CVE-1999-0001"])) == {
        "CVE-2026-1111",
        "CVE-2026-2222",
    }


@pytest.mark.parametrize("form", ["list", "lines", "directory", "zip", "gzip"])
def test_osv_in_all_its_forms(store, tmp_path, form):
    """The same records, however they are packed; a score is no severity, and packages of no distribution are not taken."""
    records = [OSV, ROCKY, SUSE, OPEN]
    source = tmp_path / "osv"
    if form == "list":
        source.write_text(json.dumps(records))
    elif form == "lines":
        source.write_text("".join(json.dumps(one) + "\n" for one in records))
    elif form == "gzip":
        source.write_bytes(gzip.compress(json.dumps(records).encode()))
    elif form == "directory":
        for place, one in enumerate(records):
            (source / str(place)).mkdir(parents=True)
            (source / str(place) / "x.json").write_text(json.dumps(one))
    else:
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w") as archive:
            for place, one in enumerate(records):
                archive.writestr(f"{place}.json", json.dumps(one))
            archive.writestr("README", "nothing")
        source.write_bytes(packed.getvalue())
    (one,) = update(store, tmp_path, Feed("own", "osv", "osv"))
    assert (one.trouble, one.entries, one.made) == ("", 6, "2026-11-19T08:00:00Z")
    assert known(store, "openssl") == [
        ("CVE-2026-1111", "DSA-5999-1", "debian:12", "source", "fixed", "3.0.15-1~deb12u1", ""),
        ("CVE-2026-3333", "DSA-5999-1", "debian:12", "source", "fixed", "3.0.15-1~deb12u1", ""),
    ]
    assert known(store, "curl") == [
        ("CVE-2026-4444", "RLSA-2026:77", "rocky:9", "binary", "fixed", "0:7.76.1-31.el9", "Important")
    ]
    assert known(store, "glibc-locale") == [
        ("CVE-2026-5555", "SUSE-SU-2026:1-1", "sles:15.5", "binary", "fixed", "2.31-1", "")
    ]
    assert known(store, "zlib") == [("CVE-2026-6666", "", "debian:12", "source", "open", "", "low")]


def test_oval_of_red_hat(store, tmp_path):
    """Tests, objects and states that stand behind the definitions are joined; a test about a signature, or about a newer version, is no fix."""
    (tmp_path / "rhel.xml").write_text(RHEL)
    (one,) = update(store, tmp_path, Feed("rhel", "oval", "rhel.xml"))
    assert (one.trouble, one.made) == ("", "2026-11-18T01:00:00Z")
    assert known(store, "openssl") == [
        ("CVE-2026-1111", "RHSA-2026:9", "rhel:9", "binary", "fixed", "1:3.0.7-28.el9", "Important"),
        ("CVE-2026-7777", "RHSA-2026:9", "rhel:9", "binary", "fixed", "1:3.0.7-28.el9", "Important"),
    ]


def test_oval_of_ubuntu(store, tmp_path):
    """There the names of packages stand in variables."""
    (tmp_path / "ubuntu.xml").write_text(UBUNTU)
    assert update(store, tmp_path, Feed("ubuntu", "oval", "ubuntu.xml"))[0].trouble == ""
    assert known(store, "foo-utils") == [
        ("CVE-2026-8888", "", "ubuntu:22.04", "binary", "fixed", "2.0-1ubuntu1", "Medium")
    ]


@pytest.mark.parametrize(
    ("kind", "text", "words"),
    [
        ("debian", "", "'{' is missing"),
        ("debian", "{}", "not one entry in it"),
        ("debian", json.dumps(TRACKER)[:-30], "it ends in the middle"),
        ("debian", json.dumps(TRACKER) + "x", "something follows its end"),
        ("debian", '{"a": [1]}', "this is no data of the tracker"),
        ("debian", "<html>503</html>", "'{' is missing"),
        ("debian", '{"a": {"b": nul}}', "expecting value"),
        ("debian", '{"a": ' + "[" * 100_000, "too deep"),
        ("osv", "{}", "an entry has no `id`"),
        ("osv", "", "it holds no entry"),
        ("osv", '{"id": "x"}\n{"id": "y"', "it ends in the middle"),
        ("oval", "<oval_definitions>", "is not whole XML"),
        ("oval", "<oval_definitions/>", "no definitions in it"),
        ("oval", '<!DOCTYPE x [<!ENTITY a "b">]><x/>', "declares a document type"),
        ("debian", gzip.compress(json.dumps(TRACKER).encode())[:-20], "cannot be unpacked"),
    ],
)
def test_a_broken_feed_replaces_nothing(store, tmp_path, kind, text, words):
    """One clear line that names the feed and its place; what was known stays, with its age."""
    source = {"debian": json.dumps(TRACKER), "osv": json.dumps(OSV), "oval": RHEL}[kind]
    feed = Feed("mine", kind, "feed")
    (tmp_path / "feed").write_text(source)
    update(store, tmp_path, feed)
    before = known(store, "openssl")
    assert before
    (tmp_path / "feed").write_bytes(text if isinstance(text, bytes) else text.encode())
    (one,) = update(store, tmp_path, feed, now=NOW + DAY)
    assert one.trouble.startswith("feed mine: feed: ") and words in one.trouble and "\n" not in one.trouble, one.trouble
    assert known(store, "openssl") == before
    kept = store.patches.feeds.all()["mine"]
    assert (kept.trouble, kept.fetched, kept.tried) == (one.trouble, "2026-11-20T12:00:00Z", "2026-11-21T12:00:00Z")
    (tmp_path / "feed").write_text(source + " ")
    assert update(store, tmp_path, feed, now=NOW + DAY)[0].trouble == ""
    assert store.patches.feeds.all()["mine"].trouble == ""


def test_a_feed_that_did_not_change_is_not_read_again(store, tmp_path):
    """The server says so, or its bytes do; the moment at which that was known is shown."""
    (tmp_path / "www").mkdir()
    (tmp_path / "www" / "tracker.json").write_text(json.dumps(TRACKER))
    with served(tmp_path / "www") as (address, asked):
        feed = debian(f"{address}/tracker.json")
        assert not update(store, tmp_path, feed)[0].unchanged
        (one,) = update(store, tmp_path, feed, now=NOW + DAY)
        assert one.unchanged and one.entries == 4 and asked == ["200 /tracker.json", "304 /tracker.json"]
        (gone,) = update(store, tmp_path, Feed("other", "debian", f"{address}/nothing"))
        assert "answers 404" in gone.trouble
    assert store.patches.feeds.all()["debian"].fetched == "2026-11-21T12:00:00Z"
    (dead,) = update(store, tmp_path, feed)
    assert "refused" in dead.trouble.lower() and dead.entries == 4


def test_feeds_that_are_named_no_more_are_forgotten(store, tmp_path):
    """What statectl.yml does not name is not believed for ever; what changelogs said stays."""
    (tmp_path / "tracker.json").write_text(json.dumps(TRACKER))
    update(store, tmp_path, debian())
    store.patches.feeds.add_changelogs({"bash": [["CVE-2026-1"]]}, ["CVE-2026-1"], NOW)
    reader = FeedReader(store.patches, tmp_path, lambda: NOW)
    assert reader.forget_others([debian()]) == []
    assert reader.forget_others([]) == ["debian"]
    assert known(store, "openssl") == [] and store.patches.feeds.fixes(["bash"]) != {}


class Dripping:
    """A stream that gives a few bytes at a time."""

    def __init__(self, data, size):
        self._stream, self._size = io.BytesIO(data), size

    def read(self, _):
        return self._stream.read(self._size)


@pytest.mark.parametrize("size", [1, 2, 7, 1000])
def test_json_is_read_piece_by_piece(size, monkeypatch):
    """Wherever the pieces are cut, in the middle of a letter or of a number, the values are the same."""
    monkeypatch.setattr("statectl.patches.json_pieces.PIECE", 1)
    document = {'ä"}': {"b": [1, {"c": 'é\\"]'}]}, "d": {}, "e": {"f": "x" * 50, "n": 12345}}
    data = json.dumps(document, ensure_ascii=False, indent=1).encode()
    assert dict(members(Dripping(data, size))) == document
    items = [document, {"id": 2}, {"id": "ü"}]
    assert list(values(Dripping(json.dumps(items).encode(), size))) == items
    lines = "\n".join(map(json.dumps, items)).encode()
    assert list(values(Dripping(lines, size))) == items


def test_an_entry_that_is_too_large_is_refused(monkeypatch):
    """A feed that never ends fills no memory."""
    monkeypatch.setattr("statectl.patches.json_pieces.MAX_VALUE", 1000)
    monkeypatch.setattr("statectl.patches.json_pieces.PIECE", 100)
    with pytest.raises(NotJSON, match="larger than it may be"):
        list(members(io.BytesIO(b'{"a": "' + b"x" * 100_000)))
