"""From files to one project: names across files, what refers to what, and what one association says twice."""

import posixpath
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any, TypeVar

from statectl.problems import Note, Problem, Span, did_you_mean, nearest
from statectl.project.model import Association, Body, Declaration, MaintenanceWindow, Places, Profile, Use
from statectl.project.profiles import typed_input
from statectl.project.requires import place_of
from statectl.project.scalars import Expression
from statectl.project.types import ResourceType
from statectl.project.yaml_tree import BROKEN

_Named = TypeVar("_Named", Association, Profile, MaintenanceWindow)


def merge(
    associations: Iterable[Association],
    profiles: Iterable[Profile],
    windows: Iterable[MaintenanceWindow],
    types: Mapping[str, ResourceType],
    broken_windows: Collection[str] = (),
) -> tuple[dict[str, Association], dict[str, Profile], dict[str, MaintenanceWindow], list[Problem]]:
    """All by name, with the inputs of profiles typed, and every problem between them.

    broken_windows: names of windows that are there and could not be read.
    """
    problems: list[Problem] = []
    named = _by_name(associations, "association", problems)
    used = _by_name(profiles, "profile", problems)
    opened = _by_name(windows, "maintenance window", problems)
    by_type = {one.name: one for one in types.values()}
    for association in named.values():
        _references(association, named, problems)
        _windows(association, sorted({*opened, *broken_windows}), problems)
        _names(association, problems)
        _twice(association.body, association.name, by_type, problems)
    for profile in used.values():
        _twice(profile.body, profile.name, by_type, problems)
    rings(
        {name: one.requires for name, one in named.items()},
        lambda name, target: place_of(named[name], target),
        "associations require each other",
        problems,
    )
    rings(
        {name: tuple(use.profile for use in _uses(one.body)) for name, one in used.items()},
        lambda name, target: next(
            (used[name].places.key(use.path) for use in _uses(used[name].body) if use.profile == target), None
        ),
        "profiles use each other",
        problems,
    )
    placed = _Placed(used, problems)
    return (
        {name: replace(one, body=placed.body(one.body, one.places)) for name, one in named.items()},
        {name: replace(one, body=placed.body(one.body, one.places)) for name, one in used.items()},
        opened,
        problems,
    )


def _by_name(items: Iterable[_Named], what: str, problems: list[Problem]) -> dict[str, _Named]:
    found: dict[str, _Named] = {}
    for one in items:
        first = found.setdefault(one.name, one)
        if first is not one:
            span, before = one.places.key(one.path), first.places.key(first.path)
            label = f"first at {before}" if before is not None else ""
            notes = (Note("first here", before),)
            summary = f"{what} `{one.name}` is defined twice"
            problems.append(Problem("E102", summary, span, label, "rename or remove one of them", notes))
    return found


def _references(one: Association, named: Mapping[str, Association], problems: list[Problem]) -> None:
    required = [(name, place_of(one, name)) for name in one.requires]
    required += [
        (other.association, one.places.value((*other.path, "association"))) for other in one.requires_elsewhere
    ]
    for name, span in required:
        if name not in named:
            match = nearest(name, named)
            label = did_you_mean(name, named)
            hint = "" if match else "statectl validate lists the associations of the project"
            problems.append(Problem("E119", f"no association `{name}`", span, label, hint, replacement=match or None))
    for override in one.overrides:
        path = (*override.path, "of")
        if override.of == one.name:
            problems.append(Problem("E110", "an association cannot override itself", one.places.value(path)))
        elif override.of and override.of not in named:
            span = one.places.value(path)
            problems.append(Problem("E119", f"no association `{override.of}`", span, did_you_mean(override.of, named)))


def _windows(one: Association, known: Collection[str], problems: list[Problem]) -> None:
    """Every window that `disrupt` names, also in a variant, must be there: nobody waits for what never opens."""
    said = [(one.disrupt, one.path), *((str(variant.fields.get("disrupt", "")), variant.path) for variant in one.where)]
    for text, path in said:
        kind, _, name = text.partition(":")
        if kind == "window" and name not in known:
            match = nearest(name, known)
            hint = "" if match else "windows stand below `maintenance_windows:`; statectl window list shows them"
            span, label = one.places.value((*path, "disrupt")), did_you_mean(name, known)
            replacement = f"window:{match}" if match else None
            problems.append(
                Problem("E119", f"no maintenance window `{name}`", span, label, hint, replacement=replacement)
            )


def _names(one: Association, problems: list[Problem]) -> None:
    """A probe and a variable of one name would hide each other."""
    for probe in one.probes:
        if probe.name in one.vars:
            first = one.places.key((*one.path, "vars", probe.name))
            span = one.places.key(probe.path)
            label = f"the variable stands at {first.line}:{first.column}" if first is not None else ""
            summary = f"`{probe.name}` is a probe and a variable"
            problems.append(Problem("E102", summary, span, label, "rename one of them", (Note("the variable", first),)))


