"""Everything that can be said against a parameter before a store is asked: the same rules for files, the command line and the store."""

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any

from statectl.parameters.failures import not_valid, shown
from statectl.parameters.model import Bounds
from statectl.parameters.names import is_public, name_problem
from statectl.parameters.patterns import Verdict, lint, search
from statectl.parameters.policies import policies_problem
from statectl.parameters.values import data_type_problem, text_problem, type_problem, value_problem

DESCRIPTION = 1024
TAG, TAG_VALUE, TAGS = 128, 256, 50
_CODES = {"": "E612", "tags": "E612", "description": "E612", "allowed_pattern": "E616", "policies": "E617"}  # else E615


def problems(
    name: str, fields: Mapping[str, Any], bounds: Bounds | None = None, *, now: dt.datetime | None = None
) -> list[tuple[str, str, str]]:
    """[(field, what is wrong, hint)]; the field is '' for the name.

    fields  type, value, data_type, allowed_pattern, description, tags, policies: those that are there
    now     when it is stored now: a policy must not be in the past
    """
    found = static_problems(name, fields, bounds or Bounds(), now)
    if not found and fields.get("allowed_pattern"):
        verdict = search([(fields["allowed_pattern"], fields.get("value") or "")])[0]
        if verdict.problem and (verdict.of_pattern or fields.get("value")):
            found.append(("allowed_pattern" if verdict.of_pattern else "value", verdict.problem, ""))
    return found


def static_problems(
    name: str, fields: Mapping[str, Any], bounds: Bounds, now: dt.datetime | None
) -> list[tuple[str, str, str]]:
    """All but whether the value fits its pattern, which takes another process."""
    found = [("", name_problem(name, bounds.levels))]
    if is_public(name):
        found.append(("", "what is below /statectl comes with statectl, and is not written"))
    if fields.get("type") is not None:
        found.append(("type", type_problem(fields["type"])))
    value = fields.get("value")
    data_type = fields.get("data_type")
    if value is not None:
        found.append(("value", value_problem(value, bounds.value_bytes)))
    if data_type is not None and not any(text for _, text in found):
        unknown = data_type_problem(data_type, value or "")
        if unknown and (value is not None or "is not known" in unknown):
            found.append(("data_type" if "is not known" in unknown else "value", unknown))
    description = fields.get("description") or ""
    if len(description) > DESCRIPTION:
        found.append(("description", f"a description has at most {DESCRIPTION:,} characters, not {len(description):,}"))
    texts = {field: fields.get(field) or "" for field in ("description", "allowed_pattern")}
    found += [
        (field, f"{field.replace('_', ' ')}: {text_problem(text)}")
        for field, text in texts.items()
        if text_problem(text)
    ]
    if fields.get("tags"):
        found.append(("tags", tags_problem(fields["tags"])))
    if fields.get("policies"):
        found.append(("policies", policies_problem(fields["policies"], now)))
    return [(field, text, "") for field, text in found if text]


def tags_problem(tags: Mapping[str, Any]) -> str:
    if len(tags) > TAGS:
        return f"{len(tags)} tags; at most {TAGS}"
    for key, value in tags.items():
        if not key or len(key) > TAG or text_problem(key) or "=" in key:
            return f"tag {shown(key)!r}: a tag has 1 to {TAG} characters and no ="
        if not isinstance(value, str) or len(value) > TAG_VALUE or text_problem(value):
            return f"tag {shown(key)!r}: its value is a text of at most {TAG_VALUE} characters"
    return ""


def check(name: str, fields: Mapping[str, Any], bounds: Bounds, now: dt.datetime) -> None:
    """Raises UsageError with the first problem."""
    for field, text, hint in static_problems(name, fields, bounds, now):
        where = f"parameter name {shown(name)!r}" if not field else f"parameter {shown(name)}"
        code = "E622" if "below /statectl" in text else _CODES.get(field, "E615")
        raise not_valid(f"{where}: {text}", code=code, hint=hint)


def check_patterns(items: Sequence[tuple[str, str, str]]) -> list[tuple[str, str]]:
    """[(name, pattern, value)] -> [(name, doubt)] about the patterns. Raises UsageError when one is wrong or does not fit."""
    asked = [(name, pattern, value) for name, pattern, value in items if pattern]
    verdicts = search([(pattern, value) for _, pattern, value in asked]) if asked else []
    for (name, _, _), verdict in zip(asked, verdicts, strict=True):
        refuse(name, verdict)
    return [(name, lint(pattern)) for name, pattern, _ in asked if lint(pattern)]


def refuse(name: str, verdict: Verdict) -> None:
    if verdict.problem:
        code = "E616" if verdict.of_pattern else "E615"
        hint = "" if verdict.of_pattern else f"statectl parameter history {shown(name)} -v shows the pattern"
        raise not_valid(f"parameter {shown(name)}: {verdict.problem}", code=code, hint=hint)
