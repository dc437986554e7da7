"""An association on one host: conditions decided, loops unrolled, profiles placed, expressions rendered.

Every step that needs a value asks for it and goes on when it is there, so that one exchange with the rendering child serves
the steps of many hosts. `Expansion.take()` gives the jobs that are open; after they ran, `go_on()` takes the next steps.
"""

import json
import posixpath
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from statectl.catalogue.child import wire
from statectl.catalogue.inputs import check_inputs
from statectl.catalogue.render import Failure, Job, Renderer, Scope, SecretParts, Unknown
from statectl.problems import Note, Problem, Span
from statectl.project.model import Association, Body, Common, Declaration, Given, Profile, Use
from statectl.project.scalars import Expression

MAX_DEPTH = 20  # profiles in profiles
MAX_RESOURCES = 50_000  # of one host
TEMPLATE_FIELDS = ("template",)

Order = tuple[tuple[int, int, int], ...]  # (line, column, index of the loop) for each level from the association down
Then = Callable[[list[Any]], None]


@dataclass(frozen=True, slots=True)
class AddressRef:
    """An address that `after`, `before` or `notify` names, and where."""

    text: Any
    span: Span | None


@dataclass(frozen=True, slots=True)
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
    origin: Callable[[str], Note | None] | None = None


@dataclass(frozen=True, slots=True)
class Instance:
    """One resource of one host as declared by one association; everything rendered, nothing validated."""

    declaration: Declaration
    association: str
    key: Any
    fields: Mapping[str, Any]
    defaults: Mapping[str, Any]
    templates: Mapping[tuple[str, ...], Any]  # ("template",) or ("fragments", NAME, "template") to rendered text
    after: tuple[AddressRef, ...]
    before: tuple[AddressRef, ...]
    notify: tuple[AddressRef, ...]
    order: Order
    identity: Any  # equal for instances that must be equal, None when it is this host's own


@dataclass(slots=True)
class Shape:
    """What of a declaration needs rendering, found once for all hosts."""

    expressions: tuple[Expression, ...]  # in key, fields, edges
    sources: tuple[int, ...]
    templates: tuple[tuple[tuple[str, ...], int], ...]  # literal template paths
    late: tuple[tuple[str, ...], ...]  # template fields whose path is an expression itself
    when: int | None
    span: Span | None


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

    def other(item: Any) -> Any:
        if isinstance(item, SecretParts):
            return {"$parts": list(item.parts)}
        return str.__str__(item)

    return json.dumps({name: wire.encode(value, other) for name, value in names.items()}, sort_keys=True)


class Shapes:
    """Shapes of declarations by identity; kept as long as the project."""

    def __init__(self, renderer: Renderer, root_of: Callable[[str, str], str]) -> None:
        """`root_of(yaml file, relative path)` gives the path of a template in the project."""
        self._renderer = renderer
        self._path = root_of
        self._known: dict[int, tuple[Declaration, Shape]] = {}

    def of(self, declaration: Declaration) -> Shape:
        known = self._known.get(id(declaration))
        if known is None:
            known = self._known[id(declaration)] = (declaration, self._look(declaration))
        return known[1]

    def source(self, expression: Expression) -> int:
        return self._renderer.source("condition" if expression.bare else "value", expression)

    def template(self, declaration: Declaration, path: str) -> int:
        return self._renderer.source("template", self._path(declaration.places.file, path))

    def _look(self, declaration: Declaration) -> Shape:
        common = declaration.common
        found = inside(declaration.key, [])
        inside(declaration.fields, found)
        for edges in (common.after, common.before, common.notify):
            inside(edges, found)
        templates = []
        late = []
        for path, value in template_fields(declaration.fields):
            if isinstance(value, Expression):
                late.append(path)
            else:
                templates.append((path, self.template(declaration, str(value))))
        sources = (*(self.source(expression) for expression in found), *(number for _, number in templates))
        when = None if common.when is None else self.source(common.when)
        return Shape(tuple(found), sources, tuple(templates), tuple(late), when, declaration.span)


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


