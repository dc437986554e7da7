"""What of a declaration has to be rendered, found once; and what a rendered declaration comes to, kept while it is the same."""

import json
import posixpath
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from statectl.catalogue.register import encode_rendered
from statectl.catalogue.render import Renderer
from statectl.catalogue.rendered import SecretParts
from statectl.catalogue.templates import TemplateRefused
from statectl.catalogue.trees import Trees
from statectl.problems import Note, Span
from statectl.project.model import Declaration
from statectl.project.scalars import Expression

TREE = ("tree",)  # stands for the templates of a tree while its directory is not known
KEPT_TEXT = 2000  # characters of rendered values that are worth comparing; longer ones are hardly the same on two hosts

Order = tuple[tuple[int, int, int], ...]  # (line, column, index of the loop) for each level from the association down
Origin = Callable[[str], Note | None]


def nowhere(_: str) -> Note | None:
    """No name is known to come from anywhere."""
    return None


@dataclass(frozen=True, slots=True)
class AddressRef:
    """An address that `after`, `before` or `notify` names, and where."""

    text: Any
    span: Span | None


@dataclass(slots=True, eq=False)
class Frame:
    """What holds for everything inside: local names, edges and defaults of enclosing groups."""

    names: Mapping[str, Any] | None = None
    names_key: str = ""
    after: tuple[AddressRef, ...] = ()
    before: tuple[AddressRef, ...] = ()
    notify: tuple[AddressRef, ...] = ()
    defaults: Mapping[str, Any] = field(default_factory=dict)
    order: Order = ()
    depth: int = 0
    origin: Origin = nowhere
    identity: Any = None  # equal for frames that add the same edges and defaults

    def __post_init__(self) -> None:
        if self.after or self.before or self.notify or self.defaults:
            edges = tuple(tuple(str(ref.text) for ref in refs) for refs in (self.after, self.before, self.notify))
            self.identity = (edges, tuple(sorted((name, repr(value)) for name, value in self.defaults.items())))


@dataclass(slots=True, eq=False)
class Rendered:
    """A declaration with all expressions replaced, on one host or on many. `kept`: equal ones are this very object."""

    declaration: Declaration
    span: Span | None
    key: Any
    fields: Mapping[str, Any]
    defaults: Mapping[str, Any]
    after: tuple[AddressRef, ...]
    before: tuple[AddressRef, ...]
    notify: tuple[AddressRef, ...]
    kept: bool


@dataclass(slots=True)
class Shape:
    """What of a declaration needs rendering, found once for all hosts."""

    expressions: tuple[Expression, ...]  # in key, fields, edges
    sources: tuple[int, ...]
    templates: tuple[tuple[tuple[str, ...], int], ...]  # literal template paths
    late: tuple[tuple[str, ...], ...]  # template fields whose path is an expression itself
    when: int | None
    span: Span | None
    place: tuple[int, int]  # line and column


def inside(value: Any, found: list[Expression]) -> list[Expression]:
    """All expressions in a tree, in order."""
    if isinstance(value, Expression):
        found.append(value)
    elif isinstance(value, Mapping):
        for key, item in value.items():
            inside(key, found)
            inside(item, found)
    elif isinstance(value, list | tuple) and not isinstance(value, SecretParts):
        for item in value:
            inside(item, found)
    return found


class SourceRefused(Exception):
    """Files of the project that a declaration cannot have, and where it asks for them."""

    def __init__(self, refused: TemplateRefused, span: Span | None) -> None:
        super().__init__(refused.message)
        self.refused = refused
        self.span = span


class KeyNotText(Exception):
    """An expression that is the key of a map gave a list, a map or a secret."""

    def __init__(self, expression: Expression) -> None:
        super().__init__(expression.source)
        self.expression = expression


def replaced(value: Any, rendered: Mapping[int, Any]) -> Any:
    """A tree with its expressions replaced by their values, by identity. Raises KeyNotText."""
    if isinstance(value, Expression):
        return rendered[id(value)]
    if isinstance(value, Mapping):
        return {_key(key, rendered): replaced(item, rendered) for key, item in value.items()}
    if isinstance(value, list):
        return [replaced(item, rendered) for item in value]
    return value


def _key(key: Any, rendered: Mapping[int, Any]) -> Any:
    if not isinstance(key, Expression):
        return key
    value = rendered[id(key)]
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise KeyNotText(key)
    return str(value)


def names_key(names: Mapping[str, Any]) -> str:
    """One text for equal local names; numbers count as written."""
    return json.dumps(encode_rendered(dict(names)), sort_keys=True)


