"""What the models of things with a path share: the words for their state, their edges, and what no model may ask for.

Not a resource type: it has no SECTION.
"""

import re
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from statectl.onhost.protected import is_protected
from statectl.resources.fields import wrong
from statectl.resources.model import Edge, holds_expression


def _state(value: Any) -> Any:
    if isinstance(value, str) and value in ("present", "absent"):
        return str.__str__(value)
    raise wrong("expected present or absent")


def _derived(_: Any) -> Any:
    raise wrong("statectl works this out itself; remove it")


def _pattern(value: Any) -> Any:
    if not isinstance(value, str):
        raise wrong("expected a regular expression")
    text = str.__str__(value)
    if "\n" in text:
        raise wrong("a regular expression is matched against one line and may not hold a newline")
    try:
        re.compile(text)
    except re.error as error:
        where = f" at character {error.pos + 1}" if error.pos is not None else ""
        raise wrong(f"not a regular expression: {error.msg}{where}") from None
    return text


State = Annotated[Literal["present", "absent"], BeforeValidator(_state)]
Pattern = Annotated[str, BeforeValidator(_pattern)]
# A field that the compiler fills in after the model was checked; whoever writes it is told so.
Derived = Annotated[list[Any], BeforeValidator(_derived), Field(json_schema_extra={"derived": True})]


@contextmanager
def own_field_names() -> Iterator[None]:
    """Lets a model have a field `validate`. It hides a deprecated method of pydantic that nobody here calls."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message='Field name "validate"', category=UserWarning)
        yield


def ancestors(path: str) -> list[str]:
    """'/a/b/c' -> ['/a/b', '/a']: the directories that must be there first, nearest first, without '/'."""
    found = []
    while "/" in path.lstrip("/"):
        path = path.rpartition("/")[0]
        found.append(path)
    return found


def path_edges(path: Any, owner: Any = None, group: Any = None) -> list[Edge]:
    """A path comes after the directories, trees and links above it, and after its owner and its group."""
    edges: list[Edge] = []
    if isinstance(path, str):
        edges += [Edge(f"{kind}:{above}") for above in ancestors(path) for kind in ("directory", "tree", "link")]
    if isinstance(owner, str) and not owner.isdigit():
        edges.append(Edge(f"user:{owner}"))
    if isinstance(group, str) and not group.isdigit():
        edges.append(Edge(f"unix_group:{group}"))
    return edges


def need_at_most_one(model: Any, names: Sequence[str]) -> list[str]:
    """Those of `names` that are given. Raises when there is more than one."""
    given = [name for name in names if getattr(model, name) is not None]
    if len(given) > 1:
        raise wrong(f"{' and '.join(given)} exclude each other; give one of them")
    return given


def need_one_anchor(model: Any) -> None:
    """insert_after and insert_before: at most one, and the words BOF and EOF where they mean something."""
    need_at_most_one(model, ("insert_after", "insert_before"))
    if model.insert_after == "BOF":
        raise wrong("insert_after: BOF is the same as insert_before: BOF; write that")
    if model.insert_before == "EOF":
        raise wrong("insert_before: EOF is the same as insert_after: EOF; write that")


def need_placeholder(argv: Any) -> None:
    """A check that is not told which file to check would check the old one."""
    if argv is not None and not holds_expression(argv) and not any("%s" in part for part in argv):
        raise wrong("validate needs %s where the path of the new file goes, such as `visudo -cf %s`")


def refuse_protected(path: Any, what: str) -> None:
    """`what` would be done to everything below `path`: never for a directory the system lives in."""
    if isinstance(path, str) and is_protected(path):
        raise wrong(f"{what} is refused for a system directory; name the directories below it that you mean")
