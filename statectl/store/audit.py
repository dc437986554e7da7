"""The audit table: rows that are only ever added, each with the hash of the one before. To change or drop one is to break the chain."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Any

from statectl.store.database import Connection
from statectl.store.ids import now, who


def append_audit(connection: Connection, action: str, detail: Mapping[str, Any]) -> None:
    """One row, in the transaction of what it tells about: without it nothing is done."""
    append_audits(connection, [(action, detail)])


def append_audits(
    connection: Connection, entries: Iterable[tuple[str, Mapping[str, Any]]], *, by: str = "", at: str = ""
) -> None:
    """Several rows in order. `by`: who did it, when that is not whoever runs this process; `at`: when, by the caller's clock."""
    last = connection.execute("SELECT sequence, hash FROM audit ORDER BY sequence DESC LIMIT 1").fetchone()
    sequence, previous = (last["sequence"], last["hash"]) if last else (0, "")
    at, by = at or now(), by or who()
    rows = []
    for action, detail in entries:
        sequence += 1
        row = {
            "sequence": sequence,
            "at": at,
            "who": by,
            "action": action,
            "detail": json.dumps(detail, sort_keys=True),
        }
        digest = audit_hash(previous, row)
        rows.append((*row.values(), previous, digest))
        previous = digest
    connection.executemany(
        "INSERT INTO audit (sequence, at, who, action, detail, previous, hash) VALUES (?, ?, ?, ?, ?, ?, ?)", rows
    )


def audit_hash(previous: str, row: Mapping[str, Any]) -> str:
    text = json.dumps([previous, row["sequence"], row["at"], row["who"], row["action"], row["detail"]])
    return hashlib.sha256(text.encode()).hexdigest()
