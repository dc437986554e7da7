"""The latest scan of each host. What is the same on many hosts (installed packages, available ones, advisories) is kept once.

A scan that could not be believed replaces nothing: it is remembered as trouble beside the last one that could.
"""

import hashlib
import json
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from statectl.store.database import Connection, Database, repeatable

PARTS = ("installed", "available", "advisories", "changelogs")
AT_ONCE = 500
LEVEL = 3


@dataclass(frozen=True, slots=True)
class KeptScan:
    """A host's latest scan. Times are UTC in ISO 8601.

    message   as the host told it, the last one that could be believed; None: there was none
    trouble   why the latest try, of `tried`, could not be believed; '': it could, and `tried` is `at`
    since     {"name arch version": since when it is known to be installed}
    """

    host: str
    at: str
    run_id: str
    message: Mapping[str, Any] | None
    first_at: str
    tried: str
    tried_run: str
    trouble: str
    since: Mapping[str, str]


class PatchScans:
    def __init__(self, database: Database) -> None:
        self._database = database

    @repeatable
    def keep(self, host: str, message: Mapping[str, Any], at: str, run_id: str = "") -> None:
        """`message`: `patches` of the host's `ready`, checked. `at`: by the controller's clock."""
        trouble = str(message.get("trouble") or "")
        with self._database.transaction() as connection:
            before = connection.execute("SELECT * FROM patch_scans WHERE host = ?", (host,)).fetchone()
            if trouble:
                connection.execute(
                    "INSERT INTO patch_scans (host, at, run_id, first_at, tried, tried_run, trouble) VALUES (?, '', '', '', ?, ?, ?)"
                    " ON CONFLICT (host) DO UPDATE SET tried = excluded.tried, tried_run = excluded.tried_run,"
                    " trouble = excluded.trouble",
                    (host, at, run_id, trouble),
                )
                return
            moved = _keep_parts(connection, host, message)
            installed = before["installed"] if before is not None else None
            if "installed" in moved or installed is None:
                installed = _pack(_since(_unpack(installed) if installed else {}, message, at))
            head = {key: value for key, value in message.items() if key not in PARTS}
            first_at = (before["first_at"] if before is not None else "") or at
            connection.execute(
                "INSERT INTO patch_scans (host, at, run_id, head, installed, first_at, tried, tried_run, trouble)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?, '') ON CONFLICT (host) DO UPDATE SET at = excluded.at, run_id = excluded.run_id,"
                " head = excluded.head, installed = excluded.installed, first_at = excluded.first_at, tried = excluded.tried,"
                " tried_run = excluded.tried_run, trouble = excluded.trouble",
                (host, at, run_id, _pack(head), installed, first_at, at, run_id),
            )

    def one(self, host: str) -> KeptScan | None:
        return self.all([host]).get(host)

    @repeatable
    def all(self, hosts: Iterable[str] | None = None) -> dict[str, KeptScan]:
        """{host: scan} of all hosts, or of these. Rows that hosts share are one object: not to be changed."""
        wanted = None if hosts is None else sorted(set(hosts))
        with self._database.reading() as connection:
            heads = _of_hosts(connection, "SELECT * FROM patch_scans", wanted)
            parts = _of_hosts(connection, "SELECT * FROM patch_scan_parts", wanted)
            if wanted is None:
                rows = connection.execute("SELECT digest, content FROM patch_contents").fetchall()
            else:
                digests = sorted({row["digest"] for row in parts})
                rows = _of_hosts(connection, "SELECT digest, content FROM patch_contents", digests, "digest")
        contents = {row["digest"]: _unpack(row["content"]) for row in rows}
        of: dict[str, dict[str, Any]] = {}
        for row in parts:
            of.setdefault(row["host"], {})[row["part"]] = contents[row["digest"]]
        shared: dict[bytes, dict[str, str]] = {}
        found = {}
        for row in heads:
            message = None if row["head"] is None else {**_unpack(row["head"]), **of.get(row["host"], {})}
            packed = bytes(row["installed"]) if row["installed"] is not None else b""
            if packed and packed not in shared:
                shared[packed] = _unpack(packed)
            found[row["host"]] = KeptScan(
                row["host"], row["at"], row["run_id"], message, row["first_at"], row["tried"], row["tried_run"],
                row["trouble"], shared.get(packed, {}),
            )  # fmt: skip
        return found

    @repeatable
    def installed_versions(self) -> set[tuple[str, str, str]]:
        """(name, architecture, version) of everything that some host has installed."""
        with self._database.reading() as connection:
            rows = connection.execute(
                "SELECT DISTINCT patch_contents.digest AS digest, content FROM patch_contents JOIN patch_scan_parts"
                " ON patch_scan_parts.digest = patch_contents.digest WHERE part = 'installed'"
            ).fetchall()
        return {(str(one[0]), str(one[1]), str(one[2])) for row in rows for one in _unpack(row["content"])}

    @repeatable
    def forget(self, hosts: Iterable[str]) -> None:
        """Hosts that are no more."""
        with self._database.transaction() as connection:
            for host in hosts:
                connection.execute("DELETE FROM patch_scans WHERE host = ?", (host,))
                rows = connection.execute("SELECT digest FROM patch_scan_parts WHERE host = ?", (host,)).fetchall()
                connection.execute("DELETE FROM patch_scan_parts WHERE host = ?", (host,))
                _sweep(connection, {row["digest"] for row in rows})


