"""A regular file: its content, owner and mode."""

from collections.abc import Mapping
from typing import Any, ClassVar, Self

from pydantic import Field, field_validator, model_validator

from statectl.project.scalars import Expression
from statectl.resources.fields import AbsolutePath, Account, Argv, Flag, Mode, Text, wrong
from statectl.resources.model import Edge, Resource
from statectl.resources.paths import State, need_at_most_one, need_placeholder, own_field_names, path_edges

SECTION = "files"
PHASE = "files"
CONTENT_FIELDS = ("content", "source", "template", "fragments")


class Fragment(Resource):
    """One part of a file that several places build together."""

    content: Text | None = Field(None, description="text of this part")
    source: Text | None = Field(None, description="file of the project with this part, relative to the YAML file")
    template: Text | None = Field(None, description="Jinja template of this part, relative to the YAML file")

    @model_validator(mode="after")
    def _one_of_them(self) -> Self:
        if not need_at_most_one(self, ("content", "source", "template")):
            raise wrong("a fragment needs one of content, source and template")
        return self


with own_field_names():

    class Model(Resource):
        compiled_away: ClassVar[frozenset[str]] = frozenset({"source", "template", "fragments"})

        name: AbsolutePath = Field(
            description="absolute path on the host; a symbolic link there is refused, not followed"
        )
        content: Text | None = Field(
            None,
            description="the whole content, as text; without content, source, template and fragments only owner, group and mode are managed, and a missing file is made empty",
        )
        source: Text | None = Field(
            None, description="file of the project that is copied byte for byte, relative to the YAML file"
        )
        template: Text | None = Field(
            None, description="Jinja template of the project that gives the content, relative to the YAML file"
        )
        fragments: dict[str, Fragment] | None = Field(
            None,
            description="parts by name, joined in the order of their names; several associations may add parts to one file",
        )
        owner: Account | None = Field(None, description="user, by name or number; not given: not managed")
        group: Account | None = Field(None, description="group, by name or number; not given: not managed")
        mode: Mode | None = Field(
            None,
            description="octal mode such as 0644; not given: not managed, and a new file gets 0644, or 0600 when its content holds a secret",
        )
        validate: Argv | None = Field(  # type: ignore[assignment]  # hides a deprecated method of pydantic
            None,
            description="command that checks the new file, at %s, before it replaces the old one; split into arguments as a shell would, but no shell runs it",
        )
        backup: Flag | None = Field(
            None,
            description="true: before a replacement or removal, keep a copy beside the file, named PATH.20270131T120000Z~ (statectl itself always remembers the content it first found)",
        )
        state: State = Field("present", description="present or absent; absent removes a file, link, fifo or socket")

        @field_validator("fragments", mode="before")
        @classmethod
        def _named_parts(cls, value: Any) -> Any:
            if value is None or isinstance(value, Expression) or (isinstance(value, Mapping) and value):
                return value
            raise wrong("expected fragments by name, such as 20-mine: {content: ...}")

        @model_validator(mode="after")
        def _fits_together(self) -> Self:
            given = need_at_most_one(self, CONTENT_FIELDS)
            if self.state == "absent" and given:
                raise wrong(f"a file that is absent has no {given[0]}; remove one of the two")
            need_placeholder(self.validate)
            if self.name == "/":
                raise wrong("/ is a directory")
            return self


def short(key: Any, value: Any) -> dict[str, Any] | None:  # noqa: ARG001  the key is the path and says nothing more
    """`/etc/x: absent`."""
    return {"state": value} if isinstance(value, Expression) or value == "absent" else None


def edges(model: Model) -> list[Edge]:
    return path_edges(model.name, model.owner, model.group)


def paths(model: Model) -> list[str]:
    """The paths on the host that this resource stands for."""
    return [model.name]
