"""Hosts with the same changes are shown once; a host that differs is named; nothing is lost in folding."""

from hypothesis import given, settings
from hypothesis import strategies as st

from statectl.plans.fold import fold, natural, neutraliser
from statectl.plans.plan import Change, HostPlan, Verdict, checksum, summarise


def verdict(address="file:/etc/a", association="web", line="x", **more):
    return Verdict(
        address=address,
        association=association,
        verdict=more.pop("verdict", "change"),
        action=more.pop("action", "change"),
        changes=[Change(field="content", diff=[f"+{line}"])],
        **more,
    )


def planned(*verdicts, **more):
    return HostPlan(outcome="planned", verdicts=list(verdicts), **more)


def test_a_host_s_own_name_does_not_keep_it_apart():
    """A file that holds the host's name is the same change on every host."""
    hosts = {name: planned(verdict(line=f"server {name} at {name}.example.org")) for name in ("web1", "web2", "web10")}
    blocks = fold(hosts, {name: {name: "{{ host.name }}"} for name in hosts})
    assert [block.hosts for block in blocks] == [["web1", "web2", "web10"]]
    assert blocks[0].changes[0].changes[0].diff == ["+server {{ host.name }} at {{ host.name }}.example.org"]


def test_a_name_inside_a_longer_word_is_left_alone():
    """web1 is not replaced inside web10 or myweb1."""
    neutral = neutraliser({"web1": "{{ host.name }}"})
    assert (
        neutral("web1 web10 myweb1 web1-old web1.example")
        == "{{ host.name }} web10 myweb1 web1-old {{ host.name }}.example"
    )


def test_one_of_a_thousand_is_its_own_block_and_marked():
    """The one host that differs from its peers is named, behind the block of all the others."""
    hosts = {f"web{n:04}": planned(verdict()) for n in range(1000)}
    hosts["web0500"] = planned(verdict(line="by hand"))
    blocks = fold(hosts, {})
    assert [(len(block.hosts), block.outlier) for block in blocks] == [(999, False), (1, True)]
    assert blocks[1].hosts == ["web0500"]


@settings(max_examples=100, deadline=None)
@given(
    st.dictionaries(
        st.sampled_from([f"h{n}" for n in range(12)]), st.lists(st.sampled_from("abcd"), unique=True), max_size=12
    )
)
def test_folding_loses_and_invents_nothing(chosen):
    """Every (host, address) with a verdict is in exactly one block, and no other is."""
    hosts = {
        name: planned(*[verdict(f"file:/{letter}", letter if letter < "c" else "web") for letter in letters])
        for name, letters in chosen.items()
    }
    shown = [(host, change.address) for block in fold(hosts, {}) for host in block.hosts for change in block.changes]
    expected = [(name, f"file:/{letter}") for name, letters in chosen.items() for letter in letters]
    assert sorted(shown) == sorted(expected)


def test_counts_are_of_what_apply_would_do():
    """Audited, kept and refused resources are not counted as changes; who differs or was not read is never right."""
    summary = summarise(
        {
            "a": planned(verdict(action="add", notify=["reload service:n"]), verdict("file:/b", action="remove")),
            "b": planned(verdict("file:/c", verdict="orphan", action="none")),
            "c": planned(verdict("file:/d", audited=True)),
            "d": planned(verdict("file:/e", verdict="refused", action="none")),
            "e": HostPlan(outcome="unreachable", reason="no answer"),
            "f": HostPlan(outcome="failed", reason="bad"),
            "g": HostPlan(outcome="refused", reason="another run holds the lock"),
        }
    )
    assert (summary.add, summary.change, summary.remove, summary.notify) == (1, 0, 1, 1)
    assert (summary.orphans, summary.refused) == (1, 1)
    assert (summary.hosts_changed, summary.hosts_right, summary.hosts_audited) == (1, 1, 1)
    assert (summary.hosts_unreachable, summary.hosts_refused, summary.hosts_failed) == (1, 1, 1)


def test_numbers_in_names_sort_as_numbers():
    """web2 comes before web10."""
    assert sorted(["web10", "web2", "db1"], key=natural) == ["db1", "web2", "web10"]


def test_one_changed_byte_changes_the_checksum():
    """An edited plan file is noticed; its own checksum does not count."""
    document = {"id": "A", "hosts": {"a": {"ok": 1}}, "checksum": "old"}
    assert checksum(document) == checksum({**document, "checksum": "new"})
    assert checksum(document) != checksum({**document, "hosts": {"a": {"ok": 2}}})
