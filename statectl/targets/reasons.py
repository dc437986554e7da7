"""Why a target chooses a host: the parts of the expression that hold for it."""

from collections.abc import Iterator

from statectl.targets.hosts import Inventory
from statectl.targets.matching import CollectedOf, FactsOf, evaluate
from statectl.targets.selector import And, InGroup, Node, Not, Or, Selector


def reasons(
    selector: Selector, inventory: Inventory, facts: FactsOf, collected: CollectedOf
) -> dict[str, tuple[str, ...]]:
    """{host: the parts that hold, as written, one that is negated with `not`} of the hosts that are chosen."""
    chosen = evaluate(selector, inventory, facts, collected).hosts
    found: dict[str, dict[str, None]] = {host: {} for host in chosen}
    for node, negated in _leaves(selector.root, negated=False):
        answer = evaluate(Selector(selector.text, node), inventory, facts, collected)
        yes = set(answer.hosts)
        no = set(inventory.hosts) - yes - set(answer.unknown) - set(answer.uncollected)
        for host in chosen:
            if host in (no if negated else yes):
                found[host].setdefault(("not " if negated else "") + _written(selector.text, node))
    return {host: tuple(parts) for host, parts in found.items()}


def _leaves(node: Node, *, negated: bool) -> Iterator[tuple[Node, bool]]:
    if isinstance(node, Not):
        yield from _leaves(node.node, negated=not negated)
    elif isinstance(node, And | Or):
        for below in node.nodes:
            yield from _leaves(below, negated=negated)
    else:
        yield node, negated


def _written(text: str, node: Node) -> str:
    assert not isinstance(node, Not | And | Or)
    return ("group:" if isinstance(node, InGroup) else "") + text[node.where.start : node.where.end]
