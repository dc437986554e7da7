"""How an apply ended on one host, and what its last word, or a confirmation, makes of that."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from statectl.reconcile.confirm import Confirmation


@dataclass
class HostResult:
    """How an apply ended on one host."""

    outcome: str  # ok | changed | failed | unreachable | unknown | refused | stopped | terminated
    reason: str = ""
    code: str = ""
    hint: str = ""  # what to do about the reason
    results: list[dict[str, Any]] = field(default_factory=list)
    notified: list[dict[str, Any]] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)  # said while it went on
    seconds: float = 0.0
    held_by: dict[str, Any] | None = None  # who held the host while we waited for it, or were refused


def settle(result: HostResult, told: Confirmation) -> None:
    """What a confirmation, or none, makes of the result."""
    lost = result.outcome == "unknown"  # the channel was, and the executor went on without us
    if told.outcome == "confirmed" or (told.outcome == "nothing" and lost):
        if lost and told.kept:
            result.results, result.notified = list(told.kept["results"]), list(told.kept["notified"])
            result.reason = result.code = result.hint = ""
            if told.kept["outcome"] == "unknown":  # it was ended in the middle
                result.reason = str(told.kept.get("reason") or "")
            else:
                conclude(result, told.kept)
        return  # lost, and nothing is kept there: it ended before it had begun, and the reason stands
    result.outcome = "failed" if told.outcome == "undone" else "unknown"
    result.reason, result.code, result.hint = told.reason, told.code, told.hint
    undone = {str(entry["address"]): entry for entry in told.kept.get("results", ()) if entry["outcome"] == "failed"}
    for place, entry in enumerate(result.results):
        result.results[place] = {**entry, **undone.pop(str(entry["address"]), {})}
    result.results += undone.values()


def conclude(result: HostResult, message: Mapping[str, Any]) -> None:
    """What the executor's `end`, or the result that it kept, makes of the result."""
    outcome = message["outcome"]
    result.reason = str(message.get("reason") or "")
    result.code = str(message.get("code") or "")
    if outcome == "applied":
        failed = any(entry["outcome"] == "failed" for entry in (*result.results, *result.notified))
        unknown = any(entry["outcome"] == "unknown" for entry in result.results)
        changed = any(entry["outcome"] == "changed" for entry in (*result.results, *result.notified))
        result.outcome = "failed" if failed else "unknown" if unknown else "changed" if changed else "ok"
    elif outcome in ("stale", "refused"):
        result.outcome = "refused"
        result.code = result.code or ("E510" if outcome == "stale" else "E501")
    elif outcome == "stopped":
        result.outcome = "stopped"
    else:
        result.outcome = "failed"
