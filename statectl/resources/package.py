"""Packages of the host's package manager. All of one association that differ go into one transaction."""

import re
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from statectl.resources.fields import Flag, Text, wrong
from statectl.resources.model import Edge, Resource

SECTION = "packages"
PHASE = "packages"

STATES = ("present", "latest", "absent", "purged")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9+._-]{0,127}(:[a-z0-9][a-z0-9-]{0,31})?")
_VERSION = re.compile(r"[A-Za-z0-9*?\[][A-Za-z0-9.+~:^_*?\[\]!-]{0,127}")


def _name(value: Any) -> Any:
    if not isinstance(value, str) or not _NAME.fullmatch(value):
        raise wrong("package name not valid: letters, digits, + . _ - and not starting with a sign; name:arch for apt")
    return str.__str__(value)


def _version(value: Any) -> Any:
    if isinstance(value, int | float) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str) or not _VERSION.fullmatch(value):
        raise wrong("version not valid: a version or a glob such as 1.22.*")
    return str.__str__(value)


class Model(Resource):
    name: Annotated[Text, BeforeValidator(_name)] = Field(description="name of the package, as its manager knows it")
    state: Literal["present", "latest", "absent", "purged"] = Field(
        default="present",
        description="present: installed; latest: installed in the newest version the repositories offer; absent: removed; purged: removed with its configuration files",
    )
    version: Annotated[Text, BeforeValidator(_version)] | None = Field(
        default=None,
        description="version that must be installed; a glob such as 1.22.* is satisfied by any that matches",
    )
    hold: Flag | None = Field(
        default=None,
        description="keep this version when the system is upgraded (apt-mark hold, dnf versionlock, zypper addlock)",
    )
    recommends: Flag | None = Field(
        default=None,
        description="install recommended packages too; not given: as the host is set up. Used when something is installed, never compared",
    )
    manager: Literal["auto", "apt", "dnf", "zypper"] = Field(
        default="auto", description="which package manager to use; auto: the one of the host's system"
    )

    @model_validator(mode="before")
    @classmethod
    def _words_are_states(cls, data: Any) -> Any:
        """`nginx: "{{ wanted }}"` may give a version or a word; only the value tells them apart."""
        if isinstance(data, dict) and "state" not in data and data.get("version") in STATES:
            return {**data, "state": data["version"], "version": None}
        return data

    @model_validator(mode="after")
    def _fits(self) -> "Model":
        if self.version is not None and self.state in ("latest", "absent", "purged"):
            raise wrong(f"`version` and `state: {self.state}` exclude each other; keep one of them")
        if self.hold is not None and self.state in ("absent", "purged"):
            raise wrong("`hold` means nothing for a package that is removed")
        return self


def short(key: Any, value: Any) -> dict[str, Any] | None:  # noqa: ARG001  the key says nothing more
    """A word or a version glob; nothing (the list form) is `present`."""
    if value is None:
        return {}
    if isinstance(value, bool | dict | list):
        return None
    return {"state": value} if value in STATES else {"version": value}


def edges(model: Model) -> list[Edge]:  # noqa: ARG001  the same for every package
    return [Edge("package_repository:*")]
