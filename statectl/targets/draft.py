"""An inventory while it is read: sources add hosts, groups and variables; `finish` settles who wins.

The closer to the host wins, by Ansible's rules: `all`, then the host's groups by depth, `ansible_group_priority` and
name, first as the inventory files say and then as `group_vars/` say, then the host's own entries, then `host_vars/`.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any

from statectl.problems import Problem, Span, did_you_mean
from statectl.targets.connections import from_variables
from statectl.targets.hosts import Connection, Group, Host, Inventory, Variable
from statectl.targets.names import group_name_problem, host_name_problem
from statectl.targets.ranges import MAX_HOSTS

if TYPE_CHECKING:
    from statectl.targets.sources import Answered

Layer = Mapping[str, Variable]
Hidden = dict[str, tuple[Variable, ...]]


@dataclass(slots=True)
class GroupDraft:
    name: str
    span: Span | None
    children: dict[str, Span | None] = field(default_factory=dict)
    hosts: dict[str, None] = field(default_factory=dict)
    layers: list[Layer] = field(default_factory=list)
    file_layers: list[Layer] = field(default_factory=list)  # group_vars/
    tags: dict[str, str] = field(default_factory=dict)
    tag_spans: dict[str, Span] = field(default_factory=dict)
    connection: Connection = field(default_factory=Connection)
    priority: int = 1
    declared: bool = True  # False: only named, by a host or a parent


@dataclass(slots=True)
class HostDraft:
    name: str
    span: Span | None
    groups: dict[str, None] = field(default_factory=dict)
    layers: list[Layer] = field(default_factory=list)
    file_layers: list[Layer] = field(default_factory=list)  # host_vars/
    tags: Mapping[str, str] = field(default_factory=dict)
    tag_spans: Mapping[str, Span] = field(default_factory=dict)
    connection: Connection = field(default_factory=Connection)


class Draft:
    """Sources call `group` and `host`; both return the draft that is there already, or None after a problem."""

    def __init__(self) -> None:
        self.groups: dict[str, GroupDraft] = {}
        self.hosts: dict[str, HostDraft] = {}
        self.problems: list[Problem] = []
        self.sources: list[str] = []
        self.answered: list[Answered] = []
        self.group("all", None)
        self.group("ungrouped", None)

    def problem(self, code: str, summary: str, span: Span | None, **more: Any) -> None:
        self.problems.append(Problem(code, summary, span, **more))

    def group(self, name: str, span: Span | None, *, declared: bool = True) -> GroupDraft | None:
        draft = self.groups.get(name)
        if draft is None:
            wrong = group_name_problem(name)
            if wrong:
                self.problem("E154", wrong, span)
                return None
            draft = self.groups[name] = GroupDraft(name, span, declared=declared)
        draft.declared = draft.declared or declared
        return draft

    def host(self, name: str, span: Span | None, groups: Iterable[str] = ()) -> HostDraft | None:
        draft = self.hosts.get(name)
        if draft is None:
            wrong = host_name_problem(name)
            if not wrong and len(self.hosts) == MAX_HOSTS:
                self.problem("E155", f"too many hosts (max {MAX_HOSTS:,})", span)
            if wrong or len(self.hosts) >= MAX_HOSTS:
                if wrong:
                    self.problem("E154", wrong, span)
                return None
            draft = self.hosts[name] = HostDraft(name, span)
        for group in groups:
            draft.groups[group] = None
            self.groups[group].hosts[name] = None
        return draft

    def finish(self) -> Inventory:
        """The inventory. Ring of groups, unknown children and an empty inventory are added to `problems`."""
        self._check_children()
        self._break_rings()
        if not self.hosts and not self.problems:
            span = Span(self.sources[0], 1, 1) if self.sources else None
            self.problem("E161", "no hosts", span, hint='add some: hosts: {"web[01-03]": {}}')
        return _Finish(self).inventory()

    def _check_children(self) -> None:
        for group in list(self.groups.values()):
            for child, span in list(group.children.items()):
                if child == "all":
                    self.problem("E159", f"group cycle all -> {group.name} -> all", span, label="every group is in all")
                    del group.children[child]
                    continue
                if child in self.groups and (self.groups[child].declared or self.groups[child].hosts):
                    continue
                known = [name for name, draft in self.groups.items() if draft.declared or draft.hosts]
                self.problem(
                    "E159",
                    f'group "{group.name}" has an unknown child "{child}"',
                    span,
                    label=did_you_mean(child, known),
                )
                del group.children[child]

    def _break_rings(self) -> None:
        """Reports every ring once, drawn, and removes the edge that closes it."""
        done: set[str] = set()
        for root in self.groups:
            path: list[str] = []
            stack: list[tuple[str, list[str]]] = [(root, list(self.groups[root].children))] if root not in done else []
            while stack:
                name, rest = stack[-1]
                if not path or path[-1] != name:
                    path.append(name)
                if not rest:
                    done.add(name)
                    stack.pop()
                    path.pop()
                    continue
                child = rest.pop(0)
                if child in path:
                    ring = " -> ".join([*path[path.index(child) :], child])
                    span = self.groups[name].children.pop(child)
                    self.problem("E159", f"group cycle {ring}", span, label="this closes it")
                elif child not in done:
                    stack.append((child, list(self.groups[child].children)))


def merged(layers: Iterable[Layer]) -> tuple[dict[str, Variable], Hidden]:
    """The last layer wins; what it hides is kept, nearest first."""
    effective: dict[str, Variable] = {}
    hidden: Hidden = {}
    for layer in layers:
        for name, variable in layer.items():
            if name in effective:
                hidden[name] = (effective[name], *hidden.get(name, ()))
            effective[name] = variable
    return effective, hidden


_CONNECTION_FIELDS = tuple(item.name for item in fields(Connection))


def closer(base: Connection, over: Connection) -> Connection:
    """`over` where it says something, else `base`."""
    if base == _SILENT:
        return over
    if over == _SILENT:
        return base
    values = {
        name: getattr(base, name) if getattr(over, name) is None else getattr(over, name) for name in _CONNECTION_FIELDS
    }
    return Connection(**values)


_SILENT = Connection()


@dataclass(slots=True)
class _Inherited:
    """What all hosts with the same direct groups have in common."""

    groups: tuple[str, ...]
    variables: dict[str, Variable]
    hidden: Hidden
    tags: dict[str, str]
    tag_spans: dict[str, Span]
    connection: Connection


class _Finish:
    """Settles each combination of groups once, and each host on top of it."""

    def __init__(self, draft: Draft) -> None:
        self.draft = draft
        self.parents = self._parents()
        self.depths = self._depths()
        self._inherited: dict[tuple[str, ...], _Inherited] = {}
        self._shared: dict[tuple[Any, ...], tuple[Mapping[str, Variable], Mapping[str, tuple[Variable, ...]]]] = {}

    def inventory(self) -> Inventory:
        draft = self.draft
        ungrouped = draft.groups["ungrouped"]
        ungrouped.hosts.clear()
        hosts: dict[str, Host] = {}
        for host in draft.hosts.values():
            direct = tuple(sorted(name for name in host.groups if name not in ("all", "ungrouped")))
            if not direct:
                direct = ("ungrouped",)
                ungrouped.hosts[host.name] = None
            hosts[host.name] = self._host(host, self._inherit(direct))
        groups = {
            group.name: Group(
                group.name,
                tuple(self._children(group)),
                tuple(group.hosts) if group.name != "all" else (),
                merged([*group.layers, *group.file_layers])[0],
                group.span,
            )
            for group in draft.groups.values()
        }
        return Inventory(hosts, groups, tuple(draft.sources), answered=tuple(draft.answered))

    def _children(self, group: GroupDraft) -> list[str]:
        if group.name != "all":
            return list(group.children)
        return [name for name in self.draft.groups if self.parents[name] == {"all"} or name in group.children]

    def _parents(self) -> dict[str, set[str]]:
        parents: dict[str, set[str]] = {name: set() for name in self.draft.groups}
        for group in self.draft.groups.values():
            for child in group.children:
                parents[child].add(group.name)
        for name, above in parents.items():
            if name != "all" and not above:
                above.add("all")
        return parents

    def _depths(self) -> dict[str, int]:
        """The longest way down from `all`. There are no rings any more."""
        depths: dict[str, int] = {"all": 0}
        for start in self.draft.groups:
            stack = [start]
            while stack:
                name = stack[-1]
                missing = [parent for parent in self.parents[name] if parent not in depths]
                if missing:
                    stack.extend(missing)
                    continue
                stack.pop()
                if name not in depths:
                    depths[name] = 1 + max(depths[parent] for parent in self.parents[name])
        return depths

    def _inherit(self, direct: tuple[str, ...]) -> _Inherited:
        found = self._inherited.get(direct)
        if found is not None:
            return found
        names: set[str] = set()
        waiting = list(direct)
        while waiting:
            name = waiting.pop()
            if name not in names:
                names.add(name)
                waiting.extend(self.parents[name])
        names.discard("all")
        everything = self.draft.groups["all"]
        groups = sorted(
            (self.draft.groups[name] for name in names),
            key=lambda group: (self.depths[group.name], group.priority, group.name),
        )
        ordered = [everything, *groups]
        layers = [layer for group in ordered for layer in group.layers]
        layers += [layer for group in ordered for layer in group.file_layers]
        variables, hidden = merged(layers)
        tags: dict[str, str] = {}
        tag_spans: dict[str, Span] = {}
        connection = _SILENT
        for group in ordered:
            tags.update(group.tags)
            tag_spans.update(group.tag_spans)
            connection = closer(connection, group.connection)
        settled = _Inherited(tuple(sorted(names)), variables, hidden, tags, tag_spans, connection)
        found = self._inherited[direct] = settled
        return found

    def _host(self, host: HostDraft, inherited: _Inherited) -> Host:
        variables: Mapping[str, Variable] = inherited.variables
        hidden: Mapping[str, tuple[Variable, ...]] = inherited.hidden
        own = [*host.layers, *host.file_layers]
        if own:
            key = (id(inherited), *map(id, own))  # the hosts of one range share their layers
            if key not in self._shared:
                self._shared[key] = _over(inherited, own)
            variables, hidden = self._shared[key]
        tags, spans = host.tags, host.tag_spans
        if inherited.tags:
            tags, spans = {**inherited.tags, **tags}, {**inherited.tag_spans, **spans}
        connection = closer(inherited.connection, host.connection)
        said = from_variables(host.name, variables, self.draft.problems)
        connection = closer(said, connection)
        address = connection.address or host.name
        return Host(host.name, address, inherited.groups, tags, connection, variables, hidden, host.span, spans)


def _over(inherited: _Inherited, own: list[Layer]) -> tuple[Mapping[str, Variable], Mapping[str, tuple[Variable, ...]]]:
    variables, hidden = dict(inherited.variables), dict(inherited.hidden)
    for layer in own:
        for name, variable in layer.items():
            if name in variables:
                hidden[name] = (variables[name], *hidden.get(name, ()))
            variables[name] = variable
    return variables, hidden
