"""Local groups of /etc/group."""

import re
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from statectl.resources.fields import Count, Flag, Text, wrong
from statectl.resources.model import Edge, Resource
from statectl.resources.paths import State

SECTION = "unix_groups"
PHASE = "unix_groups"

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,31}\$?")


def _name(value: Any) -> Any:
    if not isinstance(value, str) or not _NAME.fullmatch(value):
        raise wrong("group name not valid: letters, digits, _ . - and not starting with a digit or -")
    return str.__str__(value)


class Model(Resource):
    name: Annotated[Text, BeforeValidator(_name)] = Field(description="name of the group")
    state: State = Field(default="present", description="present or absent")
    gid: Annotated[Count, Field(ge=0, le=4294967294)] | None = Field(
        default=None, description="numeric id; not given: the next free one when the group is made, then left alone"
    )
    system: Flag | None = Field(
        default=None, description="take a number of the system range when the group is made; never compared afterwards"
    )


def short(key: Any, value: Any) -> dict[str, Any] | None:  # noqa: ARG001  the key says nothing more
    """`present` or `absent`."""
    if value is None:
        return {}
    return None if isinstance(value, bool | dict | list) else {"state": value}


def edges(model: Model) -> list[Edge]:
    """A group goes only after the users that may have it as their primary group."""
    return [Edge("user:*")] if model.state == "absent" else []