def _twice(body: Body, name: str, types: Mapping[str, ResourceType], problems: list[Problem]) -> None:
    """One path, or one address, declared twice without a condition. Under conditions two may be meant for different hosts."""
    seen: dict[tuple[str, str], Declaration] = {}
    for one in _unconditional(body):
        if isinstance(one.key, Expression) or one.common.when is not None:
            continue
        kind = types[one.type]
        key = ("path", normal_path(one.key)) if kind.key_is_path else (one.type, one.key)
        first = seen.setdefault(key, one)
        if first is one:
            continue
        what = key[1] if kind.key_is_path else f"{one.type}:{one.key}"
        before = first.span
        summary = f"{first.type} and {one.type} of `{name}` both manage {what}"
        if first.type == one.type:
            summary = f"`{name}` declares {one.type}:{key[1]} twice"
        label = f"first at {before.line}:{before.column}" if before is not None else ""
        hint = "remove one; alternatives for different hosts stand under `given` with `when`"
        problems.append(Problem("E102", summary, one.span, label, hint, (Note("first here", before),)))


def _unconditional(body: Body) -> Iterator[Declaration]:
    yield from body.declarations
    for group in body.given:
        if group.when is None:
            yield from _unconditional(group.body)


def normal_path(path: str) -> str:
    """/etc//x, /etc/./x, /etc/y/../x and /etc/x/ are one path."""
    return "/" + posixpath.normpath(path).lstrip("/") if path.startswith("/") else path


def _uses(body: Body) -> Iterator[Use]:
    yield from body.uses
    for group in body.given:
        yield from _uses(group.body)


def rings(
    follows: Mapping[str, Sequence[str]],
    place: Callable[[str, str], Span | None],
    summary: str,
    problems: list[Problem],
) -> None:
    """Every ring once, drawn, with the line of each step."""
    done: set[str] = set()
    for start in follows:
        trail: list[str] = []
        pending: list[tuple[str, Iterator[str]]] = []

        def enter(name: str, trail: list[str] = trail, pending: list[tuple[str, Iterator[str]]] = pending) -> None:
            trail.append(name)
            pending.append((name, iter(follows.get(name, ()))))

        if start in done:
            continue
        enter(start)
        while pending:
            name, targets = pending[-1]
            target = next(targets, None)
            if target is None:
                pending.pop()
                trail.pop()
                done.add(name)
            elif target in trail:
                ring = [*trail[trail.index(target) :], target]
                steps = [(before, after, place(before, after)) for before, after in pairwise(ring)]
                notes = tuple(Note(f"{before} -> {after}", span) for before, after, span in steps)
                text = f"{summary}: {' -> '.join(ring)}"
                problems.append(Problem("E131", text, steps[-1][2], hint="take one step out of the ring", notes=notes))
            elif target not in done and target in follows:
                enter(target)


class _Placed:
    """Bodies whose uses name profiles that exist, with inputs of the right types."""

    def __init__(self, profiles: Mapping[str, Profile], problems: list[Problem]) -> None:
        self.profiles = profiles
        self.problems = problems

    def body(self, body: Body, places: Places) -> Body:
        if not body.uses and not body.given:
            return body
        return replace(
            body,
            uses=tuple(self.use(one, places) for one in body.uses),
            given=tuple(replace(group, body=self.body(group.body, places)) for group in body.given),
        )

    def use(self, one: Use, places: Places) -> Use:
        profile = self.profiles.get(one.profile)
        if profile is None:
            if one.profile:
                written = (*one.path, "profile")
                span = places.values.get(written) or places.key(one.path)
                match = nearest(one.profile, self.profiles)
                hint = "" if match else "profiles stand below `profiles:` in any file of states/"
                label = did_you_mean(one.profile, self.profiles)
                self.problems.append(
                    Problem("E119", f"no profile `{one.profile}`", span, label, hint, replacement=match or None)
                )
            return one
        if not isinstance(one.inputs, dict):
            return one
        typed: dict[str, Any] = {}
        for name, value in one.inputs.items():
            path = (*one.path, "with", name)
            known = profile.inputs.get(name)
            if known is None:
                match = nearest(name, profile.inputs)
                summary = f"profile `{profile.name}` has no input `{name}`"
                label = did_you_mean(name, profile.inputs)
                hint = "" if match else f"it has: {', '.join(profile.inputs) or 'none'}"
                self.problems.append(Problem("E101", summary, places.key(path), label, hint, replacement=match or None))
                continue
            typed[name], fault = typed_input(known, value)
            if fault:
                code = "E104" if typed[name] is BROKEN else "E108"
                self.problems.append(Problem(code, f"`{name}`: {fault}", places.value(path)))
        for name, known in profile.inputs.items():
            if known.required and name not in one.inputs:
                summary = f"profile `{profile.name}` needs the input `{name}`"
                hint = known.description or f"with: {{{name}: ...}}"
                self.problems.append(Problem("E109", summary, places.key(one.path), hint=hint))
        return replace(one, inputs=typed)
