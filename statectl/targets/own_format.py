"""The project's own inventories: `hosts` with ranges, and `groups`.

Keys of a host: those of a connection, and address, groups, tags, vars. Keys of a group: vars, tags, connection, children.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from statectl.problems import Span, did_you_mean, nearest
from statectl.targets.connections import jump_problem, python_problem
from statectl.targets.draft import Draft, Layer, closer
from statectl.targets.host_key import host_key_problem
from statectl.targets.hosts import Connection, Variable
from statectl.targets.names import (
    HOST_WORDS,
    address_problem,
    port_problem,
    tag_name_problem,
    unbracketed,
    user_name_problem,
    variable_name_problem,
)
from statectl.targets.ranges import MAX_HOSTS, RangeError, expand, has_range
from statectl.targets.undo_after import undo_after_problem
from statectl.targets.values import Place, Places, Settled, Yaml

_CONNECTION_KEYS = (
    "port",
    "user",
    "connection",
    "become",
    "jump",
    "python",
    "identity_files",
    "host_key",
    "undo_after",
)
_GROUP_KEYS = ("vars", "tags", "connection", "children")
_KINDS = ("ssh", "local")


def is_own_format(tree: Mapping[Any, Any]) -> bool:
    """Own inventories have `hosts` or `groups` at the top, Ansible's have names of groups."""
    tops = {str(key) for key in tree}
    return bool(tops & {"hosts", "groups"}) and not tops & {"all", "ungrouped"}


