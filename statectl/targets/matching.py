"""Which hosts of an inventory a selector chooses.

A comparison with a fact has three answers: yes, no, and unknown where no facts of the host are stored. Unknown selects
nothing, neither itself nor its negation, and the hosts concerned are reported. So it is with the collected inventory; but facts
come with the next contact, and what was never collected does not: whoever acts on hosts leaves these alone.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, NamedTuple

from statectl.problems import nearest
from statectl.targets.hosts import Inventory
from statectl.targets.ranges import compress
from statectl.targets.selector import (
    All,
    And,
    HasCollected,
    HasFact,
    InGroup,
    Named,
    Node,
    Not,
    Or,
    Selector,
    Tagged,
    TargetProblem,
    parse_selector,
    walk,
)

FactsOf = Callable[[str], Mapping[str, Any] | None]
"""The stored facts of a host, None where there are none. Values came from the host: compared as text, never run."""


class Holding(NamedTuple):
    """The answer to one comparison with collected inventory. `known`: hosts of which that type was ever collected."""

    yes: AbstractSet[str]
    known: AbstractSet[str]
    entries: int = 1  # that there are of what was asked for, on any host
    old: Mapping[str, str] = MappingProxyType({})  # hosts that were read over a day ago, and when


CollectedOf = Callable[[HasCollected], Holding | None]
"""Which hosts have an entry that fits; None where nobody can be asked, as when files are checked offline."""

MAX_COMPARED = 2_000  # names looked at for a "did you mean"


@dataclass(frozen=True, slots=True)
class Selection:
    """`hosts` in inventory order. `unknown`: hosts about which stored facts say nothing, though they would decide.

    `uncollected`: hosts that are not chosen because what would decide was never collected there.
    """

    hosts: tuple[str, ...]
    unknown: tuple[str, ...] = ()
    problems: tuple[TargetProblem, ...] = ()
    uncollected: tuple[str, ...] = ()
    old: tuple[str, ...] = ()  # that are chosen by inventory of over a day ago
    oldest: str = ""  # of when the oldest of it is


def no_facts(_host: str) -> None:
    """For callers that have no stored facts: every fact is unknown."""
    return


def not_asked(_node: HasCollected) -> None:
    """For callers that have no store: what was collected is unknown."""
    return


def evaluate(
    selector: Selector, inventory: Inventory, facts: FactsOf = no_facts, collected: CollectedOf = not_asked
) -> Selection:
    """Unknown names of hosts and groups are problems (E153); a wildcard or tag that fits nothing is not."""
    evaluation = _Evaluation(inventory, facts, collected)
    answer = evaluation.of(selector.root)
    never = answer.unknown & evaluation.never
    unknown = answer.unknown - never
    old = tuple(name for name in inventory.hosts if name in answer.yes and name in evaluation.old)
    return Selection(
        tuple(name for name in inventory.hosts if name in answer.yes) if answer.yes else (),
        tuple(name for name in inventory.hosts if name in unknown) if unknown else (),
        tuple(evaluation.problems),
        tuple(name for name in inventory.hosts if name in never) if never else (),
        old,
        min((evaluation.old[name] for name in old), default=""),
    )


def select(
    text: str,
    inventory: Inventory,
    facts: FactsOf = no_facts,
    collected: CollectedOf = not_asked,
    *,
    allow_empty: bool = False,
) -> Selection:
    """What `-t TEXT` chooses. Choosing no host is a problem (E152) unless `allow_empty`."""
    selector, problems = parse_selector(text)
    if selector is None:
        return Selection((), problems=tuple(problems))
    selection = evaluate(selector, inventory, facts, collected)
    wrong = any(not problem.is_warning for problem in selection.problems)
    if selection.hosts or wrong or allow_empty:
        return selection
    hint = "`statectl inventory list` shows the hosts; --allow-empty accepts none"
    if selection.unknown:
        hint = f"no facts are stored yet of {compress(selection.unknown)}; `statectl plan` collects them"
    elif selection.uncollected:
        hint = f"never collected of {compress(selection.uncollected)}: statectl inventory refresh"
    empty = TargetProblem("E152", f'target "{text}" matches no host', 0, len(text), hint=hint)
    return Selection((), selection.unknown, (*selection.problems, empty), selection.uncollected)


class _Answer(NamedTuple):
    yes: AbstractSet[str]
    unknown: AbstractSet[str] = frozenset()


class _Evaluation:
    def __init__(self, inventory: Inventory, facts: FactsOf, collected: CollectedOf) -> None:
        self.inventory = inventory
        self.facts = facts
        self.collected = collected
        self.never: set[str] = set()
        self.old: dict[str, str] = {}
        self.problems: list[TargetProblem] = []
        self.everything: AbstractSet[str] = inventory.hosts.keys()
        self._members: dict[str, set[str]] | None = None
        self._asked: dict[str, _Answer] = {}  # of resource groups; of one that is still open, nobody

    def of(self, node: Node) -> _Answer:
        if isinstance(node, All):
            return _Answer(self.everything)
        if isinstance(node, Named):
            return self.named(node)
        if isinstance(node, InGroup):
            return self.in_group(node)
        if isinstance(node, Tagged):
            return _Answer(
                {
                    name
                    for name, host in self.inventory.hosts.items()
                    if node.name in host.tags and node.value.fullmatch(host.tags[node.name])
                }
            )
        if isinstance(node, HasFact):
            return self.has_fact(node)
        if isinstance(node, HasCollected):
            return self.has_collected(node)
        if isinstance(node, Not):
            answer = self.of(node.node)
            return _Answer(self.everything - answer.yes - answer.unknown, answer.unknown)
        answers = [self.of(child) for child in node.nodes]
        yes, unknown = answers[0]
        for other in answers[1:]:
            possible = (yes | unknown) & (other.yes | other.unknown)
            if isinstance(node, And):
                yes = yes & other.yes
                unknown = possible - yes
            else:
                assert isinstance(node, Or)
                yes, unknown = yes | other.yes, (unknown | other.unknown) - yes - other.yes
        return _Answer(yes, unknown)

    def group(self, name: str) -> "_Answer":
        """Of a group of the inventory or a resource group. Mistakes in its query are told where it stands, not where it is used."""
        if name in self.inventory.groups:
            return _Answer(self.members(name))
        if name not in self._asked:
            group = self.inventory.resource_groups.named[name]
            self._asked[name] = _Answer(frozenset())
            if group.stack is not None:
                managed = self.inventory.resource_groups.managed(group.stack)
                found = _Answer(frozenset(), self.everything) if managed is None else _Answer(self.everything & managed)
            else:
                selector, _ = parse_selector(group.query)
                told = len(self.problems)
                found = self.of(selector.root) if selector is not None else _Answer(frozenset())
                del self.problems[told:]
            self._asked[name] = found
        return self._asked[name]

    def all_of(self, groups: Iterable[str]) -> "_Answer":
        answers = [self.group(name) for name in groups]
        yes = frozenset().union(*(answer.yes for answer in answers))
        return _Answer(yes, frozenset().union(*(answer.unknown for answer in answers)) - yes)

    def members(self, group: str) -> set[str]:
        if self._members is None:
            self._members = {name: set() for name in self.inventory.groups}
            self._members["all"] = set(self.everything)
            for name, host in self.inventory.hosts.items():
                for joined in host.groups:
                    self._members.setdefault(joined, set()).add(name)
        return self._members[group]

    def named(self, node: Named) -> _Answer:
        hosts, groups = self.inventory.hosts, group_names(self.inventory)
        joined = named_groups(node, groups)
        if node.pattern is not None:
            yes = {name for name in hosts if node.pattern.fullmatch(name)}
        else:
            yes = {name for name in node.names if name in hosts and name not in joined}
            missing = [name for name in node.names if name not in hosts and name not in joined]
            if missing:
                self._unknown_host(node, missing)
        if not joined:
            return _Answer(yes)
        answer = self.all_of(joined)
        return _Answer(yes | answer.yes, answer.unknown - yes)

    def in_group(self, node: InGroup) -> _Answer:
        groups = group_names(self.inventory)
        for name in node.names:
            if name not in groups:
                label = _did_you_mean(name, groups)
                if not label and name in self.inventory.hosts:
                    label = f"`{name}` is a host: write `{name}`"
                self._unknown(f'unknown group "{name}"', node, label)
        return self.all_of(named_groups(node, groups))

    def has_fact(self, node: HasFact) -> _Answer:
        yes: set[str] = set()
        unknown: set[str] = set()
        seen = False
        names: AbstractSet[str] = frozenset()
        for name in self.inventory.hosts:
            facts = self.facts(name)
            if facts is None:
                unknown.add(name)
                continue
            values = fact_values(facts, node.path)
            seen = seen or bool(values)
            names = names or facts.keys()
            if any(node.value.holds(value) for value in values):
                yes.add(name)
        if names and not seen:
            label = _did_you_mean(node.path[0], names, "facts.")
            summary = f"no stored facts have `{'.'.join(node.path)}`"
            self.problems.append(TargetProblem("W152", summary, node.where.start, node.where.end, label))
        return _Answer(yes, unknown)

    def has_collected(self, node: HasCollected) -> _Answer:
        tagged = next((name for name, host in self.inventory.hosts.items() if node.name in host.tags), None)
        if tagged is not None:
            summary = f"`{node.name}` asks for collected inventory, and is a tag of {tagged}"
            self.problems.append(
                TargetProblem("E151", summary, node.where.start, node.where.end, hint="give the tag another name")
            )
        held = self.collected(node)
        if held is None:
            return _Answer(frozenset(), self.everything)
        never = self.everything - held.known
        self.never |= never
        for name, at in held.old.items():
            self.old[name] = min(at, self.old.get(name, at))
        if not held.entries and len(never) < len(self.everything):
            asked = node.name if node.literal else node.type
            summary = f"no host has `{asked}` in its collected inventory"
            self.problems.append(TargetProblem("W152", summary, node.where.start, node.where.end))
        return _Answer(self.everything & held.yes, never)

    def _unknown_host(self, node: Named, missing: list[str]) -> None:
        name = missing[0]
        plural = f"unknown hosts {compress(missing)}"
        what = "host or group" if node.or_group else "host"
        label = ""
        if len(missing) == 1:
            groups = group_names(self.inventory)
            if name in groups:
                label = f"`{name}` is a group: write `group:{name}`"
            else:
                label = _did_you_mean(name, self.inventory.hosts) or _did_you_mean(
                    name, groups, "" if node.or_group else "group:"
                )
        self._unknown(plural if len(missing) > 1 else f'unknown {what} "{name}"', node, label)

    def _unknown(self, summary: str, node: Named | InGroup, label: str) -> None:
        hint = "" if label else "`statectl inventory list` shows the hosts, `statectl group list` the groups"
        self.problems.append(TargetProblem("E153", summary, node.where.start, node.where.end, label, hint))


def group_names(inventory: Inventory) -> Mapping[str, Any]:
    """Groups of the inventory and resource groups: one namespace."""
    named = inventory.resource_groups.named
    return {**inventory.groups, **named} if named else inventory.groups


def named_groups(node: Named | InGroup, groups: Iterable[str]) -> list[str]:
    """Those of the groups that a node stands for."""
    if isinstance(node, Named) and not node.or_group:
        return []
    if node.pattern is not None:
        return list(filter(node.pattern.fullmatch, groups))
    known = groups if isinstance(groups, Mapping) else set(groups)
    return [name for name in node.names if name in known]


def nodes(selector: Selector, inventory: Inventory) -> Iterator[Node]:
    """Every node of a target, and of the resource groups that it names."""
    waiting, seen = [selector.root], set()
    while waiting:
        for node in walk(waiting.pop()):
            yield node
            if not isinstance(node, Named | InGroup):
                continue
            for name in named_groups(node, inventory.resource_groups.named):
                query = inventory.resource_groups.named[name].query
                found, _ = parse_selector(query) if query and name not in seen else (None, [])
                seen.add(name)
                if found is not None:
                    waiting.append(found.root)


def uses_facts(selector: Selector, inventory: Inventory) -> bool:
    """Do facts decide whom it chooses?"""
    return any(isinstance(node, HasFact) for node in nodes(selector, inventory))


def fact_values(facts: Mapping[str, Any], path: tuple[str, ...]) -> list[Any]:
    """What a comparison with this fact is made with: one value, none where the host lacks it, several for a list."""
    value: Any = facts
    for part in path:
        if not isinstance(value, Mapping) or part not in value:
            return []
        value = value[part]
    values = value if isinstance(value, list) else [value]
    return [item for item in values if not isinstance(item, Mapping | list)]


def _did_you_mean(word: str, known: Iterable[str], prefix: str = "") -> str:
    """Like `problems.did_you_mean`, bounded: with many names only those that begin alike are looked at."""
    names = list(known)
    if len(names) > MAX_COMPARED:
        names = [name for name in names if name[:1] == word[:1] and abs(len(name) - len(word)) <= 2][:MAX_COMPARED]
    match = nearest(word, names)
    return f"did you mean `{prefix}{match}`?" if match else ""
