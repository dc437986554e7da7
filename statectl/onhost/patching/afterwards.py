"""What patches leave to be done on this host: hooks, services that still run old code, and a reboot that is owed until the host was booted.

A debt as any other (debts.py), at the address of the patches; its `boot` says in which boot they were installed.

when                                                    the debt
a transaction is about to be made                       owed, durable first: reboot, or restart with `reboot: never`
nothing uses replaced files, no reboot is needed        gone, and said so
services use replaced files                             they are restarted, with `restart: needed`
a reboot is needed, or `reboot: always`                 paid last of all, when the whole run went well on this host
it disrupts, and must wait                              owed, as restart or reboot, whichever is needed
this run rebooted the host as often as it may           the reboot has failed, and stays owed
somebody booted the host                                gone
we did                                                  after_reboot: services that failed since, the hook; then gone, or reboot again
"""

import time
from typing import TYPE_CHECKING

from statectl.onhost.failure import Failed
from statectl.onhost.patching import hooks, needs, since_boot
from statectl.onhost.patching.since_boot import AFTER_REBOOT
from statectl.onhost.restarts import notified

if TYPE_CHECKING:
    from typing import Any, Callable, Dict, List, Optional, Set, Tuple, Union

    from statectl.onhost.debts import Debts
    from statectl.onhost.engine import Engine
    from statectl.onhost.memory import Memory
    from statectl.onhost.shapes import JSON, Address, Debt, Error, Message
    from statectl.onhost.walk import Walk
    from statectl.onhost.wanted import Item

HOOK_FAILED, NOT_WELL, CIRCLE = "E410", "E411", "E531"
VERBS = ("reboot", "restart")
DEFAULT_TIMEOUT_S = 900
BOOTING = ("initializing", "starting", "")  # what systemd says of itself until a boot has come to its end
BOOT_S = 120.0  # for that, at most: one service that hangs must not keep us
LOOK_S = 0.5


