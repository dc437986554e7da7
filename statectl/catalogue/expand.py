"""An association on one host: conditions decided, loops unrolled, profiles placed, expressions rendered.

Every step that needs a value asks for it and goes on when it is there, so that one exchange with the rendering child serves
the steps of many hosts. `Expansion.take()` gives the jobs that are open; after they ran, `go_on()` takes the next steps.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from statectl.catalogue.inputs import check_inputs
from statectl.catalogue.rendered import Failure, Job, Scope, Unknown
from statectl.catalogue.shapes import (
    Frame,
    KeyNotText,
    Order,
    Origin,
    Rendered,
    Shape,
    Shapes,
    SourceRefused,
    address_refs,
    inside,
    names_key,
    replaced,
)
from statectl.problems import Note, Problem, Span
from statectl.project.model import Association, Body, Common, Declaration, Given, Profile, Use
from statectl.project.scalars import Expression

MAX_DEPTH = 20  # profiles in profiles
MAX_RESOURCES = 50_000  # of one host

Path = tuple[str | int, ...]
Place = Callable[[Path], Span | None]
Then = Callable[[list[Any]], None]


@dataclass(slots=True, eq=False)
class Instance:
    """One resource of one host as declared by one association.

    `templates`: ("template",) or ("fragments", NAME, "template") to rendered text or SecretParts.
    """

    rendered: Rendered
    templates: Mapping[tuple[str, ...], Any]
    order: Order


class Expansion:
    """One association on one host."""

    def __init__(
        self,
        association: Association,
        scope: Scope,
        profiles: Mapping[str, Profile],
        shapes: Shapes,
        origin: Origin,
        explain: Callable[[Failure, Origin], Problem],
    ) -> None:
        self.name = association.name
        self._association = association
        self._scope = scope
        self._profiles = profiles
        self._shapes = shapes
        self._explain = explain
        self._open: list[tuple[Job, Then, Frame]] = []
        self.instances: list[Instance] = []
        self.problems: list[Problem] = []
        self.waiting: list[Span | None] = []  # steps left out because facts are not known, by their places
        self._step(self._body, association.body, Frame(origin=origin), association.places.key)

    def take(self) -> list[Job]:
        """The jobs that have to run before `go_on`."""
        return [job for job, _, _ in self._open]

    def go_on(self) -> None:
        steps, self._open = self._open, []
        for job, then, frame in steps:
            outcomes = job.outcomes
            failures = [one for one in outcomes if isinstance(one, Failure)]
            if failures:
                self.problems += [self._explain(failure, frame.origin) for failure in failures]
            elif any(isinstance(one, Unknown) for one in outcomes):
                number = next(
                    source for source, one in zip(job.sources, outcomes, strict=True) if isinstance(one, Unknown)
                )
                self.waiting.append(self._shapes.place(number))
            else:
                self._step(then, outcomes)

    def _step(self, step: Callable[..., None], *values: Any) -> None:
        try:
            step(*values)
        except KeyNotText as wrong:
            self.problems.append(Problem("E211", "a key must be rendered to text", wrong.expression.span))
        except SourceRefused as wrong:
            refused = wrong.refused
            self.problems.append(Problem(refused.code, refused.message, wrong.span, hint=refused.hint))
        except TooMany as many:
            if not any(problem.code == "E126" for problem in self.problems):
                self.problems.append(Problem("E126", f"more than {MAX_RESOURCES:,} resources on one host", many.span))

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

    def _body(self, body: Body, frame: Frame, key: Place) -> None:
        for declaration in body.declarations:
            self._declaration(declaration, frame)
        for given in body.given:
            self._given(given, frame, key)
        for use in body.uses:
            self._use(use, frame, key)

    def _given(self, given: Given, frame: Frame, key: Place) -> None:
        def inner() -> None:
            self._rendered([list(given.after), list(given.notify), dict(given.defaults)], frame, place)

        def place(values: list[Any]) -> None:
            after, notify, defaults = values
            below = Frame(
                names=frame.names,
                names_key=frame.names_key,
                after=(*frame.after, *address_refs(after, key((*given.path, "after")))),
                before=frame.before,
                notify=(*frame.notify, *address_refs(notify, key((*given.path, "notify")))),
                defaults={**frame.defaults, **defaults},
                order=frame.order,
                depth=frame.depth,
                origin=frame.origin,
            )
            self._body(given.body, below, key)

        self._if(given.when, frame, inner)

    def _use(self, use: Use, frame: Frame, key: Place) -> None:
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
            outer = frame.origin
            below = Frame(
                names=names,
                names_key=names_key(names),
                after=(*inner.after, *address_refs(after, key((*use.path, "after")))),
                before=(*inner.before, *address_refs(before, key((*use.path, "before")))),
                notify=(*inner.notify, *address_refs(notify, key((*use.path, "notify")))),
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
            declaration.looped_by,
        )

    def _loop(
        self,
        common: Common,
        path: Path,
        frame: Frame,
        key: Place,
        each: Callable[[Frame, int], None],
        what: str = "for_each",
    ) -> None:
        """Once for every item of `for_each`, or once when there is none. `what`: the key that it stands behind."""
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
                    Problem("E213", f"`{what}` needs a list or a map", span, hint="an empty list makes no resources")
                )
                return
            if len(items) > MAX_RESOURCES:
                self.problems.append(
                    Problem(
                        "E126", f"`{what}` makes {len(items):,} resources (max {MAX_RESOURCES:,} on one host)", span
                    )
                )
                return
            outer = frame.origin
            note = Note(f"item is an entry of {what}", span)
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

        def decided(values: list[Any]) -> None:
            if values[0] is True:
                self._fields(declaration, shape, frame, index)

        self._ask((shape.when,), frame, decided)

    def _fields(self, declaration: Declaration, shape: Shape, frame: Frame, index: int) -> None:
        if not shape.sources:
            self._place(declaration, shape, frame, index, [], {})
            return
        count = len(shape.expressions)

        def place(values: list[Any]) -> None:
            templates = {path: values[count + at] for at, (path, _) in enumerate(shape.templates)}
            if shape.late:
                self._late(declaration, shape, frame, index, values[:count], templates)
            else:
                self._place(declaration, shape, frame, index, values[:count], templates)

        self._ask(shape.sources, frame, place)

    def _late(
        self,
        declaration: Declaration,
        shape: Shape,
        frame: Frame,
        index: int,
        values: list[Any],
        templates: dict[tuple[str, ...], Any],
    ) -> None:
        """Templates whose own path had to be rendered first."""
        late = self._shapes.late(declaration, shape, values)

        def place_it(texts: list[Any]) -> None:
            more = {path: text for (path, _), text in zip(late, texts, strict=True)}
            self._place(declaration, shape, frame, index, values, {**templates, **more})

        self._ask(tuple(number for _, number in late), frame, place_it)

    def _place(
        self,
        declaration: Declaration,
        shape: Shape,
        frame: Frame,
        index: int,
        values: list[Any],
        templates: Mapping[tuple[str, ...], Any],
    ) -> None:
        if len(self.instances) >= MAX_RESOURCES:
            raise TooMany(shape.span)
        rendered = self._shapes.rendered(declaration, shape, frame, values)
        self.instances.append(Instance(rendered, templates, (*frame.order, (*shape.place, index))))


class TooMany(Exception):
    """More resources than one host may have; `span`: the one that was too many."""

    def __init__(self, span: Span | None) -> None:
        super().__init__("too many resources")
        self.span = span
