"""Targets compare facts and collected inventory by order, each kind as it should be, and a mistake is told where it stands."""

from datetime import UTC, datetime

import pytest

from statectl.problems import Span
from statectl.targets.collected import TYPES, names_of, read_name
from statectl.targets.comparisons import NotComparable, comparison, moment
from statectl.targets.hosts import Connection, Group, Host, Inventory
from statectl.targets.matching import Holding, select
from statectl.targets.selector import HasCollected, parse_selector


def host(name, **tags):
    return Host(name, name, (), tags, Connection(), {})


def inventory(*hosts):
    return Inventory({one.name: one for one in hosts}, {"all": Group("all", (), (), {})})


INVENTORY = inventory(*(host(f"web0{n}") for n in range(1, 5)))
FACTS = {
    "web01": {"memory": {"total_mb": 4096}, "os": {"version": "12.10"}, "up": True, "load": None},
    "web02": {"memory": {"total_mb": 900}, "os": {"version": "12.9"}, "up": False},
    "web03": {"memory": {"total_mb": "many"}, "os": {"version": "9"}},
}


def chosen(text, facts=FACTS, **options):
    selection = select(text, INVENTORY, facts.get, allow_empty=True, **options)
    assert not [one for one in selection.problems if not one.is_warning], selection.problems
    return " ".join(selection.hosts)


@pytest.mark.parametrize(
    ("text", "hosts"),
    [
        ("facts.memory.total_mb >= 4096", "web01"),
        ("facts.memory.total_mb>=4096", "web01"),
        ("facts.memory.total_mb >=4096", "web01"),
        ("facts.memory.total_mb< 4096 and web0*", "web02"),
        ("facts.memory.total_mb > 899.5 and not facts.memory.total_mb > 4000", "web02"),
        ("facts.os.version > 12.9", "web01"),
        ("facts.os.version < 12.9", "web03"),
        ("facts.os.version <= 12.9 or facts.memory.total_mb = 4096", "web01 web02 web03"),
        ("facts.up > 0", ""),
        ("facts.load < 1", ""),
        ("(facts.memory.total_mb > 1),web03", "web01 web02 web03"),
    ],
)
def test_facts_are_compared_by_amount_and_texts_as_versions(text, hosts):
    """12.10 is after 12.9, 900 before 4096; what is neither number nor text, and what is not there, fits nothing."""
    assert chosen(text) == hosts


@pytest.mark.parametrize(
    ("text", "summary", "column", "label"),
    [
        ("env < 3", "a tag has no order", 1, "compare it with ="),
        ("web01 and certificate.not_after < soon", "`soon` is not a time", 35, ""),
        ("certificate.not_after < 2026-02-30", "`2026-02-30` is not a time", 25, ""),
        ("facts.cpu.count <", "expected a value after <", 1, ""),
        ("facts.cpu.count < and web01", "expected a value after <", 1, ""),
        ("user.joe.uid > x", "`x` is not a number", 16, ""),
        ("kernel.rebot = true", "kernel has no attribute `rebot`", 1, ""),
        ("package.bash.summary < x", "a text has no order", 24, ""),
        ("kernel.reboot_required > true", "true or false has no order", 26, ""),
        ("custom.rack.unit = 4", "a type of your own is written", 1, ""),
        ("custom.Rack = 4", "a type of your own is written", 1, ""),
        ("facts.a =< 3", "`=<` is no comparison", 1, "write `facts.a<=3`"),
        ("facts..a < 3", "a fact is written", 1, ""),
        ("< 3", "expected the name", 1, ""),
        ("package.x != 3", "a value is compared with =", 1, "write `not package.x=3`"),
        ('package.x < "1', "quote not closed", 13, "it opens here"),
        ("facts.a < 1 2", "expected `and`, `or` or `,` here", 13, ""),
    ],
)
def test_a_mistake_names_its_column(text, summary, column, label):
    """What is wrong with a comparison stands at the part that is wrong."""
    selection = select(text, INVENTORY, FACTS.get, lambda _: Holding(set(), set()))
    problem = selection.problems[0]
    assert (problem.code, problem.column) == ("E151", column), problem
    assert problem.summary.startswith(summary)
    assert problem.label == label


def test_a_mistake_in_a_file_has_its_span():
    """In a state file the caret stands under the value."""
    text = "web01 and certificate.not_after < soon"
    (problem,) = parse_selector(text)[1]
    span = problem.at(Span("states/a.yml", 4, 14, 4, 14 + len(text)), text).span
    assert (span.line, span.column, span.end_column) == (4, 48, 52)


@pytest.mark.parametrize(
    ("name", "asked"),
    [
        ("package.openssl", ("Application", "openssl", "Version")),
        ("application.openssl", ("Application", "openssl", "Version")),
        ("package.python3.11", ("Application", "python3.11", "Version")),
        ("package.python3.11.architecture", ("Application", "python3.11", "Architecture")),
        ("package.installed_time", ("Application", "", "InstalledTime")),
        ('package."version"', ("Application", "version", "Version")),
        ("service.nginx.state", ("Service", "nginx", "Status")),
        ("service.nginx", ("Service", "nginx", "Status")),
        ('file."/etc/motd".size', ("File", "/etc/motd", "Size")),
        ("listener.port", ("Listener", "", "Port")),
        ("hardware.cpus", ("InstanceDetailedInformation", "", "CPUs")),
        ("custom.Rack.unit", ("Custom:Rack", "", "unit")),
        ("custom.Rack.r4.unit", ("Custom:Rack", "r4", "unit")),
    ],
)
def test_names_of_collected_inventory(name, asked):
    """TYPE.ENTRY, TYPE.ENTRY.ATTRIBUTE and TYPE.ATTRIBUTE; dots belong to entries."""
    assert tuple(read_name(name))[:3] == asked


