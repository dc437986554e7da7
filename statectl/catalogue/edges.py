"""Which resource of a host comes after which, and in which order all of them run.

Hard edges are `after` and `before` as written, then what follows from types and notifications as far as it does not contradict
them. Where they leave a choice: association by association, phase by phase, as written; what must come first is fetched
forward, so that no phase waits for a later one.
"""

import posixpath
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from statectl.addresses import Address, parse_address
from statectl.catalogue import graph
from statectl.catalogue.shapes import AddressRef
from statectl.problems import Note, Problem, Span, nearest
from statectl.project.model import Association, Body, Profile
from statectl.project.scalars import Expression
from statectl.project.types import ResourceType
from statectl.resources.model import PHASES, Edge


@dataclass(slots=True)
class Node:
    """One resource of a host, as the order sees it."""

    address: str
    kind: ResourceType
    association: str
    rank: tuple[Any, ...]  # association, phase, written order
    edges: Sequence[Edge]
    after: Sequence[AddressRef]
    before: Sequence[AddressRef]
    notify: Sequence[AddressRef]
    when_changed: Sequence[AddressRef]
    span: Span | None


@dataclass(slots=True)
class Ordered:
    """Addresses in execution order; what each comes after and notifies, as far as it is on this host."""

    order: list[str]
    after: dict[str, list[str]]
    notify: dict[str, list[str]]


class Possible:
    """Addresses that an association may declare on some host: to tell a name that is wrong from one that a condition left out."""

    def __init__(self, associations: Iterable[Association], profiles: Mapping[str, Profile]) -> None:
        self._literal: set[str] = set()
        self._patterns: list[re.Pattern[str]] = []
        self._profiles = profiles
        self._seen: set[str] = set()
        for association in associations:
            self._body(association.body)

    def _body(self, body: Body) -> None:
        for declaration in body.declarations:
            if isinstance(declaration.key, Expression):
                pieces = re.split(r"\{\{.*?\}\}|\{%.*?%\}", declaration.key.source, flags=re.DOTALL)
                self._patterns.append(re.compile(f"{declaration.type}:" + ".*".join(map(re.escape, pieces)), re.DOTALL))
            else:
                self._literal.add(f"{declaration.type}:{declaration.key}")
        for given in body.given:
            self._body(given.body)
        for use in body.uses:
            profile = self._profiles.get(use.profile)
            if profile is not None and profile.name not in self._seen:
                self._seen.add(profile.name)
                self._body(profile.body)

    def __contains__(self, address: str) -> bool:
        return address in self._literal or any(pattern.fullmatch(address) for pattern in self._patterns)


def put_in_order(
    nodes: Sequence[Node], host: str, types: Mapping[str, ResourceType], possible: Callable[[], Possible]
) -> tuple[Ordered | None, list[Problem]]:
    """The order of a host's resources, or what makes it impossible. `possible` is asked only when a name is missing."""
    by_address = {node.address: node for node in nodes}
    problems: list[Problem] = []
    written: dict[str, dict[str, Span | None]] = {
        node.address: {} for node in nodes
    }  # address -> what comes first, and where that is said
    implied: dict[str, dict[str, Span | None]] = {node.address: {} for node in nodes}
    notify: dict[str, list[str]] = {}
    finder = _Finder(by_address, host, types, possible, problems)
    members: dict[tuple[str, str], list[str]] = {}
    for node in nodes:
        members.setdefault((node.association, node.kind.name), []).append(node.address)

    for node in nodes:
        for ref in node.after:
            first = finder.find(ref, "after")
            if first is not None and first != node.address:
                written[node.address][first] = ref.span
            elif first == node.address:
                problems.append(Problem("E130", f"{node.address} is to come after itself", ref.span))
        for ref in node.before:
            later = finder.find(ref, "before")
            if later is not None and later != node.address:
                written[later][node.address] = ref.span
            elif later == node.address:
                problems.append(Problem("E130", f"{node.address} is to come before itself", ref.span))
        for ref in node.when_changed:
            first = finder.find(ref, "when_changed")
            if first is not None and first != node.address:
                written[node.address][first] = ref.span
        targets = [(ref, finder.find(ref, "notify")) for ref in node.notify]
        for ref, target in targets:
            if target is None or target == node.address:
                continue
            if not by_address[target].kind.restartable:
                problems.append(
                    Problem(
                        "E133",
                        f"{target} cannot be notified: {by_address[target].kind.article} is nothing to restart",
                        ref.span,
                        hint="notify takes services; to run a command after a change, give it when_changed",
                    )
                )
                continue
            implied[target].setdefault(node.address, ref.span)
            mine = notify.setdefault(node.address, [])
            if target not in mine:
                mine.append(target)
        for edge in node.edges:
            if edge.to.endswith(":*"):
                for address in members.get((node.association, edge.to[:-2]), ()):
                    if address != node.address:
                        implied[node.address].setdefault(address, node.span)
            else:
                target = finder.exact(edge.to)
                if target is not None and target != node.address:
                    implied[node.address].setdefault(target, node.span)
    if problems:
        return None, problems
    _give_way(written, implied)
    after = {address: sorted({*written[address], *implied[address]}) for address in by_address}
    try:
        order = graph.order(after, lambda address: by_address[address].rank)
    except graph.Ring as ring:
        return None, [_ring_problem(ring.nodes, by_address, written, implied)]
    return Ordered(order, after, notify), []


