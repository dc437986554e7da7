"""The store's verbs. Sync; the async parts call it through `asyncio.to_thread`. One transaction a verb.

Nothing here interprets a plan or a result: documents come and go as JSON-able values.
"""

import hashlib
import json
import threading
import zlib
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from sqlalchemy import and_, delete, desc, insert, select, update
from sqlalchemy.engine import Connection
from sqlalchemy.exc import DatabaseError

from statectl.errors import Refused
from statectl.store import engine as engines
from statectl.store.ids import now, who
from statectl.store.records import HostRecord
from statectl.store.tables import audit, current, deviations, host_runs, host_states, plans, runs


def pack(value: Any) -> bytes:
    return zlib.compress(json.dumps(value, separators=(",", ":")).encode(), 3)


def unpack(data: bytes) -> Any:
    return json.loads(zlib.decompress(data))


class Store:
    """Open with `Store.open(url, root)`."""

    def __init__(self, engine: Any, place: str) -> None:
        self._engine = engine
        self._place = place
        self._lock = threading.Lock()

    @classmethod
    def open(cls, url: str, root: Path) -> "Store":
        return cls(engines.open_engine(url, root), url)

    def close(self) -> None:
        self._engine.dispose()

    def _transaction(self) -> Any:
        return _Transaction(self._engine, self._lock, self._place)

    # --- runs

    def begin_run(
        self, verb: str, scope: Mapping[str, Any], *, run_id: str, commit: str = "", plan_id: str = ""
    ) -> str:
        """A durable row before anything is done: no record, no action. Returns the run's id."""
        with self._transaction() as connection:
            connection.execute(
                insert(runs).values(
                    id=run_id,
                    verb=verb,
                    started=now(),
                    who=who(),
                    git_commit=commit,
                    plan_id=plan_id,
                    scope=json.dumps(scope),
                )
            )
            _append_audit(connection, f"{verb}.begin", {"run": run_id, "plan": plan_id, **scope})
        return run_id

    def end_run(self, run_id: str, outcome: str, counts: Mapping[str, int]) -> None:
        with self._transaction() as connection:
            connection.execute(
                update(runs).where(runs.c.id == run_id).values(ended=now(), outcome=outcome, counts=json.dumps(counts))
            )
            _append_audit(connection, "run.end", {"run": run_id, "outcome": outcome, **counts})

    def record_host(self, run_id: str, record: HostRecord) -> None:
        """One host's part of a run: its results, what deviated, how it stands now, copies of its facts and memory."""
        with self._transaction() as connection:
            key = {"run_id": run_id, "host": record.host}
            for table in (host_runs, deviations):
                connection.execute(delete(table).where(table.c.run_id == run_id, table.c.host == record.host))
            connection.execute(
                insert(host_runs).values(
                    **key,
                    outcome=record.outcome,
                    reason=record.reason,
                    started=record.started or now(),
                    ended=record.ended or now(),
                    results=pack(list(record.results)) if record.results is not None else None,
                )
            )
            if record.deviations:
                connection.execute(insert(deviations), [{**key, **_row(entry)} for entry in record.deviations])
            if record.statuses is not None:
                _overwrite_current(connection, run_id, record)
            _touch_host(connection, record)

    def list_runs(self, limit: int = 50) -> list[dict[str, Any]]:
        """Newest first."""
        with self._transaction() as connection:
            rows = connection.execute(
                select(runs).order_by(desc(runs.c.started), desc(runs.c.id)).limit(limit)
            ).mappings()
            return [_run(row) for row in rows]

    def run(self, run_id: str) -> dict[str, Any] | None:
        """One run with its hosts: {..., hosts: {name: {outcome, reason, started, ended, results}}}."""
        with self._transaction() as connection:
            row = connection.execute(select(runs).where(runs.c.id == run_id)).mappings().first()
            if row is None:
                return None
            hosts = {
                entry["host"]: {
                    "outcome": entry["outcome"],
                    "reason": entry["reason"],
                    "started": entry["started"],
                    "ended": entry["ended"],
                    "results": unpack(entry["results"]) if entry["results"] else None,
                }
                for entry in connection.execute(
                    select(host_runs).where(host_runs.c.run_id == run_id).order_by(host_runs.c.host)
                ).mappings()
            }
            return {**_run(row), "hosts": hosts}

    # --- hosts

    def facts(self) -> dict[str, tuple[dict[str, Any], str]]:
        """{host: (facts, when they were gathered)} of every host ever read."""
        with self._transaction() as connection:
            rows = connection.execute(
                select(host_states.c.host, host_states.c.facts, host_states.c.facts_at).where(
                    host_states.c.facts.is_not(None)
                )
            )
            return {host: (unpack(facts), at) for host, facts, at in rows}

    def host_states(self) -> dict[str, dict[str, Any]]:
        """{host: {host_id, run_counter, last_contact, last_outcome, last_reason, memory}}."""
        with self._transaction() as connection:
            return {
                row["host"]: {
                    "host_id": row["host_id"],
                    "run_counter": row["run_counter"],
                    "last_contact": row["last_contact"],
                    "last_outcome": row["last_outcome"],
                    "last_reason": row["last_reason"],
                    "memory": unpack(row["memory"]) if row["memory"] else None,
                }
                for row in connection.execute(select(host_states)).mappings()
            }

    # --- compliance

    def current(self) -> list[dict[str, Any]]:
        """Every (host, address) as last seen."""
        with self._transaction() as connection:
            rows = connection.execute(select(current).order_by(current.c.host, current.c.address)).mappings()
            return [dict(row) for row in rows]

    # --- plans

    def save_plan(self, document: Mapping[str, Any]) -> None:
        with self._transaction() as connection:
            connection.execute(delete(plans).where(plans.c.expires < now(), plans.c.applied.is_(None)))
            connection.execute(
                insert(plans).values(
                    id=document["id"],
                    created=document["created"],
                    expires=document["expires"],
                    has_changes=document["has_changes"],
                    document=pack(document),
                )
            )

    def plan(self, plan_id: str) -> tuple[dict[str, Any], str | None] | None:
        """(document, when it was applied or None); None when there is no such plan here."""
        with self._transaction() as connection:
            row = connection.execute(select(plans.c.document, plans.c.applied).where(plans.c.id == plan_id)).first()
            return (unpack(row[0]), row[1]) if row else None

    def mark_applied(self, plan_id: str) -> None:
        """Apply once: raises Refused when it was applied before."""
        with self._transaction() as connection:
            row = connection.execute(select(plans.c.applied).where(plans.c.id == plan_id)).first()
            if row is not None and row[0] is not None:
                raise Refused(
                    f"plan {plan_id} was applied at {row[0]}", code="E512", hint="make a new plan: statectl plan"
                )
            connection.execute(update(plans).where(plans.c.id == plan_id).values(applied=now()))
            _append_audit(connection, "plan.apply", {"plan": plan_id})

    # --- audit

    def record_audit(self, action: str, detail: Mapping[str, Any]) -> None:
        with self._transaction() as connection:
            _append_audit(connection, action, detail)

    def verify_audit(self) -> str | None:
        """None when the chain holds; else what is wrong with the first bad row."""
        previous = ""
        expected = 1
        with self._transaction() as connection:
            for row in connection.execute(select(audit).order_by(audit.c.sequence)).mappings():
                if row["sequence"] != expected:
                    return f"audit row {expected} is missing"
                if row["previous"] != previous or row["hash"] != _audit_hash(previous, dict(row)):
                    return f"audit row {row['sequence']} was changed"
                previous, expected = row["hash"], expected + 1
        return None


