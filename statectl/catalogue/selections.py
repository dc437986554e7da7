"""Which hosts targets choose, for associations and for `hosts()`; asked often, answered once."""

from collections.abc import Callable, Mapping
from typing import Any

from statectl.catalogue.rendered import RESERVED, FoundHost
from statectl.catalogue.templates import TemplateRefused
from statectl.problems import Problem
from statectl.project.model import Association
from statectl.targets.hosts import Host, Inventory
from statectl.targets.matching import CollectedOf, Selection, evaluate, nodes, not_asked, uses_facts
from statectl.targets.ranges import compress
from statectl.targets.selector import Selector, Tagged, TargetProblem, parse_selector

StoredFacts = Callable[[str], tuple[Mapping[str, Any], str] | None]
"""The facts of a host and when they were gathered (ISO time), None when it was never contacted."""


class Selections:
    """Answers from stored facts are the same for the life of this object: a plan is made of one state of the world."""

    def __init__(self, inventory: Inventory, stored: StoredFacts, collected: CollectedOf = not_asked) -> None:
        self._inventory = inventory
        self._ask = stored
        self._collected = collected
        self._stored: dict[str, tuple[Mapping[str, Any], str] | None] = {}
        self._selectors: dict[str, tuple[Selector | None, list[TargetProblem]]] = {}
        self._selections: dict[str, tuple[Selection, frozenset[str]]] = {}
        self._by_facts: dict[str, bool] = {}

    def stored(self, name: str) -> tuple[Mapping[str, Any], str] | None:
        if name not in self._stored:
            self._stored[name] = self._ask(name)
        return self._stored[name]

    def facts(self, name: str) -> Mapping[str, Any] | None:
        found = self.stored(name)
        return None if found is None else found[0]

    def of(self, targets: str) -> Selection:
        return self._selection(targets)[0]

    def matches(self, targets: str, name: str, fresh: Mapping[str, Any] | None) -> bool:
        """Is a host chosen? `fresh`: its facts of now, which win over stored ones; None offline."""
        selector = self._selector(targets)[0]
        if selector is not None and fresh is not None and self.uses_facts(targets):
            facts = lambda one: fresh if one == name else self.facts(one)  # noqa: E731
            return name in evaluate(selector, self._inventory, facts, self._collected).hosts
        return name in self._selection(targets)[1]

    def uses_facts(self, targets: str) -> bool:
        """Do facts decide who is chosen?"""
        if targets not in self._by_facts:
            selector = self._selector(targets)[0]
            self._by_facts[targets] = selector is not None and uses_facts(selector, self._inventory)
        return self._by_facts[targets]

    def problems(self, association: Association) -> list[Problem]:
        """Mistakes in the targets of an association, and W120 when a right expression matches nobody."""
        span = association.places.value((*association.path, "targets")) or association.span
        selection = self.of(association.targets)
        problems = [one.at(span, association.targets) for one in selection.problems]
        for variant in association.where:
            place = association.places.value((*variant.path, "targets"))
            problems += [one.at(place, variant.targets) for one in self.of(variant.targets).problems]
        if selection.uncollected:
            what = f"association {association.name} leaves {compress(selection.uncollected)} out"
            hint = "what its targets ask for was never collected there: statectl inventory refresh"
            problems.append(Problem("W158", what, span, hint=hint))
        if selection.old:
            what = (
                f"association {association.name} chooses {compress(selection.old)} by inventory of {selection.oldest}"
            )
            problems.append(Problem("W163", what, span, hint="over a day old: statectl inventory refresh"))
        found = (selection.hosts, selection.unknown, selection.problems, selection.uncollected)
        if not any(found) and not self._by_more_tags(association.targets):
            hint = "`statectl inventory list` shows the hosts"
            problems.append(Problem("W120", f"association {association.name} matches no host", span, hint=hint))
        return problems

    def _by_more_tags(self, targets: str) -> bool:
        """Might tags decide that were not read?"""
        selector = self._selector(targets)[0]
        if selector is None or not self._inventory.more_tags:
            return False
        return any(isinstance(node, Tagged) for node in nodes(selector, self._inventory))

    def find_hosts(self, targets: str) -> list[FoundHost]:
        """What `hosts('group:pg')` gives: sorted by name, so that a changed order of the inventory changes nothing."""
        selection = self.of(targets)
        wrong = [one for one in selection.problems if not one.is_warning]
        if wrong:
            raise TemplateRefused("E218", f"hosts('{targets}'): {wrong[0].summary}", wrong[0].label or wrong[0].hint)
        found = []
        for name in sorted(selection.hosts):
            host = self._inventory.hosts[name]
            facts, at = self.stored(name) or (None, "")
            variables = {key: variable.value for key, variable in host.variables.items() if key not in RESERVED}
            found.append(FoundHost(host_names(host), variables, facts, at))
        return found

    def _selection(self, targets: str) -> tuple[Selection, frozenset[str]]:
        if targets not in self._selections:
            selector, problems = self._selector(targets)
            if selector is None:
                selection = Selection((), (), tuple(problems))
            else:
                selection = evaluate(selector, self._inventory, self.facts, self._collected)
            self._selections[targets] = (selection, frozenset(selection.hosts))
        return self._selections[targets]

    def _selector(self, targets: str) -> tuple[Selector | None, list[TargetProblem]]:
        if targets not in self._selectors:
            self._selectors[targets] = parse_selector(targets)
        return self._selectors[targets]


def host_names(host: Host) -> dict[str, Any]:
    """What expressions see as `host`."""
    return {"name": host.name, "address": host.address, "groups": list(host.groups), "tags": dict(host.tags)}