class Shapes:
    """Shapes of declarations by identity; kept as long as the project."""

    def __init__(self, renderer: Renderer, trees: Trees) -> None:
        self._renderer = renderer
        self._trees = trees
        self._known: dict[int, tuple[Declaration, Shape]] = {}
        self._rendered: dict[Any, Rendered] = {}

    def of(self, declaration: Declaration) -> Shape:
        known = self._known.get(id(declaration))
        if known is None:
            known = self._known[id(declaration)] = (declaration, self._look(declaration))
        return known[1]

    def place(self, number: int) -> Span | None:
        """Where a source stands."""
        source = self._renderer.register.sources[number]
        return source.expression.span if source.expression is not None else Span(source.text, 1, 1)

    def source(self, expression: Expression) -> int:
        return self._renderer.register.source("condition" if expression.bare else "value", expression)

    def _template(self, declaration: Declaration, path: str) -> int:
        return self._renderer.register.source("template", template_path(declaration.places.file, path))

    def late(self, declaration: Declaration, shape: Shape, values: list[Any]) -> list[tuple[tuple[str, ...], int]]:
        """Templates whose own path had to be rendered first. Raises SourceRefused."""
        rendered = dict(zip(map(id, shape.expressions), values, strict=True))
        found = []
        written = dict(template_fields(declaration.fields))
        for path in shape.late:
            if path == TREE:
                found += self._of_tree(declaration, replaced(declaration.fields, rendered))
                continue
            name = rendered[id(written[path])]
            if not isinstance(name, str):
                place = declaration.places.value((*declaration.path, *path))
                raise SourceRefused(TemplateRefused("E211", "the path of a template must be text"), place)
            found.append((path, self._template(declaration, name)))
        if declaration.common.sensitive:
            self._renderer.register.sensitive.update(number for _, number in found)
        return found

    def _of_tree(self, declaration: Declaration, fields: Mapping[str, Any]) -> list[tuple[tuple[str, ...], int]]:
        """The templates that a tree's globs choose."""
        try:
            entries = self._trees.entries(declaration.places.file, str(fields["source"]), fields["templates"])
        except TemplateRefused as refused:
            place = declaration.places.value((*declaration.path, "source"))
            raise SourceRefused(refused, place) from None
        source = self._renderer.register.source
        return [(("tree", entry.file), source("template", entry.file)) for entry in entries if entry.template]

    def _look(self, declaration: Declaration) -> Shape:
        common = declaration.common
        found = inside(declaration.key, [])
        inside(declaration.fields, found)
        for edges in (common.after, common.before, common.notify):
            inside(edges, found)
        templates: list[tuple[tuple[str, ...], int]] = []
        late: list[tuple[str, ...]] = []
        for path, value in template_fields(declaration.fields):
            if isinstance(value, Expression):
                late.append(path)
            else:
                templates.append((path, self._template(declaration, str(value))))
        if is_tree(declaration):
            if inside([declaration.fields["source"], declaration.fields["templates"]], []):
                late.append(TREE)
            else:
                templates += self._of_tree(declaration, declaration.fields)
        sources = (*(self.source(expression) for expression in found), *(number for _, number in templates))
        if common.sensitive:
            self._renderer.register.sensitive.update(sources)
        when = None if common.when is None else self.source(common.when)
        span = declaration.span
        place = (span.line, span.column) if span is not None else (0, 0)
        return Shape(tuple(found), sources, tuple(templates), tuple(late), when, span, place)

    def rendered(self, declaration: Declaration, shape: Shape, frame: Frame, values: list[Any]) -> Rendered:
        """The declaration with the values of its expressions, in their order."""
        identity: Any = (id(declaration), frame.identity, "")
        if values:
            text = json.dumps(encode_rendered(values))
            identity = (id(declaration), frame.identity, text) if len(text) <= KEPT_TEXT else None
        found = self._rendered.get(identity) if identity is not None else None
        if found is None:
            found = self._replaced(
                declaration, shape, frame, dict(zip(map(id, shape.expressions), values, strict=True)), identity
            )
            if identity is not None:
                self._rendered[identity] = found
        return found

    def _replaced(
        self, declaration: Declaration, shape: Shape, frame: Frame, values: Mapping[int, Any], identity: Any
    ) -> Rendered:
        common, places = declaration.common, declaration.places

        def refs(name: str, written: tuple[Any, ...]) -> tuple[AddressRef, ...]:
            if not written:
                return ()
            return address_refs(replaced(list(written), values), places.value((*declaration.path, name)))

        return Rendered(
            declaration=declaration,
            span=shape.span,
            key=replaced(declaration.key, values),
            fields=replaced(declaration.fields, values) if values else declaration.fields,
            defaults=frame.defaults,
            after=(*frame.after, *refs("after", common.after)),
            before=(*frame.before, *refs("before", common.before)),
            notify=(*frame.notify, *refs("notify", common.notify)),
            kept=identity is not None,
        )


def address_refs(values: Iterable[Any], span: Span | None) -> tuple[AddressRef, ...]:
    """An expression may give one address or a list of them."""
    found: list[AddressRef] = []
    for value in values:
        found += [AddressRef(one, span) for one in (value if isinstance(value, list) else [value])]
    return tuple(found)


def is_tree(declaration: Declaration) -> bool:
    """Has it a directory of the project with templates in it?"""
    return declaration.type == "tree" and isinstance(declaration.fields.get("templates"), list | Expression)


def template_fields(fields: Mapping[Any, Any]) -> Iterable[tuple[tuple[str, ...], Any]]:
    """Where a declaration names templates: its own field, and those of its fragments."""
    if fields.get("template") is not None:
        yield ("template",), fields["template"]
    fragments = fields.get("fragments")
    if isinstance(fragments, Mapping):
        for name, fragment in fragments.items():
            if isinstance(fragment, Mapping) and fragment.get("template") is not None:
                yield (
                    ("fragments", name.source if isinstance(name, Expression) else str(name), "template"),
                    fragment["template"],
                )


def template_path(yaml_file: str, path: str) -> str:
    """Relative to the YAML file, as everywhere; the jail refuses what leaves the project."""
    return path if path.startswith("/") else posixpath.normpath(posixpath.join(posixpath.dirname(yaml_file), path))
