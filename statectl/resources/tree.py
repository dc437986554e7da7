"""A directory of the project, copied whole: one manifest, not a resource per file.

What the compiler puts in the place of `source` and `templates` is `manifest`: {"$manifest": [entry, ...]}, an entry being
{"path", "kind": "file", "content": {"$blob" or "$parts"}, "executable"?}, {"path", "kind": "directory"} or {"path", "kind": "link", "to"}.
Paths are relative to the tree; directories that other entries imply may be left out.
"""

from typing import Any, ClassVar, Self

from pydantic import Field, model_validator

from statectl.resources.fields import AbsolutePath, Account, Flag, Mode, Text, Texts
from statectl.resources.model import Edge, Resource
from statectl.resources.paths import Derived, path_edges, refuse_protected

SECTION = "trees"
PHASE = "directories"


class Model(Resource):
    compiled_away: ClassVar[frozenset[str]] = frozenset({"source", "templates"})
    derived: ClassVar[frozenset[str]] = frozenset({"manifest", "declared"})

    name: AbsolutePath = Field(
        description="absolute path on the host; its directory is made, the one above must be there"
    )
    source: Text = Field(description="directory of the project, relative to the YAML file")
    templates: Texts | None = Field(
        None,
        description="globs, relative to the source, of files that are Jinja templates; a name that ends in .j2 loses that",
    )
    exclusive: Flag | None = Field(
        None,
        description="true: everything below the path that the source does not hold is removed; the plan names each",
    )
    owner: Account | None = Field(None, description="user of everything in the tree; not given: not managed")
    group: Account | None = Field(None, description="group of everything in the tree; not given: not managed")
    mode: Mode | None = Field(
        None,
        description="octal mode of the files; directories and files executable in the project get x wherever it has r; not given: new files get 0644 or 0755",
    )
    declared: Derived | None = Field(
        None,
        description="paths below, relative to the tree, that other resources declare on this host; worked out by statectl",
    )
    manifest: Derived | None = Field(
        None, description="what the tree holds; worked out by statectl from source and templates"
    )

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.exclusive is True:
            refuse_protected(self.name, "exclusive")
        return self


def short(key: Any, value: Any) -> dict[str, Any] | None:  # noqa: ARG001
    """There is none."""
    return None


def edges(model: Model) -> list[Edge]:
    return path_edges(model.name, model.owner, model.group)


def paths(model: Model) -> list[str]:
    """The paths on the host that this resource stands for."""
    return [model.name]
