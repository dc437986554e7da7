"""The store in a file: SQLite, WAL, full fsync at commit.

Every writing transaction is BEGIN IMMEDIATE: one that reads first and writes later would fail at once with SQLITE_BUSY_SNAPSHOT,
whatever the timeout. Files are 0600 under any umask.
"""

import errno
import os
import sqlite3
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from statectl.errors import Refused
from statectl.store.database import PATIENCE_S, Database, statements

LEFT_BEHIND_S = 3600
CHECKED_BYTES = 16 * 1024 * 1024  # a store up to this size is checked whenever it is opened: a few milliseconds
SYNCHRONOUS = "FULL"


class SQLite(Database):
    """A connection for whoever writes, and another one for who reads at the same time."""

    def __init__(self, path: Path) -> None:
        super().__init__(str(path))
        self.path = path
        self._closed = False
        self._idle = [self._connect()]

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        with self._one_writes, self._begun("BEGIN IMMEDIATE") as connection:
            yield connection

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        with self._one_reads, self._begun("BEGIN") as connection:
            yield connection

    def close(self) -> None:
        with self._one_writes, self._one_reads:
            self._closed = True
            while self._idle:
                self._idle.pop().close()

    def check(self) -> None:
        """Raises Refused when the file is not sound: a page that nobody reads today is not left to be found in a year."""
        try:
            if self.path.stat().st_size > CHECKED_BYTES:
                return
            with self._lent() as connection:
                answer = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
        except OSError as error:
            raise self._explained(error) from None
        if answer != "ok":
            raise self._damaged(" ".join(str(answer).split()))

    @contextmanager
    def _begun(self, begin: str) -> Iterator[sqlite3.Connection]:
        """A transaction. SQLite ends some of them itself when they fail, so what is left is looked at first."""
        with self._lent() as connection:
            try:
                connection.execute(begin)
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise

    @contextmanager
    def _lent(self) -> Iterator[sqlite3.Connection]:
        if self._closed:
            raise Refused(f"store {self.path} is closed", code="E520")
        try:
            connection = self._idle.pop()
        except IndexError:
            connection = self._connect()
        try:
            yield connection
        except sqlite3.Error as error:
            raise self._explained(error) from None
        finally:
            self._idle.append(connection)

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self.path, isolation_level=None, check_same_thread=False)
        connection.row_factory = sqlite3.Row
        try:
            for pragma in (
                f"busy_timeout = {PATIENCE_S * 1000}",
                "journal_mode = WAL",
                f"synchronous = {SYNCHRONOUS}",
                "secure_delete = ON",
                "case_sensitive_like = ON",
            ):
                connection.execute(f"PRAGMA {pragma}")
        except sqlite3.Error as error:
            connection.close()
            raise self._explained(error) from None
        return connection

    def _look(self) -> tuple[int, bool]:
        with self.reading() as connection:
            version = connection.execute("PRAGMA user_version").fetchone()[0]
            tables = connection.execute("SELECT count(*) FROM sqlite_master WHERE type = 'table'").fetchone()[0]
        return int(version), bool(tables)

    def _migrate(self, number: int, path: Path) -> None:
        with self.transaction() as connection:
            if connection.execute("PRAGMA user_version").fetchone()[0] >= number:
                return
            for statement in statements(path.read_text(encoding="utf-8")):
                connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {number}")

    def _of_something_else(self) -> Refused:
        return Refused(f"{self.path} belongs to something else: it has tables, and none of a store", code="E521")

    def _explained(self, error: sqlite3.Error | OSError) -> Refused:
        cause = " ".join(str(error).split())
        if "locked" in cause:
            return Refused(
                f"store {self.path} is held by another process for over {PATIENCE_S} s", code="E520", hint="try again"
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


def open_sqlite(name: str, root: Path) -> SQLite:
    """The file `name`, relative to the project; made when it is not there."""
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
    database = SQLite(path)
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
        made = SQLite(Path(name))
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
