"""From the rows of `current` to compliance: every expected (host, association), with when it was last really read.

Unknown is a state of its own and never counted as compliant: never checked, last contact lost, or older than the
association allows. Pure; the clock is an argument.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from pydantic import BaseModel, Field

from statectl.compliance.entries import Entry
from statectl.compliance.moments import WORST_FIRST, Moment

FORMAT = "statectl.compliance/1.1"


class Compliance(BaseModel):
    format: str = Field(default=FORMAT, description="name and version of this document")
    as_of: str = Field(description="UTC; when this was judged")
    hosts_total: int = Field(
        description="hosts that have at least one association or patch baseline; the parameter store, where parameters are declared, counts as one"
    )
    hosts_compliant: int = Field(description="hosts of which every association and patch baseline is compliant")
    by_status: dict[str, int] = Field(description="hosts by their worst status")
    oldest_check: str = Field(default="", description="UTC; the oldest last reading among hosts that were read")
    oldest_index: str = Field(
        default="", description="UTC; when the oldest package index of hosts with a patch baseline was fetched"
    )
    entries: list[Entry] = Field(description="every expected host and association, then every host and patch baseline")
    history: list[Moment] | None = Field(default=None, description="with --history: after each run, newest first")

    @property
    def percent(self) -> float:
        """Compliant hosts of all that are expected; 0 hosts are 100 %."""
        return 100.0 * self.hosts_compliant / self.hosts_total if self.hosts_total else 100.0


def judge(
    expected: Iterable[tuple[str, str]],
    rows: Sequence[Mapping[str, Any]],
    hosts: Mapping[str, Mapping[str, Any]],
    too_old: Callable[[str, str], tuple[datetime, str] | None],
    at: datetime,
    severity: Callable[[str, str], str] = lambda _host, _association: "unspecified",
    patches: Sequence[Entry] = (),
) -> Compliance:
    """expected: (host, association) of the inventory and the files; rows: `Store.current()`; hosts: `Store.host_states()`;
    too_old: for (host, association), what was read before that moment is too old, and why; patches: entries of patch baselines.
    """
    by_key: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for row in rows:
        by_key.setdefault((row["host"], row["association"]), []).append(row)
    entries = [
        _entry(host, association, by_key.get((host, association), []), hosts.get(host), too_old(host, association))
        for host, association in expected
    ]
    for entry in entries:
        entry.severity = severity(entry.host, entry.association)
    entries += patches
    worst: dict[str, str] = {}
    for entry in entries:
        status = "compliant" if entry.status == "exempt" else entry.status
        worst[entry.host] = min(worst.get(entry.host, "compliant"), status, key=WORST_FIRST.index)
    by_status = {status: sum(value == status for value in worst.values()) for status in WORST_FIRST}
    return Compliance(
        as_of=at.strftime("%Y-%m-%dT%H:%M:%SZ"),
        hosts_total=len(worst),
        hosts_compliant=by_status["compliant"],
        by_status={status: count for status, count in by_status.items() if count},
        oldest_check=min((entry.checked for entry in entries if entry.checked), default=""),
        oldest_index=min((entry.index_fetched for entry in entries if entry.index_fetched), default=""),
        entries=entries,
    )


def _entry(
    host: str,
    association: str,
    rows: Sequence[Mapping[str, Any]],
    state: Mapping[str, Any] | None,
    too_old: tuple[datetime, str] | None,
) -> Entry:
    if not rows:
        reason = "never checked"
        if state is not None and state["last_outcome"] not in ("", "planned", "ok", "changed"):
            reason = f"never read; last contact: {state['last_outcome']}, {state['last_reason']}"
        return Entry(host=host, association=association, status="unknown", reason=reason)
    checked = min(row["checked"] for row in rows)
    counts: dict[str, int] = {}
    for row in rows:
        counts[row["status"]] = counts.get(row["status"], 0) + 1
    status = min(counts, key=WORST_FIRST.index)
    reason = ""
    if too_old is not None and _moment(checked) < too_old[0]:
        status, reason = "unknown", f"last read at {checked}, {too_old[1]}"
    elif state is not None and state["last_outcome"] in ("unreachable", "unknown"):
        status, reason = "unknown", f"last contact: {state['last_outcome']}, {state['last_reason']}"
    return Entry(
        host=host,
        association=association,
        status=status,
        since=min(row["since"] for row in rows if row["status"] == status) if status in counts else "",
        checked=checked,
        counts=counts,
        deviations=[
            {"address": row["address"], "status": row["status"], "since": row["since"], "reason": row["reason"]}
            for row in rows
            if row["status"] != "compliant"
        ],
        reason=reason,
    )


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text)
