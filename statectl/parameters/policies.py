"""Policies of a parameter: when it expires, and of what it is told beforehand. Stored as they were given, numbers as text."""

import datetime as dt
import json
from collections.abc import Mapping, Sequence
from typing import Any

from statectl.parameters.failures import not_valid, one_of

EXPIRATION, BEFORE, NO_CHANGE = KINDS = ("Expiration", "ExpirationNotification", "NoChangeNotification")
MOST = 10
MOST_BYTES = 4096
_UNITS = {"Days": 24, "Hours": 1}
_ATTRIBUTES = {EXPIRATION: ("Timestamp",), BEFORE: ("Before", "Unit"), NO_CHANGE: ("After", "Unit")}


def stamp(moment: dt.datetime) -> str:
    return moment.astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def moment_of(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(text)


def policies_problem(policies: object, now: dt.datetime | None) -> str:
    """What is wrong with a list of policies, or ''. now: None where nobody stores it yet."""
    if not isinstance(policies, Sequence) or isinstance(policies, str):
        return "policies are a JSON list of objects with Type, Version and Attributes"
    if len(policies) > MOST:
        return f"{len(policies)} policies; at most {MOST}"
    seen: list[str] = []
    for number, policy in enumerate(policies, 1):
        problem = _problem(policy, now)
        if problem:
            return f"policy {number}: {problem}"
        seen.append(policy["Type"])
    for kind in seen:
        if kind != BEFORE and seen.count(kind) > 1:
            return f"{kind} stands twice"
    if BEFORE in seen and EXPIRATION not in seen:
        return f"{BEFORE} needs an {EXPIRATION}: nothing expires here"
    if len(json.dumps(list(policies))) > MOST_BYTES:
        return f"policies have at most {MOST_BYTES:,} bytes as JSON"
    return ""


def _problem(policy: object, now: dt.datetime | None) -> str:
    if not isinstance(policy, Mapping):
        return "expected an object with Type, Version and Attributes"
    kind = policy.get("Type")
    if not isinstance(kind, str) or kind not in KINDS:
        return f"Type {str(kind)[:40]!r} is not known; {one_of(str(kind), KINDS)}"
    unknown = sorted(set(map(str, policy)) - {"Type", "Version", "Attributes"})
    if unknown:
        return f"unknown key {unknown[0][:40]!r}"
    if policy.get("Version") != "1.0":
        return 'Version is "1.0"'
    attributes = policy.get("Attributes")
    if not isinstance(attributes, Mapping) or set(attributes) != set(_ATTRIBUTES[kind]):
        return f"{kind} has the attributes {' and '.join(_ATTRIBUTES[kind])}"
    if not all(isinstance(value, str) for value in attributes.values()):
        return 'attributes are texts, also numbers: "15"'
    if kind == EXPIRATION:
        return _timestamp_problem(attributes["Timestamp"], now)
    if attributes["Unit"] not in _UNITS:
        return "Unit is Days or Hours"
    number = attributes.get("Before") or attributes.get("After") or ""
    if not (number.isascii() and number.isdigit() and 1 <= int(number[:8]) <= 36_500 * 24 and len(number) <= 6):
        return f'{"Before" if kind == BEFORE else "After"} is a whole number from "1"'
    return ""


def _timestamp_problem(text: str, now: dt.datetime | None) -> str:
    try:
        moment = moment_of(text)
    except ValueError:
        return "Timestamp is a time such as 2027-12-02T21:34:33Z"
    if moment.tzinfo is None:
        return "Timestamp needs a zone: 2027-12-02T21:34:33Z"
    if now is not None and moment <= now:
        return f"Timestamp is in the past: expired {stamp(moment)}"
    return ""


def normal(policies: Sequence[Mapping[str, Any]] | None, now: dt.datetime) -> str | None:
    """As JSON text; None stays None. Raises UsageError."""
    if policies is None:
        return None
    problem = policies_problem(policies, now)
    if problem:
        raise not_valid(problem, code="E617", hint="statectl explain E617 shows all three")
    return json.dumps([dict(policy) for policy in policies], separators=(",", ":"))


def expires(policies: Sequence[Mapping[str, Any]]) -> str | None:
    """When, in UTC."""
    for policy in policies:
        if policy["Type"] == EXPIRATION:
            return stamp(moment_of(policy["Attributes"]["Timestamp"]))
    return None


def due(policies: Sequence[Mapping[str, Any]], modified: str) -> list[tuple[str, dt.datetime, str]]:
    """[(policy, when, in words)] of each, whether that is past or not."""
    found: list[tuple[str, dt.datetime, str]] = []
    ends = expires(policies)
    for policy in policies:
        kind, attributes = policy["Type"], policy["Attributes"]
        if kind == EXPIRATION:
            assert ends is not None
            found.append((kind, moment_of(ends), f"expires {ends}"))
            continue
        number = int(attributes["Before"] if kind == BEFORE else attributes["After"])
        span = dt.timedelta(hours=number * _UNITS[attributes["Unit"]])
        words = f"{number} {attributes['Unit'].lower()}"
        if kind == BEFORE:
            assert ends is not None
            found.append((kind, _shifted(moment_of(ends), -span), f"expires {ends}, in {words} or less"))
        else:
            found.append((kind, _shifted(moment_of(modified), span), f"not changed for {words}, since {modified}"))
    return found


def _shifted(moment: dt.datetime, span: dt.timedelta) -> dt.datetime:
    try:
        return moment + span
    except OverflowError:
        return (
            dt.datetime.min.replace(tzinfo=dt.UTC) if span < dt.timedelta() else dt.datetime.max.replace(tzinfo=dt.UTC)
        )
