"""Open a store: SQLite (default) or any database that SQLAlchemy speaks to. Creates or migrates the tables.

SQLite: WAL, every write BEGIN IMMEDIATE (a transaction that reads first and writes later would fail at once with
SQLITE_BUSY_SNAPSHOT), full fsync at commit, files 0600.
"""

import os
from pathlib import Path
from typing import Any

import sqlalchemy
from sqlalchemy import event
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.exc import DatabaseError

from statectl.errors import Failed, Refused
from statectl.store import tables

BUSY_TIMEOUT_MS = 10_000


def open_engine(url: str, root: Path) -> Engine:
    """`sqlite:PATH` (relative to the project) or a SQLAlchemy URL. Raises Refused or Failed with the cause in one line."""
    if url.startswith("sqlite:") and not url.startswith("sqlite://"):
        path = (root / url.removeprefix("sqlite:")).resolve()
        _prepare(path, root)
        engine = sqlalchemy.create_engine(f"sqlite:///{path}")
        event.listen(engine, "connect", _pragmas)
        event.listen(engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN IMMEDIATE"))
        place = str(path)
    else:
        engine = sqlalchemy.create_engine(url)
        place = engine.url.render_as_string(hide_password=True)
    try:
        with engine.begin() as connection:
            _bring_up_to_date(connection, place)
    except DatabaseError as error:
        raise explained(error, place) from None
    return engine


def _prepare(path: Path, root: Path) -> None:
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if path.parent.parent == root and path.parent.name == ".statectl":
            ignore = path.parent / ".gitignore"
            if not ignore.exists():
                ignore.write_text("*\n")
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
    except OSError as error:
        raise Refused(f"store {path} cannot be written: {error.strerror}", code="E502") from None


def _pragmas(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # transactions begin where we say so
    cursor = connection.cursor()
    cursor.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_MS}")
    cursor.execute("PRAGMA journal_mode = WAL")
    cursor.execute("PRAGMA synchronous = FULL")
    cursor.execute("PRAGMA secure_delete = ON")
    cursor.close()


def _bring_up_to_date(connection: Connection, place: str) -> None:
    version = _version(connection)
    if version == tables.HEAD:
        return
    if version is None:
        tables.metadata.create_all(connection)
        connection.exec_driver_sql("CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL PRIMARY KEY)")
        connection.execute(sqlalchemy.text("INSERT INTO alembic_version VALUES (:head)"), {"head": tables.HEAD})
        return
    if version > tables.HEAD:
        raise Refused(
            f"store {place} was written by a newer statectl (schema {version}, this one knows {tables.HEAD})",
            code="E503",
            hint="upgrade statectl, or name another store",
        )
    migrate(connection)


def _version(connection: Connection) -> str | None:
    inspector = sqlalchemy.inspect(connection)
    names = inspector.get_table_names()
    if "alembic_version" in names:
        row = connection.exec_driver_sql("SELECT version_num FROM alembic_version").first()
        return str(row[0]) if row else "0000"
    if names:
        raise Refused("the database of the store belongs to something else: it has tables and no version", code="E503")
    return None


def migrate(connection: Connection) -> None:
    """Run every migration that is missing. alembic is imported here only: it is slow and rarely needed."""
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def explained(error: DatabaseError, place: str) -> Failed | Refused:
    cause = " ".join(str(error.orig or error).split())
    if "locked" in cause:
        return Refused(
            f"store {place} is held by another process for over {BUSY_TIMEOUT_MS // 1000} s",
            code="E502",
            hint="try again",
        )
    if "malformed" in cause or "not a database" in cause:
        return Refused(
            f"store {place} is damaged: {cause}",
            code="E504",
            hint="restore a backup, or move the file away: the hosts keep their own memory and the store is filled again at contact",
        )
    return Refused(f"store {place} cannot be used: {cause}", code="E502")
