"""The parameter store on each database: versions, labels, selectors, trees, policies."""

import datetime as dt

import pytest

from statectl.errors import Refused, UsageError
from statectl.parameters.model import Filter, NewVersion
from statectl.secrets import Secret
from tests.unit.parameter_stores import Place


@pytest.fixture
def place(tmp_path, store_url):
    made = Place(tmp_path, store_url)
    yield made
    made.close()


@pytest.fixture
def store(place):
    return place.store()


def code_of(function, *arguments, **named) -> tuple[str, str]:
    with pytest.raises((Refused, UsageError)) as caught:
        function(*arguments, **named)
    return caught.value.code, caught.value.message


def names(page) -> list[str]:
    return [one.name for one in page.parameters]


def test_every_write_is_a_version(store, place):
    """Numbers count from 1, also for the same value; who, when and why stand beside each; what is not said stays as it was."""
    first = store.put("/app/db", "one", type="String", description="where", tags={"team": "a"}, why="first")
    assert (first.version, first.changed) == (1, True)
    place.clock.on(hours=1)
    assert store.put("/app/db", "one", overwrite=True).changed is False
    third = store.put("/app/db", "two", overwrite=True, description="there")
    assert (third.version, third.changed) == (3, True)
    told = [(one.version, one.value, one.description, one.why, one.modified) for one in store.history("/app/db")]
    assert told == [
        (1, "one", "where", "first", "2026-06-01T12:00:00Z"),
        (2, "one", "where", "", "2026-06-01T13:00:00Z"),
        (3, "two", "there", "", "2026-06-01T13:00:00Z"),
    ]
    assert store.get("/app/db").who.startswith("ana@")
    assert store.get("/app/db").tags == {"team": "a"}


def test_what_is_there_is_not_overwritten_by_accident(store):
    """Without overwrite, and with another type than before, one line says what is needed."""
    store.put("/a", "x", type="String")
    assert code_of(store.put, "/a", "y") == ("E618", "parameter /a is there already (version 1): needs --overwrite")
    code, text = code_of(store.put, "/a", "y", type="SecureString")
    assert (code, text) == (
        "E618",
        "parameter /a is there already of type String (version 1): needs --overwrite --type",
    )
    assert code_of(store.put, "/new", "y") == ("E615", "parameter /new is new and needs a type")
    assert store.get("/a").value == "x"
    put = store.put("/a", Secret("hush"), type="SecureString", overwrite=True)
    assert any("in clear" in warning for warning in put.warnings)


def test_two_writers_never_overwrite_each_other_in_silence(store, place):
    """Who writes on top of a version that is no longer the latest writes nothing, and learns who was quicker."""
    other = place.store("olaf")
    store.put("/a", "1", type="String", expected_version=0)
    other.put("/a", "2", expected_version=1)
    code, text = code_of(store.put, "/a", "3", expected_version=1)
    assert code == "E618"
    assert "expected version 1, and it has version 2, written 2026-06-01T12:00:00Z by olaf@" in text
    assert code_of(store.put, "/a", "3", type="String", expected_version=0)[0] == "E618"
    assert store.get("/a").value == "2"


def test_a_write_between_looking_and_writing_is_seen(store, place, monkeypatch):
    """What was decided on a version is decided again when it is no longer the latest at the moment of the write."""
    from statectl.parameters import writing

    other, real, written = place.store("olaf"), writing._prepare, []

    def behind_the_back(*arguments):
        doubts = real(*arguments)
        if not written:
            written.append(None)
            other.put("/a", "theirs", type="String", overwrite=True, description="of theirs")
        return doubts

    store.put("/a", "1", type="String")
    monkeypatch.setattr(writing, "_prepare", behind_the_back)
    assert code_of(store.put, "/a", "ours", expected_version=1)[0] == "E618"
    assert store.get("/a").value == "theirs"
    written.clear()
    assert store.put("/a", "ours", overwrite=True).version == 4
    assert store.get("/a").description == "of theirs"
    written.clear()
    store.delete("/a")
    assert code_of(store.put, "/a", "ours", type="String")[0] == "E618"


def test_many_at_once_are_all_or_none(store):
    """One that cannot be written keeps all others from being written."""
    store.put("/there", "x", type="String")
    many = [NewVersion("/one", "1", type="String"), NewVersion("/there", "y")]
    assert code_of(store.put_many, many)[0] == "E618"
    assert code_of(store.get, "/one")[0] == "E610"
    assert [put.version for put in store.put_many([many[0], NewVersion("/there", "y", overwrite=True)])] == [1, 2]
    assert code_of(store.put_many, [many[0], NewVersion("one", "1")])[0] == "E612"


