"""Ids, times and names of this controller. No database here: imported where start-up time counts."""

import getpass
import os
import secrets
import socket
from datetime import UTC, datetime
from pathlib import Path

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


def this_process() -> str:
    """Names this process for as long as this machine is up: `boot pid start`."""
    pid = os.getpid()
    return f"{_boot()} {pid} {_start(pid)}"


def lives(process: str) -> bool | None:
    """Is the process that `this_process` named still there? None: it is of another machine, or from before a reboot of this one."""
    boot, _, rest = process.partition(" ")
    pid, _, start = rest.partition(" ")
    if not boot or boot != _boot() or not pid.isdigit():
        return None
    return start == _start(int(pid))


def _boot() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return ""


def _start(pid: int) -> str:
    """When it started, in clock ticks since the boot; '' when it is gone, or a zombie."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
    except OSError:
        return ""
    return "" if fields[0] in (b"Z", b"X") else fields[19].decode("ascii")


def who() -> str:
    """user@machine of this controller, for audit rows and for the lock on the host."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = "unknown"
    return f"{user}@{socket.gethostname()}"
