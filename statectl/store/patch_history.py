"""Patch operations: every scan and every install of a host by a baseline, for good. Nothing here replaces an earlier one.

    a scan that finds what the last one found     one row of some hundred bytes
    a scan that finds another                     the rows of its list that nobody had yet, and a list of some KB

Texts come from hosts: data. Times are ISO 8601 in UTC.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, TypeVar

from statectl.store.database import Connection, Database, repeatable
from statectl.store.numbers import packed_numbers, unpacked_numbers

AT_ONCE = 500  # values of one statement
MOST_IDS = 200_000  # that are remembered, some 20 MB

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class PatchMove:
    """One package that an install moved, or tried to. `before` '': it was not there; `after` '': removed."""

    name: str
    arch: str
    before: str
    after: str
    outcome: str  # installed | failed | kept
    reason: str = ""


@dataclass(frozen=True, slots=True)
class PatchOperation:
    """One scan or install. `rows`: every patch of it, each as JSON text; None: it has none, or they were not asked for."""

    run: str
    host: str
    baseline: str
    operation: str  # scan | install
    started: str
    ended: str
    commit: str = ""
    compliant: bool = False
    level: str = "unspecified"
    unknown: str = ""
    detail: Mapping[str, Any] = field(default_factory=dict)
    rows: Sequence[str] | None = None
    moves: Sequence[PatchMove] = ()
    listed: str = ""  # digest of the list of its rows, set by the store


class PatchHistory:
    def __init__(self, database: Database) -> None:
        self._database = database
        self._ids: dict[str, int] = {}  # of rows that are in the store for good, by digest: hosts share most of theirs

    # --- writing

    @repeatable
    def keep(self, operations: Sequence[PatchOperation]) -> None:
        """All in one transaction. The same operation of the same run, host and baseline, told again, is that one: a later word on it."""
        texts = [{_digest(text): text for text in one.rows} if one.rows is not None else None for one in operations]
        wanted = {digest: text for some in texts if some is not None for digest, text in some.items()}
        with self._database.transaction() as connection:
            numbers = {digest: number for digest in wanted if (number := self._ids.get(digest)) is not None}
            fresh = _numbered(connection, {digest: text for digest, text in wanted.items() if digest not in numbers})
            numbers.update(fresh)
            for one, some in zip(operations, texts, strict=True):
                _keep(connection, one, None if some is None else [numbers[digest] for digest in some])
        if len(self._ids) > MOST_IDS:
            self._ids = {}
        self._ids |= fresh  # now that it is written

    # --- reading

    @repeatable
    def latest(self, *, host: str = "", baseline: str = "", until: str = "~") -> list[PatchOperation]:
        """The last operation of every host and baseline, or the last that had ended by a moment; without rows."""
        where, values = _where(host=host, baseline=baseline)
        if until != "~":
            where, values = f"{where} AND ended <= ?", (*values, until)
        with self._database.reading() as connection:
            rows = connection.execute(
                "SELECT one.* FROM patch_operations one JOIN (SELECT host, baseline, max(sequence) AS last FROM patch_operations"  # noqa: S608
                f" WHERE 1 = 1{where} GROUP BY host, baseline) newest ON newest.last = one.sequence ORDER BY one.host, one.baseline",
                values,
            ).fetchall()
        return [_operation(row) for row in rows]

    @repeatable
    def operations(
        self, *, host: str = "", baseline: str = "", run: str = "", since: str = "", until: str = "~"
    ) -> list[PatchOperation]:
        """Oldest first, without rows."""
        where, values = _where(host=host, baseline=baseline, run_id=run)
        with self._database.reading() as connection:
            rows = connection.execute(
                f"SELECT * FROM patch_operations WHERE ended >= ? AND ended <= ?{where} ORDER BY sequence",  # noqa: S608
                (since, until, *values),
            ).fetchall()
        return [_operation(row) for row in rows]

    @repeatable
    def turns(self, *, host: str = "", until: str = "~") -> list[PatchOperation]:
        """Operations whose list is another than that of the one before or behind, of the same host and baseline; and the first and last."""
        where, values = _where(host=host)
        with self._database.reading() as connection:
            rows = connection.execute(
                "SELECT * FROM (SELECT one.*, lag(list) OVER again AS list_before, lead(list) OVER again AS list_behind"  # noqa: S608
                f" FROM patch_operations one WHERE ended <= ?{where} WINDOW again AS (PARTITION BY host, baseline ORDER BY sequence))"
                " turning WHERE list_before IS NULL OR list_behind IS NULL OR list_before <> list OR list_behind <> list"
                " ORDER BY sequence",
                (until, *values),
            ).fetchall()
        return [_operation(row) for row in rows]

    @repeatable
    def moves(
        self, *, host: str = "", name: str = "", run: str = "", since: str = "", until: str = "~"
    ) -> list[dict[str, Any]]:
        """[{run_id, host, baseline, at, name, arch, version_from, version_to, outcome, reason, commit}], oldest first."""
        where, values = _where("moved", host=host, name=name, run_id=run)
        with self._database.reading() as connection:
            rows = connection.execute(
                "SELECT moved.*, done.git_commit AS git_commit, done.detail AS detail FROM patch_moves moved JOIN patch_operations done"  # noqa: S608
                " ON done.run_id = moved.run_id AND done.host = moved.host AND done.baseline = moved.baseline"
                f" AND done.operation = 'install' WHERE moved.at >= ? AND moved.at <= ?{where}"
                " ORDER BY done.sequence, moved.place",
                (since, until, *values),
            ).fetchall()
        return [_move(row) for row in rows]

    @repeatable
    def package_resources(self, *, host: str = "", since: str = "", until: str = "~") -> list[dict[str, Any]]:
        """[{host, package, at, run_id}] of the packages that runs changed as declared `package:` resources, oldest first."""
        where, values = _where("deviations", host=host)
        with self._database.reading() as connection:
            rows = connection.execute(
                "SELECT deviations.host AS host, address, ended, deviations.run_id AS run_id FROM deviations JOIN host_runs"  # noqa: S608
                " ON host_runs.run_id = deviations.run_id AND host_runs.host = deviations.host"
                f" WHERE deviations.outcome = 'changed' AND address LIKE 'package:%' AND ended >= ? AND ended <= ?{where}"
                " ORDER BY ended, host_runs.sequence",
                (since, until, *values),
            ).fetchall()
        return [
            {
                "host": row["host"],
                "package": row["address"].partition(":")[2],
                "at": row["ended"],
                "run_id": row["run_id"],
            }
            for row in rows
        ]

    @repeatable
    def rows(self, lists: Iterable[str]) -> dict[str, list[dict[str, Any]]]:
        """{digest of a list: its rows}, of these lists. A row that stands in several of them is one object."""
        wanted = sorted({one for one in lists if one})
        ids: dict[str, Any] = {}
        with self._database.reading() as connection:
            for some in _parts(wanted):
                sql = f"SELECT * FROM patch_lists WHERE digest IN ({_marks(some)})"  # noqa: S608
                ids.update((row["digest"], unpacked_numbers(row["entries"])) for row in connection.execute(sql, some))
            texts: dict[int, dict[str, Any]] = {}
            for numbers in _parts(sorted({number for found in ids.values() for number in found})):
                sql = f"SELECT id, text FROM patch_rows WHERE id IN ({_marks(numbers)})"  # noqa: S608
                texts.update((row["id"], json.loads(row["text"])) for row in connection.execute(sql, numbers))
        return {digest: [texts[number] for number in found] for digest, found in ids.items()}


def _keep(connection: Connection, one: PatchOperation, numbers: Sequence[int] | None) -> None:
    """`numbers`: of its rows; None: it has none."""
    key = (one.run, one.host, one.baseline)
    digest = ""
    if numbers is not None:
        entries = packed_numbers(sorted(numbers))
        digest = hashlib.blake2b(entries, digest_size=20).hexdigest()
        connection.execute(
            "INSERT INTO patch_lists (digest, entries) VALUES (?, ?) ON CONFLICT (digest) DO NOTHING", (digest, entries)
        )
    connection.execute(
        "INSERT INTO patch_operations (run_id, host, baseline, operation, sequence, git_commit, started, ended, compliant, level,"
        " unknown, list, detail) VALUES (?, ?, ?, ?, (SELECT coalesce(max(sequence), 0) + 1 FROM patch_operations), ?, ?, ?, ?, ?, ?, ?, ?)"
        " ON CONFLICT (run_id, host, baseline, operation) DO UPDATE SET ended = excluded.ended, compliant = excluded.compliant,"
        " level = excluded.level, unknown = excluded.unknown, list = excluded.list, detail = excluded.detail",
        (
            *key,
            one.operation,
            one.commit,
            one.started,
            one.ended,
            int(one.compliant),
            one.level,
            one.unknown,
            digest,
            json.dumps(one.detail, separators=(",", ":"), sort_keys=True),
        ),
    )
    if one.operation == "install":
        connection.execute("DELETE FROM patch_moves WHERE run_id = ? AND host = ? AND baseline = ?", key)
        connection.executemany(
            "INSERT INTO patch_moves (run_id, host, baseline, place, at, name, arch, version_from, version_to, outcome, reason)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            [
                (*key, place, one.ended, move.name, move.arch, move.before, move.after, move.outcome, move.reason)
                for place, move in enumerate(one.moves)
            ],
        )


def _numbered(connection: Connection, wanted: Mapping[str, str]) -> dict[str, int]:
    """{digest: id} of rows by digest; those that nobody had are added."""
    numbers: dict[str, int] = {}
    for some in _parts(list(wanted)):
        sql = f"SELECT id, digest FROM patch_rows WHERE digest IN ({_marks(some)})"  # noqa: S608
        numbers.update((row["digest"], row["id"]) for row in connection.execute(sql, some))
    new = [digest for digest in wanted if digest not in numbers]
    if new:
        last = connection.execute("SELECT coalesce(max(id), 0) FROM patch_rows").fetchone()[0]
        numbers.update((digest, last + place) for place, digest in enumerate(new, 1))
        connection.executemany(
            "INSERT INTO patch_rows (id, digest, text) VALUES (?, ?, ?)",
            [(numbers[digest], digest, wanted[digest]) for digest in new],
        )
    return numbers


@lru_cache(maxsize=100_000)
def _digest(text: str) -> str:
    return hashlib.blake2b(text.encode(), digest_size=20).hexdigest()


def _parts(values: Sequence[T]) -> Iterable[Sequence[T]]:
    return (values[start : start + AT_ONCE] for start in range(0, len(values), AT_ONCE))


def _marks(values: Sequence[Any]) -> str:
    return ", ".join("?" * len(values))


def _where(table: str = "", **wanted: str) -> tuple[str, tuple[str, ...]]:
    """` AND host = ? AND run_id = ?` of what is not ''."""
    prefix = f"{table}." if table else ""
    asked = {name: value for name, value in wanted.items() if value}
    return "".join(f" AND {prefix}{name} = ?" for name in asked), tuple(asked.values())


def _operation(row: Any) -> PatchOperation:
    return PatchOperation(
        run=row["run_id"],
        host=row["host"],
        baseline=row["baseline"],
        operation=row["operation"],
        started=row["started"],
        ended=row["ended"],
        commit=row["git_commit"],
        compliant=bool(row["compliant"]),
        level=row["level"],
        unknown=row["unknown"],
        detail=json.loads(row["detail"]),
        listed=row["list"],
    )


def _move(row: Any) -> dict[str, Any]:
    names = ("run_id", "host", "baseline", "at", "name", "arch", "version_from", "version_to", "outcome", "reason")
    return {
        **{name: row[name] for name in names},
        "commit": row["git_commit"],
        "rolls_back": json.loads(row["detail"]).get("rolls_back", ""),
    }
