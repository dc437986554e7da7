"""File systems: the line in /etc/fstab that mounts one at boot, and the mount of now.

What is declared below the mount point is not ordered behind the mount by itself: give it `after: mount:/srv/data`.
"""

from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from statectl.resources.fields import AbsolutePath, Count, Text, wrong
from statectl.resources.model import Edge, Resource
from statectl.resources.paths import ancestors, path_edges

SECTION = "mounts"
PHASE = "settings"

FSTAB = "/etc/fstab"
# What would take the machine's own ground from under it. What is below, such as /dev/shm, may be mounted.
REFUSED = ("/", "/dev", "/etc", "/proc", "/run", "/sys")


def _state(value: Any) -> Any:
    if isinstance(value, str) and value in ("mounted", "present", "absent"):
        return str.__str__(value)
    raise wrong("expected mounted, present or absent")


def _one_field(value: Any) -> Any:
    if not isinstance(value, str) or not value.strip() or "\n" in value or "\0" in value:
        raise wrong("expected text that is not empty and holds no line break")
    return str.__str__(value)


def _options(value: Any) -> Any:
    parts = value if isinstance(value, list) else [value]
    return ",".join(_one_field(part).strip() for part in parts) or "defaults"


def _digit(value: int) -> int:
    if value not in range(10):
        raise wrong("expected a whole number from 0 to 9")
    return value


Word = Annotated[Text, BeforeValidator(_one_field)]
Digit = Annotated[Count, AfterValidator(_digit)]


class Model(Resource):
    name: AbsolutePath = Field(description="mount point; the directory must be there, declare it in `directories`")
    device: Word | None = Field(
        None,
        description="what is mounted: a device, UUID=..., LABEL=..., a directory (option `bind`), server:/path, or a word such as tmpfs",
    )
    fstype: Word | None = Field(
        None, description="kind of file system, such as ext4, xfs, nfs or tmpfs; none with the option `bind`"
    )
    options: Annotated[str, BeforeValidator(_options)] = Field(
        "defaults",
        description="mount options: a list, or text with commas; an option dropped here may hold until the next mount",
    )
    dump: Digit | None = Field(
        None, description="fifth field of the line, for dump(8); not given: not managed, 0 in a new line"
    )
    passno: Digit | None = Field(
        None, description="sixth field of the line, the pass of fsck at boot; not given: not managed, 0 in a new line"
    )
    state: Annotated[Literal["mounted", "present", "absent"], BeforeValidator(_state)] = Field(
        "mounted",
        description="mounted: in /etc/fstab and mounted now; present: in /etc/fstab, mounted or not; absent: neither",
    )

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if isinstance(self.name, str) and self.name in REFUSED:
            raise wrong("this mount point belongs to the system and is not managed; name a directory below it")
        if self.fstype == "swap":
            raise wrong("swap space has no mount point and is no mount")
        if self.state != "absent" and (self.device is None or self.fstype is None):
            raise wrong("a mount needs `device` and `fstype`")
        return self


def short(key: Any, value: Any) -> dict[str, Any] | None:  # noqa: ARG001  the key says nothing more
    """Only `absent`."""
    return {"state": "absent"} if value == "absent" else None


def edges(model: Model) -> list[Edge]:
    """After its directory, what is mounted above it, what its device and its options name, and the packages with its tools."""
    found = []
    for path in [model.name, *_named(model)]:
        if not isinstance(path, str):
            continue
        found += [Edge(f"{kind}:{path}") for kind in ("directory", "tree", "link")] + path_edges(path)
        if path != model.name:
            found += [Edge(f"file:{path}"), Edge(f"mount:{path}")]
        if model.state != "absent":  # what is mounted below goes first when both go: in written order
            found += [Edge(f"mount:{above}") for above in ancestors(path)]
    return [*dict.fromkeys(edge for edge in found if edge.to != f"mount:{model.name}"), Edge("package:*")]


def _named(model: Model) -> list[str]:
    """Paths of this host in the device and in options such as credentials=/etc/key and lowerdir=/a:/b."""
    if model.state == "absent":
        return []
    values = [model.device] if isinstance(model.device, str) else []
    if isinstance(model.options, str):
        for option in model.options.split(","):
            values += option.partition("=")[2].split(":")
    return [value for value in values if value.startswith("/") and not value.startswith(("//", "/dev/"))]


def paths(model: Model) -> list[str]:
    """The file it writes to, and the directory it covers."""
    return [model.name, FSTAB]
