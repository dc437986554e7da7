"""The inputs of a profile: given values checked against what the profile declares, defaults filled in."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from statectl.catalogue.rendered import SecretParts
from statectl.problems import Note, Problem, Span, did_you_mean
from statectl.project.model import Input, Profile

WORDS = {
    "string": "text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "list": "a list",
    "map": "a map",
}


def check_inputs(
    profile: Profile, given: Mapping[str, Any], place: Span | None, spans: Mapping[str, Span | None]
) -> tuple[dict[str, Any], list[Problem]]:
    """(inputs by name, problems E124). `place`: where the profile is used; `spans`: of single inputs, where known."""
    problems: list[Problem] = []
    values: dict[str, Any] = {}
    note = (Note(f"profile {profile.name}", profile.places.key(profile.path)),)
    for name in given:
        if name not in profile.inputs:
            label = did_you_mean(str(name), profile.inputs)
            known = ", ".join(profile.inputs) or "none"
            problems.append(
                Problem(
                    "E124",
                    f"profile {profile.name} has no input `{name}`",
                    spans.get(name) or place,
                    label=label,
                    hint=f"its inputs: {known}",
                    notes=note,
                )
            )
    for name, declared in profile.inputs.items():
        if name not in given:
            if declared.required and declared.default is None:
                problems.append(
                    Problem(
                        "E124",
                        f"profile {profile.name} needs input `{name}`",
                        place,
                        hint=f"with: {{{name}: ...}}",
                        notes=note,
                    )
                )
            else:
                values[name] = declared.default
            continue
        value = given[name]
        values[name] = value
        problems += [
            Problem("E124", f"input `{name}` of profile {profile.name}: {text}", spans.get(name) or place, notes=note)
            for text in _faults(declared, value)
        ]
    return values, problems


def _faults(declared: Input, value: Any) -> Iterator[str]:
    """What is wrong with one value; the value itself is not repeated: it may be secret."""
    if not _is(declared.type, value):
        yield f"expected {WORDS[declared.type]}"
        return
    if isinstance(value, SecretParts):
        if declared.pattern or declared.choices:
            yield "a secret cannot be compared with a pattern or choices"
        return
    if declared.type in ("integer", "number"):
        if declared.minimum is not None and value < declared.minimum:
            yield f"expected at least {declared.minimum:g}"
        if declared.maximum is not None and value > declared.maximum:
            yield f"expected at most {declared.maximum:g}"
    if declared.pattern and isinstance(value, str) and not re.fullmatch(declared.pattern, value):
        yield f"does not match {declared.pattern}"
    if declared.choices and value not in declared.choices:
        yield "expected one of " + ", ".join(str(choice) for choice in declared.choices)


def _is(kind: str, value: Any) -> bool:
    if kind == "string":
        return isinstance(value, str | SecretParts)
    if kind == "integer":
        return isinstance(value, int) and not isinstance(value, bool)
    if kind == "number":
        return isinstance(value, int | float) and not isinstance(value, bool)
    if kind == "boolean":
        return isinstance(value, bool)
    if kind == "list":
        return isinstance(value, list)
    return isinstance(value, dict)
