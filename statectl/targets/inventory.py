"""From a path to an Inventory: which files belong to it, what kind each one is, and what they say together."""

import gc
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from statectl.problems import Problem, Span
from statectl.targets.ansible_ini import IniReader
from statectl.targets.ansible_yaml import AnsibleYaml
from statectl.targets.draft import Draft
from statectl.targets.hosts import Inventory
from statectl.targets.own_format import OwnFormat, is_own_format
from statectl.targets.values import Settled, Yaml
from statectl.targets.vars_files import EXTENSIONS, VarsFiles, parsed_json, read_text, shown

if TYPE_CHECKING:
    from statectl.targets.sources import Keeping

# What Ansible passes over in a directory of inventories.
_IGNORED = re.compile(
    r"^\.|^(?:host_vars|group_vars|vars_plugins|known_hosts)$|\.known_hosts$|(?:\.pyc|\.pyo|\.swp|\.bak|~|\.rpm|\.md|\.txt|\.rst|\.orig|\.cfg|\.retry)$"
)
_YAML_START = re.compile(r"---|[^\s#\[][^=\s]*:(?:\s|$)|\{")
MAX_DEPTH = 10


def load_inventory(
    path: Path,
    *,
    root: Path,
    yaml: Yaml,
    allow_executables: bool | None = False,
    keeping: "Callable[[], Keeping] | None" = None,
) -> tuple[Inventory, list[Problem]]:
    """Read an inventory file, or a directory of them with `group_vars/` and `host_vars/`.

    `root`: the project directory, for the paths in messages. `yaml`: the YAML reader. `allow_executables`: an inventory
    that is a program is run (True), is an error (False), or is passed over with the warning W157 (None: only the files
    are checked) unless an answer of it is kept. `keeping`: what becomes of answers. The inventory holds whatever could be understood; with errors among the problems it must not be used.
    """
    collecting = gc.isenabled()
    gc.disable()  # a large inventory is made of millions of small objects that all stay: looking for garbage doubles the time
    try:
        return _load(path, root, yaml, keeping, allow_executables=allow_executables)
    finally:
        if collecting:
            gc.enable()


def _load(
    path: Path, root: Path, yaml: Yaml, keeping: "Callable[[], Keeping] | None", *, allow_executables: bool | None
) -> tuple[Inventory, list[Problem]]:
    draft = Draft()
    loader = _Loader(draft, root, yaml, keeping, allow_executables=allow_executables)
    if not os.path.exists(path):  # Path.exists raises for a name that is too long
        draft.problem("E122", "inventory not found", Span(shown(path, root), 1, 1))
        return draft.finish(), draft.problems
    loader.source(path)
    vars_files = VarsFiles(draft, yaml, root, ansible=loader.ansible)
    vars_files.add(path if path.is_dir() else path.parent)
    inventory = draft.finish()
    return inventory, list(dict.fromkeys(draft.problems))


