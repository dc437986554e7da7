"""The policy file of the parameter store: rules of who may do what below which paths, each mistake with its place."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from statectl.problems import Problem, Span
from statectl.project.documents import read_document
from statectl.project.findings import Findings
from statectl.project.yaml_nodes import Path as TreePath

FIELDS: Mapping[str, str] = {
    "who": "Names of users of the system, group:NAME for those of a group, or *",
    "may": "list (names and descriptions), read, decrypt (secrets; also needs read), write (also labels and tags), delete",
    "paths": "Names, or patterns: * within one segment, ** for anything; /web/** is all below /web",
}
ACTIONS = ("list", "read", "decrypt", "write", "delete")
_WHO = re.compile(r"\*|(group:)?[A-Za-z0-9_][A-Za-z0-9_.@-]*\$?")
_PATTERN = re.compile(r"/?[A-Za-z0-9_.*-]+(/[A-Za-z0-9_.*-]+)*")


@dataclass(frozen=True, slots=True)
class AccessRule:
    who: tuple[str, ...]
    may: tuple[str, ...]
    paths: tuple[str, ...]


def read_access(root: Path, name: str) -> tuple[list[AccessRule], list[Problem]]:
    """The rules in order, and what is wrong with the file. With problems nothing may be decided by it."""
    path = root / Path(name).expanduser()
    if not os.path.lexists(path):
        return [], [Problem("E107", f"the policy file of parameters.access is not there: {name}", Span(name, 1, 1))]
    document = read_document(path, name)
    problems = document.problems
    if document.tree is None:
        if not problems:
            problems.append(Problem("E109", "the policy file is empty; it needs `rules`", Span(name, 1, 1)))
        return [], problems
    findings = Findings(document.places)
    for key, value in document.tree.items():
        if key != "rules":
            findings.unknown((), str(key), ("rules",), "a policy file of parameters", value)
    rules: list[AccessRule] = []
    if "rules" not in document.tree:
        findings.add("E109", (), "a policy file of parameters needs `rules`", hint="rules: []  (nobody may anything)")
    elif not isinstance(document.tree["rules"], list):
        findings.wrong(("rules",), "expected a list of rules")
    else:
        for number, value in enumerate(document.tree["rules"]):
            rule = _rule(findings, value, ("rules", number))
            rules += [rule] if rule is not None else []
    return rules, [*problems, *findings.problems]


def _rule(findings: Findings, value: Any, path: TreePath) -> AccessRule | None:
    before = len(findings.problems)
    fields = findings.map(value, path, "expected a map of who, may and paths")
    if fields is None:
        return None
    for key, below in fields.items():
        if key not in FIELDS:
            findings.unknown(path, key, FIELDS, "a rule", below)
    for key in FIELDS:
        if key not in fields:
            findings.add("E109", path, f"a rule needs `{key}`")
    who = _texts(findings, fields, path, "who", "names")
    may = _texts(findings, fields, path, "may", "actions")
    paths = _texts(findings, fields, path, "paths", "paths")
    for index, text in enumerate(who):
        if not _WHO.fullmatch(text):
            findings.wrong((*path, "who", index), "expected the name of a user, group:NAME or *")
    for index, text in enumerate(may):
        findings.choice(text, (*path, "may", index), ACTIONS)
    for index, text in enumerate(paths):
        if not _PATTERN.fullmatch(text) or re.search(r"\*{3}", text):
            expected = "expected a name or a pattern such as /web/**; allowed: letters digits . _ - / and *"
            findings.wrong((*path, "paths", index), expected)
    if len(findings.problems) > before:
        return None
    return AccessRule(tuple(who), tuple(may), tuple(paths))


def _texts(findings: Findings, fields: Mapping[str, Any], path: TreePath, key: str, what: str) -> list[str]:
    return findings.texts(fields[key], (*path, key), what) or [] if key in fields else []
