"""Inventories that are programs: they run with `--list`, and with `--host NAME` when the list has no `_meta`.

Running one runs code of the project. The caller says whether that is allowed; `validate` never allows it.
"""

import json
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from statectl.problems import Span
from statectl.targets.draft import Draft
from statectl.targets.hosts import Variable
from statectl.targets.values import Settled, Yaml
from statectl.targets.variables import set_group_variable, warn_hidden

TIMEOUT_S = 60.0
MAX_OUTPUT = 64 * 1024 * 1024


class ExecutableInventory:
    """Adds what one program says to a draft."""

    def __init__(self, draft: Draft, path: Path, file: str, yaml: Yaml) -> None:
        self.draft = draft
        self.path = path
        self.span = Span(file, 1, 1)
        self.settled = Settled(yaml, file, path.parent, None, draft.problems)

    def read(self) -> None:
        tree = self._run("--list")
        if tree is None:
            return
        names: dict[str, None] = {}
        meta: Any = None
        for group, content in tree.items():
            if group == "_meta":
                meta = content.get("hostvars") if isinstance(content, Mapping) else content
            else:
                self._group(group, content, names)
        if meta is not None and not isinstance(meta, Mapping):
            self._wrong("_meta.hostvars is not a map")
            return
        for name in names:
            variables = meta.get(name, {}) if meta is not None else self._run("--host", name)
            self._host(name, variables)

    def _group(self, name: str, content: Any, names: dict[str, None]) -> None:
        if self.draft.group(name, self.span) is None:
            return
        if not isinstance(content, Mapping):
            content = {"hosts": content}
        elif not content.keys() & {"hosts", "vars", "children"}:
            content = {"hosts": [name], "vars": content}
        hosts, variables, children = content.get("hosts", []), content.get("vars", {}), content.get("children", [])
        if not _texts(hosts) or not isinstance(variables, Mapping) or not _texts(children):
            self._wrong(f'group "{name}": hosts and children are lists of names, vars is a map')
            return
        for host in hosts:
            if self.draft.host(host, self.span, (name,)) is not None:
                names[host] = None
        for key, value in variables.items():
            set_group_variable(self.draft, name, key, Variable(self._value(key, value), self.span, f"group {name}"))
        for child in children:
            if self.draft.group(child, self.span) is not None:
                self.draft.groups[name].children.setdefault(child, self.span)

    def _host(self, name: str, variables: Any) -> None:
        if not isinstance(variables, Mapping):
            if variables is not None:
                self._wrong(f'variables of host "{name}" are not a map')
            return
        layer = {key: Variable(self._value(key, value), self.span, f"host {name}") for key, value in variables.items()}
        for key in layer:
            warn_hidden(self.draft, key, self.span)
        if layer:
            self.draft.hosts[name].layers.append(layer)

    def _value(self, key: str, value: Any) -> Any:
        return self.settled.value(self.settled.expressions(value, (key,)), (key,))

    def _run(self, *arguments: str) -> dict[str, Any] | None:
        """The map that the program prints; None after a problem. What it says on stderr goes to the terminal."""
        try:
            ran = subprocess.run(
                [str(self.path.absolute()), *arguments],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                timeout=TIMEOUT_S,
                check=False,
            )
        except OSError as error:
            self._wrong(f"cannot be run: {(error.strerror or 'unknown error').lower()}")
            return None
        except subprocess.TimeoutExpired:
            self._wrong(f"`{arguments[0]}` took longer than {TIMEOUT_S:.0f} s")
            return None
        if ran.returncode != 0:
            self._wrong(f"`{arguments[0]}` exited {ran.returncode}")
            return None
        if len(ran.stdout) > MAX_OUTPUT:
            self._wrong(f"printed more than {MAX_OUTPUT // 1024 // 1024} MiB")
            return None
        if not ran.stdout.strip() and arguments[0] == "--host":
            return {}
        try:
            tree = json.loads(ran.stdout)
        except (ValueError, RecursionError):
            tree = None
        if not isinstance(tree, dict):
            self._wrong(f"`{arguments[0]}` printed no JSON map")
            return None
        return tree

    def _wrong(self, summary: str) -> None:
        self.draft.problem("E165", f"executable inventory: {summary}", self.span)


def _texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)
