"""Resource groups beside an inventory: one namespace, and queries that name what there is."""

from collections.abc import Mapping
from dataclasses import replace

from statectl.problems import Note, Problem
from statectl.targets.groups import Managed, ResourceGroup, ResourceGroups, not_on_record
from statectl.targets.hosts import Inventory
from statectl.targets.matching import evaluate
from statectl.targets.selector import parse_selector


def with_groups(
    inventory: Inventory, groups: Mapping[str, ResourceGroup], managed: Managed = not_on_record
) -> tuple[Inventory, list[Problem]]:
    """The inventory with these resource groups, and what is wrong with them beside it."""
    if not groups:
        return inventory, []
    beside = replace(inventory, resource_groups=ResourceGroups(groups, managed))
    problems: list[Problem] = []
    for one in groups.values():
        other = inventory.groups.get(one.name)
        if other is not None:
            label = f"the inventory's is at {other.span}" if other.span is not None else ""
            notes = (Note("the group of the inventory", other.span),) if other.span is not None else ()
            summary = f"`{one.name}` is a resource group and a group of the inventory"
            problems.append(Problem("E128", summary, one.span, label, "rename one of them", notes))
            continue
        selector, _ = parse_selector(one.query) if one.query else (None, [])
        if selector is not None:
            # of what hosts are like nothing is asked: names are wrong or right without it
            found = evaluate(selector, beside).problems
            problems += [wrong.at(one.query_span, one.query) for wrong in found if not wrong.is_warning]
    return beside, problems
