"""What became of a host's part of a run that was unknown: told by the result that the host kept, or by how many runs it counts."""

from collections.abc import Mapping
from typing import Any

from statectl.store.database import Connection
from statectl.store.records import HostRecord

NEVER_TOLD = "; the host never got the word to begin, so nothing was written"


def outcome_of(kept: Mapping[str, Any]) -> str:
    """The outcome of a host whose executor kept this result, in the words of a host that was heard to its end."""
    if kept.get("outcome") != "applied":
        return str(kept.get("outcome"))
    entries = {str(entry.get("outcome")) for entry in (*kept.get("results", ()), *kept.get("notified", ()))}
    return next((word for word in ("failed", "unknown", "changed") if word in entries), "ok")


def never_began(connection: Connection, run_id: str, record: HostRecord) -> None:
    """Its last apply here is unknown, and the host has counted none since: then it never began. Before the host's row is renewed.

    An unknown apply is taken for one that began, so the store expects one more than the host has counted. As long as somebody
    else holds the host's lock that apply may still begin; a host of another identity tells nothing of it.
    """
    memory = record.memory or {}
    row = connection.execute("SELECT host_id, run_counter FROM host_states WHERE host = ?", (record.host,)).fetchone()
    if row is None or not memory or memory.get("host_id") != row["host_id"]:
        return
    holder = memory.get("lock")
    if holder and holder.get("run") != run_id:
        return
    if int(memory.get("run_counter", 0)) >= row["run_counter"]:
        return
    last = connection.execute(
        "SELECT run_id, host_runs.outcome FROM host_runs JOIN runs ON runs.id = run_id"
        " WHERE host = ? AND run_id != ? AND verb = 'apply'"
        " AND host_runs.outcome IN ('ok', 'changed', 'failed', 'stopped', 'unknown')"
        " ORDER BY host_runs.ended DESC, host_runs.sequence DESC LIMIT 1",
        (record.host, run_id),
    ).fetchone()
    if last is not None and last["outcome"] == "unknown":
        connection.execute(
            "UPDATE host_runs SET outcome = 'unreachable', reason = reason || ? WHERE run_id = ? AND host = ?",
            (NEVER_TOLD, last["run_id"], record.host),
        )
