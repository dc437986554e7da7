"""A symbolic link."""

from typing import Any, Self

from pydantic import Field, model_validator

from statectl.project.scalars import Expression
from statectl.resources.fields import AbsolutePath, Flag, Text, wrong
from statectl.resources.model import Edge, Resource
from statectl.resources.paths import State, path_edges

SECTION = "links"
PHASE = "links"


class Model(Resource):
    name: AbsolutePath = Field(description="absolute path of the link itself")
    to: Text | None = Field(
        None,
        description="what the link points to, kept as written: absolute, or relative to the link's directory; it need not exist",
    )
    force: Flag | None = Field(
        None,
        description="true: replace a file, or an empty directory, that is in the way; a directory with content is never replaced",
    )
    state: State = Field("present", description="present or absent; absent removes a link and nothing else")

    @model_validator(mode="after")
    def _to_is_given(self) -> Self:
        if self.to is None and self.state == "present":
            raise wrong("a link needs `to`, what it points to")
        if isinstance(self.to, str) and (not self.to or "\0" in self.to or "\n" in self.to):
            raise wrong("what a link points to may not be empty or hold a newline")
        return self


def short(key: Any, value: Any) -> dict[str, Any] | None:  # noqa: ARG001  the key is the path and says nothing more
    """`/etc/x: ../y` is the target, `/etc/x: absent` is the end of it. A target named absent needs the long form."""
    if isinstance(value, Expression):
        return {"to": value}
    if isinstance(value, str):
        return {"state": value} if value == "absent" else {"to": value}
    return None


def edges(model: Model) -> list[Edge]:
    return path_edges(model.name)


def paths(model: Model) -> list[str]:
    """The paths on the host that this resource stands for."""
    return [model.name]