class Afterwards(object):
    """walk      walk.Walk: its outcomes, counts and failures; its emit and watch
    run       run id
    rebooted  how often this run rebooted the host already
    """

    def __init__(
        self, engine: "Engine", memory: "Memory", debts: "Debts", walk: "Walk", run: str, rebooted: int
    ) -> None:
        self._engine = engine
        self._memory = memory
        self._debts = debts
        self._walk = walk
        self._run = run
        self._rebooted = rebooted
        self._boot = since_boot.boot_id()
        self.code = ""  # of the first thing that went wrong here
        self._emit: "Callable[[Message], Any]" = walk.emit
        self._journal: "Callable[[Dict[str, JSON]], Any]" = memory.journal.add
        self._begun: "Dict[Address, Union[Item, Remembered]]" = {}  # of which on_exit is due
        self._patches: "Dict[Address, int]" = {}  # how many were to be installed
        self._wanted: "List[Tuple[Item, Debt, List[str]]]" = []  # for which a reboot is needed, and why

    # -- around a transaction

    def incur(self, item: "Item") -> "Debt":
        """A transaction is about to be made -> the debt, to be journaled before it."""
        debt = self._debts.incur(item.address, "restart" if item.want.reboot == "never" else "reboot", item.address)
        debt["boot"] = self._boot
        debt["exit"] = hooks.has(item.want, "on_exit")
        self._patches[item.address] = len(item.want.versions or ())
        debt["of"] = self._kept(item)
        since_boot.note(self._memory, self._boot, item.module.installs(item.want, item.found))
        return debt

    def install(self, item: "Item", step: "Tuple[Any, Any, Any]") -> None:
        """The change of this item with the hooks around it. Raises Failed."""
        self._begun[item.address] = item
        self._hook(item, "before_install")
        item.module.apply(self._engine.host, *step)
        self._hook(item, "after_install")

    def _hook(self, item: "Union[Item, Remembered]", name: str) -> None:
        """Run it and tell of it. Raises Failed, which is told by whoever catches it."""
        if hooks.has(item.want, name):
            try:
                took = hooks.run(self._engine.host, item.want, name, self._run, self._patches[item.address])
            except Failed:
                self.code = self.code or HOOK_FAILED
                raise
            self._tell(item.address, name, "ok", "%.1f s" % took)

    # -- before the first resource

    def look_back(self) -> None:
        """We rebooted this host: what came of it?"""
        for target, debt in sorted(self._debts.owed.items()):
            if debt["verb"] == AFTER_REBOOT:
                # a host that cannot be judged now is looked at as well
                self._patches[target] = debt["of"]["patches"]
                self._look_back(self._engine.by_address.get(target) or Remembered(target, debt["of"]), debt)

    def _look_back(self, item: "Union[Item, Remembered]", debt: "Debt") -> None:
        host = self._engine.host
        self._begun[item.address] = item
        if debt.get("ours"):
            self._tell(item.address, "reboot", "changed", "", debt)
            try:
                failed = sorted(set(failed_units(host, self._walk.stopped)) - set(debt.get("failed") or ()))
                if failed:
                    self.code = self.code or NOT_WELL
                    raise _services_failed(self._engine.host, failed)
                self._hook(item, AFTER_REBOOT)
            except Failed as error:
                self._walk.barred[item.address] = "the host is not well after its reboot: %s" % error.message
                self._clear(item.address, AFTER_REBOOT, "failed", "", error.record())
                self._wrong(item)
                return
            reasons = self._needs()["reasons"] if item.want.reboot == "if_needed" else []
            if reasons:  # it is owed anew: whether it may be done once more is looked at in the end
                again = dict(debt, verb="reboot", boot=self._boot, paying=None)
                self._debts.owed[item.address] = again
                self._journal({"what": "paying", "address": item.address, "debt": again})
                return
        self._clear(item.address, AFTER_REBOOT, "ok", "it is up, with all services" if debt.get("ours") else "")

    # -- behind the last resource

    def pay(self) -> None:
        """Restart what may be restarted; what needs a reboot waits for `reboot`."""
        for target, debt in sorted(self._debts.owed.items()):
            if not debt.get("boot") or debt["verb"] not in VERBS:
                continue
            item = self._engine.by_address.get(target)
            if item is None:
                # not dropped: it is the host that lacks it, whatever becomes of the baseline; a boot by whomever pays it
                there = target in self._engine.declared
                self._owe(target, debt, "it is not part of this run" if there else "no baseline speaks of it now")
                continue
            self._patches.setdefault(target, debt["of"]["patches"])
            if debt.get("exit"):
                self._begun.setdefault(target, item)
            reason = self._why_not_now(item)
            if reason:
                self._owe(target, debt, reason)
            else:
                self._judge(item, debt)

    def _why_not_now(self, item: "Item") -> str:
        walk = self._walk
        if walk.stopped():
            return walk.stopped()
        if not self._engine.enforced(item):
            return "association %s only audits" % item.association
        if item.address in walk.waiting:
            return ""  # as this does
        if walk.outcomes.get(item.address) in ("failed", "skipped"):
            return "%s %s" % (item.address, "failed" if walk.outcomes[item.address] == "failed" else "was skipped")
        return ""

    def _judge(self, item: "Item", debt: "Debt") -> None:
        want, told = item.want, self._needs()
        reasons = ["reboot: always"] if want.reboot == "always" else []
        if want.reboot in ("always", "if_needed"):
            reasons += told["reasons"]
        using = told["services"] if want.restart != "never" else {}
        try:
            from statectl.onhost.patching import restarting

            may, may_not = restarting.sorted_out(self._engine.host, using)
        except Failed as error:
            self._failed(item, debt, "restart", error)
            return
        if not reasons and not may:
            left = told["reasons"] if want.reboot == "never" else []
            verb, outcome = ("reboot", "skipped") if left else (debt["verb"], "ok")
            self._clear(item.address, verb, outcome, _nothing(left))
            self._warn_of(may_not, told["services"])
            return
        waits = self._walk.disruption.of_debt(item.address, debt["because"]) if self._walk.disruption else ""
        verb = "reboot" if reasons else "restart"
        if waits:
            self._keep(item.address, dict(debt, verb=verb))
            message = notified(item.address, verb, "skipped", debt, None, waits)
            self._emit(dict(message, pending=True))
        elif reasons:
            self._wanted.append((item, dict(debt, verb=verb), reasons))
        else:
            self._warn_of(may_not, told["services"])
            self._restart(item, debt, sorted(may))

    def _warn_of(self, may_not: "Dict[str, str]", using: "Dict[str, List[str]]") -> None:
        for name, why in sorted(may_not.items()):
            text = "%s still uses replaced %s; %s: restart it by hand, or reboot" % (name, using[name][0], why)
            self._emit({"type": "log", "level": "warning", "text": text})

    def _restart(self, item: "Item", debt: "Debt", units: "List[str]") -> None:
        """Each is told, and watched until the end, as one that a change notifies."""
        from statectl.onhost.resources import service

        wrong: "Set[str]" = set()

        def fell(unit: str, error: "Failed") -> None:
            wrong.add(unit)
            self._keep(item.address, dict(debt, verb="restart", paying=None))
            self._emit(notified(_address(unit), "restart", "failed", cause, error.record(), ""))
            self._wrong(item)

        cause: "Debt" = {"because": [item.address]}
        for unit in units:
            if self._walk.stopped():
                self._owe(item.address, debt, self._walk.stopped())
                return
            try:
                service.notify(self._engine.host, service.Desired(unit), "restart")
            except Failed as error:
                fell(unit, error)
                continue
            finally:
                self._engine.generation += 1
            self._debts.clear(_address(unit))
            message = notified(_address(unit), "restart", "changed", cause, None, "")
            self._journal({"what": "paid", "address": _address(unit), "notified": message})
            watched = _Watched(service, service.Desired(unit))
            if not self._walk.watch.holds(
                watched,  # type: ignore[arg-type]  # of an item no more is asked
                lambda message=message: self._emit(message),  # type: ignore[misc]
                lambda error, unit=unit: fell(unit, error),  # type: ignore[misc]
            ):
                self._emit(message)
        if not wrong:
            count = len(units)
            self._clear(item.address, "restart", "ok", "%d service%s restarted" % (count, "s" * (count != 1)))

    # -- last of all

    def reboot(self, outcome: str, reason: str, armed: bool) -> "Optional[Dict[str, JSON]]":
        """Everything else is done: may and must the host be rebooted -> `reboot` of `end`, None when it is not.

        outcome, reason: of the run up to here; armed: a change waits for its confirmation.
        """
        ready: "List[Tuple[Item, Debt, List[str]]]" = []
        for item, debt, reasons in self._wanted:
            most = 1 if item.want.max_reboots is None else int(item.want.max_reboots)
            if outcome != "applied":
                self._keep(item.address, debt)
                self._owe(item.address, debt, reason or "this run %s on this host" % outcome)
            elif armed:
                self._keep(item.address, debt)
                self._owe(item.address, debt, "a change that may lock us out is not confirmed yet")
            elif self._rebooted >= most:
                text = "still wants a reboot after %d reboot%s (%s)" % (
                    self._rebooted,
                    "s" * (self._rebooted != 1),
                    _short(reasons),
                )
                self.code = self.code or CIRCLE
                self._failed(item, debt, "reboot", Failed(text, "still wants a reboot"))
            else:
                try:
                    self._hook(item, "before_reboot")
                except Failed as error:
                    self._failed(item, debt, "reboot", error)
                    ready = []
                    break
                ready.append((item, debt, reasons))
        if not ready:
            return None
        failed = failed_units(self._engine.host, lambda: "enough")
        for item, debt, _ in ready:
            # durable before it is told: whoever boots the host from here on, it was us
            self._keep(item.address, dict(debt, paying={"instance": self._boot, "failed": failed}, of=self._kept(item)))
        return {
            "boot_id": self._boot,
            "timeout_s": max(int(item.want.reboot_timeout_s or DEFAULT_TIMEOUT_S) for item, _, _ in ready),
            "max_reboots": min(
                1 if item.want.max_reboots is None else int(item.want.max_reboots) for item, _, _ in ready
            ),
            "addresses": [item.address for item, _, _ in ready],
            "reasons": [one for _, _, reasons in ready for one in reasons][:20],
        }

    def leave(self) -> None:
        """on_exit of all that was begun: the run ends here, without a reboot."""
        for address, item in sorted(self._begun.items()):
            debt = self._debts.owed.get(address)
            if debt is not None and debt.get("exit"):
                self._keep(address, dict(debt, exit=False))
            try:
                self._hook(item, "on_exit")
            except Failed as error:
                self._tell(address, "on_exit", "failed", "", None, error.record())
                self._wrong(item)

    def go_on_alone(self, emit: "Callable[[Message], Any]") -> None:
        """The run is over and its journal gone: what is told goes elsewhere, and the debts are stored by whoever holds the lock."""
        self._emit = emit
        self._journal = _nowhere

    # -- debts and messages

    def _kept(self, item: "Item") -> "Dict[str, JSON]":
        return {
            "association": item.association,
            "hooks": item.want.hooks or {},
            "reboot": item.want.reboot,
            "patches": self._patches[item.address],
        }

    def _needs(self) -> "Dict[str, Any]":
        """As it is now: asked once by what comes after the last change, and once after a boot."""
        manager = ""
        for item in self._engine.items:
            manager = manager or str(getattr(item.want, "manager", None) or "")
        return needs.gather(self._engine.host, manager)

    def _keep(self, address: "Address", debt: "Debt") -> None:
        self._debts.owed[address] = debt
        self._journal({"what": "paying", "address": address, "debt": debt})

    def _owe(self, address: "Address", debt: "Debt", reason: str) -> None:
        self._emit(notified(address, debt["verb"], "skipped", debt, None, "still owed: " + reason))

    def _clear(self, address: "Address", verb: str, outcome: str, reason: str, error: "Optional[Error]" = None) -> None:
        debt = self._debts.owed.get(address) or {"because": []}
        self._debts.clear(address)
        message = notified(address, verb, outcome, debt, error, reason)
        self._journal({"what": "paid", "address": address, "notified": message})
        self._emit(message)

    def _failed(self, item: "Item", debt: "Debt", verb: str, error: "Failed") -> None:
        """It stays owed."""
        self._keep(item.address, dict(debt, paying=None))
        self._emit(notified(item.address, verb, "failed", debt, error.record(), ""))
        self._wrong(item)

    def _wrong(self, item: "Union[Item, Remembered]") -> None:
        self._walk.counts["failed"] += 1
        self._walk.not_done.setdefault(item.association, "of which %s is not done" % item.address)

    def _tell(
        self,
        address: "Address",
        verb: str,
        outcome: str,
        reason: str,
        debt: "Optional[Debt]" = None,
        error: "Optional[Error]" = None,
    ) -> None:
        self._emit(notified(address, verb, outcome, debt or {"because": []}, error, reason))