def test_selectors(store):
    """A version or a label is what was asked for or an error; never the latest instead."""
    for value in ("1", "2", "3"):
        store.put("/a", value, type="String", overwrite=True)
    store.label("/a", 2, ["prod"])
    assert [store.get(text).value for text in ("/a", "/a:1", "/a:prod", " /a:03 ")] == ["3", "1", "2", "3"]
    assert store.get("/a:prod").selector == ":prod"
    for wrong in ("0", "-1", "7", "1000000000000000000"):
        assert code_of(store.get, f"/a:{wrong}") == ("E613", f"parameter /a: version {wrong} does not exist (1 to 3)")
    assert code_of(store.get, "/a:stage")[0] == "E613"
    assert code_of(store.get, "/a:9x")[0] == "E613"
    found, missing = store.get_many(["/b", "/a:2", "/a"])
    assert ([one.value for one in found], missing) == (["2", "3"], ["/b"])
    assert code_of(store.get_many, ["/a", "/a"])[0] == "E612"


def test_labels_move(store):
    """A label is at one version; at most ten at one; bad ones come back and the others are given."""
    for value in ("1", "2"):
        store.put("/a", value, type="String", overwrite=True)
    assert store.label("/a", 1, ["prod", "1x", "aws", "SSM-a", "_ok"]).invalid == ("1x", "aws", "SSM-a")
    assert store.label("/a", None, ["prod"]).version == 2
    assert [one.labels for one in store.history("/a")] == [("_ok",), ("prod",)]
    assert store.unlabel("/a", 1, ["prod", "_ok"]).invalid == ("prod",)
    store.label("/a", 1, [f"l{number}" for number in range(10)])
    assert code_of(store.label, "/a", 1, ["more"])[0] == "E614"
    assert code_of(store.label, "/a", 2, ["twice", "twice"])[0] == "E614"
    assert code_of(store.label, "/a", 3, ["x"]) == ("E613", "parameter /a: version 3 does not exist (1 to 2)")


def test_a_hundred_versions_are_kept(place):
    """The oldest goes when one more comes than is kept; not while it has a label."""
    store = place.store(versions=3)
    for value in "12345":
        store.put("/a", value, type="String", overwrite=True)
    assert [one.version for one in store.history("/a")] == [3, 4, 5]
    store.label("/a", 3, ["prod"])
    code, text = code_of(store.put, "/a", "6", overwrite=True)
    assert code == "E614"
    assert "version 3 is the oldest of 3 and has the label prod" in text
    store.label("/a", 5, ["prod"])
    assert store.put("/a", "6", overwrite=True).version == 6


def test_one_place_for_both_spellings(store):
    """`x` and `/x` are one parameter."""
    store.put("x", "1", type="String")
    assert code_of(store.put, "/x", "2", type="String")[0] == "E618"
    assert code_of(store.put, "/x", "2", overwrite=True)[0] == "E618"
    assert store.get("/x").name == "x"
    store.put("/Test/x", "other", type="String")
    assert store.get("x").value == "1"


def test_below_a_path(store):
    """Direct children or all, in the order of the bytes of their names, by pages, filtered; the path itself is not below it."""
    for name in ("/a", "/a/b", "/a/b/c", "/a-b", "/a/B", "/ab/c", "/a/z"):
        store.put(name, name.upper(), type="StringList" if name.endswith("z") else "String", tags={"last": name[-1]})
    assert names(store.by_path("/a")) == ["/a/B", "/a/b", "/a/z"]
    assert names(store.by_path("/a/", recursive=True)) == ["/a/B", "/a/b", "/a/b/c", "/a/z"]
    first = store.by_path("/a", recursive=True, limit=3)
    assert (names(first), first.after) == (["/a/B", "/a/b", "/a/b/c"], "/a/b/c")
    rest = store.by_path("/a", recursive=True, limit=3, after=first.after)
    assert (names(rest), rest.after) == (["/a/z"], "")

    def filtered(*filters) -> list[str]:
        return names(store.describe("/", filters=filters))

    assert filtered(Filter("Type", ("StringList",))) == ["/a/z"]
    assert filtered(Filter("Name", ("/a/b",), "BeginsWith")) == ["/a/b", "/a/b/c"]
    assert filtered(Filter("Name", ("b/",), "Contains")) == ["/a/b/c", "/ab/c"]
    assert filtered(Filter("tag:last", ("B",))) == ["/a/B"]
    assert filtered(Filter("tag:last"), Filter("Type", ("StringList",))) == ["/a/z"]
    assert filtered(Filter("tag:none")) == []
    store.put("/a/b", "later", overwrite=True)
    store.label("/a/b", 1, ["prod"])
    labelled = store.by_path("/a", recursive=True, filters=[Filter("Label", ("prod",))]).parameters
    assert [(one.name, one.version, one.selector) for one in labelled] == [("/a/b", 1, ":prod")]
    assert code_of(store.describe, filters=[Filter("Label", ("prod",))])[0] == "E612"
    assert code_of(store.describe, filters=[Filter("Size", ("1",))])[0] == "E612"
    assert all(one.value is None for one in store.describe().parameters)


