"""Resource groups of the files: named questions about the hosts, by a target expression or by what manages them."""

import re
from collections.abc import Collection, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from statectl.problems import Note, Problem, did_you_mean, nearest
from statectl.project.findings import Findings, one_of
from statectl.project.merge import rings
from statectl.project.names import check_slug
from statectl.project.scalars import Expression
from statectl.project.yaml_nodes import Path
from statectl.project.yaml_tree import BROKEN
from statectl.targets.groups import STACKS, ResourceGroup, Stack

if TYPE_CHECKING:
    from statectl.project.associations import CheckSelector

FIELDS: Mapping[str, str] = {
    "description": "What it is for, for people",
    "query": "Target expression: tags, groups, other resource groups, facts, collected inventory",
    "association": "The hosts on which this association manages something, by the records of the store",
    "project": "The hosts on which this project manages something, by the records of the store",
    "commit": "The hosts of which something was applied last from this commit: how its hash begins, 7 characters or more",
}
SOURCES = ("query", *STACKS)
SHORT = "expected a target expression such as env=prod, or a map with `query`, `association`, `project` or `commit`"
_TAKEN = ("all", "ungrouped")
_COMMIT = re.compile(r"[0-9a-fA-F]{7,64}")


class ResourceGroupReader:
    def __init__(self, findings: Findings, check_selector: "CheckSelector") -> None:
        self.findings = findings
        self.check_selector = check_selector

    def section(self, value: Any, path: Path) -> list[ResourceGroup]:
        fields = self.findings.map(value, path, "expected a map of resource groups") or {}
        found = [self._read(name, below, (*path, name)) for name, below in fields.items()]
        return [one for one in found if one is not None]

    def _read(self, name: str, value: Any, path: Path) -> ResourceGroup | None:
        """None after a problem."""
        findings = self.findings
        before = len(findings.problems)
        if value is BROKEN:
            return None
        check_slug(findings, name, path, "a resource group")
        if name in _TAKEN:
            findings.add("E116", path, f"`{name}` is reserved: every inventory has that group", key=True)
        if not isinstance(value, dict):
            if not isinstance(value, str | Expression):
                findings.wrong(path, SHORT)
                return None
            query = findings.text(value, path)
            return self._group(name, "query", query, path, path, "", before)
        fields = findings.map(value, path) or {}
        for key, inner in fields.items():
            if key not in FIELDS:
                findings.unknown(path, key, FIELDS, "a resource group", inner)
        given = [key for key in SOURCES if key in fields]
        if not given and len(findings.problems) > before:
            return None  # most likely one of them is misspelt
        if len(given) != 1:
            what = f"has {one_of(given).replace(' or ', ' and ')}" if given else "needs a `query`"
            hint = f"give one of {one_of(SOURCES)}"
            findings.add("E109" if not given else "E110", path, f"resource group `{name}` {what}", key=True, hint=hint)
            return None
        description = findings.text(fields["description"], (*path, "description")) if "description" in fields else ""
        text = findings.text(fields[given[0]], (*path, given[0]))
        return self._group(name, given[0], text, path, (*path, given[0]), description or "", before)

    def _group(
        self, name: str, kind: str, text: str | None, path: Path, place: Path, description: str, before: int
    ) -> ResourceGroup | None:
        findings = self.findings
        if text is None:
            return None
        if kind == "query":
            findings.problems += self.check_selector(text, findings.places.value(place))
        elif kind == "commit" and not _COMMIT.fullmatch(text):
            findings.wrong(place, "expected the hash of a commit, 7 characters or more", hint="git log --oneline")
        if len(findings.problems) > before:
            return None
        stack = Stack(kind, text.lower() if kind == "commit" else text) if kind != "query" else None
        return ResourceGroup(
            name=name,
            query=text if stack is None else "",
            stack=stack,
            description=description,
            span=findings.places.key(path),
            query_span=findings.places.value(place),
        )


def groups_by_name(
    groups: Iterable[ResourceGroup], associations: Collection[str] | None, project: str
) -> tuple[dict[str, ResourceGroup], list[Problem]]:
    """All by name, and what is wrong between them: names that stand twice, rings, stacks that no file knows.

    associations: those of the files, None when they were not read.
    """
    problems: list[Problem] = []
    named: dict[str, ResourceGroup] = {}
    for one in groups:
        first = named.setdefault(one.name, one)
        if first is not one:
            label = f"first at {first.span}" if first.span is not None else ""
            notes = (Note("first here", first.span),)
            summary = f"resource group `{one.name}` is defined twice"
            problems.append(Problem("E102", summary, one.span, label, "rename or remove one of them", notes))
        problems += _unknown_stack(one, associations, project)
    follows = _follows(named)
    rings(follows, lambda name, _: named[name].query_span, "resource groups are made of each other", problems)
    return named, problems


def _follows(named: Mapping[str, ResourceGroup]) -> dict[str, tuple[str, ...]]:
    if not any("group:" in one.query or ":" in one.query for one in named.values()):
        return {}
    from statectl.targets.matching import named_groups
    from statectl.targets.selector import InGroup, Named, parse_selector, walk

    found = {}
    for name, one in named.items():
        selector, _ = parse_selector(one.query) if one.query else (None, [])
        nodes = [node for node in walk(selector.root) if isinstance(node, Named | InGroup)] if selector else []
        found[name] = tuple(dict.fromkeys(other for node in nodes for other in named_groups(node, named)))
    return found


def _unknown_stack(one: ResourceGroup, associations: Collection[str] | None, project: str) -> list[Problem]:
    """A warning: what no file declares any more may be on record still."""
    if one.stack is None or one.stack.kind == "commit":
        return []
    kind, name = one.stack
    known = associations if kind == "association" else (project,)
    if known is None or name in known:
        return []
    hint = "" if nearest(name, known) else "the group holds the hosts that the store still knows it on"
    summary = f"no {kind} `{name}` in these files" if kind == "association" else f"`{name}` is another project"
    return [Problem("W159", summary, one.query_span, did_you_mean(name, known), hint)]
