"""statectl group: who is in a group and why, and groups wherever a command takes a target."""

import pytest

from tests.cli.local_project import LocalProject

STATES = """\
resource_groups:
  prod: env=prod
  prod-one: {query: "group:prod and not two", description: The first}
  debian: facts.os.id=*
  by-app: {association: app}
  patched: patch=now
associations:
  app:
    targets: group:prod-one
    files:
      "{{ machine }}/x": {content: "{{ hosts('group:prod') | map(attribute='name') | join(',') }}"}
"""


@pytest.fixture
def fleet(project: LocalProject) -> LocalProject:
    project.states(STATES)
    lines = "".join(
        f"  {name}: {{connection: local, groups: [ours], tags: {{env: prod}}, vars: {{machine: {project.machine}/{name}}}}}\n"
        for name in ("one", "two")
    )
    for name in ("one", "two"):
        (project.machine / name).mkdir(parents=True, exist_ok=True)
    other = "  other: {connection: local, tags: {env: dev}}\ngroups: {ours: {}}\n"
    project.write("inventories/local/hosts.yml", f"hosts:\n{lines}{other}")
    return project


def show(project: LocalProject, name: str) -> dict:
    said = project.statectl("group", "show", name, "--json", expect=0)
    return said.json["groups"][name]


def test_members_and_why(fleet):
    """Each member with the parts of the query that hold for it, and where the query stands; of the inventory's groups how one is in it."""
    said = fleet.statectl("group", "show", "prod-one", expect=0).out.splitlines()
    assert said == [
        "prod-one  resource group  # The first",
        "  query  group:prod and not two",
        "  place  states/only.yml:3:3",
        "  one  group:prod, not two",
    ]
    assert show(fleet, "ours")["why"] == {"one": ["named in it"], "two": ["named in it"]}
    assert show(fleet, "debian")["unknown"] == ["one", "two", "other"]
    one = fleet.statectl("inventory", "show", "one", "--json", expect=0).json["hosts"]["one"]
    assert (one["resource_groups"], one["resource_groups_unknown"]) == (["prod", "prod-one"], ["debian"])
    assert not (fleet.root / ".statectl" / "state.db").exists()
    assert fleet.statectl("group", "list", "-o", "name", expect=0).out.split() == [
        "all", "by-app", "debian", "ours", "patched", "prod", "prod-one", "ungrouped",
    ]  # fmt: skip
    listed = fleet.statectl("group", "list", expect=0).out
    assert "debian     0 hosts, 3 not known  facts.os.id=*\n" in listed
    assert "ours       2 hosts    (inventory)\n" in listed
    near = fleet.statectl("group", "show", "pord", expect=64)
    assert "did you mean `prod`?" in near.err


def test_groups_in_targets(fleet):
    """An association, hosts() and -t take a resource group; what was applied is a group of its own afterwards."""
    assert show(fleet, "by-app")["hosts"] == []
    fleet.statectl("apply", "--yes", expect=0)
    assert (fleet.machine / "one" / "x").read_text() == "one,two"
    assert not (fleet.machine / "two" / "x").exists()
    assert show(fleet, "by-app")["why"] == {"one": ["association app manages it"]}
    assert show(fleet, "debian")["hosts"] == ["one"]
    fleet.statectl("inventory", "tag", "other", "patch=now", expect=0)
    assert show(fleet, "patched")["why"] == {"other": ["patch=now"]}
    assert fleet.statectl("inventory", "query", "group:by-app", "-o", "name", expect=0).out == "one\n"
    assert fleet.statectl("inventory", "list", "-t", "prod:!group:by-app", "-o", "name", expect=0).out == "two\n"
    assert 'unknown group "pord"' in fleet.statectl("plan", "-t", "group:pord", expect=4).err


def test_a_broken_group_stops_who_asks_for_groups(fleet):
    """A command that names a group reads the groups whatever else it reads; one that names none does not."""
    fleet.write("states/bad.yml", "resource_groups:\n  ours: env=prod\n")
    assert "error[E128]" in fleet.statectl("inventory", "list", "-t", "group:ours", expect=4).err
    assert "error[E128]" in fleet.statectl("group", "list", expect=4).err
    fleet.statectl("inventory", "list", "-t", "one", expect=0)
