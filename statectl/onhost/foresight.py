"""What a plan reads again as its own earlier changes will make it: packages behind a repository that the same plan adds.

A type whose reading depends on other resources offers `foreseen(planned)` and `read_ahead(host, wanted, planned)`; `planned` is
{address: want} of changes. The machine stays as it is, and so does what a later apply compares with: the hash of what is there now.
"""

import time

from statectl.onhost.failure import Failed, Unknown
from statectl.onhost.wanted import contents

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Dict, List, Tuple

    from statectl.onhost.engine import Engine
    from statectl.onhost.shapes import Address, Planned, Reading, ResourceType
    from statectl.onhost.wanted import Item


class Foresight(object):
    """Goes along while an engine judges its items in their order."""

    def __init__(self, engine: "Engine") -> None:
        self._engine = engine
        self._planned: "Planned" = {}  # address: want, of changes judged so far
        self._done: "Dict[str, Tuple[int, Tuple[Address, ...]]]" = {}  # of each type: how many changes were known, and the addresses of those that its items were read with

    def judged(self, item: "Item") -> None:
        if item.verdict == "change" and self._engine.enforced(item):
            self._planned[item.address] = item.want

    def look(self, item: "Item", position: int) -> None:
        """Read this item and those of its type that follow again, where changes before it bear on what they come to."""
        choose = getattr(item.module, "foreseen", None)
        if choose is None or not self._planned:
            return
        count, before = self._done.get(item.type, (0, ()))
        if count == len(self._planned):
            return
        chosen = tuple(choose(self._planned))
        self._done[item.type] = len(self._planned), chosen
        if chosen and chosen != before:
            group = [other for other in self._engine.items[position:] if other.module is item.module]
            self._read(item.module, group, {address: self._planned[address] for address in chosen})

    def _read(self, module: "ResourceType", group: "List[Item]", planned: "Planned") -> None:
        engine = self._engine
        try:
            engine.fetch([content for want in planned.values() for content in contents(list(want))])
        except Failed as error:
            found: "Dict[str, Reading]" = {item.want.name: Unknown(error.message, planned) for item in group}
        else:
            ahead = lambda host, wanted: module.read_ahead(host, wanted, planned)  # noqa: E731
            found = engine.read_type(module, [item.want for item in group], ahead)
        now = time.monotonic()
        for item in group:
            there = item.found_hash
            engine.take(item, found.get(item.want.name), now)
            item.found_hash = there
            item.foreseen = tuple(planned)
            item.generation = -1  # an apply reads what there is then
