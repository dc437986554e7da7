"""The store on a PostgreSQL server, for several controllers.

One transaction writes at a time, of all controllers: each holds the advisory lock of its schema to its end. The connection may go at
any moment. Before COMMIT nothing of the transaction is there; in COMMIT nobody was told. So every transaction leaves its number in
`store_commits`, and one whose end is not known is looked up on a new connection, after the old one was ended and under the lock: then it
is there or it never will be. What is not there is done again from its beginning, by `repeatable`.
"""

import secrets
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeVar

import psycopg

from statectl.errors import Refused
from statectl.store.address import shown
from statectl.store.database import Database, TransactionLost, statements
from statectl.store.postgresql_errors import Explained, is_lost, is_passing
from statectl.store.postgresql_session import Session, connect, translated

T = TypeVar("T")

RETURN_S = 30.0  # how long a server that was there may be away
PAUSES_S = (0.05, 0.1, 0.2, 0.4, 0.8)  # and then the last one again
SWEEP_S = 3600.0


class PostgreSQL(Database):
    """A connection for whoever writes, and another one for who reads at the same time; both are opened when they are needed."""

    def __init__(self, url: str) -> None:
        super().__init__(shown(url))
        self._url = url
        self._explained = Explained(self.name)
        self._idle: list[Session] = []
        self._closed = False
        self._answered = False  # it was there once: now it may only be away
        self._process = secrets.token_hex(16)
        self._number = 0
        self._swept: float | None = None
        self._depth = threading.local()

    @contextmanager
    def transaction(self) -> Iterator[Session]:
        with self._one_writes:
            with self._lent() as session:
                session.begin_writing()
                yield session
                number = self._number = self._number + 1
                committed = self._commit(session, number)
            if not committed and not self._is_there(session, number):
                raise self._explained.lost()

    @contextmanager
    def reading(self) -> Iterator[Session]:
        with self._one_reads, self._lent() as session:
            session.run("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
            yield session
            session.run("COMMIT")

    def close(self) -> None:
        with self._one_writes, self._one_reads:
            self._closed = True
            while self._idle:
                self._idle.pop().close()

    def repeated(self, verb: Callable[[], T]) -> T:
        """Anew while its transaction is lost, for RETURN_S at most."""
        if getattr(self._depth, "inside", False):
            return verb()  # a verb that is made of another one: the outer one is whole
        self._depth.inside = True
        try:
            return self._until_answered(verb)
        finally:
            self._depth.inside = False

    def _until_answered(self, work: Callable[[], T]) -> T:
        first: float | None = None
        pauses = iter(PAUSES_S)
        while True:
            try:
                return work()
            except TransactionLost as lost:
                at = time.monotonic()
                first = at if first is None else first
                if at - first >= RETURN_S:
                    raise Refused(
                        f"{lost.message}, and did not come back within {RETURN_S:.0f} s", code="E520", hint=lost.hint
                    ) from None
                time.sleep(next(pauses, PAUSES_S[-1]))

    # --- connections

    @contextmanager
    def _lent(self) -> Iterator[Session]:
        session = self._take()
        try:
            yield session
        except psycopg.Error as error:
            if is_lost(session, error, wrote=self._number > 0):
                session.close()
                raise self._explained.lost(error) from None
            self._give_back(session)
            raise self._explained(error) from None
        except BaseException:
            self._give_back(session)
            raise
        self._give_back(session)

    def _take(self) -> Session:
        if self._closed:
            raise Refused(f"store {self.name} is closed", code="E520")
        with suppress(IndexError):
            return self._idle.pop()
        try:
            session = connect(self._url)
        except psycopg.Error as error:
            if self._answered or is_passing(error):
                raise self._explained.lost(error) from None
            raise self._explained.unreachable(error) from None
        self._answered = True
        return session

    def _give_back(self, session: Session) -> None:
        """Without a transaction; a connection that cannot be brought there is given up."""
        with suppress(psycopg.Error):
            session.end()
        if session.is_idle() and not self._closed:
            self._idle.append(session)
        else:
            session.close()

    # --- the end of a transaction

    def _commit(self, session: Session, number: int) -> bool:
        """False: the connection was lost and nobody knows. Raises what the server says against it."""
        at = time.monotonic()
        sweep = ""
        if self._swept is None or at - self._swept > SWEEP_S:
            sweep = "DELETE FROM store_commits WHERE at < now() - interval '1 day'; "
        try:
            session.run(
                f"{sweep}INSERT INTO store_commits (process, number, at) VALUES ('{self._process}', {number}, now())"  # noqa: S608  a hexadecimal and a number
                " ON CONFLICT (process) DO UPDATE SET number = excluded.number, at = excluded.at; COMMIT"
            )
        except psycopg.Error as error:
            if not is_lost(session, error, wrote=True):
                raise
            session.close()
            return False
        self._swept = at if sweep else self._swept
        return True

    def _is_there(self, old: Session, number: int) -> bool:
        """Was the transaction of that number committed, on the connection that is lost?"""

        def look() -> bool:
            with self._lent() as session:
                session.end_other(old)
                session.begin_writing()
                row = session.execute("SELECT number FROM store_commits WHERE process = ?", (self._process,)).fetchone()
                return row is not None and row["number"] >= number

        try:
            return self._until_answered(look)
        except Refused as error:
            raise Refused(
                f"{error.message}: whether the last change was kept is not known",
                code="E520",
                hint="see statectl runs list when the server answers again",
            ) from None

    # --- the schema

    def _look(self) -> tuple[int, bool]:
        with self.reading() as session:
            tables = {
                row["name"]
                for row in session.execute(
                    "SELECT tablename AS name FROM pg_tables WHERE schemaname = current_schema()"
                )
            }
            if "store_schema" not in tables:
                return 0, bool(tables)
            (version,) = session.execute("SELECT version FROM store_schema").fetchone() or (0,)
        return int(version), True

    def _migrate(self, number: int, path: Path) -> None:
        with self._one_writes, self._lent() as session:
            session.begin_writing()
            if number == 1:
                session.run("CREATE TABLE IF NOT EXISTS store_schema (version BIGINT NOT NULL)")
                session.run(
                    "CREATE TABLE IF NOT EXISTS store_commits"
                    " (process TEXT PRIMARY KEY, number BIGINT NOT NULL, at TIMESTAMPTZ NOT NULL)"
                )
            row = session.execute("SELECT version FROM store_schema").fetchone()
            if row is None:
                session.run("INSERT INTO store_schema (version) VALUES (0)")
            elif row["version"] >= number:
                return
            for statement in statements(path.read_text(encoding="utf-8")):
                session.run(translated(statement))
            session.run(f"UPDATE store_schema SET version = {number}; COMMIT")  # noqa: S608  a number

    def _of_something_else(self) -> Refused:
        return Refused(
            f"the database of {self.name} belongs to something else: it has tables, and none of a store",
            code="E521",
            hint="name another database, or a schema of its own: ?options=-csearch_path%3Dstatectl after CREATE SCHEMA statectl",
        )


def open_postgresql(url: str) -> PostgreSQL:
    database = PostgreSQL(url)
    try:
        database.bring_up_to_date()
    except BaseException:
        database.close()
        raise
    return database
