"""Answers from what was collected: which hosts have an entry that fits, and which entries these are.

A comparison is made once for each distinct entry, however many hosts have it; then every host's list of numbers is looked through.
"""

import json
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from statectl.collected.readings import shown_moment
from statectl.store.collected import Collected, Entry, Snapshot
from statectl.targets.collected import TYPES, fold
from statectl.targets.comparisons import Comparison, moment
from statectl.targets.matching import Holding
from statectl.targets.selector import And, HasCollected, Node, Not, Or, walk


@dataclass(frozen=True, slots=True)
class Held:
    """One entry of one host, with all its attributes. `at`: the snapshot it stands in, '' of the latest only."""

    host: str
    name: str
    entry: Mapping[str, Any]


class Questions:
    """Answers of one moment: what was read is not read again for the life of this object. `now`: the clock, for times."""

    def __init__(self, collected: Collected, now: Callable[[], datetime] | None = None) -> None:
        self._collected = collected
        self._now = now
        self._in_force: dict[str, list[Snapshot]] = {}
        self._latest: dict[str, dict[str, list[dict[str, Any]]]] = {}
        self._answers: dict[HasCollected, Holding] = {}
        self._aged: dict[str, dict[str, str]] = {}

    def holding(self, node: HasCollected) -> Holding:
        """Which hosts have an entry that fits. The `CollectedOf` of target expressions."""
        if node not in self._answers:
            self._answers[node] = self._holding(node)._replace(old=self._old(node.type))
        return self._answers[node]

    def fitting(self, type_name: str, where: Node | None, hosts: Collection[str]) -> Iterator[Held]:
        """The entries of a type that fit an expression, host by host in the order of `hosts`."""
        kind = TYPES.get(type_name)
        if kind is not None and not kind.lasting:
            found = self.latest(type_name)
            for host in hosts:
                for entry in found.get(host, ()):
                    if where is None or self._fits(where, entry):
                        yield Held(host, "", entry)
            return
        own = kind.own if kind is not None else ""
        by_host = {snapshot.host: snapshot for snapshot in self.in_force(type_name)}
        late = (
            bool(own)
            and where is not None
            and any(isinstance(n, HasCollected) and n.attribute == own for n in walk(where))
        )
        literal = _literal_name(where) if where is not None else ""
        entries = {one.id: (one, json.loads(one.text)) for one in self._collected.entries_of(type_name, literal)}
        if where is not None and not late:
            entries = {number: pair for number, pair in entries.items() if self._fits(where, pair[1])}
        numbers = frozenset(entries)
        for host in hosts:
            snapshot = by_host.get(host)
            if snapshot is None or not snapshot.has_any(numbers):
                continue
            for place, number in enumerate(snapshot.ids):
                if number in entries:
                    one, entry = entries[number]
                    whole = with_moment(entry, own, snapshot, place)
                    if not late or where is None or self._fits(where, whole):
                        yield Held(host, one.name, whole)

    def values(self, node: HasCollected, hosts: Collection[str]) -> dict[str, list[Any]]:
        """{host: the values of the attribute in the entries that the name on the left stands for}."""
        found: dict[str, list[Any]] = {}
        where = None if not node.literal else _named(node)
        for held in self.fitting(node.type, where, hosts):
            if node.entry is None or node.entry.fullmatch(held.name):
                found.setdefault(held.host, []).append(value_of(node.type, node.attribute, held.entry))
        return found

    def _old(self, type_name: str) -> Mapping[str, str]:
        """{host: when it was really read} of those that were not for over a day."""
        if type_name not in self._aged:
            before = moment("now-1d", self._clock())
            standings = self._collected.standings(type_name=type_name)
            self._aged[type_name] = {one.host: one.checked for one in standings if "" < one.checked < before}
        return self._aged[type_name]

    def in_force(self, type_name: str) -> list[Snapshot]:
        if type_name not in self._in_force:
            self._in_force[type_name] = self._collected.in_force(type_name)
        return self._in_force[type_name]

    def latest(self, type_name: str) -> dict[str, list[dict[str, Any]]]:
        if type_name not in self._latest:
            texts = self._collected.latest(type_name)
            self._latest[type_name] = {host: json.loads(text) for host, text in texts.items()}
        return self._latest[type_name]

    def _holding(self, node: HasCollected) -> Holding:
        kind = TYPES.get(node.type)
        if kind is not None and not kind.lasting:
            found = self.latest(node.type)
            key = kind.key[0] if kind.key else ""
            yes = {
                host
                for host, entries in found.items()
                if any(self._entry_fits(node, str(entry.get(key, "")), entry) for entry in entries)
            }
            return Holding(yes, found.keys())
        snapshots = self.in_force(node.type)
        entries = self._named(node)
        known = {snapshot.host for snapshot in snapshots}
        if kind is not None and node.attribute == kind.own:
            numbers = {one.id for one in entries}
            yes = {
                snapshot.host
                for snapshot in snapshots
                if any(
                    number in numbers and node.value.holds(_own_moment(snapshot, place), now=self._clock())
                    for place, number in enumerate(snapshot.ids)
                )
            }
        else:
            wanted = {one.id for one in entries if self._entry_fits(node, one.name, json.loads(one.text))}
            yes = {snapshot.host for snapshot in snapshots if snapshot.has_any(wanted)}
        return Holding(yes, known, len(entries))

    def _named(self, node: HasCollected) -> list[Entry]:
        found = self._collected.entries_of(node.type, node.literal)
        if node.entry is None or node.literal:
            return found
        return [one for one in found if node.entry.fullmatch(one.name)]

    def _entry_fits(self, node: HasCollected, name: str, entry: Mapping[str, Any]) -> bool:
        if node.entry is not None and not node.entry.fullmatch(name):
            return False
        return self._holds(node, entry)

    def _holds(self, node: HasCollected, entry: Mapping[str, Any]) -> bool:
        return node.value.holds(
            value_of(node.type, node.attribute, entry), str(entry.get("ApplicationType", "")), self._clock()
        )

    def _fits(self, node: Node, entry: Mapping[str, Any]) -> bool:
        """An expression over attributes; there are no other nodes in it."""
        if isinstance(node, Not):
            return not self._fits(node.node, entry)
        if isinstance(node, And):
            return all(self._fits(one, entry) for one in node.nodes)
        if isinstance(node, Or):
            return any(self._fits(one, entry) for one in node.nodes)
        assert isinstance(node, HasCollected)
        return self._holds(node, entry)

    def _clock(self) -> datetime | None:
        return self._now() if self._now is not None else None


