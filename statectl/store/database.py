"""The database of the store: what its verbs are written against, whichever database keeps it.

SQL that both read: `?` for values, `INSERT … ON CONFLICT`, VARCHAR, TEXT, INTEGER and BLOB, no rowid, no functions of one of them. Text sorts
by its bytes and LIKE minds case in both. The two back ends are `sqlite.py` and `postgresql.py`; why no toolkit stands between is in
docs/decisions.
"""

import re
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from functools import wraps
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar

from statectl.errors import Refused

PATIENCE_S = 10  # for another writer
MIGRATIONS = Path(__file__).parent / "migrations"

P = ParamSpec("P")
T = TypeVar("T")


class Row(Protocol):
    """By name or by place; `dict(row)` is all of it."""

    def __getitem__(self, key: int | str, /) -> Any: ...
    def __iter__(self) -> Iterator[Any]: ...
    def keys(self) -> Iterable[str]: ...


class Cursor(Protocol):
    @property
    def rowcount(self) -> int: ...
    def fetchone(self) -> Any: ...
    def fetchall(self) -> list[Any]: ...
    def __iter__(self) -> Iterator[Any]: ...


class Connection(Protocol):
    """A transaction that is under way."""

    def execute(self, sql: str, parameters: Sequence[Any] = ..., /) -> Cursor: ...
    def executemany(self, sql: str, parameters: Iterable[Sequence[Any]], /) -> Cursor: ...


class TransactionLost(Refused):
    """The connection ended and nothing of the transaction is in the store: the whole verb may be done again."""


class Database(ABC):
    """For all threads of a process. Errors of the database leave as one line with a code; passwords stand in none.

    `name` is the address as it may be shown.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self._one_writes = threading.Lock()
        self._one_reads = threading.Lock()

    @abstractmethod
    def transaction(self) -> AbstractContextManager[Connection]:
        """The one writer, of all processes: waits PATIENCE_S for another. Rolled back when the block raises."""

    @abstractmethod
    def reading(self) -> AbstractContextManager[Connection]:
        """All that is read in the block is of one moment. Waits for no writer, and none waits for it."""

    @abstractmethod
    def close(self) -> None: ...

    def repeated(self, verb: Callable[[], T]) -> T:
        """Do a whole verb, and again where its connection was lost, within a bound."""
        return verb()

    # --- the schema

    def bring_up_to_date(self) -> None:
        """Run the migrations that are missing, each in a transaction of its own. A newer store is left as it is."""
        known = migrations()
        version, tables = self.repeated(self._look)
        if version > known[-1][0]:
            raise Refused(
                f"store {self.name} was written by a newer statectl (schema {version}, this one knows {known[-1][0]})",
                code="E521",
                hint="upgrade statectl, or name another store",
            )
        if version == 0 and tables:
            raise self._of_something_else()
        for number, path in known:
            if number > version:
                self.repeated(lambda number=number, path=path: self._migrate(number, path))  # type: ignore[misc]

    @abstractmethod
    def _look(self) -> tuple[int, bool]:
        """(the version of the schema, 0 for none; are there tables?)."""

    @abstractmethod
    def _migrate(self, number: int, path: Path) -> None:
        """Do one migration in one transaction, unless another process was quicker."""

    @abstractmethod
    def _of_something_else(self) -> Refused: ...


class HasDatabase(Protocol):
    _database: Database


S = TypeVar("S", bound=HasDatabase)


def repeatable(verb: Callable[Concatenate[S, P], T]) -> Callable[Concatenate[S, P], T]:
    """A verb of an object with a `_database`: begun anew, on a new connection, when its transaction was lost.

    For verbs of one transaction, which is all they do; half of one is never done again. What can be read only once is kept for the
    next time.
    """

    @wraps(verb)
    def whole(self: S, /, *args: P.args, **kwargs: P.kwargs) -> T:
        kept = [list(value) if isinstance(value, Iterator) else value for value in args]
        named = {name: list(value) if isinstance(value, Iterator) else value for name, value in kwargs.items()}
        return self._database.repeated(lambda: verb(self, *kept, **named))  # type: ignore[arg-type]

    return whole


def migrations() -> list[tuple[int, Path]]:
    """(number, file) of every migration, in order."""
    found = [
        (int(match[1]), path) for path in MIGRATIONS.iterdir() if (match := re.fullmatch(r"(\d{4})\.sql", path.name))
    ]
    return sorted(found)


def statements(script: str) -> list[str]:
    """The statements of a migration. Our own files hold no semicolon inside a statement or a comment."""
    lines = [line.partition("--")[0] for line in script.splitlines()]
    return [text.strip() for text in "\n".join(lines).split(";") if text.strip()]


def open_database(url: str, root: Path) -> Database:
    """`sqlite:PATH`, relative to the project, or `postgresql://…`. Raises Refused with the cause in one line."""
    from statectl.store.address import address_problem, is_postgresql, shown

    problem = address_problem(url)
    if problem:
        raise Refused(
            f"store {shown(url)} cannot be read as an address", code="E520", hint=problem.replace("expected", "write")
        )
    if is_postgresql(url):
        try:
            import psycopg  # noqa: F401  an extra
        except ImportError:
            raise Refused(
                f"store {shown(url)} needs psycopg, which is not installed",
                code="E520",
                hint="pip install 'statectl[postgresql]'",
            ) from None
        from statectl.store.postgresql import open_postgresql

        return open_postgresql(url)
    from statectl.store.sqlite import open_sqlite

    return open_sqlite(url.partition(":")[2], root)
