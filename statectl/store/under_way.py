"""Runs that have begun and not ended: followed, cancelled, or found to have lost the process that worked on them.

A run of this machine lives as long as its process. Of another machine that shares the store nothing is known but when it was
heard of last: after LEASE_S of silence it counts as gone. The hosts decide for themselves, by their own locks; nothing here
lets anybody write.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from statectl.store.database import Connection, Database, Row, repeatable
from statectl.store.ids import lives, now

LEASE_S = 60
FINISHED = ("ok", "changed", "applied", "done")  # outcomes of a host that has nothing left to do
LOST = "the controller ended before it knew how this host ended"


@dataclass(frozen=True, slots=True)
class Interrupted:
    """A run whose process is gone. `unknown`: hosts that were told to go and of which no end is known."""

    run_id: str
    verb: str
    who: str
    started: str
    unknown: Sequence[str]
    not_begun: Sequence[str]


class UnderWay:
    def __init__(self, database: Database) -> None:
        self._database = database

    @repeatable
    def begun(self, run_id: str, hosts: Iterable[str]) -> None:
        """Durable before these hosts are told to go."""
        with self._database.transaction() as connection:
            connection.executemany(
                "UPDATE run_targets SET begun = ? WHERE run_id = ? AND host = ?",
                [(now(), run_id, host) for host in hosts],
            )

    @repeatable
    def beat(self, run_id: str, messages: Sequence[tuple[str, Mapping[str, Any]]]) -> None:
        """We are alive, and this was told: [(host, message)]."""
        with self._database.transaction() as connection:
            connection.execute("UPDATE runs SET heard = ? WHERE id = ?", (now(), run_id))
            last = connection.execute(
                "SELECT coalesce(max(sequence), 0) FROM run_messages WHERE run_id = ?", (run_id,)
            ).fetchone()[0]
            connection.executemany(
                "INSERT INTO run_messages (run_id, sequence, host, message) VALUES (?, ?, ?, ?)",
                [
                    (run_id, last + place, host, json.dumps(message))
                    for place, (host, message) in enumerate(messages, 1)
                ],
            )

    @repeatable
    def cancelled_by(self, run_id: str) -> str:
        """Who asked for the run to end; '' when nobody did."""
        with self._database.reading() as connection:
            row = connection.execute("SELECT cancelled_by FROM runs WHERE id = ?", (run_id,)).fetchone()
        return str(row["cancelled_by"]) if row else ""

    @repeatable
    def cancel(self, run_id: str, by: str) -> None:
        with self._database.transaction() as connection:
            connection.execute(
                "UPDATE runs SET cancelled_by = ? WHERE id = ? AND ended IS NULL AND cancelled_by = ''", (by, run_id)
            )

    @repeatable
    def told(self, run_id: str, after: int) -> list[tuple[int, str, dict[str, Any]]]:
        """[(sequence, host, message)] since `after`."""
        with self._database.reading() as connection:
            rows = connection.execute(
                "SELECT sequence, host, message FROM run_messages WHERE run_id = ? AND sequence > ? ORDER BY sequence",
                (run_id, after),
            ).fetchall()
        return [(row["sequence"], row["host"], json.loads(row["message"])) for row in rows]

    @repeatable
    def alive(self, run_id: str) -> bool:
        """Has it not ended, and does somebody still work on it?"""
        with self._database.reading() as connection:
            row = connection.execute(
                "SELECT ended, process, heard, started FROM runs WHERE id = ?", (run_id,)
            ).fetchone()
        return row is not None and row["ended"] is None and not _gone(row)

    @repeatable
    def progress(self, run_id: str) -> tuple[int, int]:
        """(hosts that ended, hosts of the run)."""
        with self._database.reading() as connection:
            total = connection.execute("SELECT count(*) FROM run_targets WHERE run_id = ?", (run_id,)).fetchone()[0]
            ended = connection.execute("SELECT count(*) FROM host_runs WHERE run_id = ?", (run_id,)).fetchone()[0]
        return int(ended), int(total)

    @repeatable
    def targets(self, run_id: str) -> dict[str, tuple[bool, str]]:
        """{host: (was it told to go, outcome or '')}, in the order of the run."""
        with self._database.reading() as connection:
            rows = connection.execute(
                "SELECT t.host, t.begun, coalesce(h.outcome, '') AS outcome FROM run_targets t"
                " LEFT JOIN host_runs h ON h.run_id = t.run_id AND h.host = t.host WHERE t.run_id = ? ORDER BY t.position",
                (run_id,),
            ).fetchall()
        return {row["host"]: (row["begun"] is not None, row["outcome"]) for row in rows}

    @repeatable
    def course(self, run_id: str) -> list[tuple[str, str, str, str]]:
        """[(host, when it was told to go or '', outcome or '', reason)], in the order of the run."""
        with self._database.reading() as connection:
            rows = connection.execute(
                "SELECT t.host, coalesce(t.begun, '') AS begun, coalesce(h.outcome, '') AS outcome,"
                " coalesce(h.reason, '') AS reason FROM run_targets t"
                " LEFT JOIN host_runs h ON h.run_id = t.run_id AND h.host = t.host WHERE t.run_id = ? ORDER BY t.position",
                (run_id,),
            ).fetchall()
        return [(row["host"], row["begun"], row["outcome"], row["reason"]) for row in rows]

    @repeatable
    def seen(self) -> dict[str, dict[str, Any]]:
        """{host: {"host_id", "number"}}: the highest run counter that each host has shown."""
        with self._database.reading() as connection:
            rows = connection.execute(
                "SELECT host, host_id, run_counter FROM host_states WHERE run_counter > 0"
            ).fetchall()
        return {row["host"]: {"host_id": row["host_id"], "number": int(row["run_counter"])} for row in rows}

    @repeatable
    def close_interrupted(self) -> list[Interrupted]:
        """Runs whose process is gone, ended here as interrupted: each is returned once, by whoever looks first."""
        with self._database.transaction() as connection:
            rows = connection.execute("SELECT * FROM runs WHERE ended IS NULL AND process != ''").fetchall()
            return [_close(connection, row) for row in rows if _gone(row)]


def add_targets(connection: Connection, run_id: str, hosts: Sequence[str]) -> None:
    connection.executemany(
        "INSERT INTO run_targets (run_id, host, position) VALUES (?, ?, ?)",
        [(run_id, host, place) for place, host in enumerate(hosts)],
    )


def forget_messages(connection: Connection, run_id: str) -> None:
    connection.execute("DELETE FROM run_messages WHERE run_id = ?", (run_id,))


def _gone(row: Row) -> bool:
    known = lives(row["process"])
    if known is not None:
        return not known
    heard = datetime.strptime(row["heard"] or row["started"], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    return datetime.now(UTC) - heard > timedelta(seconds=LEASE_S)


def _close(connection: Connection, row: Row) -> Interrupted:
    run_id = row["id"]
    rows = connection.execute(
        "SELECT host, begun FROM run_targets t WHERE run_id = ? AND NOT EXISTS"
        " (SELECT 1 FROM host_runs h WHERE h.run_id = t.run_id AND h.host = t.host) ORDER BY position",
        (run_id,),
    ).fetchall()
    unknown = [one["host"] for one in rows if one["begun"] is not None]
    not_begun = [one["host"] for one in rows if one["begun"] is None]
    at = now()
    for host, outcome, reason in (
        *((host, "unknown", LOST) for host in unknown),
        *((host, "terminated", "not started: the controller ended") for host in not_begun),
    ):
        connection.execute(
            "INSERT INTO host_runs (run_id, host, outcome, reason, started, ended, results, sequence)"
            " VALUES (?, ?, ?, ?, ?, ?, NULL, (SELECT coalesce(max(sequence), 0) + 1 FROM host_runs))",
            (run_id, host, outcome, reason, row["started"], at),
        )
    connection.execute(
        "UPDATE runs SET ended = ?, outcome = 'interrupted', counts = ? WHERE id = ?",
        (at, json.dumps(outcomes(connection, run_id)), run_id),
    )
    forget_messages(connection, run_id)
    return Interrupted(run_id, row["verb"], row["who"], row["started"], unknown, not_begun)


def outcomes(connection: Connection, run_id: str) -> dict[str, int]:
    """How many hosts of a run ended how."""
    rows = connection.execute("SELECT outcome, count(*) FROM host_runs WHERE run_id = ? GROUP BY outcome", (run_id,))
    return {row[0]: row[1] for row in rows}
