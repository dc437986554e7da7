"""systemd services and other units that can run: whether they run, and whether they start at boot."""

import re
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from statectl.resources.fields import Flag, Text, wrong
from statectl.resources.model import Edge, Resource

SECTION = "services"
PHASE = "services"
restartable = True

UNIT_TYPES = ("service", "socket", "timer", "path", "target", "mount", "automount", "swap", "slice", "scope", "device")
_NAME = re.compile(r"[A-Za-z0-9_@:][A-Za-z0-9:_.\\@-]{0,254}")


def _name(value: Any) -> Any:
    if not isinstance(value, str) or not _NAME.fullmatch(value):
        raise wrong("unit name not valid: letters, digits, : _ . \\ @ - and not starting with -")
    return str.__str__(value)


def unit_name(name: str) -> str:
    """The full name of a unit: a bare name is a service, as for systemctl."""
    return name if name.rpartition(".")[2] in UNIT_TYPES and "." in name else f"{name}.service"


class Model(Resource):
    name: Annotated[Text, BeforeValidator(_name)] = Field(description="unit name; without a suffix, .service is meant")
    state: Literal["running", "stopped"] | None = Field(
        default=None,
        description="whether it runs now; not given: left alone. What a run starts must stay up for 2.5 s, or it has failed",
    )
    enabled: Flag | None = Field(default=None, description="whether it starts at boot; not given: left alone")
    masked: Flag | None = Field(
        default=None, description="true: nothing can start it; false: unmasked; not given: left alone"
    )
    on_notify: Literal["restart", "reload", "try-restart"] = Field(
        default="restart",
        description="what a notification does: restart, reload (the service must support it), or try-restart (only if it runs)",
    )

    needrestart: Flag | None = Field(
        default=None,
        description="true: restarted when it still uses programs or libraries that were replaced on disk since it started",
    )

    @model_validator(mode="after")
    def _fits(self) -> "Model":
        if self.masked is True and (self.state == "running" or self.enabled is True):
            raise wrong("a masked service can be neither running nor enabled")
        if (
            isinstance(self.name, str)
            and self.name.rpartition("@")[2] in ("", ".service")
            and "@" in self.name
            and self.state is not None
        ):
            raise wrong("a template unit cannot run itself; name an instance such as getty@tty1")
        return self


def short(key: Any, value: Any) -> dict[str, Any] | None:  # noqa: ARG001  the key says nothing more
    """`running` means enabled too, `stopped` means disabled too."""
    if value == "running":
        return {"state": "running", "enabled": True}
    if value == "stopped":
        return {"state": "stopped", "enabled": False}
    return None


def edges(model: Model) -> list[Edge]:
    """After its unit file (for an instance, its template's) and after the packages that may bring it."""
    unit = unit_name(model.name)
    found = [Edge(f"unit:{unit}")]
    if "@" in unit:
        found.append(Edge(f"unit:{unit.partition('@')[0]}@.{unit.rpartition('.')[2]}"))
    return [*found, Edge("package:*")]
