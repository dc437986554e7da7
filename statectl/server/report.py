"""What /health and /metrics say."""

from collections.abc import Callable, Mapping
from datetime import datetime

from statectl.errors import StatectlError
from statectl.server.http import Answer, as_json
from statectl.server.scheduler import LOOK_S, Health

SILENT_S = 4 * LOOK_S  # without a look the loop hangs
STATES = ("due", "running", "done", "failed", "missed", "skipped", "interrupted")
STATUSES = ("compliant", "pending", "drifted", "failed", "unknown")
TEXT = "text/plain; version=0.0.4; charset=utf-8"


def health_answer(health: Health, monotonic: float) -> Answer:
    """200 while everything works, else 503 with what does not."""
    problems = [f"{where}: {what}" for where, what in sorted(health.problems.items())]
    if monotonic - health.looked > SILENT_S:
        problems.append(f"loop: no look at the schedules for {monotonic - health.looked:.0f} s")
    document = {
        "status": "failing" if problems else "ok",
        "next": health.next,
        "running": health.running,
        "problems": problems,
    }
    return as_json(503 if problems else 200, document)


def metrics_answer(health: Health, totals: Callable[[], Mapping[str, Mapping[str, int]]]) -> Answer:
    """The text format of Prometheus. A store that cannot be read is 503."""
    try:
        found = totals()
    except StatectlError as error:
        return 503, TEXT, f"# {' '.join(error.message.split())}\n"
    slots = {state: found["slots"].get(state, 0) for state in STATES}
    hosts = {status: found["hosts"].get(status, 0) for status in STATUSES}
    lines = [
        *_family("statectl_slots", "gauge", "Slots of the last 30 days by state", "state", slots),
        *_family("statectl_apply_runs", "gauge", "Applies in the store by outcome", "outcome", found["runs"]),
        *_family("statectl_hosts", "gauge", "Hosts by their worst status as last read", "status", hosts),
    ]
    upcoming = {name: int(datetime.fromisoformat(text).timestamp()) for name, text in health.next.items()}
    lines += _family(
        "statectl_next_slot_timestamp_seconds", "gauge", "When an association is due next", "association", upcoming
    )
    if health.last_run_s is not None:
        lines += [
            "# HELP statectl_last_run_seconds How long the run took that ended last",
            "# TYPE statectl_last_run_seconds gauge",
            f"statectl_last_run_seconds {health.last_run_s:.3f}",
        ]
    lines += [
        "# HELP statectl_problems Problems that /health tells",
        "# TYPE statectl_problems gauge",
        f"statectl_problems {len(health.problems)}",
    ]
    return 200, TEXT, "\n".join(lines) + "\n"


def _family(name: str, kind: str, text: str, label: str, values: Mapping[str, int]) -> list[str]:
    return [
        f"# HELP {name} {text}",
        f"# TYPE {name} {kind}",
        *(f'{name}{{{label}="{_escaped(key)}"}} {value}' for key, value in values.items()),
    ]


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
