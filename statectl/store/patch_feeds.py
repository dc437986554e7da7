"""Feeds of vulnerabilities in the store: what is known to be fixed in which version of which package, where from, and how old it is.

A feed is replaced whole or not at all. What changelogs of hosts say is kept beside them, under CHANGELOGS.
"""

import json
import zlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from statectl.store.audit import append_audit
from statectl.store.database import Connection, Database, repeatable
from statectl.store.patch_ledger import text_of

CHANGELOGS = "(changelogs)"
AT_ONCE = 500
LEVEL = 6


@dataclass(frozen=True, slots=True)
class KeptFeed:
    """`made` and `fetched`: ISO 8601 or ''. `trouble`: why the latest reading failed."""

    name: str
    kind: str
    location: str
    made: str
    fetched: str
    entries: int
    validators: Mapping[str, str]
    tried: str
    trouble: str


class PatchFeeds:
    def __init__(self, database: Database) -> None:
        self._database = database

    @repeatable
    def all(self) -> dict[str, KeptFeed]:
        with self._database.reading() as connection:
            rows = connection.execute("SELECT * FROM patch_feeds ORDER BY feed").fetchall()
        return {
            row["feed"]: KeptFeed(
                row["feed"], row["kind"], row["location"], row["made"], row["fetched"], row["entries"],
                json.loads(row["validators"]), row["tried"], row["trouble"],
            )
            for row in rows
        }  # fmt: skip

    @repeatable
    def replace(
        self, feed: KeptFeed, fixes: Mapping[str, Sequence[Sequence[Any]]], cves: Collection[str], now: datetime
    ) -> None:
        """All that the feed said before gives way. `fixes`: {package: the fields of its fixes}."""
        at = text_of(now)
        with self._database.transaction() as connection:
            connection.execute("DELETE FROM patch_fixes WHERE feed = ?", (feed.name,))
            connection.executemany(
                "INSERT INTO patch_fixes (feed, package, fixes) VALUES (?, ?, ?)",
                [(feed.name, package, _pack(some)) for package, some in fixes.items()],
            )
            _know(connection, cves, at)
            _stand(connection, feed, at, "")
            append_audit(connection, "patch.feed", {"feed": feed.name, "entries": feed.entries})

    @repeatable
    def unchanged(self, feed: KeptFeed, now: datetime) -> None:
        """It was read, or asked for, and says what it said."""
        at = text_of(now)
        with self._database.transaction() as connection:
            _stand(connection, feed, at, "")

    @repeatable
    def failed(self, name: str, kind: str, location: str, trouble: str, now: datetime) -> None:
        """What is known stays."""
        with self._database.transaction() as connection:
            connection.execute(
                "INSERT INTO patch_feeds (feed, kind, location, made, fetched, entries, validators, tried, trouble)"
                " VALUES (?, ?, ?, '', '', 0, '{}', ?, ?) ON CONFLICT (feed) DO UPDATE SET tried = excluded.tried,"
                " trouble = excluded.trouble",
                (name, kind, location, text_of(now), trouble),
            )

    @repeatable
    def forget(self, names: Iterable[str]) -> None:
        """Feeds that are no longer named."""
        with self._database.transaction() as connection:
            for name in names:
                connection.execute("DELETE FROM patch_fixes WHERE feed = ?", (name,))
                connection.execute("DELETE FROM patch_feeds WHERE feed = ?", (name,))
                append_audit(connection, "patch.feed", {"feed": name, "forgotten": True})

    @repeatable
    def add_changelogs(
        self, fixes: Mapping[str, Sequence[Sequence[Any]]], cves: Collection[str], now: datetime
    ) -> None:
        """Beside what changelogs said before."""
        with self._database.transaction() as connection:
            for package, some in fixes.items():
                row = connection.execute(
                    "SELECT fixes FROM patch_fixes WHERE feed = ? AND package = ?", (CHANGELOGS, package)
                ).fetchone()
                before = _unpack(row["fixes"]) if row is not None else []
                known = {json.dumps(one) for one in before}
                fresh = [list(one) for one in some if json.dumps(list(one)) not in known]
                if fresh:
                    connection.execute(
                        "INSERT INTO patch_fixes (feed, package, fixes) VALUES (?, ?, ?)"
                        " ON CONFLICT (feed, package) DO UPDATE SET fixes = excluded.fixes",
                        (CHANGELOGS, package, _pack([*before, *fresh])),
                    )
            _know(connection, cves, text_of(now))

    @repeatable
    def know(self, cves: Collection[str], now: datetime) -> None:
        """That there are these, from advisories of hosts."""
        with self._database.transaction() as connection:
            _know(connection, cves, text_of(now))

    @repeatable
    def fixes(self, packages: Iterable[str]) -> dict[str, list[tuple[str, list[list[Any]]]]]:
        """{package: [(feed, the fields of its fixes), ...]}."""
        found: dict[str, list[tuple[str, list[list[Any]]]]] = {}
        wanted = sorted(set(packages))
        with self._database.reading() as connection:
            for start in range(0, len(wanted), AT_ONCE):
                some = wanted[start : start + AT_ONCE]
                marks = ", ".join("?" * len(some))
                sql = f"SELECT * FROM patch_fixes WHERE package IN ({marks}) ORDER BY package, feed"  # noqa: S608
                for row in connection.execute(sql, some):
                    found.setdefault(row["package"], []).append((row["feed"], _unpack(row["fixes"])))
        return found

    @repeatable
    def about(self, cve: str) -> dict[str, list[tuple[str, list[list[Any]]]]]:
        """As `fixes`, of every package of which something names this vulnerability."""
        found: dict[str, list[tuple[str, list[list[Any]]]]] = {}
        wanted = json.dumps(cve).encode()
        with self._database.reading() as connection:
            for row in connection.execute("SELECT * FROM patch_fixes ORDER BY package, feed"):
                data = zlib.decompress(row["fixes"])
                if wanted in data:
                    found.setdefault(row["package"], []).append((row["feed"], json.loads(data)))
        return found

    @repeatable
    def known_since(self, cves: Iterable[str]) -> dict[str, str]:
        """{CVE: when this store first heard of it}."""
        found: dict[str, str] = {}
        wanted = sorted(set(cves))
        with self._database.reading() as connection:
            for start in range(0, len(wanted), AT_ONCE):
                some = wanted[start : start + AT_ONCE]
                marks = ", ".join("?" * len(some))
                for row in connection.execute(f"SELECT * FROM patch_known_cves WHERE cve IN ({marks})", some):  # noqa: S608
                    found[row["cve"]] = row["since"]
        return found


