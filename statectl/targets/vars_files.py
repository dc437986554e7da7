"""`group_vars/` and `host_vars/` next to an inventory: one file or one directory of files for a name."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from statectl.problems import Span
from statectl.targets.draft import Draft, Layer
from statectl.targets.hosts import Variable
from statectl.targets.names import variable_name_problem
from statectl.targets.values import Settled, Yaml
from statectl.targets.variables import warn_hidden

EXTENSIONS = (".yml", ".yaml", ".json")
_VAULT_HEADER = "$ANSIBLE_VAULT;"


class VarsFiles:
    """Reads them for the groups and hosts of a draft. `ansible` says whose typing holds."""

    def __init__(self, draft: Draft, yaml: Yaml, root: Path, *, ansible: bool) -> None:
        self.draft = draft
        self.yaml = yaml
        self.root = root
        self.ansible = ansible

    def add(self, directory: Path) -> None:
        """Adds what stands in `directory/group_vars` and `directory/host_vars`."""
        found = _listed(directory / "group_vars")
        if found:
            for group in list(self.draft.groups.values()):
                for path in _files(directory / "group_vars", group.name, found):
                    group.file_layers.append(self.read(path, f"group {group.name}"))
        found = _listed(directory / "host_vars")
        if found:
            for host in self.draft.hosts.values():
                for path in _files(directory / "host_vars", host.name, found):
                    host.file_layers.append(self.read(path, f"host {host.name}"))

    def read(self, path: Path, origin: str) -> Layer:
        """The variables of one file; an empty file has none."""
        file = shown(path, self.root)
        self.draft.sources.append(file)
        text = read_text(path, file, self.draft)
        if text is None:
            return {}
        top = Span(file, 1, 1)
        if text.startswith(_VAULT_HEADER):
            self.draft.problem(
                "W154", "file encrypted by ansible-vault: its variables are unknown here", top,
                hint='secret variables are written {value_from: "env:NAME"} or {value_from: "file:PATH"}',
            )  # fmt: skip
            return {}
        places: Any = None
        tree: Any = parsed_json(text) if self.ansible else None
        is_json = tree is not None
        if not is_json:
            tree, places, problems = self.yaml.read_yaml(text, file, ansible=self.ansible)
            self.draft.problems.extend(problems)
        if tree is None or tree is self.yaml.BROKEN or tree == "":
            return {}
        if not isinstance(tree, Mapping):
            self.draft.problem("E108", "expected a map of variables", top)
            return {}
        settled = Settled(self.yaml, file, path.parent, places, self.draft.problems)
        layer: dict[str, Variable] = {}
        for name, value in tree.items():
            span = places.key((name,)) if places is not None else top
            if not self._usable(name, span):
                continue
            if is_json:
                value = settled.expressions(value, (name,))  # noqa: PLW2901
            layer[name] = Variable(settled.value(value, (name,)), settled.place((name,)), origin)
        return layer

    def _usable(self, name: Any, span: Span | None) -> bool:
        if not isinstance(name, str):
            self.draft.problem("E158", "variable name not valid: it is not text", span)
            return False
        if self.ansible:
            warn_hidden(self.draft, name, span)
            return True
        wrong = variable_name_problem(name)
        if wrong:
            self.draft.problem("E158", wrong, span)
        return not wrong


def _listed(directory: Path) -> frozenset[str]:
    try:
        return frozenset(os.listdir(directory))
    except (FileNotFoundError, NotADirectoryError):
        return frozenset()


def _files(directory: Path, name: str, listed: frozenset[str]) -> list[Path]:
    """The first of `name` (a directory or file), `name.yml`, `name.yaml`, `name.json` that is there."""
    for entry in (name, *(name + extension for extension in EXTENSIONS)):
        if entry in listed:
            path = directory / entry
            return _inside(path) if path.is_dir() else [path]
    return []


def _inside(directory: Path) -> list[Path]:
    found: list[Path] = []
    for path in sorted(directory.iterdir(), key=lambda path: path.name):
        if path.name.startswith(".") or path.name.endswith("~"):
            continue
        if path.is_dir() and not path.suffix:
            found.extend(_inside(path))
        elif path.is_file() and path.suffix in ("", *EXTENSIONS):
            found.append(path)
    return found


def shown(path: Path, root: Path) -> str:
    """The path as messages give it: relative to the project, or absolute outside it."""
    absolute = Path(os.path.abspath(path))
    base = Path(os.path.abspath(root))
    return str(absolute.relative_to(base)) if absolute.is_relative_to(base) else str(absolute)


def read_text(path: Path, file: str, draft: Draft) -> str | None:
    """The text of a file; None after a problem."""
    if path.exists() and not path.is_file():  # a pipe would never end
        draft.problem("E123", "file cannot be read: it is not a regular file", Span(file, 1, 1))
        return None
    try:
        return path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        draft.problem("E123", f"file cannot be read: {(error.strerror or 'unknown error').lower()}", Span(file, 1, 1))
    except UnicodeDecodeError as error:
        line = path.read_bytes()[: error.start].count(b"\n") + 1
        draft.problem("E113", "not UTF-8 text", Span(file, line, 1))
    return None


def parsed_json(text: str) -> Any:
    """The value when the whole text is JSON, as Ansible tries first; else None."""
    if text.lstrip()[:1] not in ("{", "["):
        return None
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None
