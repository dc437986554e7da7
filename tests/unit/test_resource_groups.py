"""Resource groups: named questions about the hosts, in one namespace with the groups of the inventory, computed when they are asked."""

import pytest

from statectl.cli.offline import found_in, yaml_tools
from statectl.sections import load, load_resource_groups
from statectl.store.records import HostRecord, Status
from statectl.store.store import Store
from statectl.targets.group_checks import with_groups
from statectl.targets.groups import ResourceGroup, Stack
from statectl.targets.inventory import load_inventory
from statectl.targets.matching import Holding, select, uses_facts
from statectl.targets.selector import parse_selector
from tests.bad_input.loading import lines, write

INVENTORY = """\
hosts:
  "web[1-3]": {groups: [web], tags: {env: prod}}
  db1: {groups: [db], tags: {env: prod}}
  db2: {groups: [db], tags: {env: dev}}
groups:
  web: {}
  db: {}
"""
STATES = """\
resource_groups:
  prod: env=prod
  prod-web: group:prod and group:web
  not-prod:
    description: All the rest
    query: not group:prod
  debian: facts.os.id=debian
  old-ssl: package.openssl < 3.0
  by-web: {association: web}
associations:
  web: {targets: "group:prod-web"}
"""
FACTS = {"web1": {"os": {"id": "debian"}}, "web2": {"os": {"id": "alma"}}}


@pytest.fixture
def project(tmp_path):
    """`project({"states/b.yml": ...})` -> the project with these files too."""

    def loaded(files=None):
        return load(write(tmp_path, {"inventories/prod": INVENTORY, "states/a.yml": STATES, **(files or {})}), env={})

    return loaded


def fleet(project, managed=lambda stack: None):
    found, problems = load_inventory(project.root / "inventories/prod", root=project.root, yaml=yaml_tools())
    assert not problems
    beside, problems = with_groups(found, project.resource_groups, managed)
    return beside, [f"{one.code} {one.span} {one.summary}" for one in problems]


def hosts(inventory, text, **known):
    chosen = select(
        text, inventory, known.get("facts", FACTS.get), known.get("collected", lambda _: None), allow_empty=True
    )
    assert not chosen.problems, chosen.problems
    return chosen.hosts, chosen.unknown, chosen.uncollected


def test_groups_answer_wherever_a_target_does(project):
    """A resource group is asked like a group of the inventory: by name, by pattern, in Ansible's form, inside another one."""
    inventory, problems = fleet(project())
    assert problems == []
    webs = ("web1", "web2", "web3")
    for text in ("group:prod-web", "prod-web:&web", "group:prod-*", "web:&prod", "group:prod and not db1"):
        assert hosts(inventory, text)[0] == webs, text
    assert hosts(inventory, "group:prod")[0] == (*webs, "db1")
    assert hosts(inventory, "group:not-prod")[0] == ("db2",)


def test_what_is_not_known_stays_unknown(project):
    """A group by facts or by collected inventory leaves open, or out, the hosts of which that is not known, in its negation too."""
    inventory, _ = fleet(project())
    assert hosts(inventory, "group:debian") == (("web1",), ("web3", "db1", "db2"), ())
    assert hosts(inventory, "not group:debian") == (("web2",), ("web3", "db1", "db2"), ())
    held = Holding(frozenset({"db1"}), frozenset({"db1", "db2"}))
    never = ("web1", "web2", "web3")
    assert hosts(inventory, "group:old-ssl", collected=lambda _: held) == (("db1",), (), never)
    assert hosts(inventory, "not group:old-ssl", collected=lambda _: held) == (("db2",), (), never)
    for text, by_facts in (("group:debian", True), ("not group:deb*", True), ("group:prod-web", False)):
        assert uses_facts(parse_selector(text)[0], inventory) is by_facts, text


def test_stacks_are_asked_when_read(project):
    """A group by what manages it holds the hosts that the records name, of those that are there; without records nobody knows."""
    asked = []

    def managed(stack):
        asked.append(stack)
        return {"web2", "gone"}

    inventory, _ = fleet(project(), managed)
    assert asked == []
    assert hosts(inventory, "group:by-web")[0] == ("web2",)
    assert asked == [Stack("association", "web")]
    offline, _ = fleet(project())
    assert hosts(offline, "group:by-web") == ((), tuple(offline.hosts), ())


