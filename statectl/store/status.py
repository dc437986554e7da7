"""Our words for how a run and its hosts stand, in the words of Systems Manager. Pure."""

RUN = {"done": "Success", "taken over": "Success", "cancelled": "Cancelled", "interrupted": "Cancelled"}
HOST = {
    "ok": "Success",
    "changed": "Success",
    "applied": "Success",
    "done": "Success",
    "planned": "Success",
    "stopped": "Cancelled",
    "terminated": "Terminated",
    "unreachable": "Undeliverable",
    "unknown": "ExecutionTimedOut",
}


def run_status(outcome: str, *, ended: bool, cancelled_by: str) -> str:
    """InProgress, Cancelling, Success, Cancelled or Failed."""
    if not ended:
        return "Cancelling" if cancelled_by else "InProgress"
    return RUN.get(outcome, "Failed")


def host_status(outcome: str) -> str:
    """Success, Failed, Cancelled (stopped at a resource border), Terminated (never started), Undeliverable ..."""
    return HOST.get(outcome, "Failed")
