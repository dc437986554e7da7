"""The store's verbs. Sync; the async parts call it through `asyncio.to_thread`. One transaction a verb.

Nothing here interprets a plan or a result: documents come and go as JSON-able values.
"""

import json
import zlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from statectl.errors import Refused
from statectl.store.audit import append_audit, audit_hash
from statectl.store.collected import Collected
from statectl.store.database import Connection, Database, Row, open_database, repeatable
from statectl.store.ids import now, this_process, who
from statectl.store.managed import Managed
from statectl.store.patch_history import PatchHistory
from statectl.store.patches import Patches
from statectl.store.records import HostRecord, Status
from statectl.store.resolving import never_began, outcome_of
from statectl.store.slots import Slots
from statectl.store.status import host_status, run_status
from statectl.store.tags import Tags
from statectl.store.under_way import UnderWay, add_targets, forget_messages, outcomes

MAX_WORD = 200  # characters of a word that a host says of a run


def pack(value: Any) -> bytes:
    return zlib.compress(json.dumps(value, separators=(",", ":")).encode(), 3)


def unpack(data: bytes) -> Any:
    return json.loads(zlib.decompress(data))


class Store:
    """Open with `Store.open(url, root)`."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.under_way = UnderWay(database)
        self.slots = Slots(database)
        self.collected = Collected(database)
        self.managed = Managed(database)
        self.tags = Tags(database)
        self.patches = Patches(database)
        self.patch_history = PatchHistory(database)

    @classmethod
    def open(cls, url: str, root: Path) -> "Store":
        return cls(open_database(url, root))

    @property
    def database(self) -> Database:
        """For what lies beside the runs: parameters."""
        return self._database

    def close(self) -> None:
        self._database.close()

    @repeatable
    def parameter_uses(self, host: str | None = None) -> list[dict[str, Any]]:
        """[{host, selector, version, run_id, at}]: what the files on every host, or on one, were made with, as last applied."""
        where, values = ("", ()) if host is None else (" WHERE host = ?", (host,))
        with self._database.reading() as connection:
            rows = connection.execute(f"SELECT * FROM parameter_uses{where} ORDER BY selector, host", values).fetchall()  # noqa: S608
        return [dict(row) for row in rows]

    @repeatable
    def has_declared_parameters(self, project: str) -> bool:
        """Did an apply of the project ever put a parameter that its files declared?"""
        with self._database.reading() as connection:
            found = connection.execute(
                "SELECT 1 FROM declared_parameters WHERE project = ? LIMIT 1", (project,)
            ).fetchone()
        return found is not None

    # --- runs

    @repeatable
    def begin_run(
        self,
        verb: str,
        scope: Mapping[str, Any],
        *,
        run_id: str,
        commit: str = "",
        plan_id: str = "",
        hosts: Sequence[str] = (),
        document: Mapping[str, Any] | None = None,
        project: str = "",
    ) -> str:
        """A durable row before anything is done: no record, no action. Returns the run's id.

        hosts      those that it is about
        document   the plan that it applies, when that is not kept already: nobody else can apply it any more
        """
        with self._database.transaction() as connection:
            connection.execute(
                "INSERT INTO runs (id, verb, started, who, git_commit, plan_id, scope, process, heard, project, sequence)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, (SELECT coalesce(max(sequence), 0) + 1 FROM runs))",
                (
                    run_id,
                    verb,
                    now(),
                    who(),
                    commit,
                    plan_id,
                    json.dumps(scope),
                    this_process() if hosts else "",
                    now(),
                    project,
                ),
            )
            add_targets(connection, run_id, hosts)
            if document is not None:
                _insert_plan(connection, document, applied=now())
            append_audit(connection, f"{verb}.begin", {"run": run_id, "plan": plan_id, **scope})
        return run_id

    @repeatable
    def end_run(
        self, run_id: str, outcome: str, counts: Mapping[str, int], stop: Mapping[str, Any] | None = None
    ) -> None:
        """`stop`: what stopped it, or would have, as its report says."""
        with self._database.transaction() as connection:
            connection.execute(
                "UPDATE runs SET ended = ?, outcome = ?, counts = ?, stop = ? WHERE id = ?",
                (now(), outcome, json.dumps(counts), json.dumps(stop or {}), run_id),
            )
            forget_messages(connection, run_id)
            append_audit(connection, "run.end", {"run": run_id, "outcome": outcome, **counts})

    def record_host(self, run_id: str, record: HostRecord) -> None:
        """One host's part of a run: its results, what deviated, how it stands now, copies of its facts and memory."""
        self.record_hosts(run_id, [record])

    @repeatable
    def record_hosts(self, run_id: str, records: Sequence[HostRecord]) -> None:
        """The parts of several hosts, in one transaction."""
        with self._database.transaction() as connection:
            for record in records:
                _record_host(connection, run_id, record)

    @repeatable
    def take_over(self, host: str, result: Mapping[str, Any]) -> None:
        """A result that the host kept, because the controller that asked for it was gone: of a run of this store, or of another's.

        What is known already of how the run ended on that host stays: a host does not rewrite its history.
        """
        run_id = str(result["run"])
        with self._database.transaction() as connection:
            known = connection.execute("SELECT ended FROM runs WHERE id = ?", (run_id,)).fetchone()
            started, ended = _moment(result.get("started")), _moment(result.get("ended"))
            outcome = outcome_of(result)
            counts = json.dumps({outcome: 1})
            if known is None:
                connection.execute(
                    "INSERT INTO runs (id, verb, started, ended, who, git_commit, plan_id, scope, outcome, counts, sequence)"
                    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, (SELECT coalesce(max(sequence), 0) + 1 FROM runs))",
                    (
                        run_id,
                        str(result.get("kind", "apply")),
                        started,
                        ended,
                        str(result.get("controller", ""))[:MAX_WORD],
                        str(result.get("commit") or "")[:MAX_WORD],
                        str(result.get("plan_id") or "")[:MAX_WORD],
                        "{}",
                        "taken over",
                        counts,
                    ),
                )
            elif known["ended"] is None:
                connection.execute(
                    "UPDATE runs SET ended = ?, outcome = 'taken over', counts = ? WHERE id = ?",
                    (ended, counts, run_id),
                )
            entries = [*result.get("results", ()), *result.get("notified", ())]
            connection.execute(
                "INSERT INTO host_runs (run_id, host, outcome, reason, started, ended, results, sequence)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, (SELECT coalesce(max(sequence), 0) + 1 FROM host_runs))"
                " ON CONFLICT (run_id, host) DO UPDATE SET outcome = excluded.outcome, reason = excluded.reason,"
                " started = excluded.started, ended = excluded.ended, results = excluded.results"
                " WHERE host_runs.outcome NOT IN ('ok', 'changed', 'refused', 'stopped')",
                (
                    run_id,
                    host,
                    outcome[:MAX_WORD],
                    str(result.get("reason") or ""),
                    started,
                    ended,
                    pack(entries),
                ),
            )
            if (
                known is not None and known["ended"] is not None
            ):  # what was unknown when the run was closed is known now
                connection.execute(
                    "UPDATE runs SET counts = ? WHERE id = ?", (json.dumps(outcomes(connection, run_id)), run_id)
                )
            append_audit(connection, "result.taken_over", {"run": run_id, "host": host})

    @repeatable
    def list_runs(self, limit: int = 50) -> list[dict[str, Any]]:
        """Newest first."""
        with self._database.reading() as connection:
            rows = connection.execute(
                "SELECT * FROM runs ORDER BY started DESC, sequence DESC LIMIT ?", (limit,)
            ).fetchall()
        return [_run(row) for row in rows]

    @repeatable
    def run(self, run_id: str) -> dict[str, Any] | None:
        """One run with its hosts: {..., hosts: {name: {outcome, reason, started, ended, results}}}."""
        with self._database.reading() as connection:
            row = connection.execute("SELECT * FROM runs WHERE id = ?", (run_id,)).fetchone()
            hosts = connection.execute("SELECT * FROM host_runs WHERE run_id = ? ORDER BY host", (run_id,)).fetchall()
        if row is None:
            return None
        found = {
            entry["host"]: {
                "outcome": entry["outcome"],
                "status": host_status(entry["outcome"]),
                "reason": entry["reason"],
                "code": entry["code"],
                "hint": entry["hint"],
                "started": entry["started"],
                "ended": entry["ended"],
                "results": unpack(entry["results"]) if entry["results"] else None,
            }
            for entry in hosts
        }
        return {**_run(row), "hosts": found}

    @repeatable
    def run_head(self, run_id: str) -> dict[str, Any] | None:
        """One run without its hosts."""
        with self._database.reading() as connection:
            row = connection.execute("SELECT * FROM runs WHERE id = ?", (run_id,)).fetchone()
        return _run(row) if row is not None else None

    # --- hosts

    @repeatable
    def facts(self) -> dict[str, tuple[dict[str, Any], str]]:
        """{host: (facts, when they were gathered)} of every host ever read."""
        with self._database.reading() as connection:
            rows = connection.execute(
                "SELECT host, facts, facts_at FROM host_states WHERE facts IS NOT NULL"
            ).fetchall()
        return {row["host"]: (unpack(row["facts"]), row["facts_at"]) for row in rows}

    @repeatable
    def host_states(self) -> dict[str, dict[str, Any]]:
        """{host: {host_id, run_counter, last_contact, last_outcome, last_reason, memory}}."""
        with self._database.reading() as connection:
            rows = connection.execute("SELECT * FROM host_states").fetchall()
        plain = ("host_id", "run_counter", "last_contact", "last_outcome", "last_reason")
        return {
            row["host"]: {
                **{name: row[name] for name in plain},
                "memory": unpack(row["memory"]) if row["memory"] else None,
            }
            for row in rows
        }

    @repeatable
    def saw(self, host: str, host_id: str, facts: Mapping[str, Any]) -> None:
        """A contact that was about nothing but reading: facts, and that the host was there."""
        at = now()
        with self._database.transaction() as connection:
            connection.execute(
                "INSERT INTO host_states (host, host_id, run_counter, last_outcome, last_reason) VALUES (?, '', 0, '', '')"
                " ON CONFLICT (host) DO NOTHING",
                (host,),
            )
            connection.execute(
                "UPDATE host_states SET facts = ?, facts_at = ?, last_contact = ?, host_id = ? WHERE host = ?",
                (pack(facts), at, at, host_id, host),
            )

    # --- compliance

    @repeatable
    def current(self) -> list[dict[str, Any]]:
        """Every (host, association, address) as last seen."""
        with self._database.reading() as connection:
            rows = connection.execute("SELECT * FROM current_states ORDER BY host, address, association").fetchall()
        return [dict(row) for row in rows]

    @repeatable
    def drifted(self) -> dict[tuple[str, str, str], str]:
        """{(host, association, address): since when it is seen as drifted}."""
        with self._database.reading() as connection:
            rows = connection.execute(
                "SELECT host, association, address, since FROM current_states WHERE status = 'drifted'"
            ).fetchall()
        return {(row["host"], row["association"], row["address"]): row["since"] for row in rows}

    @repeatable
    def status_changes(self) -> list[dict[str, Any]]:
        """[{at, run_id, host, association, address, before, after, reason}], oldest first."""
        with self._database.reading() as connection:
            rows = connection.execute(
                "SELECT at, run_id, host, association, address, before, after, reason FROM status_changes ORDER BY at, sequence"
            ).fetchall()
        return [dict(row) for row in rows]

    @repeatable
    def readings(self) -> list[dict[str, Any]]:
        """[{at, run_id, verb, host, outcome}] of every host of every run that read hosts, oldest first."""
        with self._database.reading() as connection:
            rows = connection.execute(
                "SELECT host_runs.ended AS at, run_id, verb, host, host_runs.outcome AS outcome FROM host_runs"
                " JOIN runs ON runs.id = run_id WHERE verb IN ('plan', 'apply', 'drift') ORDER BY host_runs.ended, host_runs.sequence"
            ).fetchall()
        return [dict(row) for row in rows]

    # --- plans

    @repeatable
    def save_plan(self, document: Mapping[str, Any]) -> None:
        with self._database.transaction() as connection:
            connection.execute("DELETE FROM plans WHERE expires < ? AND applied IS NULL", (now(),))
            _insert_plan(connection, document, applied=None)

    @repeatable
    def plan(self, plan_id: str) -> tuple[dict[str, Any], str | None] | None:
        """(document, when it was applied or None); None when there is no such plan here."""
        with self._database.reading() as connection:
            row = connection.execute("SELECT document, applied FROM plans WHERE id = ?", (plan_id,)).fetchone()
        return (unpack(row["document"]), row["applied"]) if row else None

    @repeatable
    def mark_applied(self, plan_id: str) -> None:
        """Apply once: raises Refused when it was applied before."""
        with self._database.transaction() as connection:
            row = connection.execute("SELECT applied FROM plans WHERE id = ?", (plan_id,)).fetchone()
            if row is not None and row["applied"] is not None:
                raise Refused(
                    f"plan {plan_id} was applied at {row['applied']}",
                    code="E512",
                    hint="make a new plan: statectl plan",
                )
            connection.execute("UPDATE plans SET applied = ? WHERE id = ?", (now(), plan_id))
            append_audit(connection, "plan.apply", {"plan": plan_id})

    # --- audit

    @repeatable
    def verify_audit(self) -> str | None:
        """None when the chain holds; else what is wrong with the first bad row."""
        previous = ""
        with self._database.reading() as connection:
            for expected, row in enumerate(connection.execute("SELECT * FROM audit ORDER BY sequence"), 1):
                if row["sequence"] != expected:
                    return f"audit row {expected} is missing"
                if row["previous"] != previous or row["hash"] != audit_hash(previous, dict(row)):
                    return f"audit row {row['sequence']} was changed"
                previous = row["hash"]
        return None


