"""The resource types there are, found by listing `statectl/resources`: a new type edits no shared file."""

import importlib
import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType
from typing import Any, Literal, get_args, get_origin

from statectl import resources
from statectl.project.parameters import CheckParameter, Wrong
from statectl.project.scalars import Plain
from statectl.resources.model import Edge, Resource

# In the order in which `explain` and the schema show them.
COMMON_FIELDS: Mapping[str, str] = MappingProxyType(
    {
        "when": "Condition, a bare expression without braces; the resource exists on hosts where it is true",
        "for_each": "List or map, or an expression that gives one: one resource per item; the key must use `item`",
        "after": "Address, or list of addresses, of resources that come first",
        "before": "Address, or list of addresses, of resources that come later",
        "notify": "Address, or list of addresses, to restart or reload when this resource changes",
        "sensitive": "true: differences are never shown or stored, only that there is one",
        "on_removal": "What happens when it is no longer declared and removal was asked for: delete, restore or leave",
        "protect": "true: never removed, not even with --prune",
    }
)


@dataclass(frozen=True, slots=True)
class ResourceType:
    """One type: what its module in `statectl/resources` says."""

    name: str  # "file"
    section: str  # "files"
    phase: str
    model: type[Resource]
    short: Callable[[Any, Any], dict[str, Any] | None]
    edges: Callable[[Any], list[Edge]]
    restartable: bool
    description: str

    @property
    def names(self) -> frozenset[str]:
        """All fields of the model. pydantic makes its own answer anew each time, which is felt with thousands of resources."""
        return _names(self.model)

    @property
    def fields(self) -> tuple[str, ...]:
        """Its own fields that a file may hold: not the key, and not what statectl works out itself."""
        derived: frozenset[str] = getattr(self.model, "derived", frozenset())
        return tuple(name for name in self.model.model_fields if name != "name" and name not in derived)

    @property
    def article(self) -> str:
        """'a file', 'an authorized_key'."""
        return with_article(self.name)

    @property
    def words(self) -> tuple[str, ...]:
        """The states that are short forms of their own: `present`, `absent`, `running` ..."""
        state = self.model.model_fields.get("state")
        states = _literals(state.annotation) if state is not None else ()
        return tuple(word for word in states if (self.short("x", Plain(word)) or {}).get("state") == word)

    @property
    def key_is_path(self) -> bool:
        """Whether the key is a path on the host, so that two types can mean the same thing."""
        return self.section in PATH_SECTIONS


@cache
def _names(model: type[Resource]) -> frozenset[str]:
    return frozenset(model.model_fields)


def _any_parameter(_name: str, _said: Mapping[str, Any]) -> tuple[Wrong, ...]:
    return ()


@dataclass(frozen=True, slots=True)
class Sections:
    """What may stand in a file below states/: the sections at its top, those of resources, and those of later features.

    check_parameter: what a parameter store would refuse of a declared parameter
    """

    resources: Mapping[str, ResourceType]
    reserved: Mapping[str, str]  # section -> why it is refused
    top: tuple[str, ...] = (
        *("associations", "profiles", "parameters", "resource_groups", "patch_baselines"),
        "maintenance_windows",
    )
    check_parameter: CheckParameter = _any_parameter


PATH_SECTIONS = frozenset({"files", "directories", "links", "trees"})


def with_article(word: str) -> str:
    return f"{'an' if word[:1] in 'aeio' else 'a'} {word}"


def _literals(annotation: Any) -> tuple[str, ...]:
    """The words of a Literal, wherever it stands inside a field's type."""
    if get_origin(annotation) is Literal:
        return get_args(annotation)
    return tuple(word for inner in get_args(annotation) for word in _literals(inner))


def _nothing(_model: Any) -> list[Edge]:
    return []


@cache
def resource_types() -> Mapping[str, ResourceType]:
    """Section -> type, in the order of the phases."""
    from statectl.resources.model import PHASES

    found = []
    for entry in pkgutil.iter_modules(resources.__path__):
        module = importlib.import_module(f"{resources.__name__}.{entry.name}")
        if not hasattr(module, "SECTION"):
            continue
        found.append(
            ResourceType(
                name=entry.name,
                section=module.SECTION,
                phase=module.PHASE,
                model=module.Model,
                short=module.short,
                edges=getattr(module, "edges", _nothing),
                restartable=getattr(module, "restartable", False),
                description=(module.__doc__ or "").strip().split("\n\n")[0].replace("\n", " "),
            )
        )
    found.sort(key=lambda one: (PHASES.index(one.phase), one.section))
    return MappingProxyType({one.section: one for one in found})