class _Loader:
    def __init__(
        self,
        draft: Draft,
        root: Path,
        yaml: Yaml,
        keeping: "Callable[[], Keeping] | None",
        *,
        allow_executables: bool | None,
    ) -> None:
        self.draft = draft
        self.root = root
        self.yaml = yaml
        self._keeping = keeping
        self.allow_executables = allow_executables
        self.ansible = False  # whether any source is Ansible's: then the vars files are, too

    def source(self, path: Path, depth: int = 0) -> None:
        if path.is_dir():
            if depth > MAX_DEPTH:
                self.draft.problem("E164", "directories nested too deeply", Span(shown(path, self.root), 1, 1))
                return
            for name in sorted(os.listdir(path)):
                if not _IGNORED.search(name):
                    self.source(path / name, depth + 1)
            return
        file = shown(path, self.root)
        self.draft.sources.append(file)
        if _is_program(path):
            self._program(path, file)
            return
        text = read_text(path, file, self.draft)
        if text is not None:
            self._text(path, file, text)

    def _program(self, path: Path, file: str) -> None:
        top = Span(file, 1, 1)
        if not os.access(path, os.X_OK):
            self.draft.problem(
                "E166", "a program that is not executable", top, hint=f"chmod +x {file}, or move it away"
            )
            return
        self.ansible = True
        if self.allow_executables is False:
            self.draft.problem(
                "E165", "executable inventory: not run, it would run code of this project", top,
                hint="trust the project in your own configuration; `validate` never runs it",
            )  # fmt: skip
            return
        from statectl.targets.executables import ExecutableInventory

        ExecutableInventory(self.draft, path, file, self.yaml).read(self.keeping())

    def keeping(self) -> "Keeping":
        """Made when a source is there that is asked: few inventories have one."""
        from statectl.targets.sources import Keeping

        found = self._keeping() if self._keeping is not None else Keeping()
        return found if self.allow_executables is not None else replace(found, ask=False)

    def _text(self, path: Path, file: str, text: str) -> None:
        top = Span(file, 1, 1)
        extension = path.suffix.lower()
        if extension == ".toml":
            self.draft.problem("E166", "TOML inventories are not read", top, hint="write it as YAML")
            return
        if text.startswith("$ANSIBLE_VAULT;"):
            self.draft.problem("E166", "inventory encrypted by ansible-vault", top, hint="decrypt it")
            return
        if extension in ("", *EXTENSIONS) and (extension or _reads_as_yaml(text)):
            self._yaml(path, file, text)
            return
        self.ansible = True
        IniReader(self.draft, file, path.parent, self.yaml).read(text)

    def _yaml(self, path: Path, file: str, text: str) -> None:
        tree: Any = parsed_json(text)
        places: Any = None
        own = isinstance(tree, Mapping) and (is_own_format(tree) or is_source(tree))
        if tree is None or own:
            tree, places, problems = self.yaml.read_yaml(text, file)
            own = tree is self.yaml.BROKEN or (isinstance(tree, Mapping) and (is_own_format(tree) or is_source(tree)))
            if own or not isinstance(tree, Mapping):
                self.draft.problems.extend(problems)
            else:
                tree, places, problems = self.yaml.read_yaml(text, file, ansible=True)
                self.draft.problems.extend(problems)
        else:
            tree = _json_expressions(tree, self.yaml, file)
        if tree is self.yaml.BROKEN:
            return
        if not isinstance(tree, Mapping):
            self.draft.problem(
                "E164", "empty inventory" if tree is None else "an inventory is a map", Span(file, 1, 1),
                hint='write hosts: {"web[01-03]": {}}',
            )  # fmt: skip
        elif "plugin" in tree:
            self.ansible = True
            self.draft.problem(
                "E166", "configuration of an Ansible inventory plugin", Span(file, 1, 1),
                hint="plugins are not run; an executable that prints `ansible-inventory --list` works",
            )  # fmt: skip
        elif is_source(tree):
            from statectl.targets.ec2 import Ec2Source

            trusted = self.allow_executables
            Ec2Source(self.draft, file, self.yaml, places, trusted=trusted).read(tree, self.keeping())
        elif own:
            OwnFormat(self.draft, file, path.parent, self.yaml, places).read(tree)
        else:
            self.ansible = True
            AnsibleYaml(self.draft, file, path.parent, self.yaml, places).read(tree)


def is_source(tree: Mapping[Any, Any]) -> bool:
    """A source that is asked says its kind; an Ansible group of that name would be a map."""
    return isinstance(tree.get("source"), str)


def _json_expressions(tree: Any, yaml: Yaml, file: str) -> Any:
    settled = Settled(yaml, file, Path(), None, [])
    if not isinstance(tree, Mapping):
        return tree
    return {key: settled.expressions(value, (key,)) for key, value in tree.items()}


def _is_program(path: Path) -> bool:
    """Programs start with #! or are binaries; a data file stays one even when its x bit is set."""
    if not path.is_file():
        return False
    try:
        with path.open("rb") as file:
            head = file.read(4)
    except OSError:
        return False
    return head.startswith((b"#!", b"\x7fELF"))


def _reads_as_yaml(text: str) -> bool:
    """Without a file extension the first line that says something decides."""
    for line in text.splitlines():
        if line.strip() and not line.lstrip().startswith(("#", ";")):
            return _YAML_START.match(line) is not None
    return True
