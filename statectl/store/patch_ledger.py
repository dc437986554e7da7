"""When each version of each package was first seen in each archive: the first-seen ledger in the store.

A version is told from another by the digest of its file too, where that is known: another file under an old version is a new thing, and
nobody can announce a file that is not there yet. Moments are UTC; the clock of who calls is an argument, and is not believed blindly:

    it stands before the newest moment of the ledger       what is new was first seen at that newest moment
    the same, by over a day, and the archives' own dates   the clock was ahead then: what lies in the future is brought down to now
      say that it is right now
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any

from statectl.store.database import Connection, Database, repeatable

AT_ONCE = 500  # values of one statement
A_WRITE = 5000  # versions of one transaction: others want to write too
TOLERATED = timedelta(days=1)  # of two controllers, or of a clock that is set right
YOUNG = timedelta(days=1)  # for so long other hosts may add what an archive had when it was first seen
MAX_NAME, MAX_ARCHIVE, MAX_ARCH = 256, 512, 64


@dataclass(frozen=True, slots=True)
class Found:
    """A version that an archive has. `dated`: seconds since 1970 at which it is known to have been out, 0: not known."""

    archive: str
    package: str
    arch: str
    version: str
    sha256: str = ""
    security: bool = False
    attributes: Mapping[str, object] | None = None
    advisories: Sequence[str] = ()
    dated: int = 0

    @property
    def key(self) -> tuple[str, str, str, str, str]:
        return self.archive, self.package, self.arch, self.version, self.sha256

    @property
    def fits(self) -> bool:
        """Names that no archive has are not remembered: what was never seen is never approved."""
        return (
            0 < len(self.package) <= MAX_NAME
            and 0 < len(self.version) <= MAX_NAME
            and 0 < len(self.archive) <= MAX_ARCHIVE
            and len(self.arch) <= MAX_ARCH
            and len(self.sha256) <= 64
        )


@dataclass(frozen=True, slots=True)
class SeenVersion:
    archive: str
    package: str
    arch: str
    version: str
    sha256: str
    first_seen: str
    seeded: bool
    security: bool
    attributes: Mapping[str, object]
    advisories: Mapping[str, str]  # {id: when it was first seen with this version}


class PatchLedger:
    def __init__(self, database: Database) -> None:
        self._database = database

    def note(self, dates: Mapping[str, int], found: Iterable[Found], now: datetime) -> int:
        """What is new of these is remembered -> how many. `dates`: {archive: its own date, seconds since 1970, 0 when it has none}."""
        left = (one for one in found if one.fits)
        begun: set[str] = set()
        count = self._note(dates, list(islice(left, A_WRITE)), now, begun)
        while part := list(islice(left, A_WRITE)):
            count += self._note(dates, part, now, begun)
        return count

    @repeatable
    def _note(self, dates: Mapping[str, int], found: Sequence[Found], now: datetime, begun: set[str]) -> int:
        """`begun`: archives that were first seen in an earlier part of the same."""
        with self._database.transaction() as connection:
            moment = _moment(connection, dates, now)
            young, fresh = _archives(connection, dates, moment)
            fresh = {name for name in dates if name in fresh or name in begun}
            known = _known(connection, found)
            last = connection.execute("SELECT coalesce(max(id), 0) FROM patch_seen").fetchone()[0]
            rows, advisories = [], []
            for one in found:
                number = known.get(one.key)
                if number is None and not one.sha256:
                    number = known.get((*one.key[:4], "*"))
                if number is None:
                    last += 1
                    number = known[one.key] = last
                    known[*one.key[:4], "*"] = last
                    date = dates.get(one.archive, 0)
                    there_before = one.archive in fresh or 0 < date <= young.get(one.archive, 0)
                    seen, seeded = _first_seen(one.dated or date, moment) if there_before else (moment, False)
                    attributes = json.dumps(dict(one.attributes or {}), separators=(",", ":"))
                    rows.append(
                        (last, one.archive, one.package, one.arch, one.version, one.sha256, text_of(seen), int(seeded),
                         int(one.security), attributes)
                    )  # fmt: skip
                advisories += [(number, advisory[:MAX_NAME], text_of(moment)) for advisory in one.advisories]
            connection.executemany(
                "INSERT INTO patch_seen (id, archive, package, arch, version, sha256, first_seen, seeded, security, attributes)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                rows,
            )
            connection.executemany(
                "INSERT INTO patch_seen_advisories (seen, advisory, first_seen) VALUES (?, ?, ?)"
                " ON CONFLICT (seen, advisory) DO NOTHING",
                advisories,
            )
        begun |= fresh
        return len(rows)

    @repeatable
    def newest(self) -> str:
        """The newest moment that it knows, '' while it is empty."""
        with self._database.reading() as connection:
            return str(connection.execute("SELECT max(first_seen) FROM patch_seen").fetchone()[0] or "")

    @repeatable
    def archives(self) -> dict[str, tuple[str, int]]:
        """{archive: (since when it is known, its own date when it was last told)}."""
        with self._database.reading() as connection:
            rows = connection.execute("SELECT archive, since, last_date FROM patch_archives").fetchall()
        return {row["archive"]: (row["since"], row["last_date"]) for row in rows}

    @repeatable
    def seen(self, packages: Iterable[str]) -> list[SeenVersion]:
        """Every version of these packages, in the order in which they were noted."""
        wanted = sorted(set(packages))
        rows: list[Any] = []
        advisories: dict[int, dict[str, str]] = {}
        with self._database.reading() as connection:
            for some in _portions(wanted):
                marks = ", ".join("?" * len(some))
                rows += connection.execute(
                    f"SELECT * FROM patch_seen WHERE package IN ({marks})",  # noqa: S608
                    some,
                ).fetchall()
                for row in connection.execute(
                    "SELECT told.* FROM patch_seen_advisories told JOIN patch_seen ON patch_seen.id = told.seen"  # noqa: S608
                    f" WHERE package IN ({marks})",
                    some,
                ):
                    advisories.setdefault(row["seen"], {})[row["advisory"]] = row["first_seen"]
        return [
            SeenVersion(
                row["archive"], row["package"], row["arch"], row["version"], row["sha256"], row["first_seen"],
                bool(row["seeded"]), bool(row["security"]), json.loads(row["attributes"]), advisories.get(row["id"], {}),
            )
            for row in sorted(rows, key=lambda row: int(row["id"]))
        ]  # fmt: skip


def text_of(moment: datetime) -> str:
    """UTC in whole seconds."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def moment_of(text: str) -> datetime:
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)


