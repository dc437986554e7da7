"""A unit file of systemd, or a drop-in for one, below /etc/systemd/system; the daemon-reload is automatic."""

import re
from typing import Annotated, Any, ClassVar, Self

from pydantic import BeforeValidator, Field, model_validator

from statectl.project.scalars import Expression
from statectl.resources.fields import Text, wrong
from statectl.resources.model import Edge, Resource
from statectl.resources.paths import State, need_at_most_one, path_edges

SECTION = "units"
PHASE = "lines"

DIRECTORY = "/etc/systemd/system"
SUFFIXES = ("automount", "device", "mount", "path", "scope", "service", "slice", "socket", "swap", "target", "timer")
_NAME = re.compile(r"[A-Za-z0-9:_.\\@-]+\.(" + "|".join(SUFFIXES) + ")")
_DROP_IN = re.compile(r"[A-Za-z0-9_][A-Za-z0-9:_.@-]*")


def _name(value: Any) -> Any:
    if not isinstance(value, str) or len(value) > 255 or not _NAME.fullmatch(value):
        raise wrong("unit name not valid: it needs its suffix, as nginx.service or backup@.timer")
    return str.__str__(value)


def _drop_in(value: Any) -> Any:
    text = str.__str__(value).removesuffix(".conf") if isinstance(value, str) else ""
    if not _DROP_IN.fullmatch(text):
        raise wrong("name of a drop-in not valid: letters, digits and : _ . @ -")
    return text


class Model(Resource):
    compiled_away: ClassVar[frozenset[str]] = frozenset({"source", "template"})

    name: Annotated[str, BeforeValidator(_name)] = Field(description="unit file name with its suffix, as nginx.service")
    content: Text | None = Field(None, description="the whole unit file or drop-in, as text")
    source: Text | None = Field(
        None, description="file of the project that is copied byte for byte, relative to the YAML file"
    )
    template: Text | None = Field(
        None, description="Jinja template of the project that gives the content, relative to the YAML file"
    )
    drop_in: Annotated[str, BeforeValidator(_drop_in)] | None = Field(
        None,
        description="name of a drop-in: the content goes to /etc/systemd/system/UNIT.d/NAME.conf and adds to a unit that somebody else brings",
    )
    state: State = Field(
        "present",
        description="present or absent; absent removes the file; stop and disable the unit under services first",
    )

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        given = need_at_most_one(self, ("content", "source", "template"))
        if self.state == "present" and not given:
            raise wrong("a unit needs one of content, source and template")
        if self.state == "absent" and given:
            raise wrong(f"a unit that is absent has no {given[0]}; remove one of the two")
        return self


def short(key: Any, value: Any) -> dict[str, Any] | None:  # noqa: ARG001  the key is the unit and says nothing more
    """`old.service: absent`."""
    return {"state": value} if isinstance(value, Expression) or value == "absent" else None


def edges(model: Model) -> list[Edge]:
    return path_edges(paths(model)[0])


def paths(model: Model) -> list[str]:
    """The paths on the host that this resource stands for."""
    unit = f"{DIRECTORY}/{model.name}"
    return [f"{unit}.d/{model.drop_in}.conf" if model.drop_in else unit]
