"""Collected inventory in the store: nothing new costs nothing, what changed is kept with its time, and questions are answered from it."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from statectl.collected.changes import at_moment, compared, history, keyed, people_diff
from statectl.collected.questions import Questions
from statectl.collected.readings import Readings
from statectl.errors import Unreachable
from statectl.store.collected import Reading
from statectl.store.store import Store
from statectl.targets.collected import TYPES
from statectl.targets.selector import parse_selector

START = datetime(2026, 11, 1, tzinfo=UTC)


@pytest.fixture
def store(store_url, tmp_path):
    store = Store.open(store_url, tmp_path)
    yield store
    store.close()


def at(**after):
    return (START + timedelta(**after)).strftime("%Y-%m-%dT%H:%M:%SZ")


def message(name, rows, digest="a"):
    """As a host tells it; missing attributes are null."""
    columns = (
        [one.name for one in TYPES[name].attributes] if name in TYPES else sorted({key for row in rows for key in row})
    )
    cells = [[row.get(column) for column in columns] for row in rows]
    return {
        "type": "collected",
        "name": name,
        "state": "content",
        "hash": digest * 64,
        "columns": columns,
        "rows": cells,
    }


def readings(*messages, known=()):
    found = Readings(dict(known))
    for one in messages:
        found.add(one)
    return found.all()


def packages(*versions, kind="deb", installed="2026-10-01T00:00:00Z"):
    """(name, version) pairs as a message."""
    return message(
        "Application",
        [
            {
                "Name": name,
                "Version": version,
                "Architecture": "amd64",
                "ApplicationType": kind,
                "InstalledTime": installed,
            }
            for name, version in versions
        ],
        digest=format(hash(versions) % 16, "x"),
    )


def keep(store, host, moment, *messages, whole=False):
    return store.collected.keep(host, moment, readings(*messages), whole=whole)


def holding(store, text):
    selector, problems = parse_selector(text)
    assert not problems, problems
    return Questions(store.collected).holding(selector.root)


def fitting(store, type_name, where, *hosts):
    root = parse_selector(where, type_name)[0].root
    return [(one.host, one.name) for one in Questions(store.collected).fitting(type_name, root, hosts)]


def test_what_did_not_change_is_not_kept_again(store):
    """The same content told again, and `same`, leave one snapshot; its age is that of the last look."""
    assert keep(store, "a", at(), packages(("bash", "5.1"))) == 1
    assert keep(store, "a", at(hours=1), packages(("bash", "5.1"))) == 0
    known = store.collected.hashes("a")
    same = {"name": "Application", "state": "same", "hash": known["Application"]}
    assert store.collected.keep("a", at(hours=2), readings(same, known=known.items()), whole=False) == 0
    assert [one.at for one in store.collected.snapshots("a")] == [at()]
    (standing,) = store.collected.standings(host="a")
    assert (standing.since, standing.checked, standing.state) == (at(), at(hours=2), "content")


def test_a_day_without_change_adds_less_than_a_kilobyte_for_a_host(tmp_path):
    """48 refreshes of ten hosts of 1,500 packages: the file grows by less than 1 KB a host, journal and all."""
    url = "sqlite:state.db"
    store = Store.open(url, tmp_path)
    hosts = [f"web{number:02}" for number in range(10)]
    many = packages(*((f"package-{number}", f"1.{number}") for number in range(1500)))
    users = message("User", [{"Name": "root", "Uid": 0}])
    usage = lambda hour: message("Usage", [{"Path": "/", "SizeMB": 1000, "AvailableMB": 500 + hour, "UsedPercent": 50}])  # noqa: E731
    facts = {"os": {"id": "debian"}, "kernel": {"release": "6.1"}}
    for host in hosts:
        keep(store, host, at(), many, users, usage(0))
        store.saw(host, "id", facts)
    store.close()
    before = size(tmp_path)
    store = Store.open(url, tmp_path)
    for half_hour in range(1, 49):
        for host in hosts:
            known = store.collected.hashes(host)
            told = [
                {"name": name, "state": "same", "hash": digest} for name, digest in known.items() if name != "Usage"
            ]
            found = readings(*told, usage(half_hour), known=known.items())
            assert len(found) == 3
            assert store.collected.keep(host, at(minutes=30 * half_hour), found, whole=True) == 0
            store.saw(host, "id", facts)
    store.close()
    assert size(tmp_path) - before < 1024 * len(hosts)


def size(directory):
    return sum(path.stat().st_size for path in directory.iterdir() if path.name.startswith("state.db"))


def test_entries_that_many_hosts_have_are_kept_once(store):
    """A hundred hosts with the same package: one entry; each has its own time of installation."""
    for number in range(100):
        keep(store, f"h{number}", at(), packages(("bash", "5.1"), installed=f"2026-10-01T00:00:{number % 60:02}Z"))
    (entry,) = store.collected.entries_of("Application", "bash")
    assert json.loads(entry.text) == {
        "Name": "bash",
        "Version": "5.1",
        "Architecture": "amd64",
        "ApplicationType": "deb",
    }
    assert holding(store, "package.bash.installed_time > 2026-10-01T00:00:58Z").yes == {"h59"}
    held = {
        one.host: one.entry["InstalledTime"]
        for one in Questions(store.collected).fitting("Application", None, ["h7", "h8"])
    }
    assert held == {"h7": "2026-10-01T00:00:07Z", "h8": "2026-10-01T00:00:08Z"}


def test_who_has_a_package_below_a_version(store):
    """Each host by the rules of its own package manager; whoever was never collected is known as such."""
    keep(store, "deb1", at(), packages(("openssl", "3.0.11-1~deb12u2"), ("bash", "9")))
    keep(store, "deb2", at(), packages(("openssl", "3.0.14-1")))
    keep(store, "rpm1", at(), packages(("openssl", "1:3.0.7-27.el9"), kind="rpm"))
    keep(store, "none", at(), packages(("bash", "1")))
    keep(store, "other", at(), message("User", []))
    held = holding(store, "package.openssl < 3.0.14-1")
    assert held.yes == {"deb1"}
    assert held.known == {"deb1", "deb2", "rpm1", "none"}
    assert holding(store, "package.openssl < 1:3.0.8-1").yes == {"deb1", "deb2", "rpm1"}
    assert holding(store, "package.open* = 3.0.*").yes == {"deb1", "deb2"}
    assert fitting(store, "Application", "name=openssl and not version<3.0.14-1", "deb1", "deb2", "rpm1") == [
        ("deb2", "openssl"), ("rpm1", "openssl"),
    ]  # fmt: skip
    assert holding(store, "package.bash=*").yes == {"deb1", "none"}
    keep(store, "deb1", at(hours=1), packages(("odd", "1.0.a-1")))
    keep(store, "rpm1", at(hours=1), packages(("odd", "1.0.a-1"), kind="rpm"))
    assert holding(store, "package.odd <= 1.0a-1").yes == {"rpm1"}


def test_types_of_which_only_the_latest_is_kept(store):
    """Their entries are those of the last look; they have no history and take no more room."""
    keep(store, "a", at(), message("Usage", [{"Path": "/", "UsedPercent": 95}, {"Path": "/srv", "UsedPercent": 10}]))
    assert holding(store, "usage.used_percent > 90").yes == {"a"}
    keep(store, "a", at(hours=1), message("Usage", [{"Path": "/", "UsedPercent": 15}]))
    assert holding(store, "usage.used_percent > 90")[:3] == (set(), {"a"}, 1)
    assert holding(store, 'usage."/" < 20').yes == {"a"}
    assert store.collected.snapshots("a") == []
    assert store.collected.hashes("a") == {}


def test_what_failed_keeps_what_was_known(store):
    """A type that could not be read this time has its old content and its old age; one that is not there has none."""
    keep(store, "a", at(), packages(("bash", "5.1")))
    store.collected.keep(
        "a", at(hours=1), [Reading("Application", "timed out", reason="no answer in 30 s")], whole=True
    )
    (standing,) = store.collected.standings(host="a")
    assert (standing.state, standing.checked, standing.tried) == ("timed out", at(), at(hours=1))
    assert holding(store, "package.bash=5.1").yes == {"a"}
    store.collected.keep("a", at(hours=2), [Reading("Application", "absent")], whole=True)
    assert holding(store, "package.bash=5.1")[:3] == (set(), {"a"}, 1)


def test_inventory_of_over_a_day_ago_is_told_as_old(store):
    """By when the host was really read, not by when something changed; who was read since is not old."""
    for host in ("old", "read-again"):
        keep(store, host, at(), packages(("bash", "5.1")))
    keep(store, "read-again", at(hours=30), packages(("bash", "5.1")))
    root = parse_selector("package.bash=5.1")[0].root
    ask = lambda hours: Questions(store.collected, lambda: START + timedelta(hours=hours)).holding(root).old  # noqa: E731
    assert ask(23) == {}
    assert ask(31) == {"old": at()}
    assert ask(80) == {"old": at(), "read-again": at(hours=30)}


def test_a_custom_type_that_is_told_no_more_is_gone(store):
    """Only when all types were asked for: then it is empty from then on, and it was there before."""
    rack = message("Custom:Rack", [{"Name": "r4", "Unit": 12}])
    keep(store, "a", at(), rack, whole=True)
    assert holding(store, "custom.Rack.unit >= 12").yes == {"a"}
    assert holding(store, "custom.Rack.r4.unit > 12").yes == set()
    keep(store, "a", at(hours=1), packages(("bash", "1")))
    assert holding(store, "custom.Rack.r4.Unit = 12").yes == {"a"}
    keep(store, "a", at(hours=2), packages(("bash", "1")), whole=True)
    assert holding(store, "custom.Rack.unit = 12").yes == set()
    assert len(at_moment(store.collected, "a", at(hours=1))["Custom:Rack"].ids) == 1


def test_history_and_difference(store):
    """What came, went and changed, with its time; at a moment it is as it was then."""
    keep(store, "a", at(), packages(("bash", "5.1"), ("curl", "7"), ("dash", "1")))
    keep(store, "a", at(days=1), packages(("bash", "5.2"), ("curl", "7"), ("zsh", "5")))
    newest, first = history(store.collected, "a")
    assert (first.first, first.count) == (True, 3)
    assert (list(newest.added), list(newest.removed)) == (["zsh"], ["dash"])
    assert newest.changed == {"bash": {"Version": ("5.1", "5.2")}}
    assert history(store.collected, "a", since=at(hours=1)) == [newest]
    assert history(store.collected, "a", since=at(days=2)) == []
    ((kind, before, after),) = compared(store.collected, "a", at(hours=1), at(days=2))
    assert kind == "Application"
    assert [line[:3] for line in people_diff(before, after)] == [
        ("change", "bash", "Version"), ("remove", "dash", ""), ("add", "zsh", ""),
    ]  # fmt: skip
    assert list(compared(store.collected, "a", at(days=1), at(days=2))) == []
    assert list(compared(store.collected, "a", at(days=-1), at(days=2))) == []
    then = keyed(store.collected, at_moment(store.collected, "a", at(hours=5))["Application"])
    assert sorted(then) == ["bash", "curl", "dash"]


def test_two_architectures_of_one_package_are_two_entries(store):
    """Neither hides the other, and each is named so that it is the same one at another time."""
    both = packages(("libc6", "2.36"))
    both["rows"].append([("i386" if value == "amd64" else value) for value in both["rows"][0]])
    keep(store, "a", at(), both)
    (snapshot,) = store.collected.in_force("Application")
    assert sorted(keyed(store.collected, snapshot)) == ["libc6:amd64", "libc6:i386"]


def test_what_is_older_than_its_time_is_forgotten(store):
    """Superseded snapshots, hosts that were not read since, and entries that nobody has any more; what is in force stays."""
    keep(store, "a", at(), packages(("bash", "1")))
    keep(store, "a", at(days=10), packages(("bash", "2")))
    keep(store, "a", at(days=20), packages(("bash", "3")))
    keep(store, "gone", at(), packages(("bash", "4")))
    assert store.collected.oldest() == at()
    assert store.collected.prune(at(days=15)) == 2
    assert [one.at for one in store.collected.snapshots("a")] == [at(days=10), at(days=20)]
    assert [
        one.text for one in store.collected.entries_of("Application", "bash") if '"1"' in one.text or '"4"' in one.text
    ] == []
    assert holding(store, "package.bash=3").yes == {"a"}
    assert store.collected.standings(host="gone") == []


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ([{"name": "Passwords", "state": "content"}], "a type that is not known"),
        ([packages(("a", "1")), packages(("a", "1"))], "a type came twice"),
        ([{"name": "Application", "state": "same", "hash": "0" * 64}], "nothing changed of what it never told"),
        ([{"name": "Application", "state": "same"}], "nothing changed of what it never told"),
        ([{"name": "Application", "state": "content"}], "content without columns"),
        (
            [{"name": "Custom", "state": "content", "hash": "0" * 64, "columns": [], "rows": []}],
            "content without columns",
        ),
        ([{**packages(), "columns": ["Name"]}], "other attributes than Application has"),
        ([{**packages(), "rows": [["a"]]}], "more or fewer values than columns"),
        ([{"name": f"Custom:T{n}", "state": "absent"} for n in range(60)], "too many custom types"),
        ([{**message("Custom:A", [{"x": "y" * 4000}] * 10_000)}], "characters"),
    ],
)
def test_a_host_that_tells_what_cannot_be_is_let_go(said, why):
    """Nothing of what it told before is kept either: the conversation ends with a code."""
    with pytest.raises(Unreachable, match=why) as raised:
        readings(*said, known=[("Application", "1" * 64)])
    assert raised.value.code == "E321"
