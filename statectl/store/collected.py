"""What hosts were found to have: each distinct entry once, and lists of their numbers for hosts and times.

    a refresh that finds nothing new     changes `checked` of rows that are there
    a package that was upgraded          one entry that is new (if no other host has it), and a list of some KB

The texts of the entries come from hosts: data. Times are ISO 8601 in UTC.
"""

import hashlib
import zlib
from array import array
from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from statectl.store.database import Connection, Database, repeatable
from statectl.store.numbers import IDS, LEVEL, MOMENTS, numbers_of, packed_numbers

AT_ONCE = 500  # values of one statement
WIDTH = 4  # of an id
FEW = 16  # ids that are looked for one by one


@dataclass(frozen=True, slots=True)
class Reading:
    """One type of one host. `state`: content, same, absent, failed or timed out.

    entries  (name, JSON text, own time in seconds since 1970 or 0), of content
    latest   JSON text of the entries of a type of which only the latest are kept, instead of entries
    """

    type: str
    state: str
    hash: str = ""
    reason: str = ""
    left_out: int = 0
    entries: Sequence[tuple[str, str, int]] = ()
    latest: str | None = None
    timed: bool = False


@dataclass(frozen=True, slots=True)
class Standing:
    """How a type of a host stands. `since` and `checked` are '' when it was never collected."""

    host: str
    type: str
    since: str
    checked: str
    tried: str
    state: str
    reason: str
    left_out: int


@dataclass(frozen=True, slots=True)
class Entry:
    id: int
    type: str
    name: str
    text: str


@dataclass(frozen=True)
class Snapshot:
    """What a host had from `at` on. It stays packed until somebody looks: a question looks at a thousand."""

    host: str
    type: str
    at: str
    packed_ids: bytes
    packed_moments: bytes | None

    @cached_property
    def _data(self) -> bytes:
        return zlib.decompress(self.packed_ids)

    @cached_property
    def ids(self) -> "array[int]":
        """Of its entries, ascending."""
        return numbers_of(self._data, IDS)

    @cached_property
    def moments(self) -> "array[int] | None":
        """The entries' own times, in the same order, 0 for one that is not known; None when the type has none."""
        return None if self.packed_moments is None else numbers_of(zlib.decompress(self.packed_moments), MOMENTS)

    def has_any(self, wanted: AbstractSet[int]) -> bool:
        """Is one of these ids among its own?"""
        if len(wanted) > FEW:
            return not wanted.isdisjoint(self.ids)
        data = self._data
        for number in wanted:
            pattern = number.to_bytes(WIDTH, "little")
            place = data.find(pattern)
            while place >= 0:
                if place % WIDTH == 0:
                    return True
                place = data.find(pattern, place + 1)
        return False