def test_deleted_is_gone_and_made_anew_it_counts_from_one(store):
    """Nothing of a deleted parameter answers any more; the next of that name has its own versions, labels and tags."""
    store.put("/a", "1", type="String", tags={"t": "1"})
    store.put("/a", "2", overwrite=True)
    store.label("/a", 1, ["prod"])
    store.delete("/a")
    assert code_of(store.get, "/a") == code_of(store.get, "/a:prod")
    assert code_of(store.delete, "/a")[0] == "E610"
    assert store.put("/a", "new", type="StringList").version == 1
    assert code_of(store.get, "/a:prod")[0] == "E613"
    assert store.get("/a").tags == {}
    assert store.delete_many(["/a", "/b"]) == (["/a"], ["/b"])


def test_what_was_deleted_last_comes_back_also_within_one_second(store):
    """Times are of seconds: of five lives that ended in the same one, the last is restored."""
    for text in ("one", "two", "three", "four", "five"):
        store.put("/web/again", text, type="String")
        store.delete("/web/again")
    store.restore("/web/again")
    assert store.get("/web/again").value == "five"


def test_a_tree_is_deleted_and_restored(store, place):
    """What was deleted last comes back with versions and labels; a secret does not, and that is said."""
    store.put("/t/a", "1", type="String")
    store.put("/t/a", "2", overwrite=True)
    store.label("/t/a", 1, ["prod"])
    store.put("/t/s", Secret("hush"), type="SecureString")
    store.put("/other", "x", type="String")
    assert store.delete_tree("/t") == ["/t/a", "/t/s"]
    assert code_of(store.delete_tree, "/t")[0] == "E610"
    told = {one.name: one.outcome for one in store.restore("/t", recursive=True)}
    assert told == {"/t/a": "revived", "/t/s": "gone"}
    assert store.get("/t/a:prod").value == "1"
    assert store.put("/t/a", "3", overwrite=True).version == 3
    assert code_of(store.restore, "/t/a")[0] == "E625"
    store.delete("/t/a")
    place.clock.on(days=31)
    assert store.sweep() == ([], 2)
    assert code_of(store.restore, "/t/a")[0] == "E610"


def test_what_was_secret_once_comes_back_without_that(store):
    """Of a parameter that was secret in between the readable versions come back; one that was secret last does not."""
    store.put("/a", "clear", type="String")
    store.put("/a", Secret("hush"), type="SecureString", overwrite=True)
    store.label("/a", 2, ["then"])
    store.put("/a", "clear again", type="String", overwrite=True)
    store.delete("/a")
    assert [one.outcome for one in store.restore("/a")] == ["revived"]
    assert [(one.version, one.value, one.labels) for one in store.history("/a", decrypt=True)] == [
        (1, "clear", ()),
        (3, "clear again", ()),
    ]
    store.put("/a", Secret("hush"), type="SecureString", overwrite=True)
    store.delete("/a")
    assert [one.outcome for one in store.restore("/a")] == ["gone"]


