"""`requires` of associations: what comes first on the same host, which associations of other hosts come first, and what is wrong with it.

Who is waited for on other hosts is told as hosts that may have to come first. What only facts decide is said again once they
were read (`selects`), so that a host that was never contacted is neither forgotten nor waited for in vain.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from statectl.catalogue import graph
from statectl.catalogue.selections import Selections
from statectl.problems import Note, Problem, Span
from statectl.project.model import Association, Elsewhere
from statectl.project.requires import place_of

SHOWN_HOSTS = 3


@dataclass(frozen=True, slots=True)
class Needed:
    """An association that other hosts must have first. `hosts`: in the order of the inventory, without the one that waits."""

    association: str
    hosts: tuple[str, ...]
    on: str  # the target expression that selects them


class Requirements:
    def __init__(self, associations: Mapping[str, Association], selections: Selections) -> None:
        self._associations = associations
        self._selections = selections
        self._possible: dict[Elsewhere, tuple[str, ...]] = {}

    def here(self, association: Association, host: str, present: Collection[str]) -> list[str]:
        """The associations of the same host that come first: by name, and where `on` selects this host too."""
        names = [name for name in association.requires if name in present]
        for one in association.requires_elsewhere:
            also = one.association != association.name and one.association in present
            if also and one.association not in names and host in self._on(one):
                names.append(one.association)
        return names

    def in_order(self, associations: list[Any], host: str, named: Mapping[str, Any]) -> list[Any]:
        """`associations` of one host, which are in order but for those that `on` selects on this very host.

        `named`: the same by name, as (association, variant). A ring stays as it is: `problems` tells of it.
        """
        if not any(one.association in named for each, _ in associations for one in each.requires_elsewhere):
            return associations
        before = {name: self.here(each, host, named) for name, (each, _) in named.items()}
        places = {name: place for place, name in enumerate(named)}
        try:
            return [named[name] for name in graph.order(before, lambda name: places[name])]
        except graph.Ring:
            return associations

    def elsewhere(self, association: Association, host: str) -> tuple[Needed, ...]:
        """What has to come first on other hosts."""
        found = []
        for one in association.requires_elsewhere:
            hosts = tuple(name for name in self._may_have(one) if name != host)
            if hosts:
                found.append(Needed(one.association, hosts, one.on))
        return tuple(found)

    def absent_here(self, association: Association, host: str, present: Collection[str]) -> list[Problem]:
        """W121: what it requires of the same host is not there."""
        problems = []
        for name in association.requires:
            other = self._associations.get(name)
            if other is None or name in present or host in self._selections.of(other.targets).unknown:
                continue
            text = (
                f"association {association.name} requires {name}, which is not on the same host: nothing is waited for"
            )
            hint = f"let the targets of {name} select it as well, or name its hosts: {{association: {name}, on: ...}}"
            problems.append(Problem("W121", text, place_of(association, name), hint=hint))
        return problems

    def problems(self) -> list[Problem]:
        """Mistakes in what is required of other hosts: nobody has it, or hosts that would wait for each other."""
        found = []
        for association in self._associations.values():
            for one in association.requires_elsewhere:
                found += self._mistakes(association, one)
        if not any(not problem.is_warning for problem in found):
            found += self._rings()
        return found

    def _mistakes(self, association: Association, one: Elsewhere) -> list[Problem]:
        span = association.places.value((*one.path, "on"))
        selection = self._selections.of(one.on)
        wrong = [problem.at(span, one.on) for problem in selection.problems]
        waiting = self._selections.of(association.targets)
        other = self._associations.get(one.association)
        if wrong or other is None or not (waiting.hosts or waiting.unknown):
            return wrong
        chosen = [*selection.hosts, *selection.unknown]
        required = f"association {association.name} requires {one.association} on {one.on}"
        if not chosen:
            hint = f"`statectl inventory list` shows the hosts; {one.association} is on {self._shown(other)}"
            return [Problem("E134", f"{required}, and no host is selected by that", span, hint=hint)]
        may = self._may_have(one)
        if not may:
            hint = f"{one.association} is on {self._shown(other)}: correct `on`, or the `targets` of {one.association}"
            return [Problem("E134", f"{required}, and none of these hosts has it", span, hint=hint)]
        lacking = [host for host in chosen if host not in may]
        if lacking:
            hint = f"let `on` select hosts of {one.association}, or its `targets` select these as well"
            text = f"{required}: {_some(lacking)} {'do' if lacking[1:] else 'does'} not have it, and is not waited for"
            return [Problem("W121", text, span, hint=hint)]
        return []

    def _shown(self, association: Association) -> str:
        return _some(self._selections.of(association.targets).hosts) or "no host"

    def _on(self, one: Elsewhere) -> Collection[str]:
        return self._selections.of(one.on).hosts

    def _may_have(self, one: Elsewhere) -> tuple[str, ...]:
        """Hosts of `on` that have the association, as far as is known."""
        if one not in self._possible:
            other = self._associations.get(one.association)
            selection = self._selections.of(one.on)
            chosen = [*selection.hosts, *selection.unknown]
            if other is None:
                chosen = []
            elif not self._selections.uses_facts(other.targets):
                have = set(self._selections.of(other.targets).hosts)
                chosen = [host for host in chosen if host in have]
            self._possible[one] = tuple(dict.fromkeys(chosen))
        return self._possible[one]

    def _rings(self) -> list[Problem]:
        """Associations of hosts that would wait for each other: the first ring, drawn, with the line of each step."""
        try:
            graph.order(_Steps(self._associations, self._selections), lambda node: node)
        except graph.Ring as ring:
            nodes = [*ring.nodes, ring.nodes[0]]
            drawn = [f"{association} on {host}" for association, host in nodes]
            places = [self._place(before[0], after[0], before[1] == after[1]) for before, after in pairwise(nodes)]
            notes = tuple(
                Note(f"{before} -> {after}", span)
                for (before, after), span in zip(pairwise(drawn), places, strict=True)
            )
            text = f"associations of different hosts wait for each other: {' -> '.join(drawn)}"
            return [Problem("E131", text, places[-1], hint="take one step out of the ring", notes=notes)]
        return []

    def _place(self, name: str, required: str, same_host: bool) -> Span | None:
        association = self._associations[name]
        if same_host and required in association.requires:
            return place_of(association, required)
        for one in association.requires_elsewhere:
            if one.association == required:
                return association.places.value(one.path)
        return association.span


class _Steps(Mapping[tuple[str, str], list[tuple[str, str]]]):
    """{(association, host): what comes first}, made when it is asked for: with many hosts there are very many."""

    def __init__(self, associations: Mapping[str, Association], selections: Selections) -> None:
        self._associations = associations
        self._selections = selections
        self._hosts = {name: frozenset(selections.of(one.targets).hosts) for name, one in associations.items()}

    def __getitem__(self, node: tuple[str, str]) -> list[tuple[str, str]]:
        name, host = node
        association = self._associations[name]
        found = [(other, host) for other in association.requires if host in self._hosts.get(other, ())]
        for one in association.requires_elsewhere:
            have = self._hosts.get(one.association, frozenset())
            found += [(one.association, on) for on in self._selections.of(one.on).hosts if on in have]
        return [other for other in found if other != node]

    def __iter__(self) -> Iterator[tuple[str, str]]:
        for name, association in self._associations.items():
            if association.requires_elsewhere:
                yield from ((name, host) for host in self._hosts[name])

    def __len__(self) -> int:
        return sum(1 for _ in self)


def _some(hosts: Collection[str]) -> str:
    """`db1, db2, db3 and 4 more`"""
    names = list(hosts)
    more = f" and {len(names) - SHOWN_HOSTS} more" if len(names) > SHOWN_HOSTS else ""
    return ", ".join(names[:SHOWN_HOSTS]) + more
