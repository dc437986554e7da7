"""The parameter store's part of a run: planned beside the hosts, and put before any of them begins, because their files may hold its values.

In a plan, in results and in the store of runs it stands among the hosts under a name that no host can have.
"""

import time
from collections.abc import Mapping
from typing import Any, Literal

from statectl.errors import ConfigError, StatectlError
from statectl.parameters.declared import Compared, DeclaredParameters, Standing
from statectl.plans.plan import PARAMETERS, Change, HostPlan, Source, Verdict
from statectl.reconcile.host_result import HostResult
from statectl.reconcile.record import status_of
from statectl.store.records import HostRecord, Status


class ParameterRun:
    """Declared parameters in one run. `plan` stands once `contact` was called; all of it is blocking."""

    def __init__(self, declared: DeclaredParameters, *, commit: str) -> None:
        self._declared = declared
        self._commit = commit
        self._found = Compared([], [])
        self.plan = HostPlan(outcome="not contacted")
        self.versions: dict[str, int] = {}  # by name, once they are put

    @property
    def idle(self) -> bool:
        """Nothing is declared, and nothing was."""
        return self.plan.outcome == "planned" and not self._found.standings and not self._found.right

    def contact(self, kind: str) -> None:
        """Look at the store. kind: plan, apply or drift."""
        try:
            self._found = self._declared.drifted() if kind == "drift" else self._declared.compared()
        except ConfigError:
            raise
        except StatectlError as error:
            self.plan = HostPlan(outcome="failed", reason=error.message, code=error.code, hint=error.hint)
            return
        self.plan = HostPlan(
            outcome="planned",
            ok=len(self._found.right),
            verdicts=[_verdict(one) for one in self._found.standings],
            observed={one.address: one.observed for one in self._found.standings if _goes(one)},
        )

    def apply(self, run_id: str, expected: HostPlan | None) -> HostResult:
        """Put what differs. `expected`: the plan that is applied, which holds only while nothing moved since."""
        started = time.monotonic()
        result = HostResult("ok")
        if self.plan.outcome != "planned":
            return HostResult("failed", self.plan.reason, self.plan.code, self.plan.hint)
        if expected is not None and expected.observed != self.plan.observed:
            moved = sorted({*expected.observed.items()} ^ {*self.plan.observed.items()})
            return HostResult(
                "refused", f"stale: {moved[0][0]} was written since", "E510", "make a new plan: statectl plan"
            )
        why = f"declared by the project{f', commit {self._commit[:12]}' if self._commit else ''}"
        for one in self._found.standings:
            if one.verdict == "orphan" and one.reason.startswith("released"):
                self._declared.release(one)
            if _goes(one):
                place = f" at {one.file}:{one.line}" if one.file else ""
                result.results.append(self._declared.put(one, run_id=run_id, why=f"{why}{place}"))
        failed = [entry for entry in result.results if entry["outcome"] == "failed"]
        if failed:
            result.outcome = "failed"
        elif result.results:
            result.outcome = "changed"
        if not failed:
            self._declared.adopt(run_id)
            self.versions = {name.lstrip("/"): version for name, version in self._declared.versions().items()}
        result.seconds = time.monotonic() - started
        return result

    def record(self, result: HostResult | None) -> HostRecord:
        """What the store of runs keeps of it. `result` None: it was only planned."""
        ended = {str(entry["address"]): entry for entry in result.results} if result is not None else {}
        statuses = [Status(address, association, "compliant", "") for association, address in self._found.right]
        deviations: list[dict[str, Any]] = []
        for one, verdict in zip(self._found.standings, self.plan.verdicts, strict=True):
            entry = ended.get(one.address)
            status, reason = _status(verdict, entry)
            if not (one.verdict == "orphan" and one.action == "none"):
                statuses.append(Status(one.address, one.association, status, reason))
            if entry is not None or result is None:
                deviations.append(
                    {
                        "address": one.address,
                        "association": one.association,
                        "outcome": entry["outcome"] if entry is not None else status_of(verdict),
                        "kind": one.kind,
                        "detail": {"action": one.action, "changes": one.changes, "reason": one.reason},
                    }
                )
        planned = self.plan.outcome == "planned"
        return HostRecord(
            host=PARAMETERS,
            outcome=result.outcome if result is not None else self.plan.outcome,
            reason=(result.reason if result is not None else "") or self.plan.reason,
            code=(result.code if result is not None else "") or self.plan.code,
            hint=(result.hint if result is not None else "") or self.plan.hint,
            results=list(result.results) if result is not None else None,
            deviations=deviations,
            statuses=statuses if planned else None,
            scope=None,
            partial=True,
        )


def _goes(one: Standing) -> bool:
    """Does an apply do something about it?"""
    return one.action != "none" and one.verdict != "refused" and not one.audited


def _verdict(one: Standing) -> Verdict:
    verdict: Literal["change", "orphan", "refused"] = one.verdict
    return Verdict(
        address=one.address,
        association=one.association,
        verdict=verdict,
        action=one.action,
        changes=[Change.model_validate(change) for change in one.changes],
        reason=one.reason,
        kind=one.kind,
        source=Source(file=one.file, line=one.line) if one.file else None,
        audited=one.audited,
    )


def _status(verdict: Verdict, entry: Mapping[str, Any] | None) -> tuple[str, str]:
    if entry is None:
        return status_of(verdict), verdict.reason
    if entry["outcome"] == "failed":
        return "failed", str(entry["error"]["message"])
    return "compliant", ""