def test_a_tree_as_it_was_at_a_time(store, place):
    """Values of a moment come back as new versions; what was made since stays."""
    store.put("/t/same", "1", type="String")
    store.put("/t/changed", "1", type="String")
    store.put("/t/deleted", "1", type="String")
    store.put("/t/anew", "1", type="String")
    store.put("/t/secret", Secret("old hush"), type="SecureString")
    place.clock.on(hours=1)
    moment = place.clock.now
    place.clock.on(hours=1)
    store.put("/t/changed", "2", overwrite=True)
    store.put("/t/secret", Secret("new hush"), overwrite=True)
    store.put("/t/made", "1", type="String")
    store.delete("/t/deleted")
    store.delete("/t/anew")
    store.put("/t/anew", "other", type="StringList")
    told = {
        one.name.rpartition("/")[2]: (one.outcome, one.version)
        for one in store.restore("/t", recursive=True, at=moment)
    }
    assert told == {
        "same": ("unchanged", 1),
        "changed": ("put", 3),
        "deleted": ("revived", 1),
        "anew": ("put", 2),
        "made": ("kept", 1),
        "secret": ("put", 3),
    }
    assert store.get("/t/changed").value == "1"
    assert (store.get("/t/anew").value, store.get("/t/anew").type) == ("1", "String")
    assert store.get("/t/secret", decrypt=True).value.reveal() == "old hush"
    assert code_of(store.restore, "/t", recursive=True, at=place.clock.now + dt.timedelta(hours=1))[0] == "E625"


def test_a_version_is_put_back(store):
    """An earlier version once more as the newest, unless somebody wrote meanwhile."""
    store.put("/a", Secret("one"), type="SecureString")
    store.put("/a", Secret("two"), overwrite=True)
    assert code_of(store.put_back, "/a", 1, expected_version=1)[0] == "E618"
    assert store.put_back("/a", 1, expected_version=2).version == 3
    assert store.get("/a", decrypt=True).value.reveal() == "one"


def test_copies_and_moves(store):
    """A copy is the latest versions as new parameters; a move takes history, labels and tags along. Secrets open under their new names."""
    store.put("/dev/url", "u1", type="String", description="d", tags={"t": "1"})
    store.put("/dev/url", "u2", overwrite=True)
    store.label("/dev/url", 1, ["prod"])
    store.put("/dev/x/key", Secret("hush"), type="SecureString")
    assert [put.name for put in store.copy("/dev", "/stage", recursive=True)] == ["/stage/url", "/stage/x/key"]
    assert [(one.version, one.value) for one in store.history("/stage/url")] == [(1, "u2")]
    assert (store.get("/stage/url").description, store.get("/stage/url").tags) == ("d", {"t": "1"})
    assert store.get("/stage/x/key", decrypt=True).value.reveal() == "hush"
    assert code_of(store.copy, "/dev", "/stage", recursive=True)[0] == "E618"
    store.copy("/dev/url:1", "/stage/url", overwrite=True)
    assert (store.get("/stage/url").version, store.get("/stage/url").value) == (2, "u1")
    assert code_of(store.move, "/dev", "/dev/inner", recursive=True)[0] == "E618"
    assert code_of(store.move, "/dev/url", "/stage/url")[0] == "E618"
    assert store.move("/dev", "/prod", recursive=True) == [("/dev/url", "/prod/url"), ("/dev/x/key", "/prod/x/key")]
    assert store.get("/prod/url:prod").value == "u1"
    assert store.get("/prod/url").tags == {"t": "1"}
    assert store.get("/prod/x/key", decrypt=True).value.reveal() == "hush"
    assert code_of(store.get, "/dev/url")[0] == "E610"


def test_differences(store):
    """Trees and versions compared; secrets only when they may be opened, and then without telling more than that."""
    store.put("/a/same", "1", type="String")
    store.put("/a/moved", "1", type="String")
    store.put("/a/left", "1", type="String")
    store.put("/a/key", Secret("hush"), type="SecureString")
    store.copy("/a", "/b", recursive=True)
    store.delete("/b/left")
    store.put("/b/moved", "2", overwrite=True)
    found = {
        one.name: (one.left is not None, one.right is not None, one.differs)
        for one in store.diff("/a", "/b", recursive=True)
    }
    assert found == {"/left": (True, False, True), "/moved": (True, True, True), "/key": (True, True, None)}
    opened = [one.name for one in store.diff("/a", "/b", recursive=True, decrypt=True)]
    assert opened == ["/left", "/moved"]
    store.put("/b/key", Secret("other"), overwrite=True)
    assert [one.differs for one in store.diff("/b/key:1", "/b/key:2", decrypt=True)] == [True]
    assert store.diff("/b/key", "/b/key") == []


def test_watching(store):
    """A cursor gives what happened since, below the path; nothing twice, nothing lost."""
    start = store.watch("/a").cursor
    store.put("/a/b", "1", type="String", why="because")
    store.put("/c", "1", type="String")
    store.label("/a/b", 1, ["prod"])
    store.move("/a/b", "/d")
    changes = store.watch("/a", start)
    assert [(one.action, one.name, one.version, one.why) for one in changes.changes] == [
        ("put", "/a/b", 1, "because"),
        ("label", "/a/b", 1, ""),
        ("move", "/a/b", 1, ""),
    ]
    assert store.watch("/a", changes.cursor).changes == []
    assert [one.name for one in store.watch("/d", start).changes] == ["/d"]


