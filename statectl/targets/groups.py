"""Resource groups: named questions about the hosts. Who belongs to one is computed when it is asked, and never kept."""

from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet
from types import MappingProxyType
from typing import NamedTuple

from statectl.problems import Span


class Stack(NamedTuple):
    """What is managed together. `kind`: association, project or commit; `name`: which one, of a commit how its hash begins."""

    kind: str
    name: str


STACKS = ("association", "project", "commit")

Managed = Callable[[Stack], AbstractSet[str] | None]
"""The hosts on which a stack manages something by the records; None where nobody can be asked, as when files are checked offline."""


class ResourceGroup(NamedTuple):
    """A target expression, or a stack: the other one is '' or None."""

    name: str
    query: str
    stack: Stack | None = None
    description: str = ""
    span: Span | None = None  # of the name
    query_span: Span | None = None  # of the expression, or of the stack's name

    @property
    def definition(self) -> str:
        """In words: the expression as written, or `association web`."""
        return f"{self.stack.kind} {self.stack.name}" if self.stack is not None else self.query


def not_on_record(_stack: Stack) -> None:
    """For callers that have no store."""
    return


class ResourceGroups(NamedTuple):
    named: Mapping[str, ResourceGroup] = MappingProxyType({})
    managed: Managed = not_on_record
