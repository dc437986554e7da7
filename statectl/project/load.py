"""One project from its files: every mistake in one go, nothing rendered, nothing contacted."""

import gc
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from statectl.problems import Problem, nearest
from statectl.project.associations import AssociationReader, CheckSelector
from statectl.project.baseline_uses import baselines_by_name
from statectl.project.bodies import BodyReader
from statectl.project.declarations import DeclarationReader
from statectl.project.discover import find_project, not_found, refusal
from statectl.project.documents import Document, read_document, state_files
from statectl.project.expressions import expression_problem
from statectl.project.files import ProjectFiles
from statectl.project.findings import Findings
from statectl.project.merge import merge
from statectl.project.model import Association, DeclaredParameter, MaintenanceWindow, Profile, Project, Settings
from statectl.project.parameters import ParameterReader, by_slot
from statectl.project.profiles import ProfileReader
from statectl.project.resource_groups import ResourceGroupReader, groups_by_name
from statectl.project.scalars import Expression
from statectl.project.settings import load_settings
from statectl.project.types import Sections
from statectl.project.windows import WindowReader
from statectl.project.yaml_tree import BROKEN
from statectl.targets.groups import ResourceGroup

if TYPE_CHECKING:
    from statectl.baselines.model import Baseline

_NOTHING = Settings(project="", inventory="")


def load_project(
    directory: Path, *, env: Mapping[str, str], sections: Sections, check_selector: CheckSelector
) -> Project:
    """The project that `directory` is in. Mistakes are in `problems`, also when there is no project at all."""
    with _collector_paused():
        return _load(directory, env, sections, check_selector)