class _Transaction:
    """One BEGIN IMMEDIATE … COMMIT; database errors leave as one line with a code."""

    def __init__(self, engine: Any, lock: threading.Lock, place: str) -> None:
        self._engine, self._lock, self._place = engine, lock, place

    def __enter__(self) -> Connection:
        self._lock.acquire()
        try:
            self._context = self._engine.begin()
            connection: Connection = self._context.__enter__()
        except DatabaseError as error:
            self._lock.release()
            raise engines.explained(error, self._place) from None
        return connection

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._context.__exit__(kind, error, trace)
        except DatabaseError as failure:
            raise engines.explained(failure, self._place) from None
        finally:
            self._lock.release()
        if isinstance(error, DatabaseError):
            raise engines.explained(error, self._place) from None


def _run(row: Mapping[Any, Any]) -> dict[str, Any]:
    return {
        "id": row["id"],
        "verb": row["verb"],
        "started": row["started"],
        "ended": row["ended"],
        "who": row["who"],
        "commit": row["git_commit"],
        "plan": row["plan_id"],
        "scope": json.loads(row["scope"]),
        "outcome": row["outcome"] or "running or interrupted",
        "counts": json.loads(row["counts"]) if row["counts"] else {},
    }


def _row(entry: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "address": entry["address"],
        "association": entry.get("association", ""),
        "outcome": entry["outcome"],
        "kind": entry.get("kind", ""),
        "detail": json.dumps(entry.get("detail", {})),
    }


