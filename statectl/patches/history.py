"""What was found and done about the patches of a host, as the store keeps it: one operation for each scan and each install."""

import datetime as dt
import fnmatch
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any, Protocol

from statectl.baselines.evaluation import COMPLIANT, Evaluation, PatchState
from statectl.baselines.model import LEVELS, Baseline, Pin
from statectl.baselines.scan import Scan
from statectl.store.patch_history import PatchHistory, PatchMove, PatchOperation

MOVED = ("installed", "failed", "kept")  # outcomes of a move
COUNTS = {  # SSM's names in our spelling
    "Installed": "installed",
    "InstalledOther": "installed_other",
    "InstalledPendingReboot": "installed_pending_reboot",
    "InstalledRejected": "installed_rejected",
    "Missing": "missing",
    "Failed": "failed",
    "NotApplicable": "not_applicable",
    "AvailableSecurityUpdate": "available_security_update",
}


class HasPatchHistory(Protocol):
    @property
    def patch_history(self) -> PatchHistory: ...


def record_patch_operation(store: HasPatchHistory, evaluation: Evaluation, **about: Any) -> None:
    """Keep one operation for good; `about`: as `patch_operation` takes it. Blocking: one transaction."""
    store.patch_history.keep([patch_operation(evaluation, **about)])


def patch_operation(
    evaluation: Evaluation,
    *,
    run: str,
    host: str,
    baseline: Baseline,
    operation: str,
    started: str,
    ended: str,
    scan: Scan | None = None,
    commit: str = "",
    moves: Iterable[Mapping[str, Any]] = (),
    waits_for_reboot: bool = False,
    reboot: str = "",
    snapshot: str = "",
    override: str = "",
    rolls_back: str = "",
) -> PatchOperation:
    """evaluation, scan: of the contact, both from before an install. Times: UTC, `2026-11-24T02:00:00Z`. Pure.

    operation         scan, or install: of a run that was allowed to install, also when there was nothing to do
    moves             [{name, arch, from, to, outcome, reason}]: `from` '' for a package that was not there, `to` '' for one that was
                      removed; outcome installed, failed or kept (back)
    waits_for_reboot  what it installed is in force after a reboot only
    reboot            the option of this run, '' : as the baseline says
    snapshot          id of the snapshot of the archives; override: name of the override list; '' : none
    rolls_back        the run that it undoes, '' : none
    """
    made = [_move(one) for one in moves]
    states: Sequence[PatchState] = evaluation.states
    if made:
        states = after_moves(states, made, waits_for_reboot=waits_for_reboot, rolls_back=rolls_back)
    compliant, level = evaluation.compliant, evaluation.level
    if made and not evaluation.unknown:
        wrong = [one for one in states if not _is_right(one, baseline)]
        compliant, level = not wrong, worst_level(one.level for one in wrong)
    today = dt.datetime.fromisoformat(ended).date()
    pins = [pin for pin in baseline.pins if pin.until >= today]
    return PatchOperation(
        run=run,
        host=host,
        baseline=baseline.name,
        operation=operation,
        started=started,
        ended=ended,
        commit=commit,
        compliant=compliant,
        level=level,
        unknown=evaluation.unknown,
        rows=None if evaluation.unknown else [_row(one, pins) for one in states],
        moves=made,
        detail={
            "counts": counts(states),
            "reboot": reboot or baseline.reboot,
            "snapshot": snapshot,
            "override": override,
            "rolls_back": rolls_back,
            "trouble": list(evaluation.trouble),
            "max_index_age_s": baseline.max_index_age_s,
            "available_security_updates": baseline.available_security_updates,
            "source": [baseline.span.file, baseline.span.line] if baseline.span is not None else [],
            **_told(scan),
        },
    )


def after_moves(
    states: Sequence[PatchState], moves: Sequence[PatchMove], *, waits_for_reboot: bool = False, rolls_back: str = ""
) -> list[PatchState]:
    """How the packages stand once an install is over; a new package is InstalledOther, as what came along with another.

    What a rollback took back and the baseline approves is Missing again.
    """
    by_key = {(one.name, one.arch): one for one in states}
    for move in moves:
        key = (move.name, move.arch)
        before = by_key.get(key)
        if move.outcome == "failed":
            base = before or PatchState(move.name, move.arch, "Failed", move.before, move.after)
            by_key[key] = replace(base, state="Failed", version=move.after, reason=move.reason or base.reason)
        elif move.outcome == "installed" and not move.after:
            by_key.pop(key, None)
        elif move.outcome == "installed":
            by_key[key] = _installed(before, move, waits_for_reboot=waits_for_reboot, rolls_back=rolls_back)
    return list(by_key.values())


