"""When what disrupts may happen, by the controller's clock: what the host is told with `go`, and what a plan shows as waiting.

What disrupts is the host's to say (`onhost/disruption.py`), and the host holds back what must wait.
"""

import datetime as dt
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from statectl.onhost.disruption import GOES_AWAY
from statectl.plans.plan import HostPlan, Pending
from statectl.project.model import MaintenanceWindow
from statectl.schedules import accepts_work, next_opening, opening_at


def utc_now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


@dataclass(frozen=True)
class Windows:
    """The project's maintenance windows and the clock that they are judged by."""

    known: Mapping[str, MaintenanceWindow]
    now: Callable[[], dt.datetime] = utc_now

    def granted(self, associations: Iterable[Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
        """{name: {"seconds": in which something may still begin, "waits": why not afterwards}} of those that do not say always; see policies."""
        at = self.now()
        return {str(one["name"]): self._grant(str(one["disrupt"]), at) for one in associations if "disrupt" in one}

    def _grant(self, policy: str, at: dt.datetime) -> dict[str, Any]:
        kind, _, name = policy.partition(":")
        one = self.known.get(name)
        if kind == "typed":
            return {"seconds": 0, "waits": "no maintenance window is named; statectl patch install installs it"}
        if kind == "never" or one is None:
            return {"seconds": 0, "waits": "disrupt: never, so no apply does it"}
        opening = opening_at(one.window, at)
        if opening is None or not accepts_work(one.window, at):
            return {"seconds": 0, "waits": _waits(one, at)}
        return {"seconds": (opening.cutoff - at).total_seconds(), "waits": _waits(one, opening.cutoff)}


def _waits(one: MaintenanceWindow, at: dt.datetime) -> str:
    """`waits for window sunday-night, opens 2026-11-29 02:00 Europe/Oslo`"""
    said = f"waits for window {one.name}"
    if not one.window.enabled:
        return f"{said}, which is disabled"
    later = next_opening(one.window, at)
    if later is None:
        return f"{said}, which never opens again"
    return f"{said}, opens {later.start.astimezone(one.window.timing.zone):%Y-%m-%d %H:%M} {one.timezone}"


def policies(catalogue: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """What says when it may disrupt: associations, and resources that have a word of their own; {"name", "disrupt"} of each."""
    own = [
        {"name": entry["address"], "disrupt": entry["disrupt"]}
        for entry in catalogue["resources"]
        if "disrupt" in entry
    ]
    return [*catalogue["associations"], *own]


class WindowsOfRun:
    """The windows as one run sees them on one host: what was closed when it planned stays closed for it.

    People agreed to a plan that showed it as waiting, and nobody was drained for it. The next run does it.
    """

    def __init__(self, windows: Windows) -> None:
        self._windows = windows
        self._closed: dict[str, dict[str, Any]] | None = None  # as of the first plan

    def granted(self, associations: Iterable[Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
        """As Windows.granted."""
        now = self._windows.granted(associations)
        if self._closed is None:
            self._closed = {name: grant for name, grant in now.items() if grant["seconds"] <= 0}
        return {name: self._closed.get(name, grant) for name, grant in now.items()}


@dataclass(frozen=True)
class Waiting:
    """What of one host's plan must wait now. `granted`: of WindowsOfRun; `owners`: {address: associations that declare it}.

    `after`: {address: those that it comes after}; `requires`: {association: those of this host that it requires}.
    """

    granted: Mapping[str, Mapping[str, Any]]
    owners: Mapping[str, Sequence[str]]
    after: Mapping[str, Sequence[str]] = field(default_factory=dict)
    requires: Mapping[str, Sequence[str]] = field(default_factory=dict)

    @classmethod
    def of(cls, windows: WindowsOfRun, catalogue: Mapping[str, Any]) -> "Waiting":
        granted = windows.granted(policies(catalogue))
        owners = (
            {
                entry["address"]: [entry["address"]] if "disrupt" in entry else entry["owners"]
                for entry in catalogue["resources"]
            }
            if granted
            else {}
        )
        after = {entry["address"]: entry.get("after", ()) for entry in catalogue["resources"]} if granted else {}
        return cls(granted, owners, after, {one["name"]: one.get("requires", ()) for one in catalogue["associations"]})

    def mark(self, plan: HostPlan, messages: Sequence[Mapping[str, Any]], debts: Iterable[Mapping[str, Any]]) -> None:
        """Mark what waits in the plan. messages: its verdicts as the host told them; debts: what it owes."""
        if not self.granted:
            return
        for verdict, message in zip(plan.verdicts, messages, strict=True):
            if message.get("disrupts") and not verdict.audited:
                # a removal is declared by nobody: the association that had it
                owners = () if verdict.address in self.owners else (verdict.association,)
                verdict.waits = self._why((verdict.address,), *owners)
                verdict.disrupts = str(message["disrupts"]) if verdict.waits else ""
        self._mark_behind(plan)
        changing = [verdict for verdict in plan.verdicts if not (verdict.audited or verdict.waits)]
        # what is owed to one service is paid at once, when all that ask for it allow it
        owed = {str(debt["address"]): [*debt.get("because", ())] for debt in debts}
        for verdict in changing:
            for target in map(_target, verdict.notify):
                owed.setdefault(target, []).append(verdict.address)
        reasons = {target: self._why((target, *because)) for target, because in owed.items()}
        for verdict in changing:
            waiting = {notice: reasons[_target(notice)] for notice in verdict.notify}
            verdict.pending = _pending(waiting)
            verdict.notify = [notice for notice in verdict.notify if not waiting[notice]]
        # a command that is owed a run takes nothing away
        waiting = {notice: reasons[_target(notice)] for notice in plan.debts if not notice.startswith("run ")}
        plan.pending = _pending(waiting)
        plan.debts = [notice for notice in plan.debts if not waiting.get(notice)]

    def _mark_behind(self, plan: HostPlan) -> None:
        """What comes after a change that waits, and counts on it, waits as well: a host with nothing else to do has nothing to do."""
        gone: dict[str, str] = {}  # address: what its change takes away
        unfinished: dict[str, str] = {}  # association: the first of its resources that waits
        for verdict in plan.verdicts:  # in the order of apply
            if verdict.audited or verdict.verdict not in ("change", "unknown"):
                continue
            if not verdict.waits:
                behind = [address for address in self.after.get(verdict.address, ()) if address in gone]
                required = self.requires.get(verdict.association, ())
                behind += [unfinished[name] for name in required if name in unfinished]
                if not behind:
                    continue
                verdict.waits, verdict.disrupts = f"comes after {behind[0]}, which waits", gone[behind[0]]
            if verdict.disrupts in GOES_AWAY:
                gone[verdict.address] = verdict.disrupts
                unfinished.setdefault(verdict.association, verdict.address)

    def _why(self, addresses: Iterable[str], *owners: str) -> str:
        named = {*owners, *(owner for address in addresses for owner in self.owners.get(address, ()))}
        for name in sorted(named):
            grant = self.granted.get(name)
            if grant is not None and grant["seconds"] <= 0:
                return str(grant["waits"])
        return ""


def _target(notice: str) -> str:
    """`restart service:nginx` -> `service:nginx`"""
    return notice.partition(" ")[2]


def _pending(waiting: Mapping[str, str]) -> list[Pending]:
    return [Pending(what=notice, address=_target(notice), reason=why) for notice, why in waiting.items() if why]