EXPIRES = {"Type": "Expiration", "Version": "1.0", "Attributes": {"Timestamp": "2026-06-11T12:00:00.000Z"}}
BEFORE = {"Type": "ExpirationNotification", "Version": "1.0", "Attributes": {"Before": "2", "Unit": "Days"}}
NO_CHANGE = {"Type": "NoChangeNotification", "Version": "1.0", "Attributes": {"After": "36", "Unit": "Hours"}}


def test_an_expired_parameter_is_gone(store, place):
    """At its moment, without anybody sweeping; the name can be used again; sweeping deletes it for good."""
    store.put("/a", "1", type="String", policies=[EXPIRES])
    store.put("/b", "1", type="String", policies=[EXPIRES])
    store.put("/a", "2", overwrite=True)  # a write does not move it
    place.clock.on(days=9, hours=23)
    assert store.get("/a").value == "2"
    place.clock.on(hours=1)
    assert code_of(store.get, "/a") == ("E624", "parameter /a expired 2026-06-11T12:00:00Z")
    assert names(store.by_path("/", recursive=True)) == names(store.describe()) == []
    place.clock.on(hours=1)
    assert names(store.by_path("/", recursive=True)) == names(store.describe()) == []
    assert store.delete_many(["/a"]) == ([], ["/a"])
    assert store.put("/a", "new", type="String").version == 1
    assert store.sweep() == (["/b"], 0)
    assert code_of(store.get, "/b")[0] == "E610"
    assert code_of(store.put, "/c", "1", type="String", policies=[EXPIRES]) == (
        "E617",
        "policy 1: Timestamp is in the past: expired 2026-06-11T12:00:00Z",
    )


def test_notices_of_policies(store, place):
    """Each is due once, at its moment; a write begins the time without change anew; an empty list takes policies away."""
    store.put("/a", "1", type="String", policies=[EXPIRES, BEFORE, NO_CHANGE])
    assert store.due() == []
    assert {one["status"] for one in store.policy_status("/a")} == {"Pending"}
    place.clock.on(hours=36)
    due = store.due()
    assert [(one.policy, one.due) for one in due] == [("NoChangeNotification", "2026-06-03T00:00:00Z")]
    store.sent(due)
    assert store.due() == []
    store.put("/a", "2", overwrite=True)
    place.clock.on(hours=36)
    assert [one.due for one in store.due()] == ["2026-06-04T12:00:00Z"]
    store.sent(store.due())
    place.clock.on(days=6)
    assert [one.policy for one in store.due()] == ["ExpirationNotification"]
    assert [one["status"] for one in store.policy_status("/a")] == ["Pending", "InProgress", "Finished"]
    store.put("/a", "3", overwrite=True, policies=[])
    assert store.due(place.clock.now + dt.timedelta(days=400)) == []
    place.clock.on(days=400)
    assert store.get("/a").value == "3"


def test_the_public_tree_is_read_only(store):
    """Facts that come with the package are found like others, and by no search of one's own tree."""
    found = store.by_path("/statectl/public/os/debian", recursive=True).parameters
    values = {one.name: one.value for one in found}
    assert values["/statectl/public/os/debian/12/codename"] == "bookworm"
    assert store.get("/statectl/public/os/debian/12/codename").version >= 1
    assert names(store.by_path("/", recursive=True)) == []
    for verb in (store.put, store.copy, store.move):
        assert code_of(verb, "/statectl/public/x", "/y")[0] in ("E622", "E610")
    assert code_of(store.put, "/statectl/public/x", "y", type="String")[0] == "E622"
    assert code_of(store.delete_tree, "/statectl/public")[0] == "E622"
    assert code_of(store.get, "/statectl/public/nothing")[0] == "E610"


def test_the_chain_of_the_audit_holds(store, place):
    """Every write has its row, in the chain that a changed row breaks."""
    from statectl.store.store import Store

    store.put("/a", "1", type="String", why="because")
    store.delete("/a")
    assert [(who, action) for who, action, _ in place.audit()] == [
        ("ana", "parameter.put"),
        ("ana", "parameter.delete"),
    ]
    assert Store(place.opened[-1]).verify_audit() is None