def _insert_plan(connection: Connection, document: Mapping[str, Any], *, applied: str | None) -> None:
    connection.execute(
        "INSERT INTO plans (id, created, expires, applied, has_changes, document) VALUES (?, ?, ?, ?, ?, ?)",
        (
            document["id"],
            document["created"],
            document["expires"],
            applied,
            int(document["has_changes"]),
            pack(document),
        ),
    )


def _run(row: Row) -> dict[str, Any]:
    ended = row["ended"] is not None
    return {
        "id": row["id"],
        "verb": row["verb"],
        "started": row["started"],
        "ended": row["ended"],
        "who": row["who"],
        "commit": row["git_commit"],
        "plan": row["plan_id"],
        "scope": json.loads(row["scope"]),
        "outcome": row["outcome"] or ("cancelling" if row["cancelled_by"] else "running"),
        "status": run_status(row["outcome"] or "", ended=ended, cancelled_by=row["cancelled_by"]),
        "cancelled_by": row["cancelled_by"],
        "counts": json.loads(row["counts"]) if row["counts"] else {},
        "stop": json.loads(row["stop"]),
    }


def _moment(seconds: Any) -> str:
    """A host's own clock, as it said: an integer of seconds since 1970."""
    from datetime import UTC, datetime

    try:
        return datetime.fromtimestamp(int(seconds), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    except (TypeError, ValueError, OverflowError, OSError):
        return now()


def _record_host(connection: Connection, run_id: str, record: HostRecord) -> None:
    never_began(connection, run_id, record)
    key = (run_id, record.host)
    connection.execute("DELETE FROM host_runs WHERE run_id = ? AND host = ?", key)
    connection.execute("DELETE FROM deviations WHERE run_id = ? AND host = ?", key)
    connection.execute(
        "INSERT INTO host_runs (run_id, host, outcome, reason, code, hint, started, ended, results, sequence)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, (SELECT coalesce(max(sequence), 0) + 1 FROM host_runs))",
        (
            *key,
            record.outcome,
            record.reason,
            record.code,
            record.hint,
            record.started or now(),
            record.ended or now(),
            pack(list(record.results)) if record.results is not None else None,
        ),
    )
    connection.executemany(
        "INSERT INTO deviations (run_id, host, address, association, outcome, kind, detail) VALUES (?, ?, ?, ?, ?, ?, ?)",
        [
            (
                *key,
                entry["address"],
                entry.get("association", ""),
                entry["outcome"],
                entry.get("kind", ""),
                json.dumps(entry.get("detail", {})),
            )
            for entry in record.deviations
        ],
    )
    if record.statuses is not None:
        _overwrite_current(connection, run_id, record)
    if record.parameters is not None:
        _overwrite_uses(connection, run_id, record, record.parameters)
    _touch_host(connection, record)


def _overwrite_uses(connection: Connection, run_id: str, record: HostRecord, versions: Mapping[str, int]) -> None:
    """Of some associations: added to what is known of the others."""
    if record.scope is None:
        connection.execute("DELETE FROM parameter_uses WHERE host = ?", (record.host,))
    at = now()
    connection.executemany(
        "INSERT INTO parameter_uses (host, selector, version, run_id, at) VALUES (?, ?, ?, ?, ?)"
        " ON CONFLICT (host, selector) DO UPDATE SET version = excluded.version, run_id = excluded.run_id, at = excluded.at",
        [(record.host, selector, version, run_id, at) for selector, version in versions.items()],
    )


def _overwrite_current(connection: Connection, run_id: str, record: HostRecord) -> None:
    """Replace the host's rows within the scope; `since` is kept where the status did not change."""
    rows = connection.execute(
        "SELECT association, address, status, since FROM current_states WHERE host = ?", (record.host,)
    ).fetchall()
    scope = None if record.scope is None else set(record.scope)
    old = {(row["association"], row["address"]): row for row in rows if scope is None or row["association"] in scope}
    if record.partial:
        seen = {(status.association, status.address) for status in record.statuses or ()}
        old = {key: row for key, row in old.items() if key in seen}
    connection.executemany(
        "DELETE FROM current_states WHERE host = ? AND association = ? AND address = ?",
        [(record.host, association, address) for association, address in old],
    )
    at = now()
    fresh = []
    for status in record.statuses or ():
        before = old.get((status.association, status.address))
        since = before["since"] if before is not None and before["status"] == status.status else at
        fresh.append((record.host, status.association, status.address, status.status, since, at, run_id, status.reason))
    last = connection.execute("SELECT coalesce(max(sequence), 0) FROM status_changes").fetchone()[0]
    connection.executemany(
        "INSERT INTO status_changes (sequence, at, run_id, host, association, address, before, after, reason)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        [
            (last + place, at, run_id, record.host, *key, before, after, reason)
            for place, (key, before, after, reason) in enumerate(_moved(old, record.statuses or ()), 1)
        ],
    )
    connection.executemany(
        "INSERT INTO current_states (host, association, address, status, since, checked, run_id, reason)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        fresh,
    )


