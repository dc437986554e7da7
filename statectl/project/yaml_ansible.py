"""Ansible's own typing of YAML (PyYAML's SafeLoader, YAML 1.1), for inventories written for Ansible. Nothing else uses it."""

from collections.abc import Callable, Hashable
from typing import Any

from yaml.constructor import ConstructorError, SafeConstructor
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from statectl.problems import Note, Problem
from statectl.project.scalars import Expression
from statectl.project.yaml_nodes import Path, span_of
from statectl.project.yaml_tree import BROKEN, CORE, JINJA, Builder, Tagged

_VAULT = ("!vault", "!vault-encrypted")


class AnsibleBuilder(Builder):
    def __init__(self, text: str, readable: str, file: str, problems: list[Problem], budget: int) -> None:
        super().__init__(text, readable, file, problems, budget)
        self._constructor = SafeConstructor()

    def collection(self, node: Node, path: Path) -> Any:
        if node.tag == "!unsafe":
            node.tag = ""
            value = super().collection(node, path)
            return Tagged("!unsafe", value, span_of(node, self.file))
        return super().collection(node, path)

    def scalar(self, node: ScalarNode) -> Any:
        if node.tag in _VAULT or node.tag == "!unsafe":
            return Tagged("!unsafe" if node.tag == "!unsafe" else "!vault", node.value, span_of(node, self.file))
        if self.readable is not self.text and not node.style:
            start, end = node.start_mark.index, node.end_mark.index
            if self.text[start:end] != self.readable[start:end]:
                return BROKEN
        if node.tag in ("", "!", CORE + "str", CORE + "value", CORE + "merge"):
            text: str = node.value
            return Expression(text, span_of(node, self.file)) if "{" in text and JINJA.search(text) else str(text)
        build: Callable[[SafeConstructor, Node], Any] | None = SafeConstructor.yaml_constructors.get(node.tag)
        if build is None or not node.tag.startswith(CORE):
            self.refuse_tag(node)
            return BROKEN
        try:
            return build(self._constructor, node)
        except (ValueError, KeyError, IndexError, OverflowError, ConstructorError):
            # PyYAML lets these through for impossible dates, 5,000-digit integers and `!!int x`
            self.problem("E104", f"not a valid {node.tag.removeprefix(CORE)}", node, hint="quote it if it is text")
            return BROKEN

    def map(self, node: MappingNode, path: Path) -> dict[Any, Any]:
        result: dict[Any, Any] = {}
        seen: dict[Any, Node] = {}
        merged: dict[Any, Any] = {}
        for key_node, value_node in node.value:
            if isinstance(key_node, ScalarNode) and key_node.tag == CORE + "merge":
                self._merge(value_node, path, merged)
                continue
            if self.is_unquoted(key_node):
                continue
            key = self.scalar(key_node) if isinstance(key_node, ScalarNode) else None
            if key is BROKEN:
                continue
            if not isinstance(key_node, ScalarNode) or not isinstance(key, Hashable) or isinstance(key, Tagged):
                self.problem("E115", "keys must be text", key_node)
                continue
            if isinstance(key, Expression):
                key = key.source
            if key in seen:
                first = span_of(seen[key], self.file)
                label, notes = f"first at {first.line}:{first.column}", (Note("first here", first),)
                summary = f'key "{key}" appears twice; the last one counts'
                self.problem("W102", summary, key_node, label=label, hint="remove one", notes=notes)
            seen[key] = key_node
            below: Any = (*path, key)
            self.keys[below] = key_node
            result[key] = self.build(value_node, below)
        return {**merged, **result}

    def _merge(self, node: Node, path: Path, into: dict[Any, Any]) -> None:
        sources = node.value if isinstance(node, SequenceNode) else [node]
        for source in reversed(sources):  # earlier maps of a list win
            value = self.build(source, path)
            if isinstance(value, dict):
                into.update(value)
            elif value is not BROKEN:
                self.problem("E115", "<< expects a map or a list of maps", source)
