"""What takes away for a moment what somebody may be using, and whether it may happen now: `disrupt` of associations.

This is the whole list. A type that does not name it with `disrupts(want, found, differing)` disrupts nothing.

what is about to happen                                          told as   what comes after it
a restart or reload that is owed to a service by `notify`        its verb  goes on: the service runs as before
a service restarts because it uses replaced files (needrestart)  restart   goes on
a service that runs is stopped, also by a removal                stop      waits with it
an installed package gets another version                        upgrade   goes on: the package is there, in its older version
an installed package is removed                                  remove    waits with it
what is mounted is mounted otherwise                             remount   goes on
what is mounted is unmounted                                     unmount   waits with it
everything else: files, units, users, a service that is started, a package that was not there, commands   nothing, and happens at once

Whose word counts: the associations that declare the resource; for what is owed, those that declare its
causes now as well. All must allow it.

The moment is the controller's: with `go` it says of each association how many seconds are left in which something may begin, and
why it waits afterwards. Here only elapsed time is counted, so a clock that is wrong opens no window.
"""

import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Dict, Iterable

    from statectl.onhost.engine import Engine
    from statectl.onhost.shapes import JSON, Address
    from statectl.onhost.wanted import Item

GOES_AWAY = ("stop", "remove", "unmount")


def disrupts(item: "Item") -> str:
    """What its change takes away -> a word of the table, '' : nothing."""
    told = getattr(item.module, "disrupts", None)
    if told is None or item.found is None or not item.fields:
        return ""
    return str(told(item.want, item.found, item.fields))


def policies(engine: "Engine") -> "Dict[str, str]":
    """{association, or address of a resource with a policy of its own: never, typed or window:NAME}; {}: everything may happen at once."""
    found = {name: entry["disrupt"] for name, entry in engine.associations.items() if "disrupt" in entry}
    found.update((one["address"], one["disrupt"]) for one in engine.catalogue["resources"] if "disrupt" in one)
    return found


class Disruption(object):
    """granted: {association or address: {"seconds": left, 'waits': why not afterwards}} of `go`; without an entry nothing may begin."""

    def __init__(self, engine: "Engine", granted: "Dict[str, JSON]") -> None:
        self._begun = time.monotonic()
        self._granted = granted
        self._policies = policies(engine)
        # by whom it may be held back: a resource that has a policy of its own by that one alone
        self._owners = {
            resource["address"]: [resource["address"]]
            if "disrupt" in resource
            else resource.get("owners") or [resource["association"]]
            for resource in engine.catalogue["resources"]
        }

    def of_change(self, item: "Item") -> str:
        """Why this change must wait, '' : it need not."""
        return self._waits(self._owners.get(item.address, item.owners)) if disrupts(item) else ""

    def of_debt(self, target: "Address", because: "Iterable[Address]") -> str:
        """Why this restart or reload must wait, '' : it need not."""
        addresses = [target, *because]
        return self._waits([owner for address in addresses for owner in self._owners.get(address, ())])

    def _waits(self, owners: "Iterable[str]") -> str:
        for name in sorted(owner for owner in owners if owner in self._policies):
            grant = self._granted.get(name)
            if grant is None:
                return "%s says disrupt: %s, and nobody said that it may" % (name, self._policies[name])
            if time.monotonic() - self._begun >= grant["seconds"]:
                return str(grant["waits"])
        return ""
