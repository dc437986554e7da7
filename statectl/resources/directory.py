"""A directory: that it is there, whose it is, and whether anything undeclared may be in it."""

from typing import Any, ClassVar, Self

from pydantic import Field, model_validator

from statectl.project.scalars import Expression
from statectl.resources.fields import AbsolutePath, Account, Flag, Mode, wrong
from statectl.resources.model import Edge, Resource
from statectl.resources.paths import Derived, State, path_edges, refuse_protected

SECTION = "directories"
PHASE = "directories"


class Model(Resource):
    derived: ClassVar[frozenset[str]] = frozenset({"declared"})

    name: AbsolutePath = Field(description="absolute path on the host")
    owner: Account | None = Field(None, description="user, by name or number; not given: not managed")
    group: Account | None = Field(None, description="group, by name or number; not given: not managed")
    mode: Mode | None = Field(
        None, description="octal mode such as 0755; not given: not managed, and a new directory gets 0755"
    )
    recurse: Flag | None = Field(
        None,
        description="true: owner, group and mode hold for everything below too; a file gets the mode without execute bits unless it is executable already, links keep theirs",
    )
    exclusive: Flag | None = Field(
        None,
        description="true: entries directly in this directory that nothing declares are removed, directories with all their content; the plan names each",
    )
    declared: Derived | None = Field(
        None,
        description="paths below, relative to the directory, that other resources declare on this host; worked out by statectl",
    )
    state: State = Field("present", description="present or absent; absent removes the directory with all its content")

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.state == "absent":
            refuse_protected(self.name, "removal")
            if self.exclusive is True or self.recurse is True:
                raise wrong("a directory that is absent is neither exclusive nor recursive")
        if self.exclusive is True:
            refuse_protected(self.name, "exclusive")
        if self.recurse is True:
            refuse_protected(self.name, "recurse")
            if self.owner is None and self.group is None and self.mode is None:
                raise wrong("recurse needs an owner, group or mode to hold for everything below")
        return self


def short(key: Any, value: Any) -> dict[str, Any] | None:  # noqa: ARG001  the key is the path and says nothing more
    """`/srv/old: absent`."""
    return {"state": value} if isinstance(value, Expression) or value == "absent" else None


def edges(model: Model) -> list[Edge]:
    return path_edges(model.name, model.owner, model.group)


def paths(model: Model) -> list[str]:
    """The paths on the host that this resource stands for."""
    return [model.name]
