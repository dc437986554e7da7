"""`requires` of an association: what comes first, on the same host (a name) or on other hosts (a map with `on`)."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from statectl.problems import Problem, Span
from statectl.project.findings import Findings, kind_of
from statectl.project.model import Association, Elsewhere
from statectl.project.yaml_nodes import Path
from statectl.project.yaml_tree import BROKEN

CheckSelector = Callable[[str, Span | None], Sequence[Problem]]

FIELDS: Mapping[str, str] = {
    "association": "The association that comes first (required)",
    "on": "On which hosts: all that this target expression selects and that have the association (required)",
}


def read_requires(
    findings: Findings, check_selector: CheckSelector, value: Any, path: Path
) -> tuple[tuple[str, ...], tuple[Elsewhere, ...]]:
    """(names of associations of the same host, what is required of other hosts)."""
    if value is None or value is BROKEN:
        return (), ()
    if not isinstance(value, list) or not any(isinstance(item, dict) for item in value):
        return tuple(findings.texts(value, path, "associations") or ()), ()
    here: list[str] = []
    elsewhere: list[Elsewhere] = []
    for index, item in enumerate(value):
        below = (*path, index)
        if isinstance(item, dict):
            found = _elsewhere(findings, check_selector, item, below)
            elsewhere += [found] if found is not None else []
        elif isinstance(item, str):
            text = findings.text(item, below)
            here += [text] if text is not None else []
        elif item is not BROKEN:
            findings.wrong(below, f"expected an association or {{association: db, on: group:db}}, got {kind_of(item)}")
    return tuple(here), tuple(elsewhere)


def _elsewhere(findings: Findings, check_selector: CheckSelector, value: Any, path: Path) -> Elsewhere | None:
    fields = findings.map(value, path, "expected {association: db, on: group:db}")
    if fields is None:
        return None
    for key, below in fields.items():
        if key not in FIELDS:
            findings.unknown(path, key, FIELDS, "an entry of `requires`", below)
    if fields.keys() <= FIELDS.keys():  # else the key that is misspelt may be the one
        if "association" not in fields:
            findings.add("E109", path, "an entry of `requires` needs `association`", hint=FIELDS["association"])
        if "on" not in fields:
            hint = "on: group:db names hosts; without a map, `- db`, it is the association of the same host"
            findings.add("E109", path, "an entry of `requires` needs `on`", hint=hint)
    texts = {key: findings.text(fields[key], (*path, key)) or "" for key in FIELDS if key in fields}
    if texts.get("on"):
        findings.problems += check_selector(texts["on"], findings.places.value((*path, "on")))
    if not texts.get("association") or not texts.get("on"):
        return None
    return Elsewhere(texts["association"], texts["on"], path)


def place_of(association: Association, name: str) -> Span | None:
    """Where an association says that it requires another one of the same host."""
    elsewhere = {one.path[-1] for one in association.requires_elsewhere}
    listed = (*association.path, "requires")
    places = association.places
    written = (index for index in range(len(association.requires) + len(elsewhere)) if index not in elsewhere)
    for index, one in zip(written, association.requires, strict=True):
        if one == name:
            return places.value((*listed, index))
    return places.value(listed)