def test_every_attribute_is_reached_by_the_name_that_explain_shows():
    """No attribute is named in a way that its own name does not find."""
    for kind in TYPES.values():
        for word, attribute in names_of(kind):
            found = read_name(f"{kind.words[0]}.{word}")
            assert (found.attribute, found.kind) == (attribute.name, attribute.kind)
        assert kind.attribute(kind.main) is not None
        assert all(kind.attribute(name) for name in kind.key)


def test_what_was_never_collected_selects_nothing_and_is_told():
    """Neither a comparison nor its opposite holds for such a host, and acting on it is not left to chance."""
    held = Holding({"web01"}, {"web01", "web02"})
    for text, hosts in (("package.bash < 5", ("web01",)), ("not package.bash < 5", ("web02",))):
        selection = select(text, INVENTORY, FACTS.get, lambda _: held)
        assert (selection.hosts, selection.unknown) == (hosts, ())
        assert selection.uncollected == ("web03", "web04")
    selection = select("package.bash < 5 or web03", INVENTORY, FACTS.get, lambda _: held)
    assert (selection.hosts, selection.uncollected) == (("web01", "web03"), ("web04",))
    (problem,) = select("package.bash < 5", INVENTORY, FACTS.get, lambda _: Holding(set(), set())).problems
    assert problem.code == "E152"
    assert "statectl inventory refresh" in problem.hint


def test_without_a_store_what_was_collected_is_unknown():
    """Files are checked offline: nothing is said about hosts that nobody asked."""
    selection = select("package.bash < 5", INVENTORY, FACTS.get, allow_empty=True)
    assert (selection.hosts, selection.unknown) == ((), ("web01", "web02", "web03", "web04"))
    assert selection.problems == ()


def test_a_tag_of_such_a_name_is_no_silent_other_meaning():
    """A project that has a tag named package.bash is told that it means something else here."""
    tagged = inventory(host("web01", **{"package.bash": "5"}))
    (problem, *_) = select("package.bash=5", tagged, FACTS.get, lambda _: Holding(set(), {"web01"})).problems
    assert (problem.code, "is a tag of web01" in problem.summary) == ("E151", True)


def test_what_no_host_has_is_a_warning():
    """A name that stands nowhere in the inventory is most often a slip."""
    selection = select("package.bsah<5", INVENTORY, FACTS.get, lambda _: Holding(set(), {"web01"}, 0), allow_empty=True)
    assert [one.code for one in selection.problems] == ["W152"]


def test_expressions_over_attributes():
    """Within a type names are its attributes, and nothing else is there."""
    selector, _ = parse_selector("name=openssl and version < 3.0", "Application")
    assert [(node.type, node.attribute) for node in selector.collected] == [
        ("Application", "Name"), ("Application", "Version"),
    ]  # fmt: skip
    for text, summary in (
        ("openssl", "expected a comparison"),
        ("colour=red", "Application has no attribute `colour`"),
    ):
        (problem,) = parse_selector(text, "Application")[1]
        assert problem.summary == summary
    assert isinstance(parse_selector("anything < 3", "Custom:Rack")[0].root, HasCollected)


NOW = datetime(2026, 11, 23, 18, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("now", "2026-11-23T18:00:00Z"),
        ("now+30d", "2026-12-23T18:00:00Z"),
        ("now-12h", "2026-11-23T06:00:00Z"),
        ("2026-12-24", "2026-12-24T00:00:00Z"),
        ("2026-12-24T18:00:00+02:00", "2026-12-24T16:00:00Z"),
    ],
)
def test_times(text, at):
    """Moments are in UTC, and now is the clock of the one who asks."""
    assert moment(text, NOW) == at
    value = comparison("<", text, "time")
    assert value.holds("2020-01-01T00:00:00Z", now=NOW)
    assert not value.holds("9999-01-01T00:00:00Z", now=NOW)
    assert not value.holds(None, now=NOW)


@pytest.mark.parametrize(
    "text", ["now+1y", "now + 1d", "tomorrow", "2026-13-01", "now-999999w", "2026-12-24 18:00", ""]
)
def test_what_is_no_time(text):
    """A time that is none is refused before anything is asked."""
    with pytest.raises(NotComparable):
        comparison("<", text, "time")


def test_versions_are_compared_as_their_package_manager_does():
    """The same two texts stand in another order for dpkg and rpm."""
    value = comparison("<", "1.0a-1", "version")
    assert not value.holds("1.0.a-1", "rpm") or not value.holds("1.0.a-1", "deb")
    assert comparison("<", "3.0.14-1", "version").holds("3.0.11-1~deb12u2", "deb")
    assert comparison("<", "2:1.0-1", "version").holds("1:9.0-1", "rpm")


def test_a_version_without_a_release_means_all_releases_of_it():
    """On rpm only; dpkg knows versions without a revision, which come before those that have one."""
    for operator, right in (("<=", True), (">=", True), ("<", False), (">", False)):
        assert comparison(operator, "1.22", "version").holds("1.22-9.el9", "rpm") is right
    assert comparison(">", "1.22", "version").holds("1.22-9", "deb")