def _stand(connection: Connection, feed: KeptFeed, at: str, trouble: str) -> None:
    connection.execute(
        "INSERT INTO patch_feeds (feed, kind, location, made, fetched, entries, validators, tried, trouble)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (feed) DO UPDATE SET kind = excluded.kind, location = excluded.location,"
        " made = excluded.made, fetched = excluded.fetched, entries = excluded.entries, validators = excluded.validators,"
        " tried = excluded.tried, trouble = excluded.trouble",
        (
            feed.name, feed.kind, feed.location, feed.made, at, feed.entries, json.dumps(dict(feed.validators)), at,
            trouble,
        ),
    )  # fmt: skip


def _know(connection: Connection, cves: Collection[str], at: str) -> None:
    """Only what is not there is written: a feed knows forty thousand, of which ten are new."""
    wanted = sorted(set(cves))
    known: set[str] = set()
    for start in range(0, len(wanted), AT_ONCE):
        some = wanted[start : start + AT_ONCE]
        marks = ", ".join("?" * len(some))
        rows = connection.execute(f"SELECT cve FROM patch_known_cves WHERE cve IN ({marks})", some)  # noqa: S608
        known.update(row["cve"] for row in rows)
    connection.executemany(
        "INSERT INTO patch_known_cves (cve, since) VALUES (?, ?)", [(cve, at) for cve in wanted if cve not in known]
    )


def _pack(value: Any) -> bytes:
    return zlib.compress(json.dumps(value, separators=(",", ":")).encode(), LEVEL)


def _unpack(data: bytes) -> Any:
    return json.loads(zlib.decompress(data))
