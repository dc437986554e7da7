"""One line of a text file that somebody else owns."""

from typing import Any, Self

from pydantic import Field, model_validator

from statectl.resources.fields import AbsolutePath, Argv, Flag, Text, wrong
from statectl.resources.model import Edge, Resource
from statectl.resources.paths import Pattern, State, need_one_anchor, need_placeholder, own_field_names, path_edges

SECTION = "lines"
PHASE = "lines"


with own_field_names():

    class Model(Resource):
        name: Text = Field(description="free name of this resource")
        path: AbsolutePath = Field(description="the file; a symbolic link there is refused, not followed")
        line: Text | None = Field(
            None, description="the whole line, without its end; present: it stands in the file exactly like this"
        )
        match: Pattern | None = Field(
            None,
            description="regular expression (Python's) for the lines this one takes the place of: the first becomes `line`, further ones are removed; with absent: all lines to remove",
        )
        insert_after: Pattern | None = Field(
            None,
            description="where a new line goes: EOF, or a regular expression, after the last line that matches it; the end when none does",
        )
        insert_before: Pattern | None = Field(
            None,
            description="where a new line goes: BOF, or a regular expression, before the first line that matches it; the end when none does",
        )
        state: State = Field("present", description="present or absent")
        create: Flag | None = Field(
            None, description="true: make the file when it is missing; otherwise a missing file is a failure"
        )
        validate: Argv | None = Field(  # type: ignore[assignment]  # hides a deprecated method of pydantic
            None,
            description="command that checks the new file, at %s, before it replaces the old one; split into arguments as a shell would, but no shell runs it",
        )

        @model_validator(mode="after")
        def _fits_together(self) -> Self:
            if self.state == "present" and self.line is None:
                raise wrong("a line needs `line`, its text")
            if self.state == "absent" and self.line is None and self.match is None:
                raise wrong("a line that is absent needs `line` or `match` to say which")
            if self.state == "absent" and self.create is not None:
                raise wrong("create means nothing for a line that is absent; remove it")
            if isinstance(self.line, str) and ("\n" in self.line or "\r" in self.line):
                raise wrong("a line may not hold a line break; use text_blocks for several lines")
            need_one_anchor(self)
            need_placeholder(self.validate)
            return self


def short(key: Any, value: Any) -> dict[str, Any] | None:  # noqa: ARG001
    """There is none: a line needs its path."""
    return None


def edges(model: Model) -> list[Edge]:
    """After the file it stands in, what that needs, and the packages that may bring or replace it."""
    if not isinstance(model.path, str):
        return []
    return [Edge(f"file:{model.path}"), *path_edges(model.path), Edge("package:*")]


def paths(model: Model) -> list[str]:
    """The paths on the host that this resource writes to; others may write there too."""
    return [model.path]
