"""The base of every resource model, and what a type's module must say.

A module `resources/<type>.py` defines:

    SECTION   the YAML section, plural: "files"
    PHASE     an entry of PHASES
    class Model(Resource)      first field `name` is the key; its other fields are those of the host half's `Desired`
    short(key, value) -> dict | None     the fields that a short form means; None: this short form does not exist
    edges(model) -> list[Edge]           optional: automatic edges that follow from one model alone
    restartable = True                   optional: may be named by `notify`

A model holds no host data and does no I/O.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

from pydantic import BaseModel, ConfigDict, ValidatorFunctionWrapHandler, field_validator

from statectl.project.scalars import Expression

PHASES = (
    "package_repositories",
    "packages",
    "unix_groups",
    "users",  # and their keys
    "directories",  # and trees
    "files",
    "links",
    "lines",  # text blocks and units
    "settings",  # mounts, sysctls, cron jobs
    "services",
    "commands",
)


class Edge(NamedTuple):
    """`to` comes first when a resource of that address exists on the host; otherwise the edge means nothing."""

    to: str  # address; "package:*" : every package of the same association


def holds_expression(value: Any) -> bool:
    """Does a loaded value hold Jinja anywhere?"""
    if isinstance(value, Expression):
        return True
    if isinstance(value, Mapping):
        return any(holds_expression(k) or holds_expression(v) for k, v in value.items())
    if isinstance(value, list | tuple):
        return any(holds_expression(item) for item in value)
    return False


class Resource(BaseModel):
    """One declared thing. Every field needs a description: `explain`, the JSON Schema and the reference page come from it.

    While files are checked without a host, a field whose value holds an expression keeps the raw value unvalidated; a
    model validator may ask whether it is None, and nothing else of it. On a host every value is plain.
    """

    # defer_build: of some twenty types a project uses a few, and building a validator is most of what importing one costs
    model_config = ConfigDict(
        extra="forbid", frozen=True, hide_input_in_errors=True, arbitrary_types_allowed=True, defer_build=True
    )

    @field_validator("*", mode="wrap")
    @classmethod
    def _expressions_wait(cls, value: Any, handler: ValidatorFunctionWrapHandler) -> Any:
        return value if holds_expression(value) else handler(value)
