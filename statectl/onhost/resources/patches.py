"""The patches that a baseline approves: packages at the versions that the controller named, installed in one transaction.

installed at or above the wanted version      nothing to do
installed below it                            will be installed, when the whole transaction can be made as it was planned
it would remove, downgrade or bring what      that patch is kept back, with the reason; the others go on
  is not allowed
needs what is blocked                         kept back
nothing can be told of the packages           unknown

What is installed is exactly what the plan showed. Only an open maintenance window or a person's own word lets it happen: see disrupts.
"""

from typing import TYPE_CHECKING, Any, Mapping, NamedTuple, Optional, Sequence

if TYPE_CHECKING:
    from typing import Dict, List, Tuple

OPTIONS = ("manager", "allowed", "blocked", "dependencies", "sources", "reboot", "restart", "hooks", "max_reboots")


class Desired(NamedTuple):
    """versions  [[name, arch, version], ...] to install; with `cached` {"name arch version": Content} those that come from the controller."""

    name: str
    versions: Optional[Sequence[Sequence[str]]] = None
    manager: Optional[str] = None
    allowed: Optional[Sequence[Sequence[str]]] = None  # as versions: what may come along
    blocked: Optional[Sequence[str]] = None  # names
    dependencies: Optional[str] = None  # approved | any
    cached: Optional[Mapping[str, Any]] = None
    sources: Optional[Sequence[Mapping[str, Any]]] = None
    reboot: Optional[str] = None  # never | if_needed | always
    restart: Optional[str] = None  # never | needed
    hooks: Optional[Mapping[str, Any]] = None
    max_reboots: Optional[int] = None


class Foreseen(NamedTuple):
    """What a manager says that a transaction would do.

    moves    [(name, arch, from or '', to), ...], everything that would be unpacked
    kept     {(name, arch): why it would stay as it is}, of what was wanted
    """

    moves: "List[Tuple[str, str, str, str]]"
    kept: "Dict[Tuple[str, str], str]"
