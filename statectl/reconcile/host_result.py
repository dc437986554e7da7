"""How an apply ended on one host, and what its last word, or a confirmation, makes of that."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from statectl.reconcile.confirm import Confirmation

NOT_THERE, NOBODY_KNOWS = "E524", "E525"  # what a skipped host lacks on another one


@dataclass
class HostResult:
    """How an apply ended on one host."""

    outcome: str  # ok | changed | skipped | failed | unreachable | unknown | refused | stopped | terminated
    reason: str = ""
    code: str = ""
    hint: str = ""  # what to do about the reason
    results: list[dict[str, Any]] = field(default_factory=list)
    notified: list[dict[str, Any]] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)  # said while it went on
    seconds: float = 0.0
    held_by: dict[str, Any] | None = None  # who held the host while we waited for it, or were refused

    @property
    def standing(self) -> str:
        """The outcome for the run as a whole: a skipped host is as what it lacks, which refused, or which nobody could look at."""
        if self.outcome != "skipped":
            return self.outcome
        return "unreachable" if self.code == NOBODY_KNOWS else "refused"


def joined(earlier: HostResult, result: HostResult) -> None:
    """A host that was told to go twice, each time for a part: `result`, of the second time, becomes what both came to."""
    before = {str(entry["address"]): entry for entry in earlier.results if entry["outcome"] != "skipped"}
    told = {str(entry["address"]) for entry in result.results}
    kept = [entry for address, entry in before.items() if address not in told]
    result.results = kept + [
        before.get(str(entry["address"]), entry) if entry["outcome"] in ("ok", "skipped") else entry
        for entry in result.results
    ]
    result.notified = [*earlier.notified, *result.notified]
    result.seconds += earlier.seconds
    if result.outcome == "ok" and any(entry["outcome"] == "changed" for entry in before.values()):
        result.outcome = "changed"


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