class Collected:
    def __init__(self, database: Database) -> None:
        self._database = database

    # --- writing

    @repeatable
    def keep(self, host: str, at: str, readings: Sequence[Reading], *, whole: bool) -> int:
        """What one pass over a host told -> how many types differ from before. `whole`: of all types; a custom type not told is gone."""
        changed = 0
        with self._database.transaction() as connection:
            known = {
                row["type"]: row
                for row in connection.execute("SELECT * FROM collected_types WHERE host = ?", (host,)).fetchall()
            }
            told = {one.type for one in readings}
            gone = [
                Reading(name, "absent") for name in known if whole and name.startswith("Custom:") and name not in told
            ]
            for reading in (*readings, *gone):
                changed += _keep(connection, host, at, reading, known.get(reading.type))
        return changed

    @repeatable
    def prune(self, before: str) -> int:
        """Forget snapshots that were superseded before then, hosts not read since, and entries that nothing refers to any more.

        -> how many snapshots are gone.
        """
        with self._database.transaction() as connection:
            rows = connection.execute(
                "SELECT host, type, at FROM collected_snapshots ORDER BY host, type, at"
            ).fetchall()
            checked = {
                (row["host"], row["type"]): row["checked"]
                for row in connection.execute("SELECT host, type, checked FROM collected_types").fetchall()
            }
            forgotten = []
            for place, row in enumerate(rows):
                key = (row["host"], row["type"])
                following = rows[place + 1] if place + 1 < len(rows) else None
                superseded = following is not None and (following["host"], following["type"]) == key
                until = following["at"] if following is not None and superseded else checked.get(key, "")
                if until < before:
                    forgotten.append((*key, row["at"]))
            connection.executemany("DELETE FROM collected_snapshots WHERE host = ? AND type = ? AND at = ?", forgotten)
            connection.execute("DELETE FROM collected_types WHERE tried < ?", (before,))
            if forgotten:
                _sweep(connection)
        return len(forgotten)

    # --- reading

    @repeatable
    def oldest(self) -> str:
        """When the oldest snapshot is of, '' without any."""
        with self._database.reading() as connection:
            row = connection.execute("SELECT min(at) FROM collected_snapshots").fetchone()
        return str(row[0] or "")

    @repeatable
    def hashes(self, host: str) -> dict[str, str]:
        """{type: hash} of what need not be told again."""
        with self._database.reading() as connection:
            rows = connection.execute("SELECT type, hash FROM collected_types WHERE host = ? AND hash <> ''", (host,))
            return {row["type"]: row["hash"] for row in rows}

    @repeatable
    def standings(self, *, host: str = "", type_name: str = "") -> list[Standing]:
        """Of a host, of a type, or of both; sorted."""
        where, values = _where(host=host, type=type_name)
        with self._database.reading() as connection:
            rows = connection.execute(f"SELECT * FROM collected_types{where} ORDER BY host, type", values).fetchall()  # noqa: S608
        return [
            Standing(
                row["host"], row["type"], row["since"], row["checked"], row["tried"], row["state"], row["reason"],
                row["left_out"],
            )
            for row in rows
        ]  # fmt: skip

    @repeatable
    def latest(self, type_name: str, host: str = "") -> dict[str, str]:
        """{host: JSON text} of a type of which only the latest is kept."""
        where, values = _where(host=host, type=type_name)
        sql = f"SELECT host, latest FROM collected_types{where} AND latest IS NOT NULL"  # noqa: S608
        with self._database.reading() as connection:
            return {row["host"]: _text(row["latest"]) for row in connection.execute(sql, values)}

    @repeatable
    def in_force(self, type_name: str, host: str = "") -> list[Snapshot]:
        """What each host has now, as far as it is known."""
        where, values = _where("one", host=host, type=type_name)
        with self._database.reading() as connection:
            rows = connection.execute(
                "SELECT held.* FROM collected_types one JOIN collected_snapshots held ON held.host = one.host"  # noqa: S608
                f" AND held.type = one.type AND held.at = one.since{where}",
                values,
            ).fetchall()
        return [_snapshot(row) for row in rows]

    @repeatable
    def snapshots(self, host: str, *, type_name: str = "", since: str = "", until: str = "~") -> list[Snapshot]:
        """Of one host, oldest first; with `since` also the one that was in force then."""
        where, values = _where(host=host, type=type_name)
        with self._database.reading() as connection:
            rows = connection.execute(
                f"SELECT * FROM collected_snapshots{where} AND at <= ? ORDER BY type, at",  # noqa: S608
                (*values, until),
            ).fetchall()
        kept = []
        for place, row in enumerate(rows):
            following = rows[place + 1] if place + 1 < len(rows) and rows[place + 1]["type"] == row["type"] else None
            if following is None or following["at"] > since:
                kept.append(_snapshot(row))
        return kept

    @repeatable
    def entries(self, ids: Iterable[int]) -> dict[int, Entry]:
        """{id: entry}."""
        wanted = sorted(set(ids))
        found: dict[int, Entry] = {}
        with self._database.reading() as connection:
            for start in range(0, len(wanted), AT_ONCE):
                some = wanted[start : start + AT_ONCE]
                marks = ", ".join("?" * len(some))
                sql = f"SELECT id, type, name, entry FROM collected_entries WHERE id IN ({marks})"  # noqa: S608
                for row in connection.execute(sql, some):
                    found[row["id"]] = Entry(row["id"], row["type"], row["name"], row["entry"])
        return found

    @repeatable
    def entries_of(self, type_name: str, name: str = "") -> list[Entry]:
        """Every entry of a type that some host has or had; with `name` those of that name."""
        where, values = _where(type=type_name, name=name)
        with self._database.reading() as connection:
            rows = connection.execute(f"SELECT id, type, name, entry FROM collected_entries{where}", values).fetchall()  # noqa: S608
        return [Entry(row["id"], row["type"], row["name"], row["entry"]) for row in rows]

    @repeatable
    def types(self) -> list[str]:
        """The names of the types that any host told."""
        with self._database.reading() as connection:
            return [
                row["type"] for row in connection.execute("SELECT DISTINCT type FROM collected_types ORDER BY type")
            ]


def _where(table: str = "", **wanted: str) -> tuple[str, tuple[str, ...]]:
    """` WHERE host = ? AND type = ?` of what is not ''; at least one is."""
    prefix = f"{table}." if table else ""
    asked = {name: value for name, value in wanted.items() if value}
    return " WHERE " + " AND ".join(f"{prefix}{name} = ?" for name in asked), tuple(asked.values())