class Expansion:
    """One association on one host."""

    def __init__(
        self,
        association: Association,
        scope: Scope,
        profiles: Mapping[str, Profile],
        shapes: Shapes,
        origin: Callable[[str], Note | None],
        explain: Callable[[Failure, Callable[[str], Note | None]], Problem],
    ) -> None:
        self._association = association
        self._scope = scope
        self._profiles = profiles
        self._shapes = shapes
        self._explain = explain
        self._open: list[tuple[Job, Then, Frame]] = []
        self.instances: list[Instance] = []
        self.problems: list[Problem] = []
        self.waits_for_facts = 0  # steps left out because the host was never contacted
        self._body(association.body, Frame(origin=origin), association.places.key)

    def take(self) -> list[Job]:
        """The jobs that have to run before `go_on`."""
        return [job for job, _, _ in self._open]

    def go_on(self) -> None:
        steps, self._open = self._open, []
        for job, then, frame in steps:
            outcomes = job.outcomes
            failures = [one for one in outcomes if isinstance(one, Failure)]
            if failures:
                self.problems += [self._explain(failure, frame.origin or (lambda _: None)) for failure in failures]
            elif any(isinstance(one, Unknown) for one in outcomes):
                self.waits_for_facts += 1
            else:
                try:
                    then(outcomes)
                except KeyNotText as wrong:
                    self.problems.append(Problem("E211", "a key must be rendered to text", wrong.expression.span))

    def _ask(self, sources: tuple[int, ...], frame: Frame, then: Then) -> Job:
        job = Job(self._scope, sources, frame.names, frame.names_key)
        self._open.append((job, then, frame))
        return job

    def _rendered(self, value: Any, frame: Frame, then: Callable[[Any], None]) -> None:
        """A tree with its expressions rendered, now or when they are there."""
        found = inside(value, [])
        if not found:
            then(value)
            return
        sources = tuple(self._shapes.source(expression) for expression in found)
        self._ask(sources, frame, lambda values: then(replaced(value, dict(zip(map(id, found), values, strict=True)))))

    def _if(self, when: Expression | None, frame: Frame, then: Callable[[], None]) -> None:
        if when is None:
            then()
            return
        self._ask((self._shapes.source(when),), frame, lambda values: then() if values[0] is True else None)

    # The three things a body holds

    def _body(self, body: Body, frame: Frame, key: Callable[[tuple[str | int, ...]], Span | None]) -> None:
        for declaration in body.declarations:
            self._declaration(declaration, frame)
        for given in body.given:
            self._given(given, frame, key)
        for use in body.uses:
            self._use(use, frame, key)

    def _given(self, given: Given, frame: Frame, key: Callable[[tuple[str | int, ...]], Span | None]) -> None:
        def inner() -> None:
            self._rendered([list(given.after), list(given.notify), dict(given.defaults)], frame, place)

        def place(values: list[Any]) -> None:
            after, notify, defaults = values
            below = Frame(
                names=frame.names,
                names_key=frame.names_key,
                after=(*frame.after, *_refs(after, key((*given.path, "after")))),
                before=frame.before,
                notify=(*frame.notify, *_refs(notify, key((*given.path, "notify")))),
                defaults={**frame.defaults, **defaults},
                order=frame.order,
                depth=frame.depth,
                origin=frame.origin,
            )
            self._body(given.body, below, key)

        self._if(given.when, frame, inner)

    def _use(self, use: Use, frame: Frame, key: Callable[[tuple[str | int, ...]], Span | None]) -> None:
        span = key(use.path)
        profile = self._profiles.get(use.profile)
        if profile is None:
            self.problems.append(Problem("E119", f"no profile `{use.profile}`", span))
            return
        if frame.depth >= MAX_DEPTH:
            self.problems.append(Problem("E131", f"profiles nested deeper than {MAX_DEPTH}", span))
            return

        def each(inner: Frame, index: int) -> None:
            self._if(use.common.when, inner, lambda: arguments(inner, index))

        def arguments(inner: Frame, index: int) -> None:
            common = use.common
            tree = [use.inputs, list(common.after), list(common.before), list(common.notify)]
            self._rendered(tree, inner, lambda values: place(inner, index, values))

        def place(inner: Frame, index: int, values: list[Any]) -> None:
            given, after, before, notify = values
            if not isinstance(given, dict):
                self.problems.append(
                    Problem(
                        "E124", f"`with` of profile {profile.name} must be a map of inputs", key((*use.path, "with"))
                    )
                )
                return
            spans = (
                {str(name): key((*use.path, "with", str(name))) for name in given}
                if isinstance(use.inputs, Mapping)
                else {}
            )
            inputs, problems = check_inputs(profile, given, span, spans)
            if problems:
                self.problems += problems
                return
            self._rendered(
                inputs, Frame(origin=frame.origin), lambda ready: enter(inner, index, ready, after, before, notify)
            )

        def enter(inner: Frame, index: int, inputs: Any, after: Any, before: Any, notify: Any) -> None:
            names = {"inputs": inputs}
            uses = Note(f"inputs of profile {profile.name} are given", span)
            outer = frame.origin or (lambda _: None)
            below = Frame(
                names=names,
                names_key=names_key(names),
                after=(*inner.after, *_refs(after, key((*use.path, "after")))),
                before=(*inner.before, *_refs(before, key((*use.path, "before")))),
                notify=(*inner.notify, *_refs(notify, key((*use.path, "notify")))),
                defaults=inner.defaults,
                order=(*inner.order, (span.line if span else 0, span.column if span else 0, index)),
                depth=inner.depth + 1,
                origin=lambda name: uses if name == "inputs" else outer(name),
            )
            self._body(profile.body, below, profile.places.key)

        self._loop(use.common, use.path, frame, key, each)

    def _declaration(self, declaration: Declaration, frame: Frame) -> None:
        common = declaration.common
        if common.for_each is None:
            self._conditional(declaration, frame, 0)
            return
        self._loop(
            common,
            declaration.path,
            frame,
            declaration.places.key,
            lambda inner, index: self._conditional(declaration, inner, index),
        )

    def _loop(
        self,
        common: Common,
        path: tuple[str | int, ...],
        frame: Frame,
        key: Callable[[tuple[str | int, ...]], Span | None],
        each: Callable[[Frame, int], None],
    ) -> None:
        """Once for every item of `for_each`, or once when there is none."""
        if common.for_each is None:
            each(frame, 0)
            return
        span = key((*path, "for_each"))

        def unroll(value: Any) -> None:
            if isinstance(value, dict):
                items: list[Any] = [{"key": name, "value": item} for name, item in value.items()]
            elif isinstance(value, list):
                items = value
            else:
                self.problems.append(
                    Problem("E213", "`for_each` needs a list or a map", span, hint="an empty list makes no resources")
                )
                return
            if len(items) > MAX_RESOURCES:
                self.problems.append(
                    Problem(
                        "E126", f"`for_each` makes {len(items):,} resources (max {MAX_RESOURCES:,} on one host)", span
                    )
                )
                return
            outer = frame.origin or (lambda _: None)
            note = Note("item is an entry of for_each", span)
            for index, item in enumerate(items):
                names = {**(frame.names or {}), "item": item}
                inner = Frame(
                    names=names,
                    names_key=names_key(names),
                    after=frame.after,
                    before=frame.before,
                    notify=frame.notify,
                    defaults=frame.defaults,
                    order=frame.order,
                    depth=frame.depth,
                    origin=lambda name: note if name == "item" else outer(name),
                )
                each(inner, index)

        self._rendered(common.for_each, frame, unroll)

    def _conditional(self, declaration: Declaration, frame: Frame, index: int) -> None:
        shape = self._shapes.of(declaration)
        if shape.when is None:
            self._fields(declaration, shape, frame, index)
            return
        self._ask(
            (shape.when,),
            frame,
            lambda values: self._fields(declaration, shape, frame, index) if values[0] is True else None,
        )

    def _fields(self, declaration: Declaration, shape: Shape, frame: Frame, index: int) -> None:
        if not shape.sources:
            identity = (id(declaration), frame.names_key if frame.names else "", self._frame_identity(frame))
            self._place(declaration, shape, frame, index, {}, {}, identity)
            return

        def place(values: list[Any]) -> None:
            rendered = dict(zip(map(id, shape.expressions), values, strict=False))
            templates = {path: values[len(shape.expressions) + at] for at, (path, _) in enumerate(shape.templates)}
            identity = None if job.memo is None else (id(declaration), job.memo, self._frame_identity(frame))
            if shape.late:
                self._late(declaration, shape, frame, index, rendered, templates)
            else:
                self._place(declaration, shape, frame, index, rendered, templates, identity)

        job = self._ask(shape.sources, frame, place)

    def _frame_identity(self, frame: Frame) -> Any:
        if not (frame.after or frame.before or frame.notify or frame.defaults):
            return None
        edges = tuple(tuple(str(ref.text) for ref in refs) for refs in (frame.after, frame.before, frame.notify))
        return (edges, tuple(sorted((name, str(value)) for name, value in frame.defaults.items())))

    def _late(
        self,
        declaration: Declaration,
        shape: Shape,
        frame: Frame,
        index: int,
        rendered: dict[int, Any],
        templates: dict[Any, Any],
    ) -> None:
        """Templates whose own path had to be rendered first."""
        sources = []
        written = dict(template_fields(declaration.fields))
        for path in shape.late:
            name = rendered[id(written[path])]
            if not isinstance(name, str):
                self.problems.append(
                    Problem(
                        "E211",
                        "the path of a template must be text",
                        declaration.places.value((*declaration.path, *path)),
                    )
                )
                return
            sources.append(self._shapes.template(declaration, name))

        def place(values: list[Any]) -> None:
            self._place(
                declaration,
                shape,
                frame,
                index,
                rendered,
                {**templates, **dict(zip(shape.late, values, strict=True))},
                None,
            )

        self._ask(tuple(sources), frame, place)

    def _place(
        self,
        declaration: Declaration,
        shape: Shape,
        frame: Frame,
        index: int,
        rendered: Mapping[int, Any],
        templates: Mapping[Any, Any],
        identity: Any,
    ) -> None:
        if len(self.instances) >= MAX_RESOURCES:
            if len(self.instances) == MAX_RESOURCES:
                self.problems.append(Problem("E126", f"more than {MAX_RESOURCES:,} resources on one host", shape.span))
            return
        common, span = declaration.common, shape.span

        def refs(name: str, values: Sequence[Any]) -> tuple[AddressRef, ...]:
            return (
                _refs(replaced(list(values), rendered), declaration.places.value((*declaration.path, name)))
                if values
                else ()
            )

        self.instances.append(
            Instance(
                declaration=declaration,
                association=self._association.name,
                key=replaced(declaration.key, rendered),
                fields=replaced(declaration.fields, rendered) if shape.expressions else declaration.fields,
                defaults=frame.defaults,
                templates=templates,
                after=(*frame.after, *refs("after", common.after)),
                before=(*frame.before, *refs("before", common.before)),
                notify=(*frame.notify, *refs("notify", common.notify)),
                order=(*frame.order, (span.line if span else 0, span.column if span else 0, index)),
                identity=identity,
            )
        )


def _refs(values: Iterable[Any], span: Span | None) -> tuple[AddressRef, ...]:
    """An expression may give one address or a list of them."""
    found: list[AddressRef] = []
    for value in values:
        found += [AddressRef(one, span) for one in (value if isinstance(value, list) else [value])]
    return tuple(found)
