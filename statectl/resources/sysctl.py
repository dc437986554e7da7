"""Kernel settings: the live value below /proc/sys and the line that brings it back after a reboot."""

import re
from posixpath import dirname
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, model_validator

from statectl.resources.fields import AbsolutePath, Flag, Text, wrong
from statectl.resources.model import Edge, Resource
from statectl.resources.paths import State

SECTION = "sysctls"
PHASE = "settings"

_KEY = re.compile(r"[A-Za-z0-9_-]+(?:[./][A-Za-z0-9_:@-]+)+")


def _name(value: Any) -> Any:
    if not isinstance(value, str) or not _KEY.fullmatch(value):
        raise wrong("sysctl key not valid: words joined by dots, such as net.ipv4.ip_forward")
    return str.__str__(value)


def _value(value: Any) -> Any:
    if isinstance(value, bool) or value is None:
        raise wrong("expected the value as text or number, such as 1")
    text = str(value)
    if "\n" in text or "\0" in text or not text.strip():
        raise wrong("a value may not be empty or hold a line break")
    return " ".join(text.split())


class Model(Resource):
    name: Annotated[Text, BeforeValidator(_name)] = Field(
        description="key, such as net.ipv4.ip_forward; a part that holds dots itself is written with slashes: net/ipv4/conf/eth0.1/forwarding"
    )
    state: State = Field(
        default="present", description="absent: the line is removed; the live value stays until the next boot"
    )
    value: Annotated[Text, BeforeValidator(_value)] | None = Field(
        default=None, description="value; several numbers are separated by one space"
    )
    file: AbsolutePath = Field(
        default="/etc/sysctl.d/60-statectl.conf", description="file that holds the line; several keys share it, sorted"
    )
    reload: Flag = Field(
        default=True, description="set and compare the live value too; false: only the file, for the next boot"
    )

    @model_validator(mode="after")
    def _fits(self) -> "Model":
        if self.state == "present" and self.value is None:
            raise wrong("sysctl needs `value`")
        return self


def short(key: Any, value: Any) -> dict[str, Any] | None:  # noqa: ARG001  the key says nothing more
    """The value, or `absent`."""
    if isinstance(value, bool | dict | list) or value is None:
        return None
    return {"state": "absent"} if value == "absent" else {"value": value}


def edges(model: Model) -> list[Edge]:
    return [Edge(f"directory:{dirname(model.file)}")] if isinstance(model.file, str) else []