class OwnFormat:
    """Adds what one file says to a draft."""

    def __init__(self, draft: Draft, file: str, base: Path, yaml: Yaml, places: Places) -> None:
        self.draft = draft
        self.file = file
        self.yaml = yaml
        self.base = base
        self.places = places
        self.settled = Settled(yaml, file, base, places, draft.problems)

    def read(self, tree: Mapping[Any, Any]) -> None:
        self._unknown_keys(tree, ("hosts", "groups"), (), "an inventory")
        groups = self._map(tree.get("groups"), ("groups",), "groups")
        for name, content in groups.items():
            self._group(name, content, ("groups", name))
        hosts = self._map(tree.get("hosts"), ("hosts",), "hosts")
        # An entry for one host says more about it than an entry for a range, in whatever order they stand.
        for pattern in sorted(hosts, key=lambda pattern: not has_range(str(pattern))):
            self._hosts(pattern, hosts[pattern], ("hosts", pattern))
        self._restore_order(hosts)

    def _restore_order(self, hosts: Mapping[str, Any]) -> None:
        """Hosts in written order: singles were read after the ranges."""
        if not any(has_range(str(pattern)) for pattern in hosts):
            return
        order: dict[str, None] = {}
        for pattern in hosts:
            order.update(dict.fromkeys(self._expanded(str(pattern), None)))
        drafts = self.draft.hosts
        for name in order:
            if name in drafts:
                drafts[name] = drafts.pop(name)

    # --- groups

    def _group(self, name: Any, content: Any, path: Place) -> None:
        span = self.places.key(path)
        name = self._name(name, span)
        fields = self._map(content, path, f"group {name}")
        group = self.draft.group(name, span) if name is not None else None
        if name is None or group is None:
            return
        self._unknown_keys(fields, _GROUP_KEYS, path, f'group "{name}"')
        origin = f"group {name}"
        group.layers.append(self._variables(fields.get("vars"), (*path, "vars"), origin))
        tags, spans = self._tags(fields.get("tags"), (*path, "tags"))
        group.tags.update(tags)
        group.tag_spans.update(spans)
        connection = fields.get("connection")
        below = (*path, "connection")
        if isinstance(connection, Mapping):
            self._unknown_keys(connection, _CONNECTION_KEYS, below, "a connection")
            group.connection = closer(group.connection, self._connection(connection, below))
        elif connection is not None:
            group.connection = closer(group.connection, Connection(connection=self._kind(connection, below)))
        children = fields.get("children")
        for index, child in enumerate(self._texts(children, (*path, "children"), "children")):
            place = self.places.value((*path, "children", index) if isinstance(children, list) else (*path, "children"))
            if self.draft.group(child, place, declared=False) is not None:
                group.children.setdefault(child, place)

    # --- hosts

    def _hosts(self, pattern: Any, content: Any, path: Place) -> None:
        span = self.places.key(path)
        pattern = self._name(pattern, span)
        fields = self._map(content, path, f"host {pattern}")
        self._unknown_keys(fields, tuple(sorted(HOST_WORDS)), path, f"host {pattern}")
        names = self._expanded(pattern, span) if pattern is not None else []
        connection = self._connection(fields, path)
        address = self._checked(fields, "address", path, "E156", address_problem)
        address = unbracketed(address) if address is not None else None
        if address is not None and len(names) > 1:
            self.draft.problem(
                "E156", "a range of hosts cannot share one address", self.places.value((*path, "address")),
                hint="leave the address out (then the name is used), or write the hosts one by one",
            )  # fmt: skip
        layer = self._variables(fields.get("vars"), (*path, "vars"), f"host {pattern}")
        tags, spans = self._tags(fields.get("tags"), (*path, "tags"))
        groups = []
        for index, group in enumerate(self._texts(fields.get("groups"), (*path, "groups"), "groups")):
            if self.draft.group(group, self.places.value((*path, "groups", index)), declared=False) is not None:
                groups.append(group)
        if address is not None:
            connection = closer(connection, Connection(address=address))
        for name in names:
            host = self.draft.host(name, span, groups)
            if host is None:
                continue
            if layer:
                host.layers.append(layer)
            host.tag_spans = {**host.tag_spans, **spans} if host.tags else spans
            host.tags = {**host.tags, **tags} if host.tags else tags
            host.connection = closer(host.connection, connection)
            host.span = span

    def _expanded(self, pattern: str, span: Span | None) -> list[str]:
        try:
            return expand(pattern, MAX_HOSTS)
        except RangeError as error:
            if span is not None:
                self.draft.problem("E155", str(error), span)
            return []

    # --- what both have

    def _connection(self, fields: Mapping[Any, Any], path: Place) -> Connection:
        port = fields.get("port")
        number: int | None = None
        if port is not None and port is not self.yaml.BROKEN:
            wrong = port_problem(int(port)) if re.fullmatch(r"[0-9]{1,9}", str(port)) else "port not valid: 1 to 65535"
            if wrong:
                self.draft.problem("E156", wrong, self.places.value((*path, "port")))
            else:
                number = int(port)
        kind = fields.get("connection")
        jumps = self._texts(fields.get("jump"), (*path, "jump"), "jump") if "jump" in fields else None
        for jump in jumps or ():
            if jump_problem(jump):
                self.draft.problem("E156", jump_problem(jump), self.places.value((*path, "jump")))
        keys = fields.get("identity_files")
        files = self._texts(keys, (*path, "identity_files"), "identity_files") if keys is not None else None
        return Connection(
            connection=self._kind(kind, (*path, "connection")) if kind is not None else None,
            port=number,
            user=self._checked(fields, "user", path, "E157", user_name_problem),
            become=self._become(fields, path),
            jump=tuple(jumps) if jumps is not None else None,
            python=self._checked(fields, "python", path, "E108", python_problem),
            identity_files=tuple(self._identity(file) for file in files) if files is not None else None,
            host_key=self._checked(fields, "host_key", path, "E108", host_key_problem),
            undo_after=self._checked(fields, "undo_after", path, "E108", undo_after_problem),
        )

    def _identity(self, file: str) -> str:
        return file if file.startswith("~") else str(self.base / file)

    def _kind(self, value: Any, path: Place) -> str | None:
        if value is self.yaml.BROKEN:
            return None
        if value in _KINDS:
            return str(value)
        label = "ssh or local"
        if value == "agent":
            label = "hosts that dial in by themselves are not part of this version; use ssh"
        self.draft.problem("E162", "kind of connection not supported", self.places.value(path), label=label)
        return None

    def _become(self, fields: Mapping[Any, Any], path: Place) -> str | bool | None:
        value = fields.get("become")
        if isinstance(value, self.yaml.Plain) and value in ("true", "false"):
            return value == "true"
        return self._checked(fields, "become", path, "E157", user_name_problem)

    def _checked(
        self, fields: Mapping[Any, Any], key: str, path: Place, code: str, check: Callable[[str], str]
    ) -> str | None:
        value = fields.get(key)
        if key not in fields or value is self.yaml.BROKEN:
            return None
        below = (*path, key)
        if not isinstance(value, str):
            self._not_text(key, value, below)
            return None
        text = str.__str__(value)
        wrong = check(text)
        if wrong:
            self.draft.problem(code, wrong, self.places.value(below))
            return None
        return text

    def _texts(self, value: Any, path: Place, key: str) -> list[str]:
        """A list of texts; one text stands for a list of one."""
        if value is None or value is self.yaml.BROKEN:
            return []
        result: list[str] = []
        for index, item in enumerate(value if isinstance(value, list) else [value]):
            if isinstance(item, str):
                result.append(str.__str__(item))
            elif item is not self.yaml.BROKEN:
                self._not_text(key, item, (*path, index))
        return result

    def _not_text(self, key: str, value: Any, path: Place) -> None:
        expression = hasattr(value, "source")
        self.draft.problem(
            "E108", f"`{key}` must be text{' without expressions' if expression else ''}", self.places.value(path),
            hint="it is read before anything is rendered" if expression else "",
        )  # fmt: skip

    def _variables(self, value: Any, path: Place, origin: str) -> Layer:
        layer: dict[str, Variable] = {}
        for key, item in self._map(value, path, "vars").items():
            below = (*path, key)
            name = self._name(key, self.places.key(below))
            wrong = variable_name_problem(name) if name is not None else ""
            if wrong:
                self.draft.problem("E158", wrong, self.places.key(below))
            elif name is not None:
                layer[name] = Variable(self.settled.value(item, below), self.places.value(below), origin)
        return layer

    def _tags(self, value: Any, path: Place) -> tuple[dict[str, str], dict[str, Span]]:
        tags: dict[str, str] = {}
        spans: dict[str, Span] = {}
        for key, item in self._map(value, path, "tags").items():
            below = (*path, key)
            name = self._name(key, self.places.key(below))
            wrong = tag_name_problem(name) if name is not None else ""
            if wrong:
                self.draft.problem("E154", wrong, self.places.key(below))
            elif not isinstance(item, str):
                self._not_text(f"tags.{name}", item, below)
            elif name is not None:
                tags[name] = str.__str__(item)
                spans[name] = self.places.key(below) or Span(self.file, 1, 1)
        return tags, spans

    def _name(self, name: Any, span: Span | None) -> str | None:
        if isinstance(name, str):
            return str.__str__(name)
        self.draft.problem("E108", "a name here is plain text without expressions", span)
        return None

    def _map(self, value: Any, path: Place, what: str) -> Mapping[Any, Any]:
        if isinstance(value, Mapping):
            return value
        if value is not None and value is not self.yaml.BROKEN and value != "":
            self.draft.problem("E108", f"{what}: expected a map", self.places.value(path))
        return {}

    def _unknown_keys(self, fields: Mapping[Any, Any], known: Iterable[str], path: Place, where: str) -> None:
        for key in fields:
            name = str(getattr(key, "source", key))
            if name not in known:
                self.draft.problem(
                    "E101", f"unknown key `{name}` in {where}", self.places.key((*path, name)),
                    label=did_you_mean(name, known), hint="" if nearest(name, known) else f"known: {', '.join(known)}",
                    replacement=nearest(name, known) or None,
                )  # fmt: skip
