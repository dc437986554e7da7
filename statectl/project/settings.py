"""Settings: environment > statectl.yml > the user's configuration > the machine's > default, each with its source.

(A command-line flag is above all of these; the command line adds it.)
"""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from statectl.baselines.patching import Patching
from statectl.problems import Problem, Span
from statectl.project import parameter_settings, source_settings
from statectl.project.collecting import read_collect
from statectl.project.documents import Document, read_document
from statectl.project.findings import Findings, is_null
from statectl.project.model import Collect, Limits, Places, Settings
from statectl.project.patch_settings import read_patching
from statectl.project.scalars import Plain
from statectl.project.yaml_nodes import Path as TreePath
from statectl.project.yaml_tree import BROKEN
from statectl.store.address import address_problem
from statectl.targets.host_key import host_key_problem
from statectl.targets.undo_after import undo_after_problem

FILE = "statectl.yml"
DEFAULT_STORE = "sqlite:.statectl/state.db"

FIELDS: Mapping[str, str] = {
    "project": "Name of the project",
    "inventory": "File or directory with the hosts, relative to the project",
    "store": f"Where runs and results are kept: sqlite:PATH (default {DEFAULT_STORE}) or postgresql://USER@HOST:PORT/DATABASE",
    "connection": "How hosts are reached, unless the inventory says otherwise",
    "limits": "What may be changed at all; enforced when compiling and again on the host",
    "serve": "How `statectl serve` runs associations on their schedules",
    "parameters": "The parameter store: its key, who may do what, how much it takes",
    "inventory_sources": "How long answers of inventories that are asked, programs and clouds, may be used",
    "collect": "What `statectl inventory refresh` asks for beside what it asks every host, and how long changes are kept",
    "patching": "Patching beside its baselines: indexes that are read here, feeds of vulnerabilities, the package cache",
}
OF_PROJECT = (
    "project",
    "collect",
    "patching",
)  # that a user's own configuration does not set: they name what runs where
USER_FIELDS: Mapping[str, str] = {
    **{name: text for name, text in FIELDS.items() if name not in OF_PROJECT},
    "trusted_projects": "Directories of projects whose executable inventories may run, and which may belong to another user",
}
CONNECTION_FIELDS: Mapping[str, str] = {
    "connection": "ssh (default) or local",
    "port": "Port of the SSH server",
    "user": "User to log in as",
    "become": "true: become root with sudo; a name: become that user; false: stay",
    "jump": "Hosts to go through, the first one first",
    "python": "Absolute path of the Python interpreter on the host",
    "identity_files": "Private key files, tried in this order",
    "host_key": "The public host key that must be shown",
    "undo_after": "After how long the host undoes a change that may lock us out, unless a new login succeeds: 10s to 1h (default 60s); never",
}
LIMIT_FIELDS: Mapping[str, str] = {
    "paths": "Directories: everything that is not a path below one of them is refused",
    "deny": "Paths that are never changed",
    "max_removals": "How many resources one apply may remove on one host",
    "become": "false: nothing may ask for another user's rights",
}
MISSED = ("once", "skip", "all")
SERVE_FIELDS: Mapping[str, str] = {
    "missed": "Slots that nobody ran at their time: once (default) runs the latest and it stands for all; skip runs none that is late; all runs each, the latest ten at most",
}
VARIABLES: Mapping[str, str] = {
    "STATECTL_INVENTORY": "inventory",
    "STATECTL_STORE": "store",
    "STATECTL_PARAMETERS_KEY": "parameters.key",
    **{f"STATECTL_CONNECTION_{name.upper()}": f"connection.{name}" for name in CONNECTION_FIELDS},
}
_ACCOUNT = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,31}\$?")


@dataclass(slots=True)
class Layer:
    """The settings of one source, typed, with the place of each."""

    values: dict[str, Any]  # "store", "connection.user", "limits"
    sources: dict[str, str]


def load_settings(root: Path, env: Mapping[str, str]) -> tuple[Settings, list[Problem]]:
    """All layers for the project in `root`; problems of all its files."""
    problems: list[Problem] = []
    layers = [_environment(env, problems)]
    project_file = read_document(root / FILE, FILE)
    layers.append(_layer(project_file, FIELDS, root, problems))
    trusted: list[str] = []
    for path in config_files(env):
        if not os.path.lexists(path):
            continue
        document = read_document(path, str(path), own=True)
        layer = _layer(document, USER_FIELDS, root, problems)
        trusted += layer.values.pop("trusted_projects", [])
        layers.append(layer)
    return _settled(root, project_file, layers, trusted, problems), problems