def value_of(type_name: str, attribute: str, entry: Mapping[str, Any]) -> Any:
    """One attribute. Those of a user's own type are found however they are written."""
    if attribute in entry or not type_name.startswith("Custom:"):
        return entry.get(attribute)
    wanted = fold(attribute)
    return next((value for name, value in entry.items() if fold(name) == wanted), None)


def with_moment(entry: Mapping[str, Any], own: str, snapshot: Snapshot, place: int) -> Mapping[str, Any]:
    """An entry with the time that is its host's own."""
    return {**entry, own: _own_moment(snapshot, place)} if own else entry


def _own_moment(snapshot: Snapshot, place: int) -> str | None:
    return None if snapshot.moments is None else shown_moment(snapshot.moments[place])


def _literal_name(where: Node) -> str:
    """The name that an entry must have to fit, when the expression says so: then no other entries need be looked at."""
    for node in where.nodes if isinstance(where, And) else (where,):
        if isinstance(node, HasCollected) and node.value.operator == "=" and (kind := TYPES.get(node.type)) is not None:
            plain = not set("*?") & set(node.value.text)
            if kind.key == (node.attribute,) and plain and node.value.text:
                return node.value.text
    return ""


def _named(node: HasCollected) -> HasCollected | None:
    """Its entry's name as an expression over attributes, where the name is one attribute."""
    import re
    from dataclasses import replace

    kind = TYPES.get(node.type)
    if kind is None or len(kind.key) != 1:
        return None
    name = Comparison("=", node.literal, "text", re.compile(re.escape(node.literal)))
    return replace(node, attribute=kind.key[0], value=name)
