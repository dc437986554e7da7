"""What a target expression is once it is read: a tree of nodes, each with its place in the text, and the mistakes in one."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import NamedTuple

from statectl.problems import Problem, Span
from statectl.targets.comparisons import Comparison


@dataclass(frozen=True, slots=True)
class TargetProblem:
    """A mistake in a target expression. `start` and `end` count characters from 0 inside the expression."""

    code: str
    summary: str
    start: int
    end: int
    label: str = ""
    hint: str = ""

    @property
    def column(self) -> int:
        return self.start + 1

    @property
    def is_warning(self) -> bool:
        return self.code.startswith("W")

    def at(self, span: Span | None, text: str) -> Problem:
        """The problem at its place inside the YAML scalar that holds the expression `text`; without a span, on its own."""
        label = self.label
        if span is not None:
            quotes = (span.end_column - span.column - len(text)) / 2 if span.line == span.end_line else -1
            if quotes in (0, 1):
                first = span.column + int(quotes)
                span = replace(span, column=first + self.start, end_column=first + max(self.end, self.start + 1))
            else:  # a folded or escaped scalar: its characters are not where they are in the file
                label = ", ".join(filter(None, (label, f"at character {self.column} of the expression")))
        return Problem(self.code, self.summary, span, label=label, hint=self.hint)


class Where(NamedTuple):
    """Characters of the expression that a node was read from, counted from 0."""

    start: int
    end: int


@dataclass(frozen=True, slots=True)
class All:
    where: Where


@dataclass(frozen=True, slots=True)
class Named:
    """Hosts by name. `names` are literal (ranges already expanded); with wildcards there is a `pattern` instead."""

    text: str
    where: Where
    names: tuple[str, ...] = ()
    pattern: re.Pattern[str] | None = None
    or_group: bool = False  # inside an Ansible pattern: a group of that name comes first


@dataclass(frozen=True, slots=True)
class InGroup:
    text: str
    where: Where
    names: tuple[str, ...] = ()
    pattern: re.Pattern[str] | None = None


@dataclass(frozen=True, slots=True)
class Tagged:
    name: str
    value: re.Pattern[str]
    where: Where


@dataclass(frozen=True, slots=True)
class HasFact:
    path: tuple[str, ...]
    value: Comparison
    where: Where


@dataclass(frozen=True, slots=True)
class HasCollected:
    """An entry of the collected inventory. `entry`: which one, None for any; `name`: the left side as it was written."""

    type: str
    entry: re.Pattern[str] | None
    literal: str  # the entry's name when it holds no wildcard, else ''
    attribute: str
    value: Comparison
    name: str
    where: Where


@dataclass(frozen=True, slots=True)
class Not:
    node: "Node"


@dataclass(frozen=True, slots=True)
class And:
    nodes: tuple["Node", ...]


@dataclass(frozen=True, slots=True)
class Or:
    nodes: tuple["Node", ...]


Node = All | Named | InGroup | Tagged | HasFact | HasCollected | Not | And | Or


@dataclass(frozen=True, slots=True)
class Selector:
    """A parsed target expression."""

    text: str
    root: Node

    @property
    def collected(self) -> tuple[HasCollected, ...]:
        """The comparisons with collected inventory in it."""
        return tuple(node for node in walk(self.root) if isinstance(node, HasCollected))


def walk(node: Node) -> Iterator[Node]:
    yield node
    if isinstance(node, Not):
        yield from walk(node.node)
    elif isinstance(node, And | Or):
        for child in node.nodes:
            yield from walk(child)