def _give_way(written: Mapping[str, dict[str, Span | None]], implied: Mapping[str, dict[str, Span | None]]) -> None:
    """What somebody wrote wins over what follows from types: an implied edge that contradicts written ones is dropped."""
    if not any(written.values()):
        return
    reach: dict[str, set[str]] = {}
    for address, firsts in implied.items():
        for first in list(firsts):
            if first not in reach:
                reach[first] = graph.reachable(first, written) if written[first] else set()
            if address in reach[first]:
                del firsts[first]


def _ring_problem(
    ring: Sequence[str],
    nodes: Mapping[str, Node],
    written: Mapping[str, Mapping[str, Span | None]],
    implied: Mapping[str, Mapping[str, Span | None]],
) -> Problem:
    # each comes after the next: read backwards it is the order in which they would have to run
    path = list(reversed(ring))
    turn = path.index(min(path))
    path = path[turn:] + path[:turn]
    notes = []
    for index, later in enumerate(path):
        first = path[index - 1]
        span = written[later].get(first) or implied[later].get(first) or nodes[later].span
        why = "" if first in written[later] else " (follows from their types)"
        notes.append(Note(f"{later} comes after {first}{why}", span))
    drawing = " -> ".join([*path, path[0]])
    place = next((note.span for note in notes if note.span is not None), None)
    return Problem(
        "E130",
        f"no order is possible: {drawing}",
        place,
        hint="remove one of these `after`, `before` or `notify`",
        notes=tuple(notes),
    )


class _Finder:
    """Addresses as people write them to resources of the host."""

    def __init__(
        self,
        nodes: Mapping[str, Node],
        host: str,
        types: Mapping[str, ResourceType],
        possible: Callable[[], Possible],
        problems: list[Problem],
    ) -> None:
        self._nodes = nodes
        self._host = host
        self._types = types
        self._possible = possible
        self._problems = problems

    def exact(self, address: str) -> str | None:
        if address in self._nodes:
            return address
        # `nginx` and `nginx.service` are one unit
        if address.startswith("service:"):
            other = address.removesuffix(".service") if address.endswith(".service") else f"{address}.service"
            if other in self._nodes:
                return other
        return None

    def find(self, ref: AddressRef, word: str) -> str | None:
        """The resource that is meant; None when it is not on this host, with a problem unless a condition left it out."""
        if not isinstance(ref.text, str) or (parsed := parse_address(ref.text)) is None:
            self._problems.append(
                Problem("E118", f"`{word}` is not an address", ref.span, hint="addresses look like file:/etc/motd")
            )
            return None
        if parsed.host not in ("", self._host):
            self._problems.append(Problem("E132", f"`{word}` reaches resources of the same host only", ref.span))
            return None
        if parsed.type not in self._types:
            near = nearest(parsed.type, self._types)
            self._problems.append(
                Problem(
                    "E118",
                    f"no resource type `{parsed.type}`",
                    ref.span,
                    label=f"did you mean `{near}`?" if near else "",
                )
            )
            return None
        address = self._normal(parsed)
        found = self.exact(address)
        if found is None and address not in self._possible():
            near = nearest(address, [one for one in self._nodes if one.startswith(f"{parsed.type}:")]) or nearest(
                address, self._nodes
            )
            self._problems.append(
                Problem("E132", f"no resource {address} on host {self._host}", ref.span, label=f"did you mean `{near}`?" if near else "", hint=f"`{word}` names a resource that an association declares for this host")
            )  # fmt: skip
        return found

    def _normal(self, address: Address) -> str:
        if self._types[address.type].key_is_path and address.name.startswith("/"):
            return f"{address.type}:{posixpath.normpath('/' + address.name.lstrip('/'))}"
        return f"{address.type}:{address.name}"


def rank(association: int, kind: ResourceType, order: tuple[Any, ...]) -> tuple[Any, ...]:
    return (association, PHASES.index(kind.phase), order)
