"""One connection to PostgreSQL, spoken to as the store speaks: `?` for values, rows by name or place, the SQL of the migrations."""

import re
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from typing import Any

import psycopg
from psycopg.abc import PQGen
from psycopg.pq import TransactionStatus
from psycopg.types.numeric import NumericLoader

from statectl.store.database import PATIENCE_S

CONNECT_S = 10  # to one host
STATEMENT_S = 20  # the server gives up a statement
SILENCE_S = 25.0  # we give up a server that does not even say so
LOCK = 0x73746374  # of statectl, among whatever else takes advisory locks in this database

DEFAULTS: dict[str, Any] = {
    "connect_timeout": CONNECT_S,
    "fallback_application_name": "statectl",
    "client_encoding": "UTF8",
    "keepalives": 1,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 2,
    "tcp_user_timeout": 20_000,
}
SETTINGS = (
    f"SET statement_timeout = '{STATEMENT_S}s'; SET lock_timeout = '{PATIENCE_S}s';"
    " SET idle_in_transaction_session_timeout = '60s';"
    " SET tcp_keepalives_idle = 10; SET tcp_keepalives_interval = 5; SET tcp_keepalives_count = 2;"
    " SET standard_conforming_strings = on"
)


class WrongEncoding(psycopg.Error):
    """The database cannot hold every text."""


class Found:
    """A row."""

    __slots__ = ("_names", "_values")

    def __init__(self, names: dict[str, int], values: Sequence[Any]) -> None:
        self._names = names
        self._values = values

    def __getitem__(self, key: int | str) -> Any:
        return self._values[self._names[key] if isinstance(key, str) else key]

    def __iter__(self) -> Iterator[Any]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def keys(self) -> Iterable[str]:
        return self._names


class Silent(psycopg.OperationalError):
    """The server does not answer."""


class Bounded(psycopg.Connection[Found]):
    """A server that says nothing is not waited for without end."""

    def wait(self, gen: PQGen[Any], interval: float = 0.1, timeout: float | None = None) -> Any:
        if timeout is not None:
            return super().wait(gen, interval=interval, timeout=timeout)
        try:
            return super().wait(gen, interval=interval, timeout=SILENCE_S)
        except psycopg.errors._WaitTimeout:  # noqa: SLF001  it is what `wait` documents
            self.close()
            raise Silent("the server does not answer") from None


class Whole(NumericLoader):
    """Sums of whole numbers are whole numbers."""

    def load(self, data: Any) -> Any:
        value = super().load(data)
        return int(value) if value == value.to_integral_value() else float(value)


class Session:
    def __init__(self, raw: psycopg.Connection[Found]) -> None:
        self._raw = raw
        raw.adapters.register_loader("numeric", Whole)
        raw.execute(SETTINGS)
        row: Any = raw.execute(
            "SELECT pg_backend_pid(), (SELECT backend_start::text FROM pg_stat_activity WHERE pid = pg_backend_pid()),"
            " (SELECT oid::bigint FROM pg_namespace WHERE nspname = current_schema()), current_setting('server_encoding')"
        ).fetchone()
        self.pid, self.started, schema, encoding = row
        if encoding != "UTF8":
            raise WrongEncoding(f"its encoding is {encoding}")
        self._lock = ((schema or 0) + 2**31) % 2**32 - 2**31

    def execute(self, sql: str, parameters: Sequence[Any] = (), /) -> psycopg.Cursor[Found]:
        return self._raw.execute(placed(sql), _clean(parameters))

    def executemany(self, sql: str, parameters: Iterable[Sequence[Any]], /) -> psycopg.Cursor[Found]:
        cursor = self._raw.cursor()
        cursor.executemany(placed(sql), [_clean(row) for row in parameters])
        return cursor

    def run(self, script: str) -> None:
        """Statements without values, in one go."""
        self._raw.execute(script.encode(), prepare=False)  # several statements cannot be prepared

    def begin_writing(self) -> None:
        """The lock is waited for PATIENCE_S; what is read afterwards is what the writer before left."""
        self.run(f"BEGIN; SELECT pg_advisory_xact_lock({LOCK}, {self._lock})")

    def end(self) -> None:
        """Whatever transaction is under way is undone."""
        if self._raw.info.transaction_status not in (TransactionStatus.IDLE, TransactionStatus.UNKNOWN):
            self.run("ROLLBACK")

    def end_other(self, other: "Session") -> None:
        """End the server's side of a connection that is lost: it may not have noticed, and would hold its lock."""
        self.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE pid = ? AND backend_start::text = ?",
            (other.pid, other.started),
        )

    def is_idle(self) -> bool:
        return not self._raw.closed and self._raw.info.transaction_status == TransactionStatus.IDLE

    def is_closed(self) -> bool:
        return bool(self._raw.closed)

    def close(self) -> None:
        self._raw.close()


def connect(url: str) -> Session:
    """Raises psycopg.Error."""
    given = psycopg.conninfo.conninfo_to_dict(url)
    named = {**DEFAULTS, **given}
    if "," in f"{named.get('host', '')}{named.get('hostaddr', '')}":
        named.setdefault("target_session_attrs", "read-write")
    raw = Bounded.connect(**named, autocommit=True, row_factory=_rows)
    try:
        return Session(raw)
    except BaseException:
        raw.close()
        raise


def _rows(cursor: Any) -> Any:
    names = {column.name: place for place, column in enumerate(cursor.description or ())}
    return lambda values: Found(names, values)


def _clean(values: Sequence[Any]) -> list[Any]:
    """PostgreSQL's text holds every character but NUL."""
    return [
        value.replace("\x00", "\ufffd") if isinstance(value, str) and "\x00" in value else value for value in values
    ]


@lru_cache(maxsize=512)
def placed(sql: str) -> bytes:
    """`?` outside of quotes is where a value goes."""
    pieces = sql.replace("%", "%%").split("'")
    return "'".join(piece if place % 2 else piece.replace("?", "%s") for place, piece in enumerate(pieces)).encode()


def translated(statement: str) -> str:
    """A statement of a migration as PostgreSQL reads it; '' for one that copies what only SQLite has."""
    if "rowid" in statement:
        return ""
    text = re.sub(r"\b(?:VARCHAR\(\d+\)|TEXT\b)", 'TEXT COLLATE "C"', statement)
    text = re.sub(r"\bINTEGER\b", "BIGINT", text)
    return re.sub(r"\bBLOB\b", "BYTEA", text)
