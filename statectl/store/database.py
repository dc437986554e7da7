"""The database of the store: SQLite, opened, migrated, and written to one short transaction at a time.

WAL, full fsync at commit, and every transaction BEGIN IMMEDIATE: one that reads first and writes later would fail at once
with SQLITE_BUSY_SNAPSHOT, whatever the timeout. Files are 0600 under any umask. The SQL is plain enough for other databases; why no
toolkit stands between is in docs/decisions.
"""

import errno
import os
import re
import sqlite3
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from statectl.errors import Refused

BUSY_TIMEOUT_MS = 10_000
LEFT_BEHIND_S = 3600
CHECKED_BYTES = 16 * 1024 * 1024  # a store up to this size is checked whenever it is opened: a few milliseconds
MIGRATIONS = Path(__file__).parent / "migrations"


def migrations() -> list[tuple[int, Path]]:
    """(number, file) of every migration, in order."""
    found = [
        (int(match[1]), path) for path in MIGRATIONS.iterdir() if (match := re.fullmatch(r"(\d{4})\.sql", path.name))
    ]
    return sorted(found)


class Database:
    """One connection for all threads of a process. Errors of the database leave as one line with a code."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()
        self._connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self._connection.row_factory = sqlite3.Row
        try:
            for pragma in (
                f"busy_timeout = {BUSY_TIMEOUT_MS}",
                "journal_mode = WAL",
                "synchronous = FULL",
                "secure_delete = ON",
            ):
                self._connection.execute(f"PRAGMA {pragma}")
        except sqlite3.Error as error:
            self._connection.close()
            raise self._explained(error) from None

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """BEGIN IMMEDIATE … COMMIT; rolled back when the block raises."""
        with self._lock:
            try:
                self._connection.execute("BEGIN IMMEDIATE")
                try:
                    yield self._connection
                except BaseException:
                    self._connection.execute("ROLLBACK")
                    raise
                self._connection.execute("COMMIT")
            except sqlite3.Error as error:
                raise self._explained(error) from None

    def close(self) -> None:
        with self._lock:
            self._connection.close()

    def check(self) -> None:
        """Raises Refused when the file is not sound: a page that nobody reads today is not left to be found in a year."""
        try:
            if self.path.stat().st_size > CHECKED_BYTES:
                return
            answer = self._connection.execute("PRAGMA quick_check(1)").fetchone()[0]
        except (sqlite3.Error, OSError) as error:
            raise self._explained(error) from None
        if answer != "ok":
            raise self._damaged(" ".join(str(answer).split()))

    def bring_up_to_date(self) -> None:
        """Run the migrations that are missing, each in a transaction of its own. A newer store is left as it is."""
        known = migrations()
        with self.transaction() as connection:
            version = connection.execute("PRAGMA user_version").fetchone()[0]
            tables = [row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        if version > known[-1][0]:
            raise Refused(
                f"store {self.path} was written by a newer statectl (schema {version}, this one knows {known[-1][0]})",
                code="E521",
                hint="upgrade statectl, or name another store",
            )
        if version == 0 and tables:
            raise Refused(f"{self.path} belongs to something else: it has tables, and none of a store", code="E521")
        for number, path in known:
            if number <= version:
                continue
            with self.transaction() as connection:
                if connection.execute("PRAGMA user_version").fetchone()[0] >= number:
                    continue  # another process was quicker
                for statement in statements(path.read_text(encoding="utf-8")):
                    connection.execute(statement)
                connection.execute(f"PRAGMA user_version = {number}")

    def _explained(self, error: sqlite3.Error | OSError) -> Refused:
        cause = " ".join(str(error).split())
        if "locked" in cause:
            return Refused(
                f"store {self.path} is held by another process for over {BUSY_TIMEOUT_MS // 1000} s",
                code="E520",
                hint="try again",
            )
        if "malformed" in cause or "not a database" in cause:
            return self._damaged(cause)
        return Refused(f"store {self.path} cannot be used: {cause}", code="E520")

    def _damaged(self, cause: str) -> Refused:
        return Refused(
            f"store {self.path} is damaged: {cause}",
            code="E522",
            hint="restore a backup, or move the file away: the hosts keep their own memory, and the store is filled again at contact",
        )


def statements(script: str) -> list[str]:
    """The statements of a migration. Our own files hold no semicolon inside a statement or a comment."""
    lines = [line.partition("--")[0] for line in script.splitlines()]
    return [text.strip() for text in "\n".join(lines).split(";") if text.strip()]


def open_database(url: str, root: Path) -> Database:
    """`sqlite:PATH`, relative to the project. Raises Refused with the cause in one line."""
    kind, colon, name = url.partition(":")
    if kind != "sqlite" or not colon or not name:
        # the rest of the address is not shown: it may hold a password
        raise Refused(f"store of kind {kind!r} is not known to this version", code="E520", hint="write sqlite:PATH")
    path = (root / name).resolve()
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if path.parent.parent == root.resolve() and path.parent.name == ".statectl":
            ignore = path.parent / ".gitignore"
            if not ignore.exists():
                ignore.write_text("*\n")
        if not path.exists():
            _create(path)
        elif path.stat().st_size == 0:
            raise Refused(
                f"store {path} is empty: whatever it held is gone",
                code="E522",
                hint="restore a backup, or delete the file to begin a new history",
            )
        _writable(path)
    except OSError as error:
        raise Refused(f"store {path} cannot be written: {error.strerror or error}", code="E520") from None
    database = Database(path)
    try:
        database.check()
        database.bring_up_to_date()
    except BaseException:
        database.close()
        raise
    return database


def _writable(path: Path) -> None:
    """Raises OSError when it may not be written: sqlite itself would read it all the same.

    The file is not opened to find out: to close it would drop the locks of every other connection that this process has to it, and
    another process could then take the log away from under them.
    """
    if os.access(path, os.R_OK | os.W_OK, effective_ids=True):
        return
    number = errno.EROFS if os.statvfs(path).f_flag & os.ST_RDONLY else errno.EACCES
    raise OSError(number, os.strerror(number), str(path))


def _create(path: Path) -> None:
    """A new store appears whole, or not at all: a file without content is never one that we were about to make."""
    pattern = f".{path.name}.*.new*"
    for left in path.parent.glob(pattern):
        if left.stat().st_mtime < time.time() - LEFT_BEHIND_S:
            left.unlink(missing_ok=True)  # of a process that was killed while it made one
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".new", dir=path.parent)  # 0600
    os.close(handle)
    try:
        made = Database(Path(name))
        try:
            made.bring_up_to_date()
        finally:
            made.close()
        try:
            os.link(name, path)
        except FileExistsError:
            return  # another process was quicker
    finally:
        os.unlink(name)
