"""During an apply: what may lock the controller out is armed before it is changed; what cannot be armed is not changed.

Risk is known in two ways: from what a resource is (ways.Ways.of), which a plan can show; and from what is really written, because every
write of every type is announced with its path before it happens.
"""

import os
from typing import Any

from statectl.onhost.failure import Failed, system_says


class Arming(object):
    """ways  ways.Ways, None: nothing is ever armed; the others as of keeping.Keeping"""

    def __init__(self, host, memory, ways, run, controller, seconds):
        self._ways = ways
        self._seconds = seconds
        self._about = (host, memory, ways, run, controller, seconds)
        self._keeping: Any = None  # made at the first risk
        self._changing: Any = []
        self._risky = False  # every path that is written now is kept, watched or not
        self._kept = set()  # paths that are

    def before(self, item):
        """It is about to be changed. Raises Failed when it must not be."""
        families = self._ways.of(item) if self._ways is not None else []
        if families:
            self._arm([item], families, lambda keeping: keeping.item(item, families))

    def begin(self, items):
        """These are changed now, together."""
        self._changing = items
        self._risky = self._ways is not None and any(self._ways.of(item) for item in items)

    def end(self):
        self._changing, self._risky = [], False

    def writing(self, action, path):
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

    def notifying(self, target):
        """A service is about to be restarted or reloaded. Raises Failed when it must not be."""
        name = target.partition(":")[2]
        unit = name if "." in name else name + ".service"
        family = self._ways.units.get(unit) if self._ways is not None else None
        if family is not None:
            self._arm([], [family], lambda keeping: keeping.notified(unit))

    def finish(self):
        """The changes are made: the time begins. -> seconds until they are undone, 0 when nothing is armed. Raises OSError."""
        if self._keeping is None:
            return 0
        self._keeping.finish()
        return self._seconds

    def _arm(self, items, families, take):
        try:
            if self._keeping is None:
                from statectl.onhost.lockout.keeping import Keeping

                self._keeping = Keeping(*self._about)
            for family in families:
                self._keeping.family(family)
            take(self._keeping)
            self._keeping.store(items)
        except (OSError, Failed) as error:
            if self._keeping is not None and not self._keeping.lives:
                self._keeping = None
            raise _cannot(system_says(error) if isinstance(error, OSError) else error.message)


def _cannot(why):
    return Failed("it could lock us out and could not be undone, so it is not done: %s" % why, "cannot be armed")