def _moved(
    old: Mapping[tuple[str, str], Row], new: Sequence[Status]
) -> Iterator[tuple[tuple[str, str], str, str, str]]:
    """((association, address), status before, after, reason) of what has another status than before."""
    left = {key: row["status"] for key, row in old.items()}
    for status in new:
        key = (status.association, status.address)
        before = left.pop(key, "")
        if before != status.status and (before or status.status != "compliant"):
            yield key, before, status.status, status.reason
    for key, before in left.items():
        if before != "compliant":
            yield key, before, "", "no longer declared"


def _touch_host(connection: Connection, record: HostRecord) -> None:
    at = now()
    connection.execute(
        "INSERT INTO host_states (host, host_id, run_counter, last_outcome, last_reason) VALUES (?, '', 0, '', '')"
        " ON CONFLICT (host) DO NOTHING",
        (record.host,),
    )
    connection.execute(
        "UPDATE host_states SET last_outcome = ?, last_reason = ?,"
        " run_counter = CASE WHEN run_counter < ? THEN ? ELSE run_counter END WHERE host = ?",
        (record.outcome, record.reason, record.run_counter, record.run_counter, record.host),
    )
    if record.facts is not None:
        connection.execute(
            "UPDATE host_states SET facts = ?, facts_at = ?, last_contact = ?, host_id = ? WHERE host = ?",
            (pack(record.facts), at, at, record.host_id, record.host),
        )
    if record.memory is not None:
        connection.execute(
            "UPDATE host_states SET memory = ?, memory_at = ? WHERE host = ?", (pack(record.memory), at, record.host)
        )