def _moment(connection: Connection, dates: Mapping[str, int], now: datetime) -> datetime:
    """What now is taken to be; what was noted with a clock that was ahead is brought down."""
    newest_text = connection.execute("SELECT max(first_seen) FROM patch_seen").fetchone()[0]
    if not newest_text or moment_of(newest_text) <= now:
        return now
    newest = moment_of(newest_text)
    told = connection.execute("SELECT max(last_date) FROM patch_archives").fetchone()[0] or 0
    made = max([told, *dates.values()])
    if newest - now <= TOLERATED or not 0 < made <= now.timestamp():
        return newest
    at = text_of(now)
    connection.execute("UPDATE patch_seen SET first_seen = ? WHERE first_seen > ?", (at, at))
    connection.execute("UPDATE patch_seen_advisories SET first_seen = ? WHERE first_seen > ?", (at, at))
    connection.execute("UPDATE patch_archives SET since = ? WHERE since > ?", (at, at))
    return now


def _archives(connection: Connection, dates: Mapping[str, int], moment: datetime) -> tuple[dict[str, int], set[str]]:
    """({archive: its own date when it was first seen}, of those that are known for less than a day; those that are seen for the first time)."""
    known = {}
    for some in _portions(sorted(dates)):
        marks = ", ".join("?" * len(some))
        sql = f"SELECT * FROM patch_archives WHERE archive IN ({marks})"  # noqa: S608
        known.update({row["archive"]: row for row in connection.execute(sql, some)})
    fresh = {name: date for name, date in dates.items() if name not in known and 0 < len(name) <= MAX_ARCHIVE}
    connection.executemany(
        "INSERT INTO patch_archives (archive, since, first_date, last_date) VALUES (?, ?, ?, ?)",
        [(name, text_of(moment), date, date) for name, date in fresh.items()],
    )
    connection.executemany(
        "UPDATE patch_archives SET last_date = ? WHERE archive = ?",
        [(date, name) for name, date in dates.items() if name in known and date > known[name]["last_date"]],
    )
    young = {name: int(row["first_date"]) for name, row in known.items() if moment - moment_of(row["since"]) <= YOUNG}
    return young, set(fresh)


def _first_seen(told: int, moment: datetime) -> tuple[datetime, bool]:
    """What an archive had when it was first seen was out by its own date, or by that of a changelog or an advisory."""
    if not 0 < told < moment.timestamp():
        return moment, False
    return datetime.fromtimestamp(told, UTC), True


def _known(connection: Connection, found: Sequence[Found]) -> dict[tuple[str, str, str, str, str], int]:
    """{key: id} of what is there; `*` in place of the digest: any of the version."""
    known: dict[tuple[str, str, str, str, str], int] = {}
    for some in _portions(sorted({one.package for one in found})):
        marks = ", ".join("?" * len(some))
        sql = f"SELECT id, archive, package, arch, version, sha256 FROM patch_seen WHERE package IN ({marks})"  # noqa: S608
        for row in connection.execute(sql, some):
            key = (row["archive"], row["package"], row["arch"], row["version"])
            known[*key, row["sha256"]] = known[*key, "*"] = row["id"]
    return known


def _portions(values: Sequence[str]) -> Iterable[Sequence[str]]:
    return (values[start : start + AT_ONCE] for start in range(0, len(values), AT_ONCE))
