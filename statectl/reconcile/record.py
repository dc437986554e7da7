"""From what a host said to what the store keeps: results, deviations, and how each address stands now. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any

from statectl.plans.plan import Verdict
from statectl.reconcile.host_result import HostResult
from statectl.reconcile.host_run import HostRun
from statectl.store.records import HostRecord, Status


def host_record(
    run: HostRun,
    result: HostResult | None,
    selected: Sequence[str] | None,
    parameters: Mapping[str, int] | None = None,
) -> HostRecord:
    """`result` None: the host was only planned. `parameters`: versions that its files were made with; None: not known."""
    read = run.plan.outcome == "planned"
    outcome = result.outcome if result is not None else run.plan.outcome
    deviations: list[dict[str, Any]] = []
    if result is not None:
        owners: dict[str, str] = {}
        for verdict in run.plan.verdicts:
            owners.setdefault(verdict.address, verdict.association)
        deviations = [
            _deviation(entry, owners) for entry in result.results if entry["outcome"] in ("changed", "failed")
        ]
    elif read:
        deviations = [
            {
                "address": verdict.address,
                "association": verdict.association,
                "outcome": status_of(verdict),
                "kind": verdict.kind,
                "detail": verdict.model_dump(mode="json", exclude={"address", "association"}),
            }
            for verdict in run.plan.verdicts
        ]
    return HostRecord(
        host=run.name,
        outcome=outcome,
        reason=(result.reason if result is not None else "") or run.plan.reason,
        code=(result.code if result is not None else "") or run.plan.code,
        hint=(result.hint if result is not None else "") or run.plan.hint,
        results=_entries(result) if result is not None else None,
        deviations=deviations,
        statuses=_statuses(run, result) if read else None,
        facts=run.facts,
        memory={key: value for key, value in run.memory.items() if key != "undelivered"} if run.memory else None,
        host_id=str(run.memory.get("host_id", "")),
        run_counter=int(run.memory.get("run_counter", 0)) + _began(result),
        scope=list(selected) if selected is not None else None,
        parameters=parameters,
        partial=run.compiled is None,
    )


def _entries(result: HostResult) -> list[dict[str, Any]]:
    """As the host told them: results, restarts, warnings."""
    warnings = [{"type": "log", "level": "warning", "text": text} for text in result.warnings]
    return [*(dict(entry) for entry in (*result.results, *result.notified)), *warnings]


def _began(result: HostResult | None) -> bool:
    """Did the host's counter go up, or may it have?"""
    return result is not None and result.outcome in ("ok", "changed", "failed", "stopped", "unknown")


def status_of(verdict: Verdict) -> str:
    """A plan's verdict as a word of compliance."""
    if verdict.waits:
        return "pending"
    if verdict.verdict == "refused":
        return "failed"
    if verdict.verdict == "unknown":
        return "pending"
    return "drifted" if verdict.kind == "corrective" else "pending"


def _statuses(run: HostRun, result: HostResult | None) -> list[Status]:
    """One row for every (association, address) that was read."""
    by_address = {verdict.address: verdict for verdict in run.plan.verdicts}
    ended: dict[str, Mapping[str, Any]] = {entry["address"]: entry for entry in result.results} if result else {}
    waits = _waits(run, result)
    if run.compiled is None:  # drift: what the host itself remembers, nothing of what the files say now
        found = [(association, address, by_address.get(address)) for association, address in run.read]
        return [Status(address, association, *_status(verdict, None)) for association, address, verdict in found]
    statuses: list[Status] = []
    for entry in run.declared():
        address = entry["address"]
        status, reason = _status(by_address.get(address), ended.get(address))
        if status == "compliant" and address in waits:
            status, reason = "pending", waits[address]
        statuses += [Status(address, owner, status, reason) for owner in entry["owners"]]
        for override in entry.get("overrides", ()):
            until = f" until {override['until']}" if override.get("until") else ""
            reason = f"{override['reason']} ({override['by']} overrides{until})"
            statuses.append(Status(address, override["of"], "exempt", reason))
    unique = {(status.association, status.address): status for status in statuses}
    return list(unique.values())


def _status(verdict: Verdict | None, ended: Mapping[str, Any] | None) -> tuple[str, str]:
    if ended is not None:
        outcome = ended["outcome"]
        if outcome in ("ok", "changed"):
            return "compliant", ""
        error = ended.get("error") or {}
        reason = str(ended.get("reason") or error.get("message") or "")
        if outcome == "failed":
            return "failed", reason
        if outcome == "unknown":
            return "unknown", reason
        if ended.get("pending"):
            return "pending", reason
    if verdict is None:
        return "compliant", ""
    return status_of(verdict), verdict.waits or verdict.held or verdict.reason


def _waits(run: HostRun, result: HostResult | None) -> dict[str, str]:
    """{address: reason} of services that are owed a restart which has to wait; what the run told of them is newer than its plan."""
    found = {one.address: f"{one.what} {one.reason}" for one in run.plan.pending}
    for entry in result.notified if result is not None else ():
        found.pop(str(entry["address"]), None)
        if entry.get("pending"):
            found[str(entry["address"])] = f"{entry['verb']} {entry['address']} {entry.get('reason', '')}"
    return found


def _deviation(entry: Mapping[str, Any], owners: Mapping[str, str]) -> dict[str, Any]:
    detail = {key: entry.get(key) for key in ("action", "changes", "reason", "error", "duration_ms") if entry.get(key)}
    return {
        "address": entry["address"],
        "association": owners.get(entry["address"], ""),
        "outcome": entry["outcome"],
        "kind": entry.get("kind", ""),
        "detail": detail,
    }
