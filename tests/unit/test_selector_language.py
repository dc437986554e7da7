"""Targets select exactly the hosts they say, and every mistake in one names its column and the nearest name."""

import pytest

from statectl.problems import Span
from statectl.targets.hosts import Connection, Group, Host, Inventory
from statectl.targets.matching import evaluate, select
from statectl.targets.selector import parse_selector


def host(name, groups=(), **tags):
    return Host(name, name, tuple(sorted(groups)), tags, Connection(), {})


HOSTS = [
    host("web01", ["web", "prod"], env="prod", rack="a 1"),
    host("web02", ["web", "prod"], env="prod"),
    host("web03", ["web", "stage"], env="stage"),
    host("web10", ["web"], env="dev"),
    host("db1", ["db", "prod"], env="prod", role="primary"),
    host("db2", ["db", "stage"], env="stage", role="replica"),
    host("2001:db8::7", ["edge"]),
]
GROUPS = {
    name: Group(name, (), (), {}) for name in ("all", "ungrouped", "web", "prod", "stage", "db", "edge", "db-archive")
}
INVENTORY = Inventory({h.name: h for h in HOSTS}, GROUPS)
FACTS = {
    "web01": {"os": {"id": "debian", "version": "12"}, "cpus": 4, "virtual": True},
    "web02": {"os": {"id": "ubuntu", "version": "24.04"}, "cpus": 8, "virtual": False},
    "db1": {"os": {"id": "debian", "version": "11"}, "cpus": 4, "addresses": ["10.0.0.1", "10.0.0.2"]},
}


def chosen(text):
    selection = select(text, INVENTORY, FACTS.get, allow_empty=True)
    assert not selection.problems, selection.problems
    return " ".join(selection.hosts)


@pytest.mark.parametrize(
    ("text", "hosts"),
    [
        ("all", "web01 web02 web03 web10 db1 db2 2001:db8::7"),
        ("web01", "web01"),
        ("web*", "web01 web02 web03 web10"),
        ("web0?", "web01 web02 web03"),
        ("web[01-03]", "web01 web02 web03"),
        ("web[01,03]", "web01 web03"),
        ("*[1-2]", "web01 web02 db1 db2"),
        ("2001:db8::7", "2001:db8::7"),
        ("group:web", "web01 web02 web03 web10"),
        ("group:all", "web01 web02 web03 web10 db1 db2 2001:db8::7"),
        ("group:*o*", "web01 web02 db1"),
        ("group:ungrouped", ""),
        ("env=prod", "web01 web02 db1"),
        ("env=*e*", "web03 web10 db2"),
        ('rack="a 1"', "web01"),
        ("rack='a 1'", "web01"),
        ("env=none", ""),
        ("nothing*", ""),
        ("db1,web01", "web01 db1"),
        ("db1 , web01", "web01 db1"),
        ("group:web and not env=dev", "web01 web02 web03"),
        ("not group:web and not group:db", "2001:db8::7"),
        ("not not db1", "db1"),
        ("web01 or group:db and env=stage", "web01 db2"),
        ("(web01 or group:db) and env=prod", "web01 db1"),
        ("web01, group:db and env=stage", "web01 db2"),
        ("group:edge or db1", "db1 2001:db8::7"),
        # Ansible's patterns
        ("web:db", "web01 web02 web03 web10 db1 db2"),
        ("web:&prod", "web01 web02"),
        ("web:&prod:!web02", "web01"),
        ("!web02:web:&prod", "web01"),
        ("web,&prod,!web02", "web01"),
        ("!web", "db1 db2 2001:db8::7"),
        ("!group:web", "db1 db2 2001:db8::7"),
        ("group:web:&group:prod", "web01 web02"),
        ("web:!web0*", "web10"),
        ("web:&prod or db2", "web01 web02 db2"),
        # facts
        ("facts.os.id=debian", "web01 db1"),
        ("facts.os.version=24.*", "web02"),
        ("facts.cpus=4", "web01 db1"),
        ("facts.virtual=true", "web01"),
        ("facts.addresses=10.0.0.2", "db1"),
        ("not facts.os.id=debian", "web02"),
    ],
)
def test_a_target_selects_its_hosts_in_inventory_order(text, hosts):
    assert chosen(text) == hosts


def test_a_host_without_stored_facts_is_neither_matched_nor_its_opposite_but_reported():
    for text in ("facts.os.id=debian", "not facts.os.id=debian"):
        selection = select(text, INVENTORY, FACTS.get)
        assert selection.unknown == ("web03", "web10", "db2", "2001:db8::7")


def test_facts_are_unknown_only_where_they_would_decide():
    selection = select("group:db and facts.os.id=debian", INVENTORY, FACTS.get)
    assert (selection.hosts, selection.unknown) == (("db1",), ("db2",))
    selection = select("group:db or facts.os.id=debian", INVENTORY, FACTS.get)
    assert (selection.hosts, selection.unknown) == (("web01", "db1", "db2"), ("web03", "web10", "2001:db8::7"))


