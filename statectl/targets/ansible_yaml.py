"""Ansible's YAML inventories: a map of groups, each with hosts, vars and children."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from statectl.problems import did_you_mean
from statectl.targets.ansible_names import split_port, suspicious_ipv6
from statectl.targets.draft import Draft
from statectl.targets.hosts import Variable
from statectl.targets.ranges import MAX_HOSTS, RangeError, expand_ansible, has_range
from statectl.targets.values import Place, Places, Settled, Yaml
from statectl.targets.variables import set_group_variable, warn_hidden

_SECTIONS = ("hosts", "vars", "children")
MAX_DEPTH = 60


class AnsibleYaml:
    """Adds what one file says to a draft."""

    def __init__(self, draft: Draft, file: str, base: Path, yaml: Yaml, places: Places | None) -> None:
        self.draft = draft
        self.yaml = yaml
        self.settled = Settled(yaml, file, base, places, draft.problems)
        self.places = places

    def key(self, path: Place) -> Any:
        return self.places.key(path) if self.places is not None else self.settled.place(path)

    def read(self, tree: Mapping[Any, Any]) -> None:
        for name, content in tree.items():
            self._group(name, content, (name,))

    def _group(self, name: Any, content: Any, path: Place) -> str | None:
        if content is self.yaml.BROKEN:
            return None
        span = self.key(path)
        if not isinstance(name, str):
            self.draft.problem("E154", "group name not valid: quote it if it is a number", span)
            return None
        if content is not None and not isinstance(content, Mapping):
            self.draft.problem(
                "E164", f'group "{name}" must be a map', span, label="hosts, vars and children stand in it"
            )
            return None
        group = self.draft.group(name, span)
        if group is None:
            return None
        if len(path) > MAX_DEPTH:
            self.draft.problem("E164", f"groups nested too deeply (max {MAX_DEPTH // 2} levels)", span)
            return None
        for section, inside in (content or {}).items():
            below = (*path, section)
            if section not in _SECTIONS:
                self.draft.problem(
                    "E101", f'unknown key "{section}" in group "{name}"', self.key(below),
                    label=did_you_mean(str(section), _SECTIONS), hint="a group has hosts, vars and children",
                )  # fmt: skip
                continue
            if inside is None or inside is self.yaml.BROKEN:
                continue
            entries = {inside: None} if isinstance(inside, str) else inside
            if not isinstance(entries, Mapping):
                self.draft.problem(
                    "E164", f'"{section}" of group "{name}" must be a map', self.key(below),
                    hint="write `web01:` with a colon instead of `- web01`",
                )  # fmt: skip
                continue
            for key, value in entries.items():
                self._entry(group.name, section, key, value, (*below, key))
        return group.name

    def _entry(self, group: str, section: str, key: Any, value: Any, path: Place) -> None:
        span = self.key(path)
        if section == "vars":
            if not isinstance(key, str):
                self.draft.problem("E158", "variable name not valid: it is not text", span)
                return
            variable = Variable(self.settled.value(value, path), self.settled.place(path), f"group {group}")
            set_group_variable(self.draft, group, key, variable)
        elif section == "children":
            child = self._group(key, value, path)
            if child is not None:
                self.draft.groups[group].children.setdefault(child, span)
        else:
            self._host(group, key, value, path)

    def _host(self, group: str, pattern: Any, content: Any, path: Place) -> None:
        span = self.key(path)
        if not isinstance(pattern, str):
            self.draft.problem("E154", "host name not valid: quote it if it is a number", span)
            return
        if content is self.yaml.BROKEN:
            return
        if content is not None and not isinstance(content, Mapping):
            self.draft.problem("E164", f'host "{pattern}" must be a map of variables', span)
            return
        name, port = split_port(pattern)
        if port is None and suspicious_ipv6(name):
            self.draft.problem(
                "W156", "read as one IPv6 address without a port", span, hint="with a port: [ADDRESS]:PORT"
            )
        try:
            names = expand_ansible(name, MAX_HOSTS) if has_range(name) else [name]
        except RangeError as error:
            self.draft.problem("E155", str(error), span)
            return
        origin = f"host {pattern}"
        layer: dict[str, Variable] = {}
        if port is not None:
            layer["ansible_port"] = Variable(port, span, origin)
        for key, value in (content or {}).items():
            below = (*path, key)
            if not isinstance(key, str):
                self.draft.problem("E158", "variable name not valid: it is not text", self.key(below))
                continue
            layer[key] = Variable(self.settled.value(value, below), self.settled.place(below), origin)
            warn_hidden(self.draft, key, self.key(below))
        for one in names:
            host = self.draft.host(one, span, (group,))
            if host is not None and layer:
                host.layers.append(layer)
