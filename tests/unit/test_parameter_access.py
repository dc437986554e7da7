"""Who may do what in the parameter store: checked there, the same answer for missing and forbidden, every verb under a rule."""

import inspect

import pytest

from statectl.errors import Refused
from statectl.parameters.access import ACTIONS, Access, Rights, groups_of, this_user
from statectl.parameters.store import ParameterStore
from statectl.secrets import Secret
from tests.unit.parameter_stores import Place, Rule


@pytest.fixture
def place(tmp_path):
    made = Place(tmp_path)
    owner = made.store("root")
    owner.put("/web/a", "1", type="String")
    owner.put("/web/key", Secret("hush"), type="SecureString")
    owner.put("/db/a", "2", type="String")
    owner.put("/db/key", Secret("hush hush"), type="SecureString")
    owner.label("/db/a", 1, ["prod"])
    owner.put("/gone/a", "1", type="String")
    owner.delete("/gone/a")
    yield made
    made.close()


def answer(function, *arguments, **named) -> str:
    with pytest.raises(Refused) as caught:
        function(*arguments, **named)
    return f"{caught.value.code} {caught.value.message} {caught.value.hint}"


def everything(paths: str, *actions: str) -> list[Rule]:
    return [Rule(["ana"], list(actions or ACTIONS), [paths])]


@pytest.mark.parametrize(
    ("pattern", "name", "fits"),
    [
        ("/web/**", "/web/a", True),
        ("/web/**", "/web/a/b", True),
        ("/web/**", "/web", False),
        ("/web/**", "/webs/a", False),
        ("/web/*", "/web/a", True),
        ("/web/*", "/web/a/b", False),
        ("/*/key", "/web/key", True),
        ("/web/k*", "/web/key", True),
        ("/web.a", "/web-a", False),
        ("/web", "/web", True),
        ("web", "/web", True),
        ("/web", "web", True),
        ("/**", "x", True),
    ],
)
def test_patterns(pattern, name, fits):
    """`*` is within a segment, `**` anything; everything else is itself."""
    assert Rights({"read": [pattern]}).may("read", name) is fits


def test_default_deny_once_there_is_a_policy(place):
    """Without a policy everybody may everything; with an empty one nobody may anything."""
    assert place.store("ana").get("/web/a").value == "1"
    store = place.store("ana", rules=[])
    assert "E610" in answer(store.get, "/web/a")
    assert store.describe().parameters == []
    assert "E611" in answer(store.put, "/new", "x", type="String")


def test_users_and_groups(place):
    """A rule names users, groups of the system, or everybody."""
    rules = [Rule(["group:ops"], ["read"], ["/web/**"]), Rule(["*"], ["read"], ["/db/a"])]
    assert place.store("olaf", rules=rules).get("/web/a").value == "1"
    assert "E610" in answer(place.store("ana", rules=rules).get, "/web/a")
    assert place.store("ana", rules=rules).get("/db/a").value == "2"
    assert isinstance(groups_of(this_user()), set)


def test_missing_and_forbidden_are_the_same_words(place):
    """Nobody learns from an answer whether a name that he may not see is there."""
    store = place.store("ana", rules=everything("/web/**"))
    verbs = [
        store.get,
        lambda name: store.get(f"{name}:1"),
        lambda name: store.get(f"{name}:prod"),
        lambda name: store.get(f"{name}:7"),
        store.history,
        lambda name: store.label(name, 1, ["x"]),
        lambda name: store.label(name, 99, ["x"]),
        lambda name: store.unlabel(name, 1, ["prod"]),
        lambda name: store.tag(name, {"a": "b"}),
        store.delete,
        lambda name: store.copy(name, "/web/copy"),
        lambda name: store.move(name, "/web/moved"),
        lambda name: store.put_back(name, 1),
        store.restore,
        lambda name: store.diff(name, "/web/a"),
        lambda name: store.put(name, "x", type="String"),
        lambda name: store.put(name, "x", overwrite=True),
        lambda name: store.put(name, "x", expected_version=7),
        lambda name: store.copy("/web/a", name),
        lambda name: store.move("/web/a", name),
    ]
    for verb in verbs:
        there, missing = answer(verb, "/db/a"), answer(verb, "/db/no")
        assert there.replace("/db/a", "NAME") == missing.replace("/db/no", "NAME")
    assert store.get_many(["/db/a", "/db/no"]) == ([], ["/db/a", "/db/no"])
    assert store.delete_many(["/db/a", "/db/no"]) == ([], ["/db/a", "/db/no"])
    for path in ("/db", "/nothing"):
        assert store.by_path(path, recursive=True).parameters == []
        assert "E610" in answer(store.delete_tree, path)
        assert "E610" in answer(store.copy, path, "/web/x", recursive=True)
        assert "E610" in answer(store.move, path, "/web/x", recursive=True)
    assert store.type_of("/db/a") == ""
    assert store.policy_status("/db/a") == []
    assert {one.name for one in store.watch("/", 0).changes} == {"/web/a", "/web/key"}
    owner = place.store("root")
    assert owner.get("/db/a").version == 1
    assert owner.history("/db/a")[0].labels == ("prod",)


