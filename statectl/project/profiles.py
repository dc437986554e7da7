"""A profile: resources with inputs, placed in associations by `use`."""

import re
from collections.abc import Mapping
from typing import Any

from statectl.project.bodies import BodyReader
from statectl.project.findings import Findings, kind_of
from statectl.project.model import Input, Profile
from statectl.project.names import check_name, check_slug
from statectl.project.scalars import Expression, Plain, ScalarError, untyped
from statectl.project.yaml_nodes import Path
from statectl.project.yaml_tree import BROKEN

INPUT_TYPES: Mapping[str, type | tuple[type, ...]] = {
    "string": str,
    "integer": int,
    "number": (int, float),
    "boolean": bool,
    "list": list,
    "map": dict,
}
FIELDS: Mapping[str, str] = {
    "description": "What it is for, for people",
    "inputs": "What may be given where it is used; templates see it as inputs.NAME",
    "use": "Other profiles placed here",
    "given": "Groups of resources under one condition",
}
INPUT_FIELDS: Mapping[str, str] = {
    "type": "string (default), integer, number, boolean, list or map",
    "required": "Whether it must be given; by default it must when it has no default",
    "default": "Value when nothing is given",
    "minimum": "Smallest number",
    "maximum": "Largest number",
    "pattern": "Regular expression that the whole text must match",
    "choices": "The values that are allowed",
    "description": "What it is, for people",
}


class ProfileReader:
    def __init__(self, findings: Findings, bodies: BodyReader) -> None:
        self.findings = findings
        self.bodies = bodies

    def read(self, name: str, value: Any, path: Path) -> Profile | None:
        check_slug(self.findings, name, path, "a profile")
        fields = self.findings.map(value, path, "expected a map of inputs and resources")
        if fields is None:
            return None
        description = ""
        if "description" in fields:
            description = self.findings.text(fields["description"], (*path, "description")) or ""
        inputs = {}
        if "inputs" in fields:
            below = (*path, "inputs")
            for key, item in (self.findings.map(fields["inputs"], below, "expected a map of inputs") or {}).items():
                one = self._input(key, item, (*below, key))
                if one is not None:
                    inputs[key] = one
        body = self.bodies.read(fields, path, FIELDS, "a profile")
        return Profile(name, description, inputs, body, self.findings.places, path)

    def _input(self, name: str, value: Any, path: Path) -> Input | None:
        findings = self.findings
        check_name(findings, name, path, "an input")
        fields = findings.map(value, path, "expected a map such as {type: string, required: true}")
        if fields is None:
            return None
        for key, below in fields.items():
            if key not in INPUT_FIELDS:
                findings.unknown(path, key, INPUT_FIELDS, "an input", below)
        kind = (
            findings.choice(fields["type"], (*path, "type"), tuple(INPUT_TYPES)) if "type" in fields else None
        ) or "string"
        required = findings.flag(fields["required"], (*path, "required")) if "required" in fields else None
        one = Input(
            name=name,
            type=kind,
            required="default" not in fields if required is None else required,
            default=self._default(fields["default"], kind, (*path, "default")) if "default" in fields else None,
            minimum=self._bound(fields.get("minimum"), (*path, "minimum")),
            maximum=self._bound(fields.get("maximum"), (*path, "maximum")),
            pattern=self._pattern(fields.get("pattern"), (*path, "pattern")),
            choices=self._choices(fields.get("choices"), kind, (*path, "choices")),
            description=(findings.text(fields["description"], (*path, "description")) or "")
            if "description" in fields
            else "",
        )
        if required and "default" in fields:
            findings.add(
                "E110",
                (*path, "default"),
                "a required input has no default; give one of `required: true` and `default`",
                key=True,
            )
        elif one.default is not None and one.default is not BROKEN:
            text = input_fault(one, one.default)
            if text:
                findings.wrong((*path, "default"), text)
        return one

    def _default(self, value: Any, kind: str, path: Path) -> Any:
        """Typed by the input's own type: text stays as written."""
        if value is BROKEN or isinstance(value, Expression):
            return value
        if kind == "string" and isinstance(value, str):
            return str.__str__(value)
        return self.findings.untyped(value, path)

    def _bound(self, value: Any, path: Path) -> float | None:
        if value is None or value is BROKEN:
            return None
        typed = self.findings.untyped(value, path)
        if typed is BROKEN:
            return None
        if isinstance(typed, bool) or not isinstance(typed, int | float):
            self.findings.wrong(path, "expected a number")
            return None
        return float(typed)

    def _pattern(self, value: Any, path: Path) -> str:
        text = self.findings.text(value, path) if value is not None else None
        if text is None:
            return ""
        try:
            re.compile(text)
        except re.error as error:
            where = f" at character {error.pos + 1}" if error.pos is not None else ""
            self.findings.wrong(path, f"not a regular expression: {error.msg}{where}")
            return ""
        return text

    def _choices(self, value: Any, kind: str, path: Path) -> tuple[Any, ...]:
        if value is None or value is BROKEN:
            return ()
        if not isinstance(value, list) or not value:
            self.findings.wrong(path, f"expected a list of values, got {kind_of(value)}")
            return ()
        return tuple(self._default(item, kind, (*path, index)) for index, item in enumerate(value))


def typed_input(one: Input, value: Any) -> tuple[Any, str]:
    """A value as this input's type, and what is wrong with it or ''. Plain scalars of the files and rendered values alike."""
    if isinstance(value, Expression):
        return value, ""
    if isinstance(value, Plain) and one.type == "string":
        value = str.__str__(value)
    elif isinstance(value, Plain | list | dict):
        try:
            value = typed_leaves(value)
        except ScalarError as error:
            return BROKEN, str(error)
    return value, input_fault(one, value)


def typed_leaves(value: Any) -> Any:
    """An untyped value down to its leaves. Raises ScalarError."""
    if isinstance(value, Plain):
        return untyped(value)
    if isinstance(value, list):
        return [typed_leaves(item) for item in value]
    if isinstance(value, dict):
        return {key: typed_leaves(item) for key, item in value.items()}
    return value


def input_fault(one: Input, value: Any) -> str:
    """What is wrong with a value for an input, or ''. The value is not repeated. Expressions are judged when rendered."""
    if isinstance(value, Expression):
        return ""
    if one.type == "string" and isinstance(value, int | float) and not isinstance(value, bool):
        value = str(value)  # written 1.10 stays 1.10
    wanted = INPUT_TYPES[one.type]
    if not isinstance(value, wanted) or (isinstance(value, bool) and one.type != "boolean"):
        return f"expected {'text' if one.type == 'string' else {'integer': 'a whole number', 'boolean': 'true or false'}.get(one.type, f'a {one.type}')}"
    if one.minimum is not None and isinstance(value, int | float) and value < one.minimum:
        return f"expected at least {one.minimum:g}"
    if one.maximum is not None and isinstance(value, int | float) and value > one.maximum:
        return f"expected at most {one.maximum:g}"
    if one.pattern and isinstance(value, str) and not re.fullmatch(one.pattern, value):
        return "does not match the pattern of this input"
    if one.choices and value not in one.choices:
        return f"expected one of {', '.join(str(choice) for choice in one.choices)}"
    return ""
