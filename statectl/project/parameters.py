"""Parameters that the files declare: what the parameter store should hold, at the top of a file or in the association that owns them."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from statectl.problems import Note, Problem
from statectl.project.findings import Findings, is_null
from statectl.project.model import DeclaredParameter
from statectl.project.scalars import Expression
from statectl.project.yaml_nodes import Path
from statectl.project.yaml_tree import BROKEN

FIELDS: Mapping[str, str] = {
    "type": "String (default), StringList (default where the value is a list) or SecureString",
    "value": "The value: text, or a list of texts for a StringList; a SecureString takes value_from",
    "value_from": "Where the value comes from: env:NAME, file:PATH, cmd:COMMAND (its standard output) or cipher:TEXT",
    "state": "present (default) or absent: it is deleted from the store",
    "description": "What it is for, for people",
    "data_type": "What the text must be, such as integer, url or json (default text)",
    "allowed_pattern": "Regular expression that must be found in the value",
    "tags": "Map of tags",
    "policies": "List of policies in the form of Systems Manager: maps of Type, Version and Attributes",
}
TYPES = ("String", "StringList", "SecureString")
SOURCES = ("env", "file", "cmd", "cipher")
SHORT = "expected a value, a list of values, or a map with `value` or `value_from`"
NOT_HERE = "a value that is secret comes by value_from: env:NAME, file:PATH, cmd:COMMAND or cipher:TEXT"


class Wrong(NamedTuple):
    """What a store would refuse. `field`: '' for the name."""

    field: str
    text: str
    hint: str = ""


CheckParameter = Callable[[str, Mapping[str, Any]], Iterable[Wrong]]
"""(name, {type, value, value_from, data_type, allowed_pattern, description, tags, policies}) to what the store would refuse."""


def by_slot(parameters: Iterable[DeclaredParameter]) -> tuple[dict[str, DeclaredParameter], list[Problem]]:
    """All by name. `/x` and `x` are one parameter, and one place declares it."""
    found: dict[str, DeclaredParameter] = {}
    problems: list[Problem] = []
    for one in parameters:
        first = found.setdefault(one.name.lstrip("/"), one)
        if first is not one:
            label = f"first at {first.span}" if first.span is not None else ""
            notes = (Note("first here", first.span),)
            summary = f"parameter `{one.name}` is declared twice"
            problems.append(Problem("E102", summary, one.span, label, "remove one of them", notes))
    return {one.name: one for one in found.values()}, problems


class ParameterReader:
    def __init__(self, findings: Findings, check: CheckParameter) -> None:
        self.findings = findings
        self.check = check

    def section(self, value: Any, path: Path, association: str = "") -> list[DeclaredParameter]:
        """`association`: the one that owns them, '' for those at the top of a file."""
        fields = self.findings.map(value, path, "expected a map of parameters") or {}
        found = [self._read(name, below, (*path, name), association) for name, below in fields.items()]
        return [one for one in found if one is not None]

    def _read(self, name: str, value: Any, path: Path, association: str) -> DeclaredParameter | None:
        """None after a problem."""
        before = len(self.findings.problems)
        if value is BROKEN:
            return None
        fields = value if isinstance(value, dict) else {"value": value}
        at = path if isinstance(value, dict) else path[:-1]  # of the map that `value` would stand in
        for key, inner in fields.items():
            if key not in FIELDS:
                shown = key.source if isinstance(key, Expression) else key
                self.findings.unknown(path, shown, FIELDS, "a parameter", inner)
        place = (*at, "value") if isinstance(value, dict) else path
        absent = self._choice(fields, "state", ("present", "absent"), path) == "absent"
        kind = self._choice(fields, "type", TYPES, path) or (
            "StringList" if isinstance(fields.get("value"), list) else "String"
        )
        text = self._value(fields, kind, place, short=not isinstance(value, dict))
        source = self._source(fields, (*path, "value_from"))
        self._one_source(fields, kind, path, absent=absent)
        more: dict[str, Any] = {
            key: self.findings.text(fields[key], (*path, key))
            for key in ("description", "data_type", "allowed_pattern")
            if key in fields
        }
        if "tags" in fields:
            tags = self.findings.map(fields["tags"], (*path, "tags"), "expected a map of tags") or {}
            more["tags"] = {
                key: self.findings.text(item, (*path, "tags", key), empty=True) for key, item in tags.items()
            }
        if "policies" in fields:
            more["policies"] = self._policies(fields["policies"], (*path, "policies"))
        if len(self.findings.problems) == before:
            given = {"value": text, "value_from": source}
            said = {"type": kind, **more, **{key: value for key, value in given.items() if value is not None}}
            for wrong in self.check(name, said):
                of = path if not wrong.field else place if wrong.field == "value" else (*path, wrong.field)
                self.findings.add("E170", of, wrong.text, key=not wrong.field, hint=wrong.hint)
        if len(self.findings.problems) > before:
            return None
        return DeclaredParameter(
            name=name,
            type=kind,
            value=text or "",
            value_from=source or "",
            absent=absent,
            more=more,
            association=association,
            places=self.findings.places,
            path=path,
        )

    def _choice(self, fields: Mapping[Any, Any], key: str, choices: tuple[str, ...], path: Path) -> str | None:
        return self.findings.choice(fields[key], (*path, key), choices) if key in fields else None

    def _value(self, fields: Mapping[Any, Any], kind: str, place: Path, *, short: bool) -> str | None:
        """As the store keeps it: a list is its texts, joined by commas."""
        if "value" not in fields:
            return None
        value = fields["value"]
        if kind == "SecureString" and value is not BROKEN:
            self.findings.add("E150", place, "the value of a SecureString does not stand in a file", hint=NOT_HERE)
            return None
        if isinstance(value, list):
            if kind != "StringList":
                self.findings.wrong(place, "expected text; a list is the value of a StringList")
                return None
            texts = [self.findings.text(item, (*place, index)) for index, item in enumerate(value)]
            for index, item in enumerate(texts):
                if item is not None and "," in item:
                    self.findings.add("E170", (*place, index), "a text of a StringList holds no comma")
            return ",".join(item for item in texts if item is not None)
        if short and (isinstance(value, dict) or is_null(value)):
            self.findings.wrong(place, SHORT)
            return None
        return self.findings.text(value, place)

    def _source(self, fields: Mapping[Any, Any], place: Path) -> str | None:
        text = self.findings.text(fields["value_from"], place) if "value_from" in fields else None
        if text is not None:
            kind, _, rest = text.partition(":")
            if kind not in SOURCES or not rest.strip():
                self.findings.wrong(place, "expected env:NAME, file:PATH, cmd:COMMAND or cipher:TEXT")
                return None
        return text

    def _one_source(self, fields: Mapping[Any, Any], kind: str, path: Path, *, absent: bool) -> None:
        given = [key for key in ("value", "value_from") if key in fields]
        if absent and given:
            self.findings.add("E110", (*path, given[0]), "what is absent has no value", key=True)
        elif len(given) == 2:
            self.findings.add("E110", (*path, "value_from"), "`value` and `value_from` exclude each other", key=True)
        elif not given and not absent:
            hint = NOT_HERE if kind == "SecureString" else "value: TEXT"
            self.findings.add("E109", path, "a parameter needs `value` or `value_from`", key=True, hint=hint)

    def _policies(self, value: Any, path: Path) -> list[dict[str, Any]]:
        if not isinstance(value, list):
            self.findings.wrong(path, "expected a list of policies")
            return []
        found = []
        for index, item in enumerate(value):
            one = self.findings.map(item, (*path, index), "expected a map of Type, Version and Attributes")
            found.append(self.findings.untyped(one, (*path, index)) if one is not None else {})
        return found
