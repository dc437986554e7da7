"""During an apply: what may lock the controller out is armed before it is changed; what cannot be armed is not changed.

Risk is known in two ways: from what a resource is (ways.Ways.of), which a plan can show; and from what is really written, because every
write of every type is announced with its path before it happens.
"""

import os
from typing import TYPE_CHECKING, Any

from statectl.onhost.failure import Failed, system_says

if TYPE_CHECKING:
    from typing import Callable, Iterable, List, Optional, Set

    from statectl.onhost.host import Host
    from statectl.onhost.lockout.keeping import Keeping
    from statectl.onhost.lockout.ways import Ways
    from statectl.onhost.memory import Memory
    from statectl.onhost.shapes import Address
    from statectl.onhost.wanted import Item


class Arming(object):
    """ways  ways.Ways, None: nothing is ever armed; the others as of keeping.Keeping"""

    def __init__(
        self, host: "Host", memory: "Memory", ways: "Optional[Ways]", run: str, controller: str, seconds: float
    ) -> None:
        self._ways = ways
        self._seconds = seconds
        self._about = host, memory, run, controller, seconds
        self._keeping: "Optional[Keeping]" = None  # made at the first risk
        self._changing: Any = []
        self._risky = False  # every path that is written now is kept, watched or not
        self._kept: "Set[str]" = set()  # paths that are

    def before(self, item: "Item") -> None:
        """It is about to be changed. Raises Failed when it must not be."""
        families = self._ways.of(item) if self._ways is not None else []
        if families:
            self._arm([item], families, lambda keeping: keeping.item(item, families))

    def begin(self, items: "List[Item]") -> None:
        """These are changed now, together."""
        self._changing = items
        self._risky = self._ways is not None and any(self._ways.of(item) for item in items)

    def end(self) -> None:
        self._changing, self._risky = [], False

    def writing(self, action: str, path: str) -> None:
        """A write to `path` is about to happen, by whatever type. Raises Failed when it must not."""
        if self._ways is None:
            return
        real = os.path.join(os.path.realpath(os.path.dirname(path)), os.path.basename(path))
        family = self._ways.at(real)
        beneath = {} if family or action in ("replace", "remove", "make_link") else self._ways.beneath(real)
        if not (family or beneath or self._risky) or (real in self._kept and action != "remove_tree"):
            return
        below = []
        if action == "remove_tree":
            below = [real] if family or self._risky else sorted(beneath)
        families = [family] if family else sorted(set(beneath.values()))
        self._arm(self._changing, families, lambda keeping: keeping.path(real, below))
        self._kept.add(real)

    def notifying(self, target: "Address") -> None:
        """A service is about to be restarted or reloaded. Raises Failed when it must not be."""
        name = target.partition(":")[2]
        unit = name if "." in name else name + ".service"
        family = self._ways.units.get(unit) if self._ways is not None else None
        if family is not None:
            self._arm([], [family], lambda keeping: keeping.notified(unit))

    @property
    def armed(self) -> bool:
        """Was something changed that is undone unless somebody confirms it?"""
        return self._keeping is not None

    def finish(self) -> float:
        """The changes are made: the time begins. -> seconds until they are undone, 0 when nothing is armed. Raises OSError."""
        if self._keeping is None:
            return 0
        self._keeping.finish()
        return self._seconds

    def _arm(self, items: "List[Item]", families: "Iterable[str]", take: "Callable[[Keeping], None]") -> None:
        try:
            if self._keeping is None:
                from statectl.onhost.lockout.keeping import Keeping

                assert self._ways is not None  # without ways there is no risk
                host, memory, run, controller, seconds = self._about
                self._keeping = Keeping(host, memory, self._ways, run, controller, seconds)
            for family in families:
                self._keeping.family(family)
            take(self._keeping)
            self._keeping.store(items)
        except (OSError, Failed) as error:
            if self._keeping is not None and not self._keeping.lives:
                self._keeping = None
            raise _cannot(system_says(error) if isinstance(error, OSError) else error.message)


def _cannot(why: str) -> "Failed":
    return Failed("it could lock us out and could not be undone, so it is not done: %s" % why, "cannot be armed")