def _keep(connection: Connection, host: str, at: str, reading: Reading, known: Any) -> int:
    """-> 1 when the type differs from before."""
    since = known["since"] if known is not None else ""
    checked = known["checked"] if known is not None else ""
    digest = known["hash"] if known is not None else ""
    left_out = known["left_out"] if known is not None else 0
    latest = known["latest"] if known is not None else None
    state, changed = reading.state, 0
    if state == "same":
        state, checked = "content", at
    elif state in ("content", "absent"):
        checked, digest, left_out = at, reading.hash, reading.left_out
        if reading.latest is not None:
            latest, since, digest = _packed(reading.latest), since or at, ""
        else:
            latest = None
            packed = _numbered(connection, reading)
            before = connection.execute(
                "SELECT entries, moments FROM collected_snapshots WHERE host = ? AND type = ? AND at = ?",
                (host, reading.type, since),
            ).fetchone()
            if before is None or (_bytes(before["entries"]), _bytes(before["moments"])) != packed:
                connection.execute(
                    "INSERT INTO collected_snapshots (host, type, at, entries, moments) VALUES (?, ?, ?, ?, ?)"
                    " ON CONFLICT (host, type, at) DO UPDATE SET entries = excluded.entries, moments = excluded.moments",
                    (host, reading.type, at, *packed),
                )
                since, changed = at, 1
    connection.execute(
        "INSERT INTO collected_types (host, type, hash, since, checked, tried, state, reason, left_out, latest)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (host, type) DO UPDATE SET hash = excluded.hash,"
        " since = excluded.since, checked = excluded.checked, tried = excluded.tried, state = excluded.state,"
        " reason = excluded.reason, left_out = excluded.left_out, latest = excluded.latest",
        (host, reading.type, digest, since, checked, at, state, reading.reason, left_out, latest),
    )
    return changed


def _numbered(connection: Connection, reading: Reading) -> tuple[bytes, bytes | None]:
    """The entries as packed lists of their numbers and times; those that nobody had are added."""
    wanted = {_digest(reading.type, name, text): (name, text, own) for name, text, own in reading.entries}
    numbers: dict[str, int] = {}
    digests = list(wanted)
    for start in range(0, len(digests), AT_ONCE):
        some = digests[start : start + AT_ONCE]
        marks = ", ".join("?" * len(some))
        sql = f"SELECT id, digest FROM collected_entries WHERE digest IN ({marks})"  # noqa: S608
        numbers.update((row["digest"], row["id"]) for row in connection.execute(sql, some))
    new = [digest for digest in digests if digest not in numbers]
    if new:
        last = connection.execute("SELECT coalesce(max(id), 0) FROM collected_entries").fetchone()[0]
        numbers.update((digest, last + place) for place, digest in enumerate(new, 1))
        connection.executemany(
            "INSERT INTO collected_entries (id, type, name, digest, entry) VALUES (?, ?, ?, ?, ?)",
            [(numbers[digest], reading.type, wanted[digest][0], digest, wanted[digest][1]) for digest in new],
        )
    pairs = sorted((numbers[digest], wanted[digest][2]) for digest in digests)
    ids = packed_numbers([number for number, _ in pairs])
    return ids, packed_numbers([own for _, own in pairs], MOMENTS) if reading.timed else None


def _sweep(connection: Connection) -> None:
    """Delete the entries that stand in no snapshot."""
    used: set[int] = set()
    for row in connection.execute("SELECT entries FROM collected_snapshots"):
        used.update(numbers_of(zlib.decompress(row["entries"]), IDS))
    unused = [row["id"] for row in connection.execute("SELECT id FROM collected_entries") if row["id"] not in used]
    connection.executemany("DELETE FROM collected_entries WHERE id = ?", [(number,) for number in unused])


def _digest(type_name: str, name: str, text: str) -> str:
    data = f"{type_name}\0{name}\0{text}".encode("utf-8", "surrogatepass")
    return hashlib.blake2b(data, digest_size=20).hexdigest()


def _snapshot(row: Any) -> Snapshot:
    return Snapshot(row["host"], row["type"], row["at"], row["entries"], row["moments"])


def _packed(text: str) -> bytes:
    return zlib.compress(text.encode("utf-8", "surrogatepass"), LEVEL)


def _text(data: bytes) -> str:
    return zlib.decompress(data).decode("utf-8", "surrogatepass")


def _bytes(data: Any) -> bytes | None:
    return None if data is None else bytes(data)
