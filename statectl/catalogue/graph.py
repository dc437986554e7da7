"""Order of things that come before others. Knows nothing of what they are."""

from collections.abc import Callable, Hashable, Iterable, Mapping
from typing import Any, TypeVar

Node = TypeVar("Node", bound=Hashable)


class Ring(Exception):
    """There is no order. `nodes`: the ring, each coming after the next, the last after the first."""

    def __init__(self, nodes: list[Any]) -> None:
        super().__init__(" -> ".join(map(str, nodes)))
        self.nodes = nodes


def order(before: Mapping[Node, Iterable[Node]], key: Callable[[Node], Any]) -> list[Node]:
    """All nodes by their keys, each preceded by those that `before` names for it: what is needed is fetched when it is needed.

    So a node is never later than its key says, and what it needs may be earlier. Raises Ring. Every name in `before` must be a
    node, that is, a key of it.
    """
    result: list[Node] = []
    done: set[Node] = set()
    entered: dict[Node, None] = {}  # on the way from a node down to what it needs, in order
    for start in sorted(before, key=key):
        if start in done:
            continue
        todo = [(start, iter(sorted(before[start], key=key)))]
        entered[start] = None
        while todo:
            node, needed = todo[-1]
            for other in needed:
                if other in entered:
                    way = list(entered)
                    raise Ring(way[way.index(other) :])
                if other not in done:
                    entered[other] = None
                    todo.append((other, iter(sorted(before[other], key=key))))
                    break
            else:
                todo.pop()
                del entered[node]
                done.add(node)
                result.append(node)
    return result


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
