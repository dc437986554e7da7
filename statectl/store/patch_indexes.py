"""Indexes of packages that the controller reads itself, how far it is with each, and the package files that it keeps."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from statectl.store.database import Database, repeatable
from statectl.store.patch_ledger import text_of


@dataclass(frozen=True, slots=True)
class KeptPoll:
    """`read_at`: when it was last read whole, or found to be the same; `trouble`: why the latest try failed."""

    name: str
    read_at: str
    made: str
    packages: int
    validators: Mapping[str, str]
    tried: str
    trouble: str


@dataclass(frozen=True, slots=True)
class KeptFile:
    """A package file in the cache. Times are ISO 8601; `size` in bytes."""

    sha256: str
    package: str
    arch: str
    version: str
    archive: str
    size: int
    stored: str
    used: str


class PatchPolls:
    def __init__(self, database: Database) -> None:
        self._database = database

    @repeatable
    def all(self) -> dict[str, KeptPoll]:
        with self._database.reading() as connection:
            rows = connection.execute("SELECT * FROM patch_polls ORDER BY poll").fetchall()
        return {
            row["poll"]: KeptPoll(
                row["poll"], row["read_at"], row["made"], row["packages"], json.loads(row["validators"]), row["tried"],
                row["trouble"],
            )
            for row in rows
        }  # fmt: skip

    @repeatable
    def done(self, name: str, made: str, packages: int, validators: Mapping[str, str], now: datetime) -> None:
        at = text_of(now)
        with self._database.transaction() as connection:
            connection.execute(
                "INSERT INTO patch_polls (poll, read_at, made, packages, validators, tried, trouble) VALUES (?, ?, ?, ?, ?, ?, '')"
                " ON CONFLICT (poll) DO UPDATE SET read_at = excluded.read_at, made = excluded.made,"
                " packages = excluded.packages, validators = excluded.validators, tried = excluded.tried, trouble = excluded.trouble",
                (name, at, made, packages, json.dumps(dict(validators)), at),
            )

    @repeatable
    def failed(self, name: str, trouble: str, now: datetime) -> None:
        with self._database.transaction() as connection:
            connection.execute(
                "INSERT INTO patch_polls (poll, read_at, made, packages, validators, tried, trouble) VALUES (?, '', '', 0, '{}', ?, ?)"
                " ON CONFLICT (poll) DO UPDATE SET tried = excluded.tried, trouble = excluded.trouble",
                (name, text_of(now), trouble),
            )

    @repeatable
    def forget(self, names: Iterable[str]) -> None:
        """Indexes that are no longer named."""
        with self._database.transaction() as connection:
            connection.executemany("DELETE FROM patch_polls WHERE poll = ?", [(name,) for name in names])


class PatchFiles:
    def __init__(self, database: Database) -> None:
        self._database = database

    @repeatable
    def all(self) -> list[KeptFile]:
        """That which was used longest ago first."""
        with self._database.reading() as connection:
            rows = connection.execute("SELECT * FROM patch_files ORDER BY used, stored, sha256").fetchall()
        return [
            KeptFile(
                row["sha256"], row["package"], row["arch"], row["version"], row["archive"], row["size"], row["stored"],
                row["used"],
            )
            for row in rows
        ]  # fmt: skip

    @repeatable
    def add(self, file: KeptFile) -> None:
        with self._database.transaction() as connection:
            connection.execute(
                "INSERT INTO patch_files (sha256, package, arch, version, archive, size, stored, used) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
                " ON CONFLICT (sha256) DO UPDATE SET used = excluded.used",
                (
                    file.sha256, file.package, file.arch, file.version, file.archive, file.size, file.stored, file.used,
                ),
            )  # fmt: skip

    @repeatable
    def used(self, digests: Iterable[str], now: datetime) -> None:
        at = text_of(now)
        with self._database.transaction() as connection:
            connection.executemany("UPDATE patch_files SET used = ? WHERE sha256 = ?", [(at, one) for one in digests])

    @repeatable
    def forget(self, digests: Iterable[str]) -> None:
        with self._database.transaction() as connection:
            connection.executemany("DELETE FROM patch_files WHERE sha256 = ?", [(one,) for one in digests])
