"""The table of YAML sections: which part of statectl reads what. Sections of later features are refused with the reason."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from statectl.problems import Problem, Span
from statectl.project.load import load_project
from statectl.project.model import Project, Settings
from statectl.project.parameters import Wrong
from statectl.project.types import Sections, resource_types
from statectl.targets.groups import ResourceGroup

RESERVED: Mapping[str, str] = {
    "documents": "documents come with a later version; `statectl run` runs a command on many hosts today",
    "automations": "automations come with a later version",
    "distributions": "distributing packages of your own comes with a later version; `package_repositories` work today",
    "notifications": "notifications come with a later version",
}


def table() -> Sections:
    return Sections(resources=resource_types(), reserved=RESERVED, check_parameter=parameter_problems)


def load(directory: Path, *, env: Mapping[str, str]) -> Project:
    """The project that `directory` is in, checked as far as files alone allow."""
    return load_project(directory, env=env, sections=table(), check_selector=selector_problems)


def load_resource_groups(root: Path, settings: Settings) -> tuple[dict[str, ResourceGroup], list[Problem]]:
    """The resource groups alone, for who reads no states: other sections and files without any are not looked at."""
    from statectl.project.documents import read_document, read_text, state_files
    from statectl.project.files import ProjectFiles
    from statectl.project.load import StatesReader
    from statectl.project.resource_groups import groups_by_name

    groups: list[ResourceGroup] = []
    problems: list[Problem] = []
    for path in state_files(root)[0]:
        shown = str(path.relative_to(root))
        if "resource_groups" not in read_text(path, shown)[0]:
            continue
        document = read_document(path, shown)
        problems += document.problems
        if document.tree is not None and "resource_groups" in document.tree:
            reader = StatesReader(document, table(), ProjectFiles(root), selector_problems)
            groups += reader.read_groups()
            problems += reader.findings.problems
    named, amiss = groups_by_name(groups, None, settings.project)
    return named, [*problems, *amiss]


def parameter_problems(name: str, said: Mapping[str, Any]) -> Iterator[Wrong]:
    """What a parameter store would refuse of a declared parameter, as far as the files alone tell."""
    from statectl.parameters.checks import problems

    for field, text, hint in problems(name, said):
        yield Wrong(field, text, hint)
    source = said.get("value_from", "")
    if source.startswith("cipher:"):
        yield from _cipher_problems(name, said["type"], source)


def _cipher_problems(name: str, kind: str, source: str) -> Iterator[Wrong]:
    from statectl.errors import Refused
    from statectl.parameters.in_git import name_of

    if kind != "SecureString":
        yield Wrong("value_from", "cipher: holds the value of a SecureString", "type: SecureString")
        return
    hint = f"statectl parameter encrypt {name} --write makes one for this name"
    try:
        made_for = name_of(source)
    except Refused as error:
        yield Wrong("value_from", error.message, hint)
        return
    if made_for.lstrip("/") != name.lstrip("/"):
        yield Wrong("value_from", f"the ciphertext was made for {made_for}", hint)


def selector_problems(text: str, span: Span | None) -> Sequence[Problem]:
    """The syntax of a `targets` expression that stands at `span`."""
    from statectl.targets.selector import parse_selector

    return [problem.at(span, text) for problem in parse_selector(text)[1]]
