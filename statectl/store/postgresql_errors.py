"""What PostgreSQL says against us, as one line with what to do about it."""

import re
from typing import Protocol

import psycopg

from statectl.errors import Refused
from statectl.store.database import PATIENCE_S, TransactionLost

GONE = {"57P01", "57P02", "57P03", "57P05", "25P03"}
ONCE_MORE = {"40001", "40P01", "0A000"}  # conflicts; a statement prepared before another controller changed its table
READ_ONLY = "25006"
DAMAGED = {"XX001", "XX002"}
HINTS = (
    ("password|authentication failed|SASL", "put the password into ~/.pgpass or PGPASSWORD, or into the address"),
    (
        "no pg_hba.conf entry|SSL|TLS|certificate",
        "ask for what the server offers: its pg_hba.conf, and sslmode in the address",
    ),
    ("database .* does not exist", "make it: createdb -E UTF8 NAME"),
    ("role .* does not exist", "make it: createuser NAME, or name another user in the address"),
    ("refused|No such file", "start the server, or mend host and port in the address"),
    ("translate host name|resolve", "mend the host in the address"),
    ("timeout|timed out|unreachable|No route", "is the server up, and the way to it open?"),
    ("read-only|recovery", "name the server that may be written, or all of them with target_session_attrs=read-write"),
    ("encoding", "make the database anew: createdb -E UTF8 -T template0 NAME"),
    ("too many|connection slots", "try again, or raise max_connections of the server"),
)
BY_STATE = {
    "42501": "give the user the right: GRANT USAGE, CREATE ON SCHEMA, or let it own the database",
    "53100": "make room on the server's disk",
    "53200": "the server is out of memory",
    "3F000": "make it: CREATE SCHEMA, or mend search_path in the address",
    READ_ONLY: "name the server that may be written, or all of them with target_session_attrs=read-write",
}


class HasState(Protocol):
    def is_closed(self) -> bool: ...


def is_lost(session: HasState, error: psycopg.Error, *, wrote: bool) -> bool:
    """Did the connection end, or does the server ask for the transaction once more? `wrote`: it took writes before."""
    state = error.sqlstate or ""
    return session.is_closed() or state in GONE | ONCE_MORE or state.startswith("08") or (wrote and state == READ_ONLY)


def is_passing(error: psycopg.Error) -> bool:
    """Is it there, and only not ready?"""
    return (
        re.search(r"starting up|shutting down|not yet accepting|in recovery mode|too many|connection slots", str(error))
        is not None
    )


class Explained:
    def __init__(self, name: str) -> None:
        self._name = name

    def __call__(self, error: psycopg.Error) -> Refused:
        state = error.sqlstate or ""
        cause = (error.diag.message_primary or _line(error)).strip()
        if state == "55P03":
            return Refused(
                f"store {self._name} is held by another process for over {PATIENCE_S} s", code="E520", hint="try again"
            )
        if state in DAMAGED:
            return Refused(
                f"store {self._name} is damaged: {cause}", code="E522", hint="restore a backup of the database"
            )
        hint = BY_STATE.get(state) or _hint(cause)
        return Refused(f"store {self._name} cannot be used: {cause}", code="E520", hint=hint)

    def unreachable(self, error: psycopg.Error) -> Refused:
        cause = _line(error)
        return Refused(f"store {self._name} cannot be reached: {cause}", code="E520", hint=_hint(cause))

    def lost(self, error: psycopg.Error | None = None) -> TransactionLost:
        cause = f": {_line(error)}" if error is not None else ""
        return TransactionLost(
            f"the connection to store {self._name} was lost{cause}",
            code="E520",
            hint=_hint(cause) or "is the server up, and the way to it open?",
        )


def _hint(cause: str) -> str:
    return next((hint for pattern, hint in HINTS if re.search(pattern, cause, re.IGNORECASE)), "")


def _line(error: psycopg.Error) -> str:
    """libpq's words, from where they say something, without the values that it quotes from an address it cannot read."""
    text = str(error).strip()
    text = text.splitlines()[0] if text else type(error).__name__
    text = text.rpartition(" failed: ")[2] if " failed: " in text else text
    text = re.sub(r"^(?:FATAL|ERROR|PANIC):\s+", "", text)
    if re.search(r"invalid|missing|URI|unexpected|parse", text):
        text = re.sub(r'"[^"]*"', '"***"', text)
    return " ".join(text.split())
