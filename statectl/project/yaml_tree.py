"""From YAML text to a tree of values and the place of every key and value, in one pass.

PyYAML's own constructor is not used for project files: it keeps the last of two equal keys, reads `0644` as 420 and `no`
as False, and raises bare Python errors. Here a scalar stays text until a schema gives it a type (`scalars.py`), and every
mistake is a Problem. Ansible's files keep Ansible's typing: `yaml_ansible.py`.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from statectl.problems import Note, Problem, Span
from statectl.project.model import Places
from statectl.project.scalars import Expression, Plain, ScalarError, untyped
from statectl.project.yaml_errors import (
    UNQUOTED,
    UNQUOTED_HINT,
    UNQUOTED_LABEL,
    explain_error,
    hide_expression,
    unreadable_text,
)
from statectl.project.yaml_nodes import MAX_DEPTH, Path, Spans, TooDeep, compose, is_flow, span_of

MAX_BYTES = 16 * 1024 * 1024
MAX_REPEATED = 100_000  # values that aliases may add to those written
MAX_PROBLEMS = 20  # per file: what a person reads in one go

BROKEN = Expression("{# refused #}")
"""Stands for a value about which a problem was reported; everything that comes later passes over it in silence."""

CORE = "tag:yaml.org,2002:"
JINJA = re.compile(r"\{[{%#]")
_NUMBER = r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:e[-+]?[0-9]+)?|0x[0-9a-f]+|0o[0-7]+"
_NOT_KEYS = re.compile(r"~|null|true|false|" + _NUMBER, re.IGNORECASE)
_BY_TAG: Mapping[str, type | tuple[type, ...]] = {"int": int, "float": (int, float), "bool": bool, "null": type(None)}


@dataclass(frozen=True, slots=True)
class Tagged:
    """A value under one of Ansible's tags (`!vault`, `!unsafe`), as written."""

    tag: str
    value: Any
    span: Span


def read_yaml(text: str, file: str, *, ansible: bool = False) -> tuple[Any, Places, list[Problem]]:
    """The tree of one file, its places, and all problems found. An empty file is None.

    Values: dict with text keys (an Expression where the key holds Jinja), list, Plain, str, Expression, BROKEN. With
    `ansible` scalars and keys are typed as PyYAML's SafeLoader types them, `!vault` and `!unsafe` give Tagged, `<<`
    merges, and a repeated key is a warning (the last one counts).
    """
    empty = Places(file, {}, {})
    text = text.removeprefix("\ufeff")
    if len(text) > MAX_BYTES:
        limit = f"file too large (max {MAX_BYTES // 1024 // 1024} MiB)"
        return (
            BROKEN,
            empty,
            [Problem("E114", limit, Span(file, 1, 1), hint="split it; files below states/ are merged")],
        )
    problem = unreadable_text(text, file)
    if problem is not None:
        return BROKEN, empty, [problem]
    problems: list[Problem] = []
    readable = text
    while True:
        try:
            root, count = compose(readable, ansible=ansible)
            break
        except yaml.MarkedYAMLError as error:
            problem = explain_error(error, readable, file)
            problems.append(problem)
            # An unquoted expression is the one mistake that can be covered without guessing, so the rest is still read.
            covered = hide_expression(readable, problem)
            if covered is None or len(problems) >= MAX_PROBLEMS:
                return BROKEN, empty, problems
            readable = covered
        except TooDeep as error:
            place = Span(file, error.place[0] + 1, error.place[1] + 1)
            problems.append(Problem("E114", f"nested too deeply (max {MAX_DEPTH} levels)", place))
            return BROKEN, empty, problems
    if root is None:
        return None, empty, problems
    builder: Builder
    if ansible:
        from statectl.project.yaml_ansible import AnsibleBuilder

        builder = AnsibleBuilder(text, readable, file, problems, count + MAX_REPEATED)
    else:
        builder = Builder(text, readable, file, problems, count + MAX_REPEATED)
    tree = builder.build(root, ())
    return tree, Places(file, Spans(builder.keys, file), Spans(builder.values, file)), problems


