"""Several lines between two markers, in a text file that somebody else owns."""

from typing import Annotated, Any, ClassVar, Self

from pydantic import BeforeValidator, Field, model_validator

from statectl.resources.fields import AbsolutePath, Argv, Flag, Text, wrong
from statectl.resources.model import Edge, Resource
from statectl.resources.paths import (
    Pattern,
    State,
    need_at_most_one,
    need_one_anchor,
    need_placeholder,
    own_field_names,
    path_edges,
)

SECTION = "text_blocks"
PHASE = "lines"


def _one_line(value: Any) -> Any:
    if not isinstance(value, str) or not value.strip() or "\n" in value or "\r" in value:
        raise wrong("expected one line of text")
    return str.__str__(value)


def _marker(value: Any) -> Any:
    text = _one_line(value)
    if "{mark}" not in text:
        raise wrong("a marker needs {mark}, which becomes BEGIN and END, such as `; {mark} mine`")
    return text


with own_field_names():

    class Model(Resource):
        compiled_away: ClassVar[frozenset[str]] = frozenset({"template"})

        name: Annotated[str, BeforeValidator(_one_line)] = Field(
            description="free name of this block; it stands in the markers"
        )
        path: AbsolutePath = Field(description="the file; a symbolic link there is refused, not followed")
        content: Text | None = Field(None, description="the text between the markers")
        template: Text | None = Field(
            None, description="Jinja template of the project that gives the text, relative to the YAML file"
        )
        marker: Annotated[str, BeforeValidator(_marker)] | None = Field(
            None,
            description="the line before and after, with {mark} for BEGIN and END; not given: # {mark} statectl NAME",
        )
        insert_after: Pattern | None = Field(
            None,
            description="where a new block goes: EOF, or a regular expression, after the last line that matches it; the end when none does",
        )
        insert_before: Pattern | None = Field(
            None,
            description="where a new block goes: BOF, or a regular expression, before the first line that matches it; the end when none does",
        )
        state: State = Field("present", description="present or absent; absent removes the block with its markers")
        create: Flag | None = Field(
            None, description="true: make the file when it is missing; otherwise a missing file is a failure"
        )
        validate: Argv | None = Field(  # type: ignore[assignment]  # hides a deprecated method of pydantic
            None,
            description="command that checks the new file, at %s, before it replaces the old one; split into arguments as a shell would, but no shell runs it",
        )

        @model_validator(mode="after")
        def _fits_together(self) -> Self:
            given = need_at_most_one(self, ("content", "template"))
            if self.state == "present" and not given:
                raise wrong("a text block needs content or template")
            if self.state == "absent" and given:
                raise wrong(f"a text block that is absent has no {given[0]}; remove one of the two")
            if self.state == "absent" and self.create is not None:
                raise wrong("create means nothing for a text block that is absent; remove it")
            need_one_anchor(self)
            need_placeholder(self.validate)
            return self


def short(key: Any, value: Any) -> dict[str, Any] | None:  # noqa: ARG001
    """There is none: a block needs its path."""
    return None


def edges(model: Model) -> list[Edge]:
    """After the file it stands in, what that needs, and the packages that may bring or replace it."""
    if not isinstance(model.path, str):
        return []
    return [Edge(f"file:{model.path}"), *path_edges(model.path), Edge("package:*")]


def paths(model: Model) -> list[str]:
    """The paths on the host that this resource writes to; others may write there too."""
    return [model.path]
