"""Which hosts of an inventory a selector chooses.

A comparison with a fact has three answers: yes, no, and unknown where no facts of the host are stored. Unknown selects
nothing, neither itself nor its negation, and the hosts concerned are reported.
"""

from collections.abc import Callable, Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Any, NamedTuple

from statectl.problems import nearest
from statectl.targets.hosts import Inventory
from statectl.targets.ranges import compress
from statectl.targets.selector import (
    All,
    And,
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
)

FactsOf = Callable[[str], Mapping[str, Any] | None]
"""The stored facts of a host, None where there are none. Values came from the host: compared as text, never run."""

MAX_COMPARED = 2_000  # names looked at for a "did you mean"


@dataclass(frozen=True, slots=True)
class Selection:
    """`hosts` in inventory order. `unknown`: hosts about which stored facts say nothing, though they would decide."""

    hosts: tuple[str, ...]
    unknown: tuple[str, ...] = ()
    problems: tuple[TargetProblem, ...] = ()


def no_facts(_host: str) -> None:
    """For callers that have no stored facts: every fact is unknown."""
    return


def evaluate(selector: Selector, inventory: Inventory, facts: FactsOf = no_facts) -> Selection:
    """Unknown names of hosts and groups are problems (E153); a wildcard or tag that fits nothing is not."""
    evaluation = _Evaluation(inventory, facts)
    answer = evaluation.of(selector.root)
    return Selection(
        tuple(name for name in inventory.hosts if name in answer.yes) if answer.yes else (),
        tuple(name for name in inventory.hosts if name in answer.unknown) if answer.unknown else (),
        tuple(evaluation.problems),
    )


def select(text: str, inventory: Inventory, facts: FactsOf = no_facts, *, allow_empty: bool = False) -> Selection:
    """What `-t TEXT` chooses. Choosing no host is a problem (E152) unless `allow_empty`."""
    selector, problems = parse_selector(text)
    if selector is None:
        return Selection((), problems=tuple(problems))
    selection = evaluate(selector, inventory, facts)
    wrong = any(not problem.is_warning for problem in selection.problems)
    if selection.hosts or wrong or allow_empty:
        return selection
    hint = "`statectl inventory list` shows the hosts; --allow-empty accepts none"
    if selection.unknown:
        hint = f"no facts are stored yet of {compress(selection.unknown)}; `statectl plan` collects them"
    empty = TargetProblem("E152", f'target "{text}" matches no host', 0, len(text), hint=hint)
    return Selection((), selection.unknown, (*selection.problems, empty))


class _Answer(NamedTuple):
    yes: AbstractSet[str]
    unknown: AbstractSet[str] = frozenset()


class _Evaluation:
    def __init__(self, inventory: Inventory, facts: FactsOf) -> None:
        self.inventory = inventory
        self.facts = facts
        self.problems: list[TargetProblem] = []
        self.everything: AbstractSet[str] = inventory.hosts.keys()
        self._members: dict[str, set[str]] | None = None

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

    def members(self, group: str) -> set[str]:
        if self._members is None:
            self._members = {name: set() for name in self.inventory.groups}
            self._members["all"] = set(self.everything)
            for name, host in self.inventory.hosts.items():
                for joined in host.groups:
                    self._members.setdefault(joined, set()).add(name)
        return self._members[group]

    def named(self, node: Named) -> _Answer:
        hosts, groups = self.inventory.hosts, self.inventory.groups
        yes: set[str] = set()
        if node.pattern is not None:
            yes = {name for name in hosts if node.pattern.fullmatch(name)}
            if node.or_group:
                for group in filter(node.pattern.fullmatch, groups):
                    yes |= self.members(group)
            return _Answer(yes)
        missing = []
        for name in node.names:
            if node.or_group and name in groups:
                yes |= self.members(name)
            elif name in hosts:
                yes.add(name)
            else:
                missing.append(name)
        if missing:
            self._unknown_host(node, missing)
        return _Answer(yes)

    def in_group(self, node: InGroup) -> _Answer:
        groups = self.inventory.groups
        yes: set[str] = set()
        if node.pattern is not None:
            for group in filter(node.pattern.fullmatch, groups):
                yes |= self.members(group)
            return _Answer(yes)
        for name in node.names:
            if name in groups:
                yes |= self.members(name)
                continue
            label = _did_you_mean(name, groups)
            if not label and name in self.inventory.hosts:
                label = f"`{name}` is a host: write `{name}`"
            self._unknown(f'unknown group "{name}"', node, label)
        return _Answer(yes)

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
            texts = fact_texts(facts, node.path)
            seen = seen or bool(texts)
            names = names or facts.keys()
            if any(node.value.fullmatch(text) for text in texts):
                yes.add(name)
        if names and not seen:
            label = _did_you_mean(node.path[0], names, "facts.")
            summary = f"no stored facts have `{'.'.join(node.path)}`"
            self.problems.append(TargetProblem("W152", summary, node.where.start, node.where.end, label))
        return _Answer(yes, unknown)

    def _unknown_host(self, node: Named, missing: list[str]) -> None:
        name = missing[0]
        plural = f"unknown hosts {compress(missing)}"
        what = "host or group" if node.or_group else "host"
        label = ""
        if len(missing) == 1:
            if name in self.inventory.groups:
                label = f"`{name}` is a group: write `group:{name}`"
            else:
                label = _did_you_mean(name, self.inventory.hosts) or _did_you_mean(
                    name, self.inventory.groups, "" if node.or_group else "group:"
                )
        self._unknown(plural if len(missing) > 1 else f'unknown {what} "{name}"', node, label)

    def _unknown(self, summary: str, node: Named | InGroup, label: str) -> None:
        hint = "" if label else "`statectl inventory list` shows the hosts, `statectl inventory graph` the groups"
        self.problems.append(TargetProblem("E153", summary, node.where.start, node.where.end, label, hint))


def fact_texts(facts: Mapping[str, Any], path: tuple[str, ...]) -> list[str]:
    """The texts a comparison with this fact is made with: one, none where the host lacks it, several for a list."""
    value: Any = facts
    for part in path:
        if not isinstance(value, Mapping) or part not in value:
            return []
        value = value[part]
    values = value if isinstance(value, list) else [value]
    return [_as_written(item) for item in values if not isinstance(item, Mapping | list)]


def _as_written(value: Any) -> str:
    if value is None:
        return ""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _did_you_mean(word: str, known: Iterable[str], prefix: str = "") -> str:
    """Like `problems.did_you_mean`, bounded: with many names only those that begin alike are looked at."""
    names = list(known)
    if len(names) > MAX_COMPARED:
        names = [name for name in names if name[:1] == word[:1] and abs(len(name) - len(word)) <= 2][:MAX_COMPARED]
    match = nearest(word, names)
    return f"did you mean `{prefix}{match}`?" if match else ""