@contextmanager
def _collector_paused() -> Iterator[None]:
    """Loading makes many small objects that all stay: looking for garbage among them costs a tenth of the time."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _load(directory: Path, env: Mapping[str, str], sections: Sections, check_selector: CheckSelector) -> Project:
    root, end = find_project(directory)
    if root is None:
        return Project(directory, _NOTHING, {}, {}, (not_found(directory, end),))
    refused = refusal(root, env)
    if refused is not None:
        return Project(root, _NOTHING, {}, {}, (refused,))
    settings, problems = load_settings(root, env)
    paths, lying = state_files(root)
    problems += lying
    files = ProjectFiles(root)
    associations: list[Association] = []
    profiles: list[Profile] = []
    windows: list[MaintenanceWindow] = []
    parameters: list[DeclaredParameter] = []
    groups: list[ResourceGroup] = []
    baselines: list[Baseline] = []
    unread: set[str] = set()
    broken: set[str] = set()
    for path in paths:
        document = read_document(path, str(path.relative_to(root)))
        problems += document.problems
        if document.tree is not None:
            reader = StatesReader(document, sections, files, check_selector)
            reader.read()
            associations += reader.associations
            profiles += reader.profiles
            windows += reader.windows
            parameters += reader.parameters
            groups += reader.groups
            baselines += reader.baselines
            unread |= reader.broken_baselines
            broken |= reader.broken_windows
            problems += reader.findings.problems
    problems += files.problems
    named, used, opened, between = merge(associations, profiles, windows, sections.resources, broken)
    declared, twice = by_slot([*parameters, *(one for name in named for one in named[name].parameters)])
    grouped, amiss = groups_by_name(groups, named, settings.project)
    patched, contrary = baselines_by_name(baselines, named.values(), {*opened, *broken}, unread)
    problems += [*between, *twice, *amiss, *contrary]
    found = tuple(sorted(problems, key=_place))
    return Project(root, settings, named, used, found, opened, declared, grouped, patched)


def _place(problem: Problem) -> tuple[str, int, int]:
    span = problem.span
    return (span.file, span.line, span.column) if span is not None else ("", 0, 0)


class StatesReader:
    """Reads the sections of one file below states/."""

    def __init__(
        self, document: Document, sections: Sections, files: ProjectFiles, check_selector: CheckSelector
    ) -> None:
        self.document = document
        self.sections = sections
        self.findings = Findings(document.places)
        self.associations: list[Association] = []
        self.profiles: list[Profile] = []
        self.windows: list[MaintenanceWindow] = []
        self.parameters: list[DeclaredParameter] = []  # at the top of the file
        self.groups: list[ResourceGroup] = []
        self.baselines: list[Baseline] = []
        self.broken_windows: set[str] = set()  # names of those that could not be read
        self.broken_baselines: set[str] = set()
        self._declarations = DeclarationReader(self.findings, sections.resources, files)
        bodies = BodyReader(self.findings, self._declarations)
        self._parameters = ParameterReader(self.findings, sections.check_parameter)
        self._association = AssociationReader(self.findings, bodies, check_selector, self._parameters)
        self._profile = ProfileReader(self.findings, bodies)
        self._window = WindowReader(self.findings)
        self._groups = ResourceGroupReader(self.findings, check_selector)
        self._check_selector = check_selector
        self._files = files

    def read(self) -> None:
        findings = self.findings
        for section, value in (findings.map(self.document.tree, ()) or {}).items():
            if section == "associations":
                for name, below in (findings.map(value, (section,), "expected a map of associations") or {}).items():
                    association = self._association.read(name, below, (section, name))
                    self.associations += [association] if association is not None else []
            elif section == "profiles":
                for name, below in (findings.map(value, (section,), "expected a map of profiles") or {}).items():
                    profile = self._profile.read(name, below, (section, name))
                    self.profiles += [profile] if profile is not None else []
            elif section == "parameters":
                self.parameters += self._parameters.section(value, (section,))
            elif section == "resource_groups":
                self.groups += self._groups.section(value, (section,))
            elif section == "patch_baselines":
                self._read_baselines(value)
            elif section == "maintenance_windows":
                windows = findings.map(value, (section,), "expected a map of maintenance windows") or {}
                for name, below in windows.items():
                    window = self._window.read(name, below, (section, name))
                    self.windows += [window] if window is not None else []
                    self.broken_windows |= {name} if window is None else set()
            elif section in self.sections.reserved:
                summary, hint = f"section `{section}` is not part of this version", self.sections.reserved[section]
                findings.add("E106", (section,), summary, key=True, hint=hint)
            else:
                near = section if section in self.sections.resources else nearest(section, self.sections.resources)
                hint = ""
                if near and not nearest(section, self.sections.top):
                    hint = (
                        f"resources stand inside an association: associations: {{NAME: {{targets: ..., {near}: ...}}}}"
                    )
                findings.unknown((), section, self.sections.top, "a file of states", value, hint)
        self._syntax()

    def _read_baselines(self, value: Any) -> None:
        from statectl.project.baselines import BaselineReader  # for projects that have any

        reader = BaselineReader(self.findings, self._check_selector, self._files)
        section = "patch_baselines"
        for name, below in (self.findings.map(value, (section,), "expected a map of patch baselines") or {}).items():
            baseline = reader.read(name, below, (section, name))
            self.baselines += [baseline] if baseline is not None else []
            self.broken_baselines |= {name} if baseline is None else set()

    def read_groups(self) -> list[ResourceGroup]:
        """Of the resource groups alone; problems as with `read`."""
        return self._groups.section((self.document.tree or {}).get("resource_groups"), ("resource_groups",))

    def _syntax(self) -> None:
        """Every expression of the file, wherever it stands."""
        seen: set[int] = set()
        for expression in (*_expressions(self.document.tree), *self._declarations.conditions):
            if expression is BROKEN or id(expression) in seen:
                continue
            seen.add(id(expression))
            problem = expression_problem(expression, self.document.lines)
            if problem is not None:
                self.findings.problems.append(problem)


def _expressions(value: Any) -> Iterator[Expression]:
    if isinstance(value, Expression):
        yield value
    elif isinstance(value, dict):
        for key, below in value.items():
            if isinstance(key, Expression):
                yield key
            yield from _expressions(below)
    elif isinstance(value, list):
        for item in value:
            yield from _expressions(item)
