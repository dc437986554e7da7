"""Filters of our own: what they give, and that the reference page lists each of them."""

import json
import re
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from statectl.catalogue.child import filters
from tests.unit.test_render_child import failure, render, renderer  # noqa: F401 the fixture

PAGE = Path(__file__).parents[2] / "docs/reference/values.md"


def test_the_reference_page_lists_every_filter():
    """No filter without documentation, and none in it that is not there."""
    rows = re.findall(r"^\| (`.*?) \|", PAGE.read_text().split("## Filters and tests")[1], re.MULTILINE)
    named = {name for row in rows for name in re.findall(r"`([a-z0-9_]+)[`(]", row)}
    assert named == set(filters.FILTERS)
    assert all(f"`{name}" in PAGE.read_text() for name in (*filters.TESTS, *filters.REMOVED_FILTERS))


DATA = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**9), 10**9) | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=10,
)


@settings(max_examples=200)
@given(DATA)
def test_yaml_reads_as_what_was_written(value):
    """Whatever the data, another reader gets it back from to_yaml, and from to_json."""
    assert yaml.safe_load(filters.to_yaml(value)) == value
    assert json.loads(filters.to_json(value)) == value


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("{{ {'b': 1, 'a': [1, {'c': 'no'}], 'e': {}} | to_yaml }}x", 'a:\n  - 1\n  - c: "no"\nb: 1\ne: {}\nx'),
        ("{{ {'b': 1, 'a': v} | to_json }}", '{"a": 1.1, "b": 1}'),
        ("{{ 'ä' | b64encode }}", "w6Q="),
        ("{{ 'w6Q=' | b64decode }}", "ä"),
        ("{{ 'x' | hash('md5') }}", "9dd4e461268c8034f5c8564e155c67a6"),
        ("{{ 'a1b22' | regex_replace('[0-9]+', '#') }}", "a#b#"),
        ("{{ 'key=value' | regex_replace('(.*)=(.*)', '\\\\2') }}", "value"),
        ("{{ 'a1b22' | regex_search('[0-9]{2}') }}", "22"),
        ("{{ 'a1b22' | regex_findall('[0-9]+') }}", ["1", "22"]),
        ("{{ 'On' | bool }}", True),
        ("{{ {'a': {'x': 1}} | combine({'a': {'y': 2}}, recursive=true) }}", {"a": {"x": 1, "y": 2}}),
        ("{{ [1, [2, [3]]] | flatten }}", [1, 2, 3]),
        ("{{ [1, [2, [3]]] | flatten(1) }}", [1, 2, [3]]),
        ("{{ [1, 2] | union([2, 3]) }}", [1, 2, 3]),
        ("{{ [1, 2] | difference([2]) }}", [1]),
        ("{{ [1, 2] | intersect([2]) }}", [2]),
        ("{{ {'a': 1} | dict2items | items2dict }}", {"a": 1}),
        ("{{ true | ternary('y', 'n') }}", "y"),
        ("{{ 'a b' | quote }}", "'a b'"),
        ("{{ '/a/b' | basename ~ '/a/b' | dirname }}", "b/a"),
        ("{{ 'a,b' | split(',') }}", ["a", "b"]),
        ("{{ 'web01' is match('web[0-9]') }}", True),
        ("{{ '{\"a\": [1]}' | from_json }}", {"a": [1]}),
    ],
)
def test_filters_give_what_they_say(renderer, source, expected):  # noqa: F811
    """Each filter on a small case."""
    from statectl.project.scalars import WrittenFloat

    assert render(renderer, source, {"v": WrittenFloat(1.1, "1.10")}) == expected


@pytest.mark.parametrize(
    "source",
    [
        "{{ 'maybe' | bool }}",
        "{{ 'x' | hash('crc') }}",
        "{{ 'x!' | b64decode }}",
        "{{ 'a' | regex_replace('(', '') }}",
        "{{ nope | mandatory }}",
    ],
)
def test_filters_refuse_what_they_cannot_do(renderer, source):  # noqa: F811
    """An error instead of a guess."""
    assert failure(render(renderer, source))["code"] in ("E209", "E201")