def _keep_parts(connection: Connection, host: str, message: Mapping[str, Any]) -> set[str]:
    """-> the names of the parts that are others than before."""
    rows = connection.execute("SELECT part, digest FROM patch_scan_parts WHERE host = ?", (host,)).fetchall()
    before = {row["part"]: row["digest"] for row in rows}
    moved, gone = set(), set()
    for part in PARTS:
        data = json.dumps(message.get(part), separators=(",", ":")).encode() if message.get(part) is not None else b""
        digest = hashlib.blake2b(part.encode() + b"\0" + data, digest_size=20).hexdigest() if data else ""
        if digest == before.get(part, ""):
            continue
        moved.add(part)
        if part in before:
            gone.add(before[part])
        if not digest:
            connection.execute("DELETE FROM patch_scan_parts WHERE host = ? AND part = ?", (host, part))
            continue
        connection.execute(
            "INSERT INTO patch_contents (digest, content) VALUES (?, ?) ON CONFLICT (digest) DO NOTHING",
            (digest, zlib.compress(data, LEVEL)),
        )
        connection.execute(
            "INSERT INTO patch_scan_parts (host, part, digest) VALUES (?, ?, ?)"
            " ON CONFLICT (host, part) DO UPDATE SET digest = excluded.digest",
            (host, part, digest),
        )
    _sweep(connection, gone)
    return moved


def _sweep(connection: Connection, digests: Iterable[str]) -> None:
    """Contents that no host has any more."""
    connection.executemany(
        "DELETE FROM patch_contents WHERE digest = ?"
        " AND NOT EXISTS (SELECT 1 FROM patch_scan_parts WHERE patch_scan_parts.digest = patch_contents.digest)",
        [(digest,) for digest in sorted(digests)],
    )


def _since(before: Mapping[str, str], message: Mapping[str, Any], at: str) -> dict[str, str]:
    keys = (f"{row[0]} {row[1]} {row[2]}" for row in message.get("installed") or ())
    return {key: before.get(key, at) for key in keys}


def _of_hosts(connection: Connection, sql: str, wanted: list[str] | None, column: str = "host") -> list[Any]:
    if wanted is None:
        return connection.execute(sql).fetchall()
    rows: list[Any] = []
    for start in range(0, len(wanted), AT_ONCE):
        some = wanted[start : start + AT_ONCE]
        rows += connection.execute(f"{sql} WHERE {column} IN ({', '.join('?' * len(some))})", some).fetchall()
    return rows


def _pack(value: Any) -> bytes:
    return zlib.compress(json.dumps(value, separators=(",", ":")).encode(), LEVEL)


def _unpack(data: bytes) -> Any:
    return json.loads(zlib.decompress(data))
