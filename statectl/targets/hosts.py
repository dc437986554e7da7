"""Hosts and groups as the inventory declares them; no file reading here, no network."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from statectl.problems import Span
from statectl.targets.groups import ResourceGroups

if TYPE_CHECKING:
    from statectl.targets.sources import Answered


@dataclass(frozen=True, slots=True)
class Variable:
    """A value and where it was written. Values below a map or list keep their own spans in the file's span map."""

    value: Any  # scalars as `project.scalars.untyped` makes them, list, dict, Expression, Secret, Vaulted
    span: Span | None = None
    origin: str = ""  # "group web", "host web01", "--set"


@dataclass(frozen=True, slots=True)
class Connection:
    """What the inventory says about reaching a host. None: not said; a closer level or the default decides."""

    connection: str | None = None  # ssh | local
    address: str | None = None
    port: int | None = None
    user: str | None = None
    become: str | bool | None = None  # user to become; True: root; False: nobody
    jump: tuple[str, ...] | None = None
    python: str | None = None
    identity_files: tuple[str, ...] | None = None
    host_key: str | None = None
    undo_after: str | None = None  # 60s, 5m, never


@dataclass(frozen=True, slots=True)
class Host:
    name: str
    address: str
    groups: tuple[str, ...]  # every group, direct and inherited, sorted, without "all"
    tags: Mapping[str, str]  # those of the inventory, and stored ones of which it says nothing
    connection: Connection
    variables: Mapping[str, Variable]  # effective: all group levels and the host's own, by Ansible's rules
    hidden: Mapping[str, tuple[Variable, ...]] = field(
        default_factory=dict
    )  # what each effective variable hides, nearest first
    span: Span | None = None
    tag_spans: Mapping[str, Span] = field(
        default_factory=dict
    )  # of those that the inventory declares, where they stand
    stored_tags: Mapping[str, str] = field(default_factory=dict)  # also those that the inventory's hide

    @property
    def declared_tags(self) -> Mapping[str, str]:
        """Those of the inventory alone."""
        return {key: value for key, value in self.tags.items() if key not in self.stored_tags or key in self.tag_spans}


@dataclass(frozen=True, slots=True)
class Group:
    name: str
    children: tuple[str, ...]
    hosts: tuple[str, ...]  # direct members
    variables: Mapping[str, Variable]
    span: Span | None = None


@dataclass(frozen=True, slots=True)
class Inventory:
    """All hosts by name, in inventory order, and all groups. `sources`: the files it was read from, relative to the project.

    `resource_groups`: those of the project's files, which share one namespace with the groups. `more_tags`: hosts may have stored tags
    that were not read. `answered`: of sources that are asked, when they answered.
    """

    hosts: Mapping[str, Host]
    groups: Mapping[str, Group]
    sources: tuple[str, ...] = ()
    resource_groups: ResourceGroups = field(default_factory=ResourceGroups)
    more_tags: bool = False
    answered: "tuple[Answered, ...]" = ()

    def members(self, group: str) -> Iterable[str]:
        """Names of the hosts in a group, its children included, in inventory order."""
        return [name for name, host in self.hosts.items() if group == "all" or group in host.groups]