def _installed(before: PatchState | None, move: PatchMove, *, waits_for_reboot: bool, rolls_back: str) -> PatchState:
    if rolls_back and before is not None and before.state in ("Installed", "InstalledPendingReboot"):
        return replace(before, state="Missing", installed=move.after, reason=f"rolled back: {rolls_back}")
    state = "InstalledPendingReboot" if waits_for_reboot else "Installed"
    if before is None:
        state = "InstalledPendingReboot" if waits_for_reboot else "InstalledOther"
        return PatchState(move.name, move.arch, state, move.after, move.after, reason=move.reason)
    if before.state in ("Missing", "Failed") and before.version != move.after:
        return replace(before, installed=move.after)  # put to another version than the one that it should have
    if before.state == "InstalledOther" and not waits_for_reboot:
        state = "InstalledOther"
    return replace(before, state=state, installed=move.after, version=move.after)


def counts(states: Iterable[PatchState]) -> dict[str, int]:
    """As SSM's InstancePatchState counts them: by state, and what is not compliant by level and kind."""
    found = dict.fromkeys(
        (*COUNTS.values(), "critical_non_compliant", "security_non_compliant", "other_non_compliant"), 0
    )
    for one in states:
        found[COUNTS[one.state]] += 1
        if one.state in COMPLIANT or one.state == "AvailableSecurityUpdate":
            continue
        critical, security = one.level == "critical", one.classification.casefold() == "security"
        found["critical_non_compliant"] += critical
        found["security_non_compliant"] += security
        found["other_non_compliant"] += not (critical or security)
    return found


def worst_level(levels: Iterable[str]) -> str:
    return min(levels, key=LEVELS.index, default="unspecified")


def _is_right(one: PatchState, baseline: Baseline) -> bool:
    if one.state == "AvailableSecurityUpdate":
        return baseline.available_security_updates == "compliant"
    return one.state in COMPLIANT


def _move(told: Mapping[str, Any]) -> PatchMove:
    outcome = str(told["outcome"])
    return PatchMove(
        name=str(told["name"]),
        arch=str(told["arch"]),
        before=str(told.get("from") or ""),
        after=str(told.get("to") or ""),
        outcome=outcome if outcome in MOVED else "failed",
        reason=str(told.get("reason") or ""),
    )


def _row(one: PatchState, pins: Sequence[Pin]) -> str:
    """The same text for the same patch on every host: nothing of one host stands in it but what is installed."""
    pin = next((pin for pin in pins if fnmatch.fnmatchcase(one.name, pin.package)), None) if pins else None
    return _row_text(
        one.name,
        one.arch,
        one.state,
        one.installed,
        one.version,
        one.level,
        one.classification,
        one.severity,
        one.reason,
        one.advisories,
        one.cves,
        one.first_seen,
        # of what was never seen to come it would be the moment of the scan, and no two scans would be alike
        one.approved_at if one.first_seen is not None else None,
        one.withheld,
        (pin.version, pin.until, pin.reason) if pin is not None else None,
    )


@lru_cache(maxsize=100_000)
def _row_text(
    name: str,
    arch: str,
    state: str,
    installed: str,
    version: str,
    level: str,
    classification: str,
    severity: str,
    reason: str,
    advisories: tuple[str, ...],
    cves: tuple[str, ...],
    first_seen: dt.datetime | None,
    approved_at: dt.datetime | None,
    withheld: str,
    pin: tuple[str, dt.date, str] | None,
) -> str:
    """As it is kept: hosts of one fleet share most of theirs."""
    row: dict[str, Any] = {
        "name": name,
        "arch": arch,
        "state": state,
        "from": installed,
        "to": version,
        "level": level,
        "classification": classification,
        "severity": severity,
        "reason": reason,
        "advisories": list(advisories),
        "cves": list(cves),
        "first_seen": moment(first_seen),
        "approved_at": moment(approved_at),
        "withheld": withheld,
    }
    if pin is not None:
        row["pin"] = {"version": pin[0], "until": pin[1].isoformat(), "reason": pin[2]}
    said = {key: value for key, value in row.items() if value not in ("", [])}
    return json.dumps(said, separators=(",", ":"), sort_keys=True)


def _told(scan: Scan | None) -> dict[str, Any]:
    """How old what it was judged by is, and what waits. `fetched`: of the index that was fetched longest ago; `dated`: of the newest."""
    if scan is None:
        return {}
    fetched = [one.fetched for one in scan.archives if one.fetched]
    dated = [one.date for one in scan.archives if one.date]
    return {
        "manager": scan.manager,
        "fetched": _seconds(min(fetched)) if fetched else "",
        "dated": _seconds(max(dated)) if dated else "",
        "stale": list(scan.stale),
        "broken": list(scan.broken),
        "needs_reboot": list(scan.needs.reasons) if scan.needs.reboot else [],
        "needs_restart": sorted(scan.needs.services),
    }


def moment(at: dt.datetime | None) -> str:
    return at.astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if at is not None else ""


def _seconds(since_1970: int) -> str:
    """'' for a time that no calendar has: a host said it."""
    try:
        return moment(dt.datetime.fromtimestamp(since_1970, dt.UTC))
    except (OverflowError, OSError, ValueError):
        return ""
