"""Exit codes of plan, drift and apply: 130 > 4 > 1 > 5 > 2 > 3."""

from statectl.plans.plan import Plan
from statectl.reconcile.fleet import Run

ORDER = (130, 4, 1, 5, 2, 3)


def worst(codes: list[int]) -> int:
    """The one exit code that several outcomes come to."""
    return next((code for code in ORDER if code in codes), 0)


def plan_code(plan: Plan, *, detailed: bool) -> int:
    codes = []
    for host in plan.hosts.values():
        if host.outcome in ("unreachable", "unknown", "not contacted"):
            codes.append(3)
        elif host.outcome == "failed":
            codes.append(4 if host.code.startswith(("E1", "E2")) else 1)
        elif host.outcome == "refused":
            codes.append(5)
    if plan.summary.refused:
        codes.append(1)
    if detailed and (plan.has_changes or plan.summary.pending):
        codes.append(2)
    return worst(codes)


def apply_code(run: Run) -> int:
    codes = []
    for result in run.everything.values():
        if result.standing in ("failed", "terminated", "stopped"):
            codes.append(1)
        elif result.standing in ("unreachable", "unknown"):
            codes.append(3)
        elif result.standing == "refused":
            codes.append(5)
    if run.outcome in ("interrupted", "cancelled"):
        codes.append(130)
    if run.budget_spent:
        codes.append(1)
    if not run.everything:
        codes.append(plan_code(run.plan, detailed=False))
        if run.outcome == "failed":
            codes.append(1)
    return worst(codes)
