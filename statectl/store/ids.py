"""Ids, times and names of this controller. No database here: imported where start-up time counts."""

import getpass
import secrets
import socket
from datetime import UTC, datetime

_ALPHABET = "23456789ABCDEFGHJKLMNPQRSTUVWXYZ"  # no 0/O, 1/I: ids are read aloud


def now() -> str:
    """UTC, ISO 8601, whole seconds."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def new_id() -> str:
    """8 letters and digits, upper case, never all digits: no association, file or host can be meant."""
    while True:
        text = "".join(secrets.choice(_ALPHABET) for _ in range(8))
        if not text.isdigit():
            return text


def who() -> str:
    """user@machine of this controller, for audit rows and for the lock on the host."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = "unknown"
    return f"{user}@{socket.gethostname()}"
