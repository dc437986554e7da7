"""What this run started is called changed only when it has stayed up: told at the end, after one wait for all of it.

A type that starts things has two functions more:

watched(host, name)        did this run start it, so that it may still fall?
fallen(host, names, stop)  -> {name: Failed} of those that did not stay up; waits until all have had their time, or stop() is true
"""

import functools
from typing import TYPE_CHECKING

from statectl.onhost.engine import as_failed
from statectl.onhost.failure import Failed
from statectl.onhost.memory import Overtaken

if TYPE_CHECKING:
    from typing import Callable, Dict, List, Tuple

    from statectl.onhost.host import Host
    from statectl.onhost.shapes import ResourceType
    from statectl.onhost.wanted import Item


class Watch(object):
    """stop  stop() -> '' or why nothing is waited for any more"""

    def __init__(self, host: "Host", stop: "Callable[[], str]") -> None:
        self._host = host
        self._stop = stop
        self._held: "Dict[ResourceType, Dict[str, List[Tuple[Callable[[], None], Callable[[Failed], None]]]]]" = {}
        self._due: "List[Callable[[], None]]" = []  # what is known and not told yet

    def holds(self, item: "Item", stayed: "Callable[[], None]", fell: "Callable[[Failed], None]") -> bool:
        """Is it too early to tell of this item? Then one of the two is called by `settle`."""
        watched = getattr(item.module, "watched", None)
        if watched is None or not watched(self._host, item.want.name):
            return False
        self._held.setdefault(item.module, {}).setdefault(item.want.name, []).append((stayed, fell))
        return True

    def settle(self) -> None:
        """Wait, and tell of each; nothing was started: nothing is asked."""
        while self._held:
            module, held = self._held.popitem()
            try:
                fallen = module.fallen(self._host, sorted(held), self._stop)
            except Failed as error:
                fallen = dict.fromkeys(held, error)
            except Exception as bug:  # noqa: BLE001  as for apply
                fallen = dict.fromkeys(held, as_failed(bug, "watching what was started"))
            for name, told in held.items():
                for stayed, fell in told:
                    self._due.append(functools.partial(fell, fallen[name]) if name in fallen else stayed)
        while self._due:
            self._due.pop(0)()

    def abandon(self) -> None:
        """The run cannot go on: tell, after one look, all that can still be told."""
        self._stop = lambda: "the run cannot go on"
        while self._held or self._due:
            try:
                self.settle()
            except (OSError, Overtaken):  # this one cannot be recorded, so it is not told either; the others may be
                continue
