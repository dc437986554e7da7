"""What is kept of one run that is armed: images first, durable, then a watchdog that lives. Raises OSError and Failed."""

import os
import time
from typing import TYPE_CHECKING, Any

from statectl.onhost.failure import Failed
from statectl.onhost.lockout import account_lines, firewall, program, record, units
from statectl.onhost.lockout.images import Images
from statectl.onhost.lockout.record import Armed

if TYPE_CHECKING:
    from typing import Iterable, List, Set

    from statectl.onhost.host import Host
    from statectl.onhost.lockout.ways import Ways
    from statectl.onhost.memory import Memory
    from statectl.onhost.wanted import Item

OLD_WATCHDOG_S = 5.0


class Keeping(object):
    """host, memory   of the session; the lock is held
    ways           ways.Ways
    """

    def __init__(self, host: "Host", memory: "Memory", ways: "Ways", run: str, controller: str, seconds: float) -> None:
        self._host = host
        self._memory = memory
        self._ways = ways
        self._armed = Armed(memory.path("armed"))
        self.lives = False  # is there a watchdog: from here on what is kept is undone
        self._families: "Set[str]" = set()
        self._record: Any = {
            "run": run,
            "controller": controller,
            "seconds": seconds,
            "boot": record.boot(),
            "executor": record.process(os.getpid()),
            "deadline": None,
            "addresses": {},
            "paths": {},
            "accounts": {},
            "units": {},
            "firewall": None,
            "kernel": {},
            "packages": [],
        }
        self._armed.make()
        self._wait_for_old_watchdog()
        self._armed.clear()
        self._armed.make()
        self.images = Images(self._armed.path("contents"), self._record["paths"])
        program.write(self._armed.path("program.pyz"))

    def _wait_for_old_watchdog(self) -> None:
        """One whose run was confirmed a moment ago ends at its next look."""
        limit = time.monotonic() + OLD_WATCHDOG_S
        while self._armed.guarded():
            if time.monotonic() > limit:
                raise Failed("the watchdog of an earlier run does not end", "cannot be armed")
            time.sleep(0.02)

    def store(self, items: "List[Item]") -> None:
        """Durable, with these items among what is undone; then the watchdog lives."""
        for item in items:
            self._record["addresses"].setdefault(item.address, self._memory.ledger.get(item.address))
        try:
            self.images.sync()
            self._armed.write(self._record)
            if not self.lives:
                argv = program.command(self._armed.path("program.pyz"), self._memory.directory)
                record.remember_boot_unit(argv)
                program.start(self._host, self._armed, self._memory.directory, self._record["run"])
                self.lives = True
        finally:
            if not self.lives:
                self._armed.clear()  # nothing was changed yet

    def finish(self) -> None:
        """The changes are made: the time begins."""
        self._record["deadline"] = time.monotonic() + self._record["seconds"]
        self._armed.write(self._record)

    def family(self, family: str) -> None:
        """What one family is beside its files."""
        if family in self._families:
            return
        self._families.add(family)
        host = self._host
        if host.uid == 0 and family in ("ssh", "network"):
            names = [unit for unit, of in self._ways.units.items() if of == family]
            self._record["units"].update(units.image(host, names))
        if host.uid == 0 and family == "network":
            self._record["firewall"] = firewall.image(host)

    def item(self, item: "Item", families: "Iterable[str]") -> None:
        """What a change of this item touches that is not announced path by path, because other programs make it."""
        if item.type in ("package", "command"):
            for family in families:
                for path in self._ways.paths(family):
                    self.images.take_all(path)
        if item.type == "package" and item.found is not None and getattr(item.found, "version", None):
            self._record["packages"].append(
                {"name": item.want.name, "version": item.found.version, "manager": item.want.manager}
            )
        if item.type in ("user", "unix_group") or (item.type == "command" and "account" in families):
            self._record["accounts"].update(account_lines.image(self._host, self._ways.people))
            for home in self._ways.homes.values():
                if os.path.isdir(home):
                    self.images.take(home)
                self.images.take_all(home.rstrip("/") + "/.ssh")
        if item.type == "sysctl":
            from statectl.onhost.resources import sysctl

            path = sysctl.proc_path(item.want.name)
            if os.path.exists(path):
                with open(path) as stream:
                    self._record["kernel"].setdefault(path, stream.read())

    def path(self, path: str, below: "Iterable[str]") -> None:
        """A path that is about to be written, and all below each of `below`."""
        self.images.take(path)
        for top in below:
            self.images.take_all(top)

    def notified(self, unit: str) -> None:
        """It is about to read what is there now: it must read again what is put back."""
        if unit in self._record["units"]:
            self._record["units"][unit]["notified"] = True
