"""libyaml's nodes within bounds, and where they stand.

libyaml composes nested nodes by recursion in C: 200,000 brackets end the process instead of raising. Depth is therefore
counted while it composes.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from yaml.composer import Composer
from yaml.nodes import CollectionNode, Node, ScalarNode
from yaml.parser import Parser
from yaml.reader import Reader
from yaml.resolver import Resolver
from yaml.scanner import Scanner

from statectl.problems import Span

try:
    from yaml._yaml import CParser

    HAS_LIBYAML = True
except ImportError:  # PyYAML built without libyaml: eight times slower, the same trees
    HAS_LIBYAML = False

Path = tuple[str | int, ...]

MAX_DEPTH = 60


class TooDeep(Exception):
    """Nested deeper than MAX_DEPTH. `place`: line and column from 0 of the innermost collection that was still read."""

    def __init__(self, place: tuple[int, int]) -> None:
        super().__init__()
        self.place = place


class _Bounds:
    """Counts nodes and depth. Composers call descend and ascend around every node."""

    depth = 0
    count = 0
    place = (0, 0)

    def descend_resolver(self, parent: Node | None, _index: Any) -> None:
        self.depth += 1
        self.count += 1
        if parent is not None and self.depth == MAX_DEPTH:
            self.place = (parent.start_mark.line, parent.start_mark.column)
        if self.depth > MAX_DEPTH:
            raise TooDeep(self.place)

    def ascend_resolver(self) -> None:
        self.depth -= 1


class _NoTags(_Bounds):
    """Plain scalars keep an empty tag: the schema decides, not their looks."""

    def resolve(self, _kind: type[Node], _value: Any, _implicit: Any) -> str:
        return ""

    def check_resolver_prefix(self, *_args: Any) -> bool:
        return False


class _AnsibleTags(_Bounds, Resolver):
    """YAML 1.1 resolution, as Ansible reads its files."""

    def __init__(self) -> None:
        Resolver.__init__(self)


if HAS_LIBYAML:

    class _ProjectComposer(_NoTags, CParser):
        def __init__(self, text: str) -> None:
            CParser.__init__(self, text)

    class _AnsibleComposer(_AnsibleTags, CParser):
        def __init__(self, text: str) -> None:
            CParser.__init__(self, text)
            _AnsibleTags.__init__(self)


class _PureParser(Reader, Scanner, Parser, Composer):
    def __init__(self, text: str) -> None:
        Reader.__init__(self, text)
        Scanner.__init__(self)
        Parser.__init__(self)
        Composer.__init__(self)


class _PureProjectComposer(_NoTags, _PureParser):
    def __init__(self, text: str) -> None:
        _PureParser.__init__(self, text)


class _PureAnsibleComposer(_AnsibleTags, _PureParser):
    def __init__(self, text: str) -> None:
        _PureParser.__init__(self, text)
        _AnsibleTags.__init__(self)


def compose(text: str, *, ansible: bool, libyaml: bool = HAS_LIBYAML) -> tuple[Node | None, int]:
    """The root node (None: empty file) and how many nodes were read. Raises yaml.MarkedYAMLError and TooDeep."""
    composer: Any
    if libyaml:
        composer = _AnsibleComposer(text) if ansible else _ProjectComposer(text)
    else:
        composer = _PureAnsibleComposer(text) if ansible else _PureProjectComposer(text)
    return composer.get_single_node(), composer.count


class Spans(Mapping[Path, Span]):
    """path -> Span, made from the node's marks when somebody asks: most places are never asked for."""

    __slots__ = ("_file", "_nodes")

    def __init__(self, nodes: dict[Path, Node], file: str) -> None:
        self._nodes = nodes
        self._file = file

    def __getitem__(self, path: Path) -> Span:
        return span_of(self._nodes[path], self._file)

    def __contains__(self, path: object) -> bool:
        return path in self._nodes

    def __iter__(self) -> Iterator[Path]:
        return iter(self._nodes)

    def __len__(self) -> int:
        return len(self._nodes)


def span_of(node: Node, file: str) -> Span:
    """Where a node stands. Block collections and block scalars are shown by their first character only."""
    start, end = node.start_mark, node.end_mark
    block = node.style in ("|", ">") if isinstance(node, ScalarNode) else not is_flow(node)
    if block:
        return Span(file, start.line + 1, start.column + 1)
    return Span(file, start.line + 1, start.column + 1, end.line + 1, end.column + 1)


def is_flow(node: Node) -> bool:
    return isinstance(node, CollectionNode) and bool(node.flow_style)
