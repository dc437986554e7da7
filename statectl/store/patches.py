"""What is remembered of patches, by what it is about: `records.patches`."""

import json
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from statectl.store.audit import append_audit
from statectl.store.database import Database, repeatable
from statectl.store.ids import who
from statectl.store.patch_feeds import PatchFeeds
from statectl.store.patch_indexes import PatchFiles, PatchPolls
from statectl.store.patch_ledger import PatchLedger, text_of
from statectl.store.patch_scans import KeptScan, PatchScans


@dataclass(frozen=True, slots=True)
class KeptSnapshot:
    """`baselines`: JSON of them as they were."""

    id: str
    created: str
    as_of: str
    baselines: Any
    by: str


class Patches:
    def __init__(self, database: Database) -> None:
        self._database = database
        self.scans_kept = PatchScans(database)
        self.ledger = PatchLedger(database)
        self.feeds = PatchFeeds(database)
        self.polls = PatchPolls(database)
        self.files = PatchFiles(database)

    # --- scans

    def keep_scan(self, host: str, message: Mapping[str, Any], at: str, run_id: str = "") -> None:
        """The host's latest, `patches` of its `ready`; one with `trouble` leaves the one before it. `at`: ISO 8601, of the controller."""
        self.scans_kept.keep(host, message, at, run_id)

    def scan(self, host: str) -> KeptScan | None:
        return self.scans_kept.one(host)

    def scans(self, hosts: Iterable[str] | None = None) -> dict[str, KeptScan]:
        return self.scans_kept.all(hosts)

    # --- snapshots

    @repeatable
    def freeze(self, name: str, baselines: Any, as_of: datetime) -> KeptSnapshot:
        """The snapshot of that id: the one that is there, whoever made it, or this one."""
        at = text_of(as_of)
        with self._database.transaction() as connection:
            done = connection.execute(
                "INSERT INTO patch_snapshots (id, created, as_of, baselines, made_by) VALUES (?, ?, ?, ?, ?)"
                " ON CONFLICT (id) DO NOTHING",
                (name, at, at, zlib.compress(json.dumps(baselines).encode()), who()),
            )
            if done.rowcount == 1:
                append_audit(connection, "patch.snapshot", {"snapshot": name})
            row = connection.execute("SELECT * FROM patch_snapshots WHERE id = ?", (name,)).fetchone()
        return _snapshot(row)

    @repeatable
    def snapshots(self) -> list[KeptSnapshot]:
        """Newest first."""
        with self._database.reading() as connection:
            rows = connection.execute("SELECT * FROM patch_snapshots ORDER BY created DESC, id").fetchall()
        return [_snapshot(row) for row in rows]

    @repeatable
    def forget_snapshots(self, before: datetime) -> int:
        """Those that were created before then -> how many."""
        with self._database.transaction() as connection:
            return connection.execute("DELETE FROM patch_snapshots WHERE created < ?", (text_of(before),)).rowcount


def _snapshot(row: Any) -> KeptSnapshot:
    return KeptSnapshot(
        row["id"], row["created"], row["as_of"], json.loads(zlib.decompress(row["baselines"])), row["made_by"]
    )