class Builder:
    """Values and places from nodes. `readable` differs from `text` where an unquoted expression was covered."""

    def __init__(self, text: str, readable: str, file: str, problems: list[Problem], budget: int) -> None:
        self.text = text
        self.readable = readable
        self.file = file
        self.problems = problems
        self.budget = budget
        self.keys: dict[Path, Node] = {}
        self.values: dict[Path, Node] = {}
        self._open: set[int] = set()

    def problem(self, code: str, summary: str, node: Node, **more: Any) -> None:
        self.problems.append(Problem(code, summary, span_of(node, self.file), **more))

    def build(self, node: Node, path: Path) -> Any:
        self.values[path] = node
        self.budget -= 1
        if self.budget <= 0:
            if self.budget == 0:
                self.problem("E112", f"aliases repeat too much (max {MAX_REPEATED:,} values)", node)
            return BROKEN
        if isinstance(node, ScalarNode):
            return self.scalar(node)
        if id(node) in self._open:
            self._self_reference(node)
            return BROKEN
        self._open.add(id(node))
        try:
            return self.collection(node, path)
        finally:
            self._open.discard(id(node))

    def _self_reference(self, node: Node) -> None:
        """The alias itself has no node of its own; its place is found in the text behind its anchor."""
        place = span_of(node, self.file)
        anchor = re.compile(r"&([^\s,\[\]{}]+)").match(self.readable, node.start_mark.index)
        if anchor is not None:
            use = re.compile(r"\*" + re.escape(anchor[1]) + r"(?![^\s,\[\]{}:])").search(self.readable, anchor.end())
            if use is not None:
                line = self.readable.count("\n", 0, use.start()) + 1
                column = use.start() - self.readable.rfind("\n", 0, use.start())
                place = Span(self.file, line, column, line, column + len(use[0]))
        self.problems.append(Problem("E112", "alias refers to itself", place, hint="write the value out"))

    def collection(self, node: Node, path: Path) -> Any:
        kind = "map" if isinstance(node, MappingNode) else "seq"
        if node.tag not in ("", "!", CORE + kind):
            self.refuse_tag(node)
            return BROKEN
        if isinstance(node, SequenceNode):
            return [self.build(item, (*path, index)) for index, item in enumerate(node.value)]
        assert isinstance(node, MappingNode)
        if self.is_unquoted(node):
            return BROKEN
        return self.map(node, path)

    def is_unquoted(self, node: Node) -> bool:
        """`{{ x }}` without quotes is, to YAML, a map whose only key is a map. Reports it."""
        if is_flow(node) and self.readable.startswith("{{", node.start_mark.index):
            text = self.readable[node.start_mark.index : node.end_mark.index]
            more = {"label": UNQUOTED_LABEL, "hint": UNQUOTED_HINT, "replacement": in_quotes(text)}
            self.problem("E103", UNQUOTED, node, **more)
            return True
        return False

    def refuse_tag(self, node: Node) -> None:
        tag = node.tag.replace(CORE, "!!")
        if isinstance(node, ScalarNode) and tag in ("!!int", "!!float", "!!bool", "!!null"):
            summary = "not a number" if tag in ("!!int", "!!float") else f"not a value of type {tag[2:]}"
            self.problem("E108", summary, node, hint=f"leave {tag} out: fields have their types already")
            return
        hint = "leave the tag out"
        if tag.startswith("!vault"):
            hint = "secrets come from secret('/path'); !vault is read in Ansible inventories only"
        self.problem("E111", f'tag "{tag}" not allowed', node, hint=hint)

    def map(self, node: MappingNode, path: Path) -> dict[Any, Any]:
        result: dict[Any, Any] = {}
        seen: dict[str, Node] = {}
        for key_node, value_node in node.value:
            key = self.key(key_node)
            if key is None:
                self._missing_its_value(key_node, result)
                continue
            name = key.source if isinstance(key, Expression) else key
            if name in seen:
                first = span_of(seen[name], self.file)
                label = f"first at {first.line}:{first.column}"
                notes = (Note("first here", first),)
                self.problem(
                    "E102", f'key "{name}" appears twice', key_node, label=label, hint="remove one", notes=notes
                )
                continue
            seen[name] = key_node
            below = (*path, name)
            self.keys[below] = key_node
            result[key] = self.build(value_node, below)
        return result

    @staticmethod
    def _missing_its_value(node: Node, result: dict[Any, Any]) -> None:
        """A line indented by a non-breaking space was meant to stand below the key above it, which now looks empty."""
        above = next(reversed(result), None)
        if above is not None and str(node.value).startswith("\xa0") and result[above] == "":
            result[above] = BROKEN

    def key(self, node: Node) -> str | Expression | None:
        """The text of a key; None after a problem."""
        if not isinstance(node, ScalarNode):
            if not self.is_unquoted(node):
                self.problem("E115", "keys must be text", node)
            return None
        if node.tag not in ("", "!", CORE + "str"):
            self.refuse_tag(node)
            return None
        text: str = node.value
        if not node.style and (text.startswith("\xa0") or text == "<<" or not text or _NOT_KEYS.fullmatch(text)):
            self._refuse_key(node, text)
            return None
        if "{" in text and JINJA.search(text):
            return Expression(text, span_of(node, self.file))
        return text

    def _refuse_key(self, node: Node, text: str) -> None:
        if text.startswith("\xa0"):
            self.problem("E113", "non-breaking space in indentation", node, hint="use ordinary spaces")
        elif text == "<<":
            hint = "repeat the fields, or use a profile or `given` with defaults"
            self.problem("E115", "merge keys (<<) are not read here", node, hint=hint)
        else:
            self.problem("E115", "keys must be text", node, label="quote it" if text else "the key is missing")

    def scalar(self, node: ScalarNode) -> Any:
        text: str = node.value
        if node.tag not in ("", "!"):
            return self._typed_by_tag(node)
        if "\0" in text:
            self.problem("E113", "character U+0000 not allowed", node, hint="remove it")
            return BROKEN
        if "{" in text and JINJA.search(text):
            return Expression(text, span_of(node, self.file))
        if node.style:
            return text
        if self.readable is not self.text:
            start, end = node.start_mark.index, node.end_mark.index
            if self.text[start:end] != self.readable[start:end]:
                return BROKEN
        return Plain(text)

    def _typed_by_tag(self, node: ScalarNode) -> Any:
        """The core tags `!!str`, `!!int` and so on say what the text is; they never run code."""
        text: str = node.value
        name = node.tag.removeprefix(CORE)
        if name == "str":
            return Expression(text, span_of(node, self.file)) if JINJA.search(text) else str(text)
        try:
            value = untyped(text)
        except ScalarError as error:
            self.problem("E104", str(error), node)
            return BROKEN
        if name not in _BY_TAG or not isinstance(value, _BY_TAG[name]) or (name != "bool" and isinstance(value, bool)):
            self.refuse_tag(node)
            return BROKEN
        return Plain(text)


def in_quotes(text: str) -> str | None:
    """An expression of one line as YAML has to have it; None when no kind of quotes can hold it as it is."""
    if "\n" in text or "\\" in text:
        return None
    return next((f"{mark}{text}{mark}" for mark in ('"', "'") if mark not in text), None)
