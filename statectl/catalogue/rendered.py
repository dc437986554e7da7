"""What goes to be rendered and what comes back: jobs in scopes, values, secrets by number, failures."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

from statectl.secrets import Secret

HOST_NAMES = frozenset({"facts", "host"})  # different on every host
FUNCTIONS = frozenset({"hosts", "param", "secret"})
RESERVED = HOST_NAMES | FUNCTIONS | {"inputs", "item"}


class LazySecret(Protocol):
    """A secret that is fetched only when a catalogue needs it."""

    @property
    def label(self) -> str: ...

    def resolve(self) -> Secret: ...


class Failure(NamedTuple):
    """Why something has no value. `report` is the child's: code, summary, label, hint, eid, template, line, find, root, via, used_by."""

    report: Mapping[str, Any]


class Unknown(NamedTuple):
    """It depends on facts or probes that are not there before the host is contacted."""


class SecretParts(NamedTuple):
    """Text with secrets: pieces of text, and numbers of the register of secrets."""

    parts: tuple[str | int, ...]


UNKNOWN = Unknown()


class FoundHost(NamedTuple):
    """One host as `hosts()` in a template sees it. `variables`: name to raw value; `facts` None: never contacted."""

    host: Mapping[str, Any]  # name, address, groups, tags
    variables: Mapping[str, Any]
    facts: Mapping[str, Any] | None
    facts_at: str  # ISO time, '' when never contacted


@dataclass(slots=True, eq=False)
class HostNames:
    """What is one host's own. `facts`: JSON text, None while not known."""

    number: int
    host: Mapping[str, Any]
    facts: str | None


@dataclass(slots=True, eq=False)
class Scope:
    """The names of one association on one host: variable to the number of its registered value.

    `probes`: name -> {ok, value | reason}, None where not known yet.
    """

    number: int
    host: HostNames
    names: Mapping[str, int]
    probes: Mapping[str, Any]


@dataclass(slots=True, eq=False)
class Job:
    """Sources to be rendered in one scope with the same local names; `outcomes` has one entry for each afterwards."""

    scope: Scope
    sources: tuple[int, ...]
    names: Mapping[str, Any] | None = None  # item, inputs: rendered values
    names_key: str = ""  # equal for equal `names`
    outcomes: list[Any] = field(default_factory=list)
    asked: list[list[str]] = field(default_factory=list)  # [function, argument]: hosts, param and secret that it needs