def config_files(env: Mapping[str, str]) -> list[Path]:
    """The user's and the machine's configuration, the nearer one first."""
    home = env.get("XDG_CONFIG_HOME") or (os.path.join(env["HOME"], ".config") if env.get("HOME") else "")
    files = [Path(home) / "statectl" / "config.yml"] if os.path.isabs(home) else []
    return [*files, Path("/etc/statectl/config.yml")]


def trusted_projects(env: Mapping[str, str]) -> list[str]:
    """The directories that the user's and the machine's configuration trust. Problems of these files are found later."""
    found: list[str] = []
    for path in config_files(env):
        if os.path.lexists(path):
            document = read_document(path, str(path), own=True)
            found += _layer(document, USER_FIELDS, path.parent, []).values.get("trusted_projects", [])
    return found


def _settled(
    root: Path, project_file: Document, layers: list[Layer], trusted: list[str], problems: list[Problem]
) -> Settings:
    values: dict[str, Any] = {"store": DEFAULT_STORE}
    sources: dict[str, str] = {"store": "default"}
    for layer in reversed(layers):
        values.update(layer.values)
        sources.update(layer.sources)
    if project_file.tree is not None:
        findings = Findings(project_file.places)
        if "project" not in project_file.tree:
            findings.add("E109", (), f"{FILE} needs `project`", hint="project: my-fleet")
        if "inventory" not in values and "inventory" not in project_file.tree:
            findings.add("E109", (), f"{FILE} needs `inventory`", hint="inventory: inventories/prod")
        problems += findings.problems
    elif not project_file.problems:
        problems.append(Problem("E109", f"{FILE} is empty; it needs `project` and `inventory`", Span(FILE, 1, 1)))
    connection = {key.partition(".")[2]: value for key, value in values.items() if key.startswith("connection.")}
    return Settings(
        project=values.get("project", ""),
        inventory=values.get("inventory", ""),
        store=values["store"],
        connection=connection,
        limits=values.get("limits", Limits()),
        collect=values.get("collect", Collect()),
        patching=values.get("patching", Patching()),
        missed=values.get("serve.missed", "once"),
        parameters={key.partition(".")[2]: value for key, value in values.items() if key.startswith("parameters.")},
        inventory_sources={
            key.partition(".")[2]: value for key, value in values.items() if key.startswith("inventory_sources.")
        },
        sources=sources,
        trusted=is_trusted(root, trusted),
    )


def is_trusted(root: Path, trusted: list[str]) -> bool:
    real = root.resolve()
    return any(Path(one).expanduser().resolve() == real for one in trusted)


def _environment(env: Mapping[str, str], problems: list[Problem]) -> Layer:
    layer = Layer({}, {})
    for name, text in env.items():
        if not name.startswith("STATECTL_") or not text:
            continue
        key = VARIABLES.get(name)
        if key is None:
            near = get_close_matches(name, VARIABLES, n=1, cutoff=0.85)
            if near:
                problems.append(
                    Problem("W101", f"environment variable {name} is not known", hint=f"did you mean {near[0]}?")
                )
            continue
        reader = _Reader(None, name)
        value = reader.setting(key, Plain(text), ())
        problems += reader.findings.problems
        if value is not None:
            layer.values[key] = value
            layer.sources[key] = f"environment {name}"
    return layer


def _layer(document: Document, allowed: Mapping[str, str], root: Path, problems: list[Problem]) -> Layer:
    problems += document.problems
    layer = Layer({}, {})
    if document.tree is None:
        return layer
    reader = _Reader(document, "")
    findings = reader.findings
    for key, value in (findings.map(document.tree, ()) or {}).items():
        if key not in allowed:
            findings.unknown((), key, allowed, document.file if allowed is FIELDS else "this configuration", value)
        elif key == "connection":
            for name, below in reader.known(value, (key,), CONNECTION_FIELDS, "`connection`").items():
                reader.keep(layer, f"connection.{name}", below, (key, name))
        elif key == "serve":
            for name, below in reader.known(value, (key,), SERVE_FIELDS, "`serve`").items():
                reader.keep(layer, f"serve.{name}", below, (key, name))
        elif key == "collect":
            if value is not BROKEN:
                layer.values[key] = read_collect(findings, value, (key,))
                layer.sources[key] = reader.source((key,))
        elif key == "patching":
            if value is not BROKEN:
                layer.values[key] = read_patching(findings, value, (key,))
                layer.sources[key] = reader.source((key,))
        elif key == "parameters":
            for name, below in reader.known(value, (key,), parameter_settings.FIELDS, "`parameters`").items():
                reader.keep(layer, f"parameters.{name}", below, (key, name))
        elif key == "inventory_sources":
            for name, below in reader.known(value, (key,), source_settings.FIELDS, f"`{key}`").items():
                reader.keep(layer, f"{key}.{name}", below, (key, name))
        elif key == "limits":
            if value is not BROKEN:
                layer.values[key] = reader.limits(value, (key,), root)
                layer.sources[key] = reader.source((key,))
        else:
            reader.keep(layer, key, value, (key,))
    problems += findings.problems
    return layer