@pytest.mark.parametrize(
    ("text", "code", "summary", "column", "label"),
    [
        ("web09", "E153", 'unknown host "web09"', 1, "did you mean `web10`?"),
        ("group:wbe", "E153", 'unknown group "wbe"', 7, "did you mean `web`?"),
        ("web01 or group:wbe", "E153", 'unknown group "wbe"', 16, "did you mean `web`?"),
        ("wbe", "E153", 'unknown host "wbe"', 1, "did you mean `"),
        ("web", "E153", 'unknown host "web"', 1, "`web` is a group: write `group:web`"),
        ("group:db1", "E153", 'unknown group "db1"', 7, ""),
        ("web:&prd", "E153", 'unknown host or group "prd"', 6, "did you mean `prod`?"),
        ("web:!web9", "E153", 'unknown host or group "web9"', 6, "did you mean"),
        ("web[01-05]", "E153", "unknown hosts web[04-05]", 1, ""),
        ("facts.oss.id=debian", "W152", "no stored facts have `oss.id`", 1, "did you mean `facts.os`?"),
    ],
)
def test_an_unknown_name_is_said_with_its_column_and_the_nearest_name(text, code, summary, column, label):
    selection = select(text, INVENTORY, FACTS.get, allow_empty=True)
    (problem,) = selection.problems
    assert (problem.code, problem.summary, problem.column) == (code, summary, column)
    assert label in problem.label


@pytest.mark.parametrize(
    ("text", "summary", "column"),
    [
        ("", "empty target", 1),
        ("  ", "empty target", 1),
        ("[a", 'pattern "[a" is not closed', 1),
        ("web[01-20", 'pattern "[01-20" is not closed', 4),
        ("web01 and web[1 or x]", 'pattern "[1" is not closed', 14),
        ("web]", "a range is closed here that was not opened", 4),
        ("web[x1-2]", "a range holds numbers or single letters, such as [01-36] or [a-c]", 5),
        ("web[2-1]", "a range begins with its smaller end", 5),
        ("web[1-999999999]", "range makes 999,999,999 hosts (max 100,000)", 4),
        ("web[01:20]", "a range is written with -, such as [01-36]", 5),
        ("~web(", "regular expressions are not read in targets", 1),
        ("~web[0-9", 'pattern "[0-9" is not closed', 5),
        ("web:~db.*", "`~` is not read here", 5),
        ("web[0:5]:&prod", "places in a group (`web[0:5]`) are not read: they change when a host comes or goes", 1),
        ("web01 web02", "expected `and`, `or` or `,` here", 7),
        ("(web01 web02)", "expected `and`, `or`, `,` or `)` here", 8),
        ("web01 and", "expected a target after `and`", 7),
        ("and web01", "expected a target, found `and`", 1),
        ("web01 or or web02", "expected a target, found `or`", 10),
        ("web01,", "expected a target after the comma", 6),
        ("(web01", "( is not closed", 1),
        ("web01)", "a ) without its (", 6),
        ("web01 AND web02", "expected `and`, `or` or `,` here", 7),
        ("NOT web01", "write `not` in lower case", 1),
        ("env!=prod", "a value is compared with =", 1),
        ("env==prod", "a value is compared with =", 1),
        ("=prod", "expected the name of a tag or fact before =", 1),
        ("env=", "expected a value after =", 1),
        ("env='prod", "quote not closed", 5),
        ("env='prod'x", "expected `and`, `or` or `,` after the quoted value", 11),
        ("facts.=x", "a fact is written facts.NAME.NAME=VALUE", 1),
        ("group:", "expected the name of a group after group:", 1),
        ("web::db", "expected a name between the colons", 5),
        ("(" * 200 + "all" + ")" * 200, "parentheses nested too deeply (max 100)", 101),
    ],
)
def test_a_broken_expression_is_explained_at_its_column(text, summary, column):
    selector, (problem,) = parse_selector(text)
    assert selector is None
    assert (problem.code, problem.summary, problem.column) == ("E151", summary, column)


def test_a_target_that_matches_nothing_is_refused_unless_allowed():
    (problem,) = select("env=nowhere", INVENTORY).problems
    assert (problem.code, problem.summary) == ("E152", 'target "env=nowhere" matches no host')
    assert select("env=nowhere", INVENTORY, allow_empty=True).problems == ()


def test_without_facts_an_empty_selection_says_that_facts_are_missing():
    (problem,) = select("facts.os.id=debian", INVENTORY).problems
    assert "no facts are stored yet of" in problem.hint


def test_a_column_inside_the_expression_becomes_a_place_in_the_file():
    (problem,) = evaluate(parse_selector("web01 or group:wbe")[0], INVENTORY).problems
    plain = problem.at(Span("a.yml", 3, 14, 3, 32), "web01 or group:wbe")
    assert (plain.span.column, plain.span.end_column) == (29, 32)
    quoted = problem.at(Span("a.yml", 3, 14, 3, 34), "web01 or group:wbe")
    assert (quoted.span.column, quoted.span.end_column) == (30, 33)
    folded = problem.at(Span("a.yml", 3, 14, 4, 9), "web01 or group:wbe")
    assert (folded.span.column, folded.label) == (14, "did you mean `web`?, at character 16 of the expression")


def test_names_are_compared_quickly_in_a_large_inventory():
    hosts = {f"node{i:06}": host(f"node{i:06}") for i in range(50_000)}
    large = Inventory(hosts, GROUPS)
    assert len(select("node*", large).hosts) == 50_000
    (problem,) = select("nodee000001", large).problems
    assert problem.label.startswith("did you mean `node")
