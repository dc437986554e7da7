"""Inventories that are programs: they run with `--list`, and with `--host NAME` when the list has no `_meta`.

Running one runs code of the project. The caller says whether that is allowed; `validate` never allows it.
"""

import hashlib
import json
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from statectl.problems import Span
from statectl.targets.draft import Draft
from statectl.targets.hosts import Variable
from statectl.targets.names import host_name_problem
from statectl.targets.sources import Keeping, Source, SourceFailed
from statectl.targets.values import Settled, Yaml
from statectl.targets.variables import set_group_variable, warn_hidden

TIMEOUT_S = 60.0
MAX_OUTPUT = 64 * 1024 * 1024


class ExecutableInventory:
    """Adds what one program says to a draft."""

    def __init__(self, draft: Draft, path: Path, file: str, yaml: Yaml) -> None:
        self.draft = draft
        self.path = path
        self.file = file
        self.span = Span(file, 1, 1)
        self.settled = Settled(yaml, file, path.parent, None, draft.problems)

    def read(self, keeping: Keeping) -> None:
        """Ask the program, or use what it said before. Where it is not to be asked and nothing is kept, W157."""
        source = Source(self.file, "program", hashlib.sha256(self.path.read_bytes()).hexdigest())
        if not source.read(self.draft, keeping, self._ask, self._use):
            self.draft.problem("W157", "executable inventory: not run, its hosts are unknown here", self.span)

    def _ask(self) -> dict[str, Any]:
        """{list: what --list printed, hosts: what --host NAME printed, by name, when the list has no _meta}. Raises SourceFailed."""
        tree = self._run("--list")
        meta = tree.get("_meta")
        if meta is not None and not (isinstance(meta, Mapping) and meta.get("hostvars") is None):
            return {"list": tree, "hosts": None}
        names: dict[str, None] = {}
        for group, content in tree.items():
            hosts = _contents(group, content).get("hosts", [])
            names.update(dict.fromkeys(name for name in hosts if not host_name_problem(name)) if _texts(hosts) else {})
        return {"list": tree, "hosts": {name: self._run("--host", name) for name in names}}

    def _use(self, answer: Any) -> None:
        if not isinstance(answer, Mapping) or not isinstance(answer.get("list"), Mapping):
            self._wrong("what is kept of it is no answer")
            return
        names: dict[str, None] = {}
        meta: Any = answer.get("hosts")
        for group, content in answer["list"].items():
            if group == "_meta":
                meta = content.get("hostvars", meta) if isinstance(content, Mapping) else content
            else:
                self._group(group, content, names)
        if meta is not None and not isinstance(meta, Mapping):
            self._wrong("_meta.hostvars is not a map")
            return
        for name in names:
            self._host(name, (meta or {}).get(name, {}))

    def _group(self, name: str, content: Any, names: dict[str, None]) -> None:
        if self.draft.group(name, self.span) is None:
            return
        content = _contents(name, content)
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

    def _run(self, *arguments: str) -> dict[str, Any]:
        """The map that the program prints. What it says on stderr goes to the terminal. Raises SourceFailed."""
        try:
            ran = subprocess.run(
                [str(self.path.absolute()), *arguments],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                timeout=TIMEOUT_S,
                check=False,
            )
        except OSError as error:
            raise _failed(f"cannot be run: {(error.strerror or 'unknown error').lower()}") from None
        except subprocess.TimeoutExpired:
            raise _failed(f"`{arguments[0]}` took longer than {TIMEOUT_S:.0f} s") from None
        if ran.returncode != 0:
            raise _failed(f"`{arguments[0]}` exited {ran.returncode}")
        if len(ran.stdout) > MAX_OUTPUT:
            raise _failed(f"printed more than {MAX_OUTPUT // 1024 // 1024} MiB")
        if not ran.stdout.strip() and arguments[0] == "--host":
            return {}
        try:
            tree = json.loads(ran.stdout)
        except (ValueError, RecursionError):
            tree = None
        if not isinstance(tree, dict):
            raise _failed(f"`{arguments[0]}` printed no JSON map")
        return tree

    def _wrong(self, summary: str) -> None:
        self.draft.problem("E165", f"executable inventory: {summary}", self.span)


def _failed(summary: str) -> SourceFailed:
    return SourceFailed("E165", f"executable inventory: {summary}")


def _contents(name: str, content: Any) -> Mapping[str, Any]:
    """A group in its long form; in the shortest one its name is a host, and the rest variables."""
    if not isinstance(content, Mapping):
        return {"hosts": content}
    return content if content.keys() & {"hosts", "vars", "children"} else {"hosts": [name], "vars": content}


def _texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)