WRONG = [
    ("x: env=", "E151", "states/b.yml:2:6", "expected a value after ="),
    ("x: group:nope", "E153", "states/b.yml:2:12", 'unknown group "nope"'),
    ("x: web9", "E153", "states/b.yml:2:6", 'unknown host "web9"'),
    ("web: env=prod", "E128", "states/b.yml:2:3", "`web` is a resource group and a group of the inventory"),
    ("prod: env=dev", "E102", "states/b.yml:2:3", "resource group `prod` is defined twice"),
    ("x: group:y\n  y: not group:x", "E131", "states/b.yml:3:6", "resource groups are made of each other: x -> y -> x"),
    ("x: group:x", "E131", "states/b.yml:2:6", "resource groups are made of each other: x -> x"),
    ("X: all", "E116", "states/b.yml:2:3", "name of a resource group not valid"),
    ("all: env=prod", "E116", "states/b.yml:2:3", "`all` is reserved: every inventory has that group"),
    ("x: [env=prod]", "E108", "states/b.yml:2:6", "`x`: expected a target expression such as env=prod, or a map"),
    ('x: "{{ y }}"', "E108", "states/b.yml:2:6", "`x`: a template is not possible here"),
    ("x: {}", "E109", "states/b.yml:2:3", "resource group `x` needs a `query`"),
    ("x: {query: all, commit: 1234567}", "E110", "states/b.yml:2:3", "resource group `x` has query and commit"),
    ("x: {commit: main}", "E108", "states/b.yml:2:15", "`commit`: expected the hash of a commit"),
    ("x: {querry: all}", "E101", "states/b.yml:2:7", "unknown key `querry` in a resource group"),
    ("x: {association: wbe}", "W159", "states/b.yml:2:20", "no association `wbe` in these files"),
    ("x: {project: dem}", "W159", "states/b.yml:2:16", "`dem` is another project"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "code", "place", "summary"), WRONG, ids=[row[0] for row in WRONG])
def test_mistakes_have_their_place(project, text, code, place, summary):
    """`validate` finds every mistake in a resource group, once, with file, line and column; also who reads no states does."""
    loaded = project({"states/b.yml": f"resource_groups:\n  {text}\n"})
    problems, _ = found_in(loaded, None)
    found = [one for one in problems if one.code != "W120"]
    assert [(one.code, str(one.span)) for one in found] == [(code, place)], lines(loaded)
    assert found[0].summary.startswith(summary)
    if code[0] == "E":
        named, alone = load_resource_groups(loaded.root, loaded.settings)
        inventory, _ = load_inventory(loaded.root / "inventories/prod", root=loaded.root, yaml=yaml_tools())
        told = [(one.code, str(one.span)) for one in (*alone, *with_groups(inventory, named)[1])]
        assert (code, place) in told


def test_both_places_of_a_name_are_told(project):
    """One name for a resource group and a group of the inventory: the message says where each stands."""
    found, _ = found_in(project({"states/b.yml": "resource_groups:\n  web: env=prod\n"}), None)
    clash = next(one for one in found if one.code == "E128")
    assert [str(note.span) for note in clash.notes] == ["inventories/prod:6:3"]
    assert "inventories/prod:6:3" in clash.label


def test_the_nearest_name_is_of_either_kind(project):
    """A misspelt group is answered with the nearest of the inventory's and of the resource groups."""
    inventory, _ = fleet(project())
    for text, near in (("group:pord-web", "prod-web"), ("group:wbe", "web")):
        assert select(text, inventory).problems[0].label == f"did you mean `{near}`?"
    assert select("prod-web", inventory).problems[0].label == "`prod-web` is a group: write `group:prod-web`"


@pytest.fixture
def store(store_url, tmp_path):
    store = Store.open(store_url, tmp_path)
    yield store
    store.close()


def applied(store, number, host, *associations, commit="", project="shop", scope=(), outcome="ok", verb="apply"):
    run = f"r{number}"
    store.begin_run(verb, {"associations": list(scope)}, run_id=run, commit=commit, project=project)
    statuses = [Status("file:/x", name, "compliant") for name in associations]
    store.record_host(run, HostRecord(host, outcome, statuses=statuses, scope=list(scope) or None))


def test_what_is_managed_is_on_record(store):
    """An association has the hosts that it was applied to and still is on, a project its own, a commit those that nothing else came to since."""
    old, new = "3f2c1aa" + "0" * 33, "99aabbc" + "0" * 33
    applied(store, 1, "web1", "web", "base", commit=old)
    applied(store, 2, "web2", "web", commit=old)
    applied(store, 3, "db1", "db", commit=old, project="other")
    applied(store, 4, "web2", "web", commit=new)
    applied(store, 5, "web1", "base", commit=new, scope=["base"])  # web is of the old commit still
    applied(store, 6, "new1", "web", verb="drift")  # looked at is not applied
    applied(store, 7, "away", "web", commit=old, outcome="unreachable")
    applied(store, 8, "early", "web", project="")

    def hosts(*stack):
        return sorted(store.managed.hosts(*stack, asking="shop"))

    assert hosts("association", "web") == ["early", "web1", "web2"]
    assert hosts("association", "nothing") == []
    assert hosts("project", "shop") == ["early", "web1", "web2"]
    assert hosts("project", "other") == ["db1"]
    assert hosts("commit", "3f2c1aa") == ["db1", "web1"]
    assert hosts("commit", new) == ["web1", "web2"]
    applied(store, 9, "web2", commit=new)  # nothing declares anything for it any more
    assert hosts("association", "web") == ["early", "web1"]


def test_a_definition_in_words():
    """A query is shown as written, a stack by its kind and name."""
    assert ResourceGroup("a", "env=prod").definition == "env=prod"
    assert ResourceGroup("a", "", Stack("commit", "3f2c1aa")).definition == "commit 3f2c1aa"