def _nowhere(line: "Dict[str, JSON]") -> None:
    """The journal of a run that is over."""


class Remembered(object):
    """What a debt says of patches that are not part of this run, as far as it is asked of an item here."""

    def __init__(self, address: "Address", kept: "Dict[str, JSON]") -> None:
        self.address = address
        self.association = str(kept["association"])
        self.want = self
        self.name = address.partition(":")[2]
        self.hooks = kept["hooks"]
        self.reboot = kept["reboot"]


class _Watched(object):
    """What watch.py asks of an item."""

    def __init__(self, module: "Any", want: "Any") -> None:
        self.module = module
        self.want = want


def failed_units(host: "object", stop: "Any") -> "List[str]":
    """-> units that failed, once the boot has come to its end or stop() says something; [] where there is no systemd."""
    run: "Any" = host.run  # type: ignore[attr-defined]
    limit = time.monotonic() + BOOT_S
    try:
        while time.monotonic() < limit:
            state = run(["systemctl", "is-system-running"], timeout=30, check=False).out.strip()
            if state not in BOOTING or stop():
                break
            time.sleep(LOOK_S)
        argv = ["systemctl", "list-units", "--state=failed", "--all", "--plain", "--no-legend", "--no-pager"]
        out = run(argv, timeout=30, check=False).out
    except Failed:
        return []
    return sorted(line.split()[0] for line in out.splitlines() if line.strip())


def _services_failed(host: "Any", units: "List[str]") -> "Failed":
    argv = ["journalctl", "--no-pager", "--boot", "--lines=10", "--output=short-iso", "--unit=" + units[0]]
    said = host.run(argv, timeout=30, check=False).out[-4096:]
    return Failed(
        "failed since the reboot: %s" % ", ".join(units[:5]), "services failed since the reboot", argv, None, said
    )


def _nothing(reasons: "List[str]") -> str:
    if reasons:
        return "not done: it needs a reboot (%s), and the baseline says reboot: never" % _short(reasons)
    return "not needed: nothing that was replaced is in use"


def _short(reasons: "List[str]") -> str:
    """`lab-reboot asks for a reboot` -> `lab-reboot`"""
    asks = " asks for a reboot"
    return ", ".join(one[: -len(asks)] if one.endswith(asks) else one for one in reasons[:3])


def _address(unit: str) -> "Address":
    """As services are declared: without the suffix."""
    return "service:" + (unit[: -len(".service")] if unit.endswith(".service") else unit)
