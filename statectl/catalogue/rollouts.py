"""`rollout` of an association on one host: its health check and its steps with every expression rendered.

The health check travels in the catalogue; the steps are the controller's, which runs them on other hosts.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from statectl.catalogue.render import Renderer
from statectl.catalogue.rendered import Failure, Job, Scope, SecretParts, Unknown
from statectl.catalogue.selections import Selections
from statectl.catalogue.shapes import Shapes, nowhere
from statectl.catalogue.template_errors import Explainer
from statectl.problems import Problem, Span
from statectl.project.model import Association, Health, Step
from statectl.project.scalars import Expression


@dataclass(frozen=True, slots=True)
class RenderedStep:
    """A command and the hosts that run it, one after the other."""

    argv: tuple[str, ...]
    hosts: tuple[str, ...]
    timeout_s: float


@dataclass(frozen=True, slots=True)
class HostRollout:
    """What one association wants done around its change of one host. `health`: as a catalogue and an order have it."""

    health: Mapping[str, Any] | None = None
    before: tuple[RenderedStep, ...] = ()
    after: tuple[RenderedStep, ...] = ()


@dataclass(slots=True)
class Asked:
    """One association on one host, to be rendered. `found` and `problems` are filled by `Rollouts.render`."""

    association: Association
    scope: Scope
    offline: bool
    found: HostRollout = field(default_factory=HostRollout)
    problems: list[Problem] = field(default_factory=list)


class Rollouts:
    def __init__(self, renderer: Renderer, shapes: Shapes, explainer: Explainer, selections: Selections) -> None:
        self._renderer = renderer
        self._shapes = shapes
        self._explainer = explainer
        self._selections = selections

    def render(self, asked: Iterable[Asked]) -> None:
        """All of them in one exchange with the renderer."""
        waiting = [(one, Job(one.scope, tuple(map(self._shapes.source, _expressions(one))))) for one in asked]
        jobs = [job for _, job in waiting if job.sources]
        if jobs:
            self._renderer.run(jobs)
        for one, job in waiting:
            self._fill(one, iter(job.outcomes))

    def _fill(self, one: Asked, values: Iterator[Any]) -> None:
        rollout = one.association.rollout
        if rollout is None:
            return
        health = None
        if rollout.health is not None:
            what = self._words(one, rollout.health, rollout.health.what, values)
            if what is not None:
                health = {
                    "kind": rollout.health.kind,
                    "what": what,
                    "expect": rollout.health.expect,
                    "within_s": rollout.health.within_s,
                }
        before, after = (
            tuple(step for item in steps if (step := self._step(one, item, values)) is not None)
            for steps in (rollout.before, rollout.after)
        )
        one.found = HostRollout(health, before, after)

    def _step(self, one: Asked, step: Step, values: Iterator[Any]) -> RenderedStep | None:
        argv = self._words(one, step, step.run, values)
        if argv is None:
            return None
        return RenderedStep(tuple(argv), tuple(self._selections.of(step.on).hosts), step.timeout_s)

    def _words(self, one: Asked, what: Health | Step, words: Iterable[Any], values: Iterator[Any]) -> list[str] | None:
        """Texts; None when one of them is wrong, or not known before the host was contacted."""
        found: list[str] = []
        known = True
        for word in words:
            value = next(values) if isinstance(word, Expression) else word
            place = word.span if isinstance(word, Expression) else one.association.places.value(what.path)
            if isinstance(value, Unknown) and one.offline:
                known = False
            elif (problem := self._problem(value, place)) is not None:
                one.problems.append(problem)
                known = False
            else:
                found.append(str(value))
        return found if known else None

    def _problem(self, value: Any, place: Span | None) -> Problem | None:
        if isinstance(value, Failure):
            return self._explainer.problem(value, nowhere)
        if isinstance(value, Unknown):
            return Problem("E216", "`rollout` uses facts of another host, which was never contacted", place)
        if isinstance(value, SecretParts):
            return Problem("E214", "a secret cannot stand in `rollout`: what it runs and asks is shown", place)
        if isinstance(value, list | dict | bool) or value is None:
            return Problem("E211", "an argument or address of `rollout` must be text", place)
        return None


def nobody(association: Association, selections: Selections) -> list[Problem]:
    """Mistakes in `on` of the steps, and steps that no host would run."""
    rollout = association.rollout
    problems: list[Problem] = []
    for step in (*rollout.before, *rollout.after) if rollout is not None else ():
        span = association.places.value((*step.path, "on"))
        selection = selections.of(step.on)
        problems += [one.at(span, step.on) for one in selection.problems]
        if not selection.hosts and not selection.problems:
            hint = "`statectl inventory list` shows the hosts"
            if selection.unknown:
                hint = f"facts decide, and these were never contacted: {', '.join(selection.unknown[:3])}"
            text = f"no host runs this step of association {association.name}"
            problems.append(Problem("E152", text, span, hint=hint))
    return problems


def _expressions(one: Asked) -> Iterator[Expression]:
    """In the order in which `_fill` takes their values."""
    rollout = one.association.rollout
    if rollout is None:
        return
    parts = [rollout.health.what] if rollout.health is not None else []
    parts += [step.run for step in (*rollout.before, *rollout.after)]
    for words in parts:
        yield from (word for word in words if isinstance(word, Expression))