class _Reader:
    """Types single settings. Without a document the problems name the environment variable."""

    def __init__(self, document: Document | None, variable: str) -> None:
        self.document = document
        self.findings: Findings = (
            Findings(document.places) if document is not None else _VariableFindings(Places("", {}, {}), variable)
        )

    def source(self, path: TreePath) -> str:
        assert self.document is not None
        span = self.document.places.key(path)
        return f"{span.file}:{span.line}" if span is not None else self.document.file

    def keep(self, layer: Layer, key: str, value: Any, path: TreePath) -> None:
        if value is BROKEN:
            return
        typed = self.setting(key, value, path)
        if typed is not None:
            layer.values[key] = typed
            layer.sources[key] = self.source(path)

    def known(self, value: Any, path: TreePath, allowed: Mapping[str, str], where: str) -> dict[str, Any]:
        found = self.findings.map(value, path) or {}
        for key, below in found.items():
            if key not in allowed:
                self.findings.unknown(path, key, allowed, where, below)
        return {key: below for key, below in found.items() if key in allowed}

    def setting(self, key: str, value: Any, path: TreePath) -> Any:
        """One typed value, or None after a problem."""
        if key == "connection.port":
            return self.findings.number(value, path, 1, 65535)
        if key == "connection.connection":
            return self.findings.choice(value, path, ("ssh", "local"))
        if key.startswith("parameters.") and key.partition(".")[2] in parameter_settings.NUMBERS:
            return self.findings.number(value, path, *parameter_settings.NUMBERS[key.partition(".")[2]])
        if key == "serve.missed":
            return self.findings.choice(value, path, MISSED)
        if key == "connection.become" and value in ("true", "false"):
            return self.findings.flag(value, path)
        if key in ("connection.jump", "connection.identity_files", "trusted_projects"):
            if isinstance(value, str) and not is_null(value):
                return (str.__str__(value),)
            items = self.findings.texts(value, path, "texts")
            return tuple(items) if items is not None else None
        text = self.findings.text(value, path)
        if text is None:
            return None
        expected = _expected(key, text)
        if expected:
            self.findings.wrong(path, expected)
            return None
        return text

    def limits(self, value: Any, path: TreePath, root: Path) -> Limits:
        """Paths are kept absolute: relative ones are relative to the project."""
        fields = self.known(value, path, LIMIT_FIELDS, "`limits`")
        findings = self.findings

        def paths(key: str) -> tuple[str, ...]:
            if key not in fields:
                return ()
            items = findings.texts(fields[key], (*path, key), "paths") or []
            if key == "paths" and isinstance(fields[key], list) and not fields[key]:
                findings.wrong((*path, key), "expected at least one path; an empty list would mean no limit")
            return tuple(os.path.normpath(root.absolute() / item) for item in items)

        return Limits(
            paths=paths("paths"),
            deny=paths("deny"),
            max_removals=findings.number(fields["max_removals"], (*path, "max_removals"), 0, 1_000_000)
            if "max_removals" in fields
            else None,
            become=findings.flag(fields["become"], (*path, "become")) if "become" in fields else None,
        )


def _expected(key: str, text: str) -> str:
    """What a setting's text must be, or '' when it is that."""
    if key == "project" and not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", text):
        return "expected a name of letters, digits, . _ and -"
    if key == "store":
        return address_problem(text)
    if key in ("connection.user", "connection.become") and not _ACCOUNT.fullmatch(text):
        return (
            "expected the name of a user" if key == "connection.user" else "expected true, false or the name of a user"
        )
    if key.startswith("parameters."):
        return parameter_settings.expected(key.partition(".")[2], text)
    if key.startswith("inventory_sources."):
        return source_settings.expected(text)
    if key == "connection.undo_after":
        return undo_after_problem(text)
    if key == "connection.host_key":
        return host_key_problem(text)
    if key == "connection.python" and not text.startswith("/"):
        return "expected an absolute path"
    return ""


class _VariableFindings(Findings):
    """Findings of an environment variable: there is no place in a file, so the name stands in the summary."""

    def __init__(self, places: Any, variable: str) -> None:
        super().__init__(places)
        self.variable = variable

    def wrong(
        self, path: TreePath, expected: str, *, label: str = "", hint: str = "", replacement: str | None = None
    ) -> None:
        del path, replacement
        self.problems.append(Problem("E108", f"environment variable {self.variable}: {expected}", hint=hint or label))
