"""Order of things that come before others. Knows nothing of what they are."""

import heapq
from collections.abc import Callable, Hashable, Iterable, Mapping
from typing import Any, TypeVar

Node = TypeVar("Node", bound=Hashable)


class Ring(Exception):
    """There is no order. `nodes`: the ring, each coming after the next, the last after the first."""

    def __init__(self, nodes: list[Any]) -> None:
        super().__init__(" -> ".join(map(str, nodes)))
        self.nodes = nodes


def order(before: Mapping[Node, Iterable[Node]], key: Callable[[Node], Any]) -> list[Node]:
    """All nodes, each after those that `before` names for it; where that leaves a choice, the smallest key first.

    Raises Ring. Every name in `before` must be a node, that is, a key of it.
    """
    waiting = {node: set(others) for node, others in before.items()}
    following: dict[Node, list[Node]] = {node: [] for node in before}
    for node, others in waiting.items():
        for other in others:
            following[other].append(node)
    ready = [(key(node), index, node) for index, (node, others) in enumerate(waiting.items()) if not others]
    heapq.heapify(ready)
    places = {node: index for index, node in enumerate(before)}
    result: list[Node] = []
    while ready:
        _, _, node = heapq.heappop(ready)
        result.append(node)
        for next_one in following[node]:
            left = waiting[next_one]
            left.discard(node)
            if not left:
                heapq.heappush(ready, (key(next_one), places[next_one], next_one))
    if len(result) < len(waiting):
        done = set(result)
        raise Ring(
            _ring({node: [o for o in others if o not in done] for node, others in before.items() if node not in done})
        )
    return result


def _ring(before: Mapping[Node, Iterable[Node]]) -> list[Node]:
    """One ring of a graph in which every node has something before it: walk back until a node comes twice."""
    node = next(iter(before))
    seen: dict[Node, int] = {}
    walk: list[Node] = []
    while node not in seen:
        seen[node] = len(walk)
        walk.append(node)
        node = next(iter(before[node]))
    return walk[seen[node] :]


def reachable(start: Node, before: Mapping[Node, Iterable[Node]]) -> set[Node]:
    """Everything that must come before `start`, directly or not."""
    found: set[Node] = set()
    todo = [start]
    while todo:
        for other in before.get(todo.pop(), ()):
            if other not in found:
                found.add(other)
                todo.append(other)
    return found