def test_each_action_is_its_own(place):
    """To list is not to read, to read is not to decrypt, to write is not to delete."""
    lists = place.store("ana", rules=everything("/**", "list"))
    assert [one.name for one in lists.describe().parameters] == ["/db/a", "/db/key", "/web/a", "/web/key"]
    assert "E610" in answer(lists.get, "/web/a")
    assert lists.by_path("/", recursive=True).parameters == []
    reads = place.store("ana", rules=everything("/**", "read"))
    assert reads.get("/web/key").value is None
    assert answer(reads.get, "/web/key", decrypt=True) == answer(reads.get, "/no/key", decrypt=True).replace(
        "/no", "/web"
    )
    assert [one.name for one in reads.by_path("/", recursive=True, decrypt=True).parameters] == ["/db/a", "/web/a"]
    assert reads.get_many(["/web/key", "/web/a"], decrypt=True)[1] == ["/web/key"]
    assert "E610" in answer(reads.history, "/web/key", decrypt=True)
    writes = place.store("ana", rules=everything("/**", "write"))
    assert writes.put("/web/a", "2", overwrite=True).version == 2
    assert "E610" in answer(writes.get, "/web/a")
    assert "E610" in answer(writes.delete, "/web/a")
    assert "E611" in answer(writes.rotate)
    opened = [action for _, action, _ in place.audit() if action == "parameter.decrypt"]
    assert opened == []


def test_no_way_round_the_right_to_decrypt(place):
    """A secret cannot be moved or copied to where it may be read, and no comparison tells its value."""
    rules = [*everything("/web/**", "list", "read", "write", "delete"), *everything("/mine/**")]
    store = place.store("ana", rules=rules)
    assert "E610" in answer(store.copy, "/web/key", "/mine/key")
    assert "E610" in answer(store.move, "/web/key", "/mine/key")
    assert "E610" in answer(store.move, "/web", "/mine", recursive=True)
    assert "E611" in answer(store.copy, "/web", "/mine", recursive=True)
    assert store.put("/web/key", Secret("hush"), overwrite=True).changed is True
    assert store.put("/web/key", Secret("other"), overwrite=True).changed is True
    assert [one.differs for one in store.diff("/web/key:1", "/web/key:2")] == [None]
    assert "E610" in answer(store.diff, "/web/key:1", "/web/key:2", decrypt=True)
    assert place.store("root").describe("/mine").parameters == []


def test_a_tree_is_deleted_as_far_as_one_may(place):
    """What may not be deleted stays, and is not told of."""
    rules = [*everything("/web/a", "delete"), *everything("/db/**")]
    store = place.store("ana", rules=rules)
    assert store.delete_tree("/") == ["/db/a", "/db/key", "/web/a"]
    assert place.store("root").get("/web/key").version == 1


def test_every_verb_is_looked_at_here():
    """A verb that is added to the store is added to these tests, unless it is for the system itself or another name of one."""
    public = {name for name, _ in inspect.getmembers(ParameterStore) if not name.startswith("_")}
    source = inspect.getsource(inspect.getmodule(test_every_verb_is_looked_at_here))
    others = {"due", "sent", "sweep", "bounds", "put_many", "decrypt_version"}
    assert {name for name in public if f"store.{name}" not in source and f"writes.{name}" not in source} <= others


def test_no_policy_is_not_an_empty_one():
    """No policy is no rule for nobody: Access() and Access([]) differ."""
    assert Access().of("ana").everywhere("delete")
    assert not Access([]).of("ana").may("list", "/a")