def _overwrite_current(connection: Connection, run_id: str, record: HostRecord) -> None:
    """Replace the host's rows within the scope; `since` is kept where the status did not change."""
    mine = current.c.host == record.host
    if record.scope is not None:
        mine = and_(mine, current.c.association.in_(list(record.scope)))
    old = {
        (row["association"], row["address"]): row for row in connection.execute(select(current).where(mine)).mappings()
    }
    connection.execute(delete(current).where(mine))
    at = now()
    rows = []
    for status in record.statuses or ():
        before = old.get((status.association, status.address))
        since = before["since"] if before is not None and before["status"] == status.status else at
        rows.append(
            {
                "host": record.host,
                "association": status.association,
                "address": status.address,
                "status": status.status,
                "since": since,
                "checked": at,
                "run_id": run_id,
                "reason": status.reason,
            }
        )
    if rows:
        connection.execute(insert(current), rows)


def _touch_host(connection: Connection, record: HostRecord) -> None:
    at = now()
    values: dict[str, Any] = {"last_outcome": record.outcome, "last_reason": record.reason}
    if record.facts is not None:
        values |= {"facts": pack(record.facts), "facts_at": at, "last_contact": at, "host_id": record.host_id}
    if record.memory is not None:
        values |= {"memory": pack(record.memory), "memory_at": at}
    row = connection.execute(select(host_states.c.run_counter).where(host_states.c.host == record.host)).first()
    if row is None:
        connection.execute(insert(host_states).values(host=record.host, **values, run_counter=record.run_counter))
    else:
        values["run_counter"] = max(record.run_counter, row[0])
        connection.execute(update(host_states).where(host_states.c.host == record.host).values(**values))


def _append_audit(connection: Connection, action: str, detail: Mapping[str, Any]) -> None:
    """A row that holds the hash of the one before: to change or drop one is to break the chain."""
    last = connection.execute(select(audit.c.sequence, audit.c.hash).order_by(desc(audit.c.sequence)).limit(1)).first()
    row = {
        "sequence": (last[0] if last else 0) + 1,
        "at": now(),
        "who": who(),
        "action": action,
        "detail": json.dumps(detail, sort_keys=True),
    }
    previous = last[1] if last else ""
    connection.execute(insert(audit).values(**row, previous=previous, hash=_audit_hash(previous, row)))


def _audit_hash(previous: str, row: Mapping[str, Any]) -> str:
    text = json.dumps([previous, row["sequence"], row["at"], row["who"], row["action"], row["detail"]])
    return hashlib.sha256(text.encode()).hexdigest()
