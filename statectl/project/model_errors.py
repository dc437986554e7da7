"""pydantic's findings in our words and at our places. Its own text is never shown: it would print the value."""

import re
from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from statectl.problems import nearest
from statectl.project.findings import Findings
from statectl.project.scalars import MAX_DIGITS, Expression, Plain
from statectl.project.types import ResourceType
from statectl.project.yaml_nodes import Path

# What pydantic's own checks mean; everything that says more raises our text through `fields.wrong`.
_WORDS = {
    "string_type": "expected text",
    "int_type": "expected a whole number",
    "int_parsing": "expected a whole number",
    "int_from_float": "expected a whole number",
    "float_type": "expected a number",
    "float_parsing": "expected a number",
    "bool_type": "expected true or false",
    "bool_parsing": "expected true or false",
    "list_type": "expected a list",
    "dict_type": "expected a map",
    "model_type": "expected a map of fields",
    "model_attributes_type": "expected a map of fields",
    "too_short": "expected at least one entry",
    "finite_number": "expected a number",
}
_BOUNDS = {
    "greater_than_equal": ("ge", "at least"),
    "greater_than": ("gt", "more than"),
    "less_than_equal": ("le", "at most"),
    "less_than": ("lt", "less than"),
}


def report(
    findings: Findings, kind: ResourceType, error: ValidationError, data: Mapping[str, Any], path: Path, *, short: bool
) -> None:
    """Turn the errors of one resource into Problems. `data`: what was validated; `short`: it came from a short form."""
    seen: set[tuple[Path, str]] = set()
    for one in error.errors(include_url=False, include_input=False):
        where, value = _walk(data, one["loc"])
        code, text, label, fix = _words(one, value)
        own_field = one.get("ctx", {}).get("field")
        if isinstance(own_field, str) and own_field in data:
            where = (own_field,)
        if (where, text) in seen:  # a union reports once for each of its branches
            continue
        seen.add((where, text))
        if one["type"] == "missing":
            missing = str(one["loc"][-1])
            findings.add("E109", _place(path, where, short=short), f"{kind.article} needs `{missing}`", key=True)
        elif one["type"] == "extra_forbidden":
            name = str(one["loc"][-1])
            findings.add("E101", _place(path, where, short=short), f"unknown key `{name}` in {kind.article}", key=True)
        elif not where or where == ("name",):
            findings.add(code, path, text, key=True, label=label)
        else:
            spot = _place(path, where, short=short)
            shown = (
                "" if short else f"`{'.'.join(str(part + 1) if isinstance(part, int) else part for part in where)}`: "
            )
            findings.add(code, spot, f"{shown}{text}", label=label, replacement=fix)


def _place(path: Path, where: Path, *, short: bool) -> Path:
    """A short form has one value only, and that is where every fault of it stands."""
    return path if short else (*path, *where)


def _walk(data: Any, loc: tuple[int | str, ...]) -> tuple[Path, Any]:
    """pydantic's location within the data as written: names of union branches are not part of it."""
    where: list[str | int] = []
    for part in loc:
        if isinstance(data, Mapping) and part in data:
            data = data[part]
            where.append(part)
        elif isinstance(part, int):
            if isinstance(data, list) and part < len(data):
                data = data[part]
                where.append(part)
        elif isinstance(data, Mapping) and any(isinstance(key, Expression) and key.source == part for key in data):
            data = data[Expression(str(part))]
            where.append(part)
    return tuple(where), data


def _words(error: Any, value: Any) -> tuple[str, str, str, str | None]:
    """Code, text, label and replacement."""
    context = error.get("ctx") or {}
    if isinstance(value, Plain) and re.fullmatch(rf"[-+]?[0-9]{{{MAX_DIGITS + 1},}}", value):
        return "E104", f"number too long (max {MAX_DIGITS} digits)", "", None
    if error["type"] == "statectl":
        text = str(context.get("text", "value not valid"))
        return str(context.get("code") or _code_of(text)), text, _boolean_hint(text, value), None
    if error["type"] == "literal_error":
        choices = re.findall(r"'([^']*)'", str(context.get("expected", "")))
        text = "expected " + re.sub(r"'([^']*)'", r"\1", str(context.get("expected", "")))
        match = nearest(value, choices) if isinstance(value, str) else ""
        return "E108", text, f"did you mean `{match}`?" if match else "", match or None
    if error["type"] in _BOUNDS:
        name, words = _BOUNDS[error["type"]]
        return "E108", f"expected {words} {context.get(name):g}", "", None
    return "E108", _WORDS.get(error["type"], "value not valid"), "", None


def _code_of(text: str) -> str:
    if re.search(r"exclude each other|give one of", text):
        return "E110"
    return "E109" if re.match(r"\w+ needs `", text) else "E108"


def _boolean_hint(text: str, value: Any) -> str:
    if text == "expected true or false" and isinstance(value, str):
        if value.lower() in ("yes", "on", "true"):
            return "leave out the quotes" if value == "true" else "did you mean `true`?"
        if value.lower() in ("no", "off", "false"):
            return "leave out the quotes" if value == "false" else "did you mean `false`?"
    return ""
