"""Ranges expand to the names they say, never to more than the limit, and compressing loses nothing."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from statectl.targets.ranges import RangeError, compress, compressed, expand, expand_ansible, natural_key


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("web01", "web01"),
        ("web[1-3]", "web1 web2 web3"),
        ("web[08-11]", "web08 web09 web10 web11"),
        ("web[01-02,07].example.org", "web01.example.org web02.example.org web07.example.org"),
        ("r[1-2]-n[a-b]", "r1-na r1-nb r2-na r2-nb"),
        ("web[5]", "web5"),
    ],
)
def test_a_range_expands_in_order(pattern, names):
    assert expand(pattern) == names.split()


@pytest.mark.parametrize(
    ("pattern", "names"), [("a[01:05:2]", "a01 a03 a05"), ("a[:2]", "a0 a1 a2"), ("a[x:z]b", "axb ayb azb")]
)
def test_ansibles_ranges_expand_as_there(pattern, names):
    assert expand_ansible(pattern) == names.split()


@pytest.mark.parametrize(
    ("pattern", "summary", "column"),
    [
        ("web[01-1e9]", "range makes 1,000,000,000 hosts (max 100,000)", 3),
        ("web[1-9999][1-9999]", "range makes 99,980,001 hosts (max 100,000)", 11),
        ("web[1-999999999999999999]", "range makes 999,999,999,999,999,999 hosts (max 100,000)", 3),
        ("web[1-99999999999999999999]", "a range holds numbers or single letters, such as [01-36] or [a-c]", 4),
        ("web[01-1e2]", "the ends of a range are plain numbers", 4),
        ("web[1-", 'pattern "[1-" is not closed', 3),
        ("web1]", "a range is closed here that was not opened", 4),
        ("web[1-]", "a range needs an end", 4),
        ("web[09-100]", "the ends of a range with leading zeros have the same length", 4),
        ("web[z-a]", "a range begins with its smaller end", 4),
        ("web[1,x9]", "a range holds numbers or single letters, such as [01-36] or [a-c]", 6),
    ],
)
def test_a_range_that_cannot_be_is_refused_before_it_is_made(pattern, summary, column):
    with pytest.raises(RangeError) as error:
        expand(pattern)
    assert (str(error.value), error.value.column) == (summary, column)


@pytest.mark.parametrize("pattern", ["a[1:2:0]", "a[1]", "a[1:2:3:4]", "a[1:]", "a[1-2]"])
def test_ansibles_broken_ranges_are_refused(pattern):
    with pytest.raises(RangeError):
        expand_ansible(pattern)


@pytest.mark.parametrize(
    ("names", "text"),
    [
        ([], ""),
        (["web01"], "web01"),
        ([f"web{i:02}" for i in range(1, 37)], "web[01-36]"),
        ([f"web{i:02}" for i in (1, 2, 3, 7)], "web[01-03,07]"),
        ([f"web{i}" for i in range(8, 12)], "web[8-11]"),
        (["web01.dc1", "web02.dc1", "web01.dc2", "web02.dc2"], "web[01-02].dc1, web[01-02].dc2"),
        (["db2", "db1", "web10", "web9", "lb"], "db[1-2], lb, web[9-10]"),
        (["web0112", "web0233", "web0410"], "web[0112,0233,0410]"),
    ],
)
def test_names_compress_in_natural_order(names, text):
    assert compress(reversed(names)) == text


@given(st.sets(st.from_regex(r"[ab]{0,2}[0-9]{0,4}(?:\.c[0-9]{1,2})?", fullmatch=True), max_size=40))
def test_compressing_loses_no_name_and_adds_none(names):
    names = {name for name in names if name}
    assert {name for entry in compressed(names) for name in expand(entry)} == names


def test_natural_order_counts():
    assert sorted(["w10", "w9", "w09", "w", "v2"], key=natural_key) == ["v2", "w", "w09", "w9", "w10"]
