"""`requires` of other hosts on paper: who may have to come first, and what is refused before anything is contacted."""

import pytest

from statectl.project.schema import states_schema
from statectl.sections import table
from tests.unit.compiling import FACTS, Compiled, shown

HOSTS = """\
hosts:
  pg1: {groups: [pg], tags: {role: primary}}
  "pg[2-3]": {groups: [pg]}
  mon1: {}
"""


def states(**associations: str) -> dict[str, str]:
    """One file; each association in flow form, on one line: line 2 is the first."""
    lines = [f"  {name}: {{{body}, files: {{/{name}: {{content: a}}}}}}\n" for name, body in associations.items()]
    return {"states/a.yml": "associations:\n" + "".join(lines)}


REPLICA = "targets: group:pg and not role=primary, requires: [{association: primary, on: role=primary}]"
PRIMARY = "targets: role=primary"


def needed(compiled: Compiled, host: str) -> dict[str, list[tuple[str, tuple[str, ...]]]]:
    found = compiled.host(host)
    assert not found.problems, [shown(one) for one in found.problems]
    return {name: [(one.association, one.hosts) for one in some] for name, some in found.requires.items()}


def test_who_comes_first(tmp_path):
    """A replica waits for the primary's host, and the primary for nobody; the same in `requires` of one host stays as it was."""
    with Compiled(tmp_path, states(replica=REPLICA, primary=PRIMARY), hosts=HOSTS) as compiled:
        assert compiled.fleet()[1] == ()
        assert needed(compiled, "pg2") == {"replica": [("primary", ("pg1",))]}
        assert needed(compiled, "pg1") == {}
        assert [one["requires"] for one in compiled.host("pg2").catalogue["associations"]] == [[]]


def test_an_association_may_require_itself_on_other_hosts(tmp_path):
    """The primary is no reason for itself to wait; the others wait for it."""
    body = "targets: group:pg, requires: [{association: postgresql, on: role=primary}]"
    with Compiled(tmp_path, states(postgresql=body), hosts=HOSTS) as compiled:
        assert compiled.fleet()[1] == ()
        assert needed(compiled, "pg3") == {"postgresql": [("postgresql", ("pg1",))]}
        assert needed(compiled, "pg1") == {}


def test_a_host_of_on_that_is_the_host_itself(tmp_path):
    """There the association comes first as with `requires` of the same host, whatever order the files have."""
    both = states(agent="targets: all, requires: [{association: server, on: mon1}]", server="targets: mon1")
    with Compiled(tmp_path, both, hosts=HOSTS) as compiled:
        assert compiled.fleet()[1] == ()
        found = compiled.host("mon1")
        assert [(one["name"], one["requires"]) for one in found.catalogue["associations"]] == [
            ("server", []),
            ("agent", ["server"]),
        ]
        assert needed(compiled, "mon1") == {}
        assert needed(compiled, "pg1") == {"agent": [("server", ("mon1",))]}


def test_what_only_facts_decide_is_left_open(tmp_path):
    """A host that was never contacted may have what is required; with its facts it is known whether it is meant."""
    both = states(
        web="targets: pg1, requires: [{association: db, on: facts.os.id=debian}]", db="targets: facts.os.family=debian"
    )
    with Compiled(tmp_path, both, hosts=HOSTS) as compiled:
        assert compiled.fleet()[1] == ()
        assert needed(compiled, "pg1") == {"web": [("db", ("pg2", "pg3", "mon1"))]}
        assert compiled.compiler.selects("facts.os.id=debian", "pg2", FACTS)
        assert not compiled.compiler.selects("facts.os.id=debian", "pg2", {"os": {"id": "rhel", "family": "redhat"}})


@pytest.mark.parametrize(
    ("associations", "code", "place", "words"),
    [
        ({"replica": REPLICA.replace("role=primary}", "mon1}"), "primary": PRIMARY}, "E134", "2:91", "on mon1, and none of these hosts has it|primary is on pg1"),
        ({"replica": REPLICA.replace("role=primary}", "role=x}"), "primary": PRIMARY}, "E134", "2:91", "role=x"),
        ({"replica": REPLICA.replace("role=primary}", "mon1 and pg1}"), "primary": PRIMARY}, "E134", "2:91", "no host is selected|primary is on pg1"),
        ({"replica": REPLICA.replace("role=primary}", "group:pg}"), "primary": PRIMARY}, "W121", "2:91", "pg2, pg3 do not have it"),
        ({"web": "targets: group:pg, requires: [base]", "base": "targets: mon1"}, "W121", "2:39", "web requires base, which is not on the same host"),
        (
            {"replica": REPLICA, "primary": PRIMARY + ", requires: [{association: replica, on: pg3}]"}, "E131", "2:64",
            "primary on pg1 -> replica on pg3 -> primary on pg1|[primary on pg1 -> replica on pg3 states/a.yml:3:47]|[replica on pg3 -> primary on pg1 states/a.yml:2:64]",
        ),
        (
            {"pg": "targets: group:pg, requires: [{association: pg, on: group:pg}]"}, "E131", "2:38", "pg on pg1 -> pg on pg2 -> pg on pg1",
        ),
        (
            {"a": "targets: mon1, requires: [b]", "b": "targets: mon1, requires: [{association: c, on: pg1}]", "c": "targets: pg1, requires: [{association: a, on: mon1}]"},
            "E131", "2:33", "b on mon1 -> c on pg1 -> a on mon1 -> b on mon1",
        ),
    ],
)  # fmt: skip
def test_what_is_said_before_anything_is_contacted(tmp_path, associations, code, place, words):
    """Nobody has it, some have it not, or hosts would wait for each other: the place, the ring, and what to do."""
    with Compiled(tmp_path, states(**associations), hosts=HOSTS) as compiled:
        _, problems = compiled.fleet()
    said = [shown(one) for one in problems]
    assert len(problems) == 1, said
    assert said[0].startswith(f"states/a.yml:{place}: {code}: "), said
    for word in words.split("|"):
        assert word in said[0], said


def test_hosts_that_wait_for_each_other_by_different_associations(tmp_path):
    """No ring: the database of the host that has the agent comes first, then the server, then the agent."""
    three = states(
        agent="targets: all, requires: [{association: server, on: mon1}]",
        server="targets: mon1, requires: [{association: database, on: pg1}]",
        database="targets: pg1",
    )
    with Compiled(tmp_path, three, hosts=HOSTS) as compiled:
        assert compiled.fleet()[1] == ()


def test_editors_know_it(tmp_path):
    """The schema takes both forms, and no other."""
    import jsonschema

    def document(requires: list[object]) -> dict[str, object]:
        return {"associations": {"web": {"targets": "all", "requires": requires}}}

    validator = jsonschema.Draft202012Validator(states_schema(table()))
    assert validator.is_valid(document(["base", {"association": "db", "on": "group:db"}]))
    assert not validator.is_valid(document([{"association": "db"}]))
    assert not validator.is_valid(document([{"association": "db", "on": "x", "om": "y"}]))
