"""What the loader hands to the compiler: associations, profiles and declarations, checked as far as files alone allow.

Values are trees of Plain, str, Expression, bool, None, WrittenInt, WrittenFloat, list and dict (see `scalars.py`).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from statectl.baselines.patching import Patching
from statectl.problems import Problem, Span
from statectl.project.scalars import Expression
from statectl.schedules import Window
from statectl.schedules.slots import Missed
from statectl.targets.groups import ResourceGroup

if TYPE_CHECKING:
    from statectl.baselines.model import Baseline  # 6 ms, for projects that have any


@dataclass(frozen=True, slots=True)
class Places:
    """Where every key and value of one file stands. Paths are tuples of keys and list indexes from the top of the file."""

    file: str
    keys: Mapping[tuple[str | int, ...], Span]
    values: Mapping[tuple[str | int, ...], Span]

    def value(self, path: tuple[str | int, ...]) -> Span | None:
        """The span of the nearest enclosing value that is known."""
        while path not in self.values and path:
            path = path[:-1]
        return self.values.get(path)

    def key(self, path: tuple[str | int, ...]) -> Span | None:
        return self.keys.get(path) or self.value(path)


@dataclass(frozen=True, slots=True)
class Common:
    """Fields that every long form has, whatever its type."""

    when: Expression | None = None
    for_each: Any = None  # Expression, list or dict
    after: tuple[Any, ...] = ()  # addresses; text may be an Expression
    before: tuple[Any, ...] = ()
    notify: tuple[Any, ...] = ()
    sensitive: bool = False
    on_removal: str | None = None  # delete | restore | leave
    protect: bool = False


@dataclass(frozen=True, slots=True)
class Declaration:
    """One resource as written, or one entry of a short form."""

    type: str  # "file"
    key: str | Expression
    fields: Mapping[str, Any]  # the type's own fields as loaded, short form already turned into fields
    common: Common
    places: Places
    path: tuple[str | int, ...]  # where in the file: ("associations", "web", "files", "/etc/motd")
    position: int  # written order inside the file

    @property
    def span(self) -> Span | None:
        return self.places.key(self.path)

    @property
    def looped_by(self) -> str:
        """The key that a list of things stands behind: for_each, or the section that is one expression as a whole."""
        own = self.key.source if isinstance(self.key, Expression) else self.key
        return "for_each" if self.path[-1] == own else str(self.path[-1])


@dataclass(frozen=True, slots=True)
class Given:
    """Resources under one condition, with defaults for owner, group and mode."""

    when: Expression | None
    after: tuple[Any, ...]
    notify: tuple[Any, ...]
    defaults: Mapping[str, Any]
    body: "Body"
    path: tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Use:
    """A profile placed in an association. `name` is free when `profile` differs from it."""

    name: str
    profile: str
    for_each: Any
    inputs: Any  # mapping of inputs, or Expression giving one (`with:`)
    common: Common
    path: tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Body:
    """What associations, profiles and given-groups have in common: resources, profiles used, conditional groups."""

    declarations: tuple[Declaration, ...] = ()
    uses: tuple[Use, ...] = ()
    given: tuple[Given, ...] = ()


@dataclass(frozen=True, slots=True)
class Probe:
    name: str
    run: tuple[Any, ...]  # argv, text or Expression
    type: str = "text"  # text | integer | boolean | json
    timeout_s: float = 10.0
    path: tuple[str | int, ...] = ()


@dataclass(frozen=True, slots=True)
class Override:
    """This association wins over `of` for one address, until a date."""

    address: str
    of: str
    reason: str
    until: str = ""  # ISO date, '' : without end
    path: tuple[str | int, ...] = ()


@dataclass(frozen=True, slots=True)
class Variant:
    """One entry of `where`: association fields that replace the written ones on the hosts it matches; the first match wins."""

    targets: str
    fields: Mapping[str, Any]
    path: tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Health:
    """What must hold on a host that was changed, for it to count as well."""

    kind: str  # tcp | http | command
    what: tuple[Any, ...]  # text or Expression: one address or URL, or the arguments of a command
    expect: int  # status of http
    within_s: float
    path: tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Step:
    """A command on other hosts, before or after one host changes."""

    run: tuple[Any, ...]  # argv, text or Expression
    on: str  # a target expression
    timeout_s: float
    path: tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Rollout:
    batch: tuple[str, ...]  # "1" or "10%" of the hosts that change; the last repeats
    health: Health | None
    bake_s: float
    on_failure: str  # stop | continue
    before: tuple[Step, ...]
    after: tuple[Step, ...]
    path: tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """An entry of `requires` about other hosts: those that `on` selects have the association first."""

    association: str
    on: str  # a target expression
    path: tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class DeclaredParameter:
    """What the parameter store should hold under one name."""

    name: str
    type: str  # String | StringList | SecureString
    value: str  # as the store keeps it; '' where it comes from elsewhere
    value_from: str  # env:NAME, file:PATH, cmd:COMMAND, cipher:TEXT; '' where the value stands here
    absent: bool
    more: Mapping[str, Any]  # description, data_type, allowed_pattern, tags, policies: those that are given
    association: str  # that owns it; '' : the project
    places: Places
    path: tuple[str | int, ...]

    @property
    def span(self) -> Span | None:
        return self.places.key(self.path)


@dataclass(frozen=True, slots=True)
class Association:
    name: str
    description: str
    targets: str
    requires: tuple[str, ...]  # association names, same host
    schedule: str
    timezone: str  # IANA name
    schedule_offset: int  # days
    jitter_s: int
    only_at_schedule: bool
    mode: str  # enforce | audit
    severity: str
    max_concurrency: str  # '' : default
    max_errors: str
    disrupt: str  # always | never | window:NAME
    where: tuple[Variant, ...]
    vars: Mapping[str, Any]  # untyped values
    merge_vars: Mapping[str, str]  # name -> "by NAME" | append | deep
    probes: tuple[Probe, ...]
    overrides: tuple[Override, ...]
    body: Body
    places: Places
    path: tuple[str | int, ...]
    rollout: Rollout | None = None
    requires_elsewhere: tuple[Elsewhere, ...] = ()
    parameters: tuple[DeclaredParameter, ...] = ()  # that it owns
    patch_baseline: tuple[str, ...] = ()  # names, at most one for each system

    @property
    def span(self) -> Span | None:
        return self.places.key(self.path)

    @property
    def names_baselines(self) -> bool:
        return bool(self.patch_baseline) or any("patch_baseline" in one.fields for one in self.where)

    def baselines_on(self, variant: Variant | None) -> tuple[str, ...]:
        """What it names on hosts of this variant, the first that selects them."""
        said = variant.fields.get("patch_baseline") if variant is not None else None
        return self.patch_baseline if said is None else tuple(said)


@dataclass(frozen=True, slots=True)
class Input:
    name: str
    type: str  # string | integer | number | boolean | list | map
    required: bool
    default: Any
    minimum: float | None
    maximum: float | None
    pattern: str
    choices: tuple[Any, ...]
    description: str


@dataclass(frozen=True, slots=True)
class Profile:
    name: str
    description: str
    inputs: Mapping[str, Input]
    body: Body
    places: Places
    path: tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class MaintenanceWindow:
    name: str
    description: str
    timezone: str  # IANA name, as written
    window: Window
    places: Places
    path: tuple[str | int, ...]

    @property
    def span(self) -> Span | None:
        return self.places.key(self.path)


@dataclass(frozen=True, slots=True)
class Limits:
    """Enforced at compile and again by the executor. `paths` empty: no limit."""

    paths: tuple[str, ...] = ()  # absolute
    deny: tuple[str, ...] = ()
    max_removals: int | None = None
    become: bool | None = None


@dataclass(frozen=True, slots=True)
class Collect:
    """What is collected beside what every host is asked. Values are as the order of an inventory has them."""

    files: tuple[Mapping[str, Any], ...] = ()
    certificates: tuple[str, ...] | None = None  # None: where they usually are
    custom: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    keep_days: int = 90


@dataclass(frozen=True, slots=True)
class Settings:
    """statectl.yml, completed from the user's and the machine's configuration."""

    project: str
    inventory: str  # path relative to the project directory
    store: str = "sqlite:.statectl/state.db"
    connection: Mapping[str, Any] = field(default_factory=dict)  # defaults for all hosts
    limits: Limits = field(default_factory=Limits)
    sources: Mapping[str, str] = field(default_factory=dict)  # setting -> where its value came from
    missed: Missed = "once"  # what `serve` does about slots that nobody ran
    collect: Collect = field(default_factory=Collect)
    patching: Patching = field(default_factory=Patching)
    parameters: Mapping[str, Any] = field(default_factory=dict)  # of the parameter store; those that are given
    inventory_sources: Mapping[str, str] = field(default_factory=dict)  # durations as written; those that are given
    trusted: bool = False  # the user's or the machine's configuration names this project in trusted_projects


@dataclass(frozen=True, slots=True)
class Project:
    """Everything the files say. `problems` holds warnings and errors; with errors it must not be compiled."""

    root: Path
    settings: Settings
    associations: Mapping[str, Association]
    profiles: Mapping[str, Profile]
    problems: tuple[Problem, ...] = ()
    maintenance_windows: Mapping[str, MaintenanceWindow] = field(default_factory=dict)
    parameters: Mapping[str, DeclaredParameter] = field(default_factory=dict)
    resource_groups: Mapping[str, ResourceGroup] = field(default_factory=dict)
    patch_baselines: "Mapping[str, Baseline]" = field(
        default_factory=dict
    )  # of the files; `predefined()` has the others
