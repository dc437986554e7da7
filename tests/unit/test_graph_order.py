"""Order of things that come before others."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from statectl.catalogue.graph import Ring, order, reachable


def test_where_nothing_is_said_the_key_decides():
    """Without edges the order is that of the keys; what a node needs is fetched before it, and nothing else moves."""
    assert order({"c": [], "a": [], "b": []}, lambda node: node) == ["a", "b", "c"]
    assert order({"a": [], "b": ["d"], "c": [], "d": []}, lambda node: node) == ["a", "d", "b", "c"]


@given(st.integers(0, 60), st.randoms(use_true_random=False))
def test_every_node_comes_after_those_before_it(count: int, chance: random.Random):
    """Whatever the edges, as long as there is an order it is one, complete and the same each time."""
    before = {node: [other for other in range(node) if chance.random() < 0.1] for node in range(count)}
    shuffled = {node: before[node] for node in chance.sample(sorted(before), count)}
    result = order(shuffled, lambda node: -node)
    assert sorted(result) == list(range(count))
    places = {node: index for index, node in enumerate(result)}
    assert all(places[other] < places[node] for node, others in before.items() for other in others)
    assert result == order(before, lambda node: -node)


@given(st.integers(1, 8), st.integers(0, 8))
def test_a_ring_is_drawn_without_what_hangs_on_it(length: int, tail: int):
    """The ring holds the nodes of the ring and no others, each coming after the next."""
    before = {node: [(node + 1) % length] for node in range(length)}
    before |= {100 + node: [0 if node == 0 else 99 + node] for node in range(tail)}
    with pytest.raises(Ring) as found:
        order(before, lambda node: node)
    ring = found.value.nodes
    assert sorted(ring) == list(range(length))
    assert all(ring[(index + 1) % length] in before[node] for index, node in enumerate(ring))


def test_reachable_goes_all_the_way():
    """Everything that must come first, directly or not."""
    assert reachable("a", {"a": ["b"], "b": ["c"], "c": [], "d": ["a"]}) == {"b", "c"}


def test_fifty_thousand_nodes_are_no_problem():
    """The largest host that is allowed is put in order in seconds, a long chain included."""
    chain = {node: [node - 1] if node else [] for node in range(50_000)}
    assert order(chain, lambda node: -node) == list(range(50_000))
