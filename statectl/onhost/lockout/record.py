"""What is armed on this host, and how the last one was settled. One directory of the memory, `armed/`.

    record.json    {"run", "controller", "seconds", "boot", "executor", "deadline", "addresses", "families", "paths",
                   "accounts", "units", "firewall", "kernel", "packages"}; there only while something is armed
    settled.json   {"run", "outcome": confirmed or undone, "reason", "at"} of the last one
    contents/      what files held
    program.pyz    the executor, for the watchdog
    watchdog.lock  held (flock) by the living watchdog

deadline: seconds of the monotonic clock of this boot; None while the executor is still at it. addresses: {address: its entry
of the ledger before, or None}.
"""

import contextlib
import fcntl
import os
import time

from statectl.onhost.memory import make_private, remove_flat
from statectl.onhost.memory.files import read_json, sync_directory, write_json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Dict, Optional, Sequence

    from statectl.onhost.shapes import JSON

CONSEQUENCE = "the change that waits for its confirmation is then neither confirmed nor undone"
BOOT_UNIT = "statectl-undo.service"
UNITS_DIRECTORY = "/etc/systemd/system"


class Armed(object):
    """directory  `armed/` of the memory; made by `make`"""

    def __init__(self, directory: str) -> None:
        self.directory = directory

    def path(self, name: str) -> str:
        return os.path.join(self.directory, name)

    def make(self) -> None:
        make_private(self.directory)
        make_private(self.path("contents"))

    def read(self) -> "Optional[Dict[str, JSON]]":
        """-> the record, or None: nothing is armed. Raises Corrupt."""
        record: "Optional[Dict[str, JSON]]" = read_json(self.path("record.json"), CONSEQUENCE)
        if record is None or self.settled().get("run") == record["run"]:
            return None
        return record

    def write(self, record: "Dict[str, JSON]") -> None:
        """Durable on return."""
        write_json(self.path("record.json"), record)

    def settled(self) -> "Dict[str, JSON]":
        """-> how the last one was settled, {} when none ever was."""
        told: "Optional[Dict[str, JSON]]" = read_json(
            self.path("settled.json"), "nobody is told again how the last armed change ended"
        )
        return told or {}

    def settle(self, run: str, outcome: str, reason: str) -> None:
        """Holder of the lock only. A crash on the way leaves it settled: that is written first, and durable."""
        write_json(
            self.path("settled.json"), {"run": run, "outcome": outcome, "reason": reason, "at": int(time.time())}
        )
        self.clear()

    def clear(self) -> None:
        """Take away what is needed only while something is armed."""
        forget_boot_unit(self.directory)
        for name in ("record.json", "contents", "program.pyz"):
            with contextlib.suppress(FileNotFoundError):
                remove_flat(self.path(name))
        sync_directory(self.directory)

    # -- the watchdog's life

    def claim(self) -> "Optional[int]":
        """-> descriptor that holds the watchdog's lock until it is closed, or None: one lives already."""
        fd = os.open(self.path("watchdog.lock"), os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(fd)
            return None
        return fd

    def guarded(self) -> bool:
        """Is there a living watchdog?"""
        fd = self.claim()
        if fd is None:
            return True
        os.close(fd)
        return False


def left(record: "Dict[str, JSON]", since_death: "Optional[float]" = None) -> "Optional[float]":
    """Seconds until it is undone, 0 when they are over, None while the executor is still at it.

    since_death: when the executor was first seen to be dead, on the monotonic clock.
    """
    if record["boot"] != boot():
        return 0.0
    deadline: "Optional[float]" = record["deadline"]
    if deadline is None:
        if alive(record["executor"]):
            return None
        deadline = (time.monotonic() if since_death is None else since_death) + record["seconds"]
    return max(0.0, deadline - time.monotonic())


def boot() -> str:
    with open("/proc/sys/kernel/random/boot_id") as stream:
        return stream.read().strip()


def process(pid: int) -> str:
    """-> what tells this process from a later one of its number."""
    with open("/proc/%d/stat" % pid, "rb") as stream:
        return "%d %s" % (pid, stream.read().rpartition(b")")[2].split()[19].decode("ascii"))


def alive(identity: str) -> bool:
    pid = int(identity.split(None, 1)[0])
    try:
        return process(pid) == identity
    except (OSError, IndexError):
        return False


# -- a reboot: the unit that goes on after it


def remember_boot_unit(argv: "Sequence[str]") -> bool:
    """Have `argv` run at the next boot, until it is forgotten. -> could that be arranged?"""
    if os.geteuid() != 0 or not os.path.isdir("/run/systemd/system") or not os.path.isdir(UNITS_DIRECTORY):
        return False
    text = (
        "# made by statectl while a change waits for its confirmation, and removed with it\n"
        "[Unit]\nDescription=statectl: undo a change that nobody confirmed\n"
        "After=network.target ssh.service sshd.service nftables.service\n"
        "[Service]\nType=oneshot\nExecStart=%s\n" % " ".join('"%s"' % part.replace("%", "%%") for part in argv)
    )
    unit = os.path.join(UNITS_DIRECTORY, BOOT_UNIT)
    wants = os.path.join(UNITS_DIRECTORY, "multi-user.target.wants")
    try:
        fd = os.open(unit, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
        with os.fdopen(fd, "w") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(fd)
        os.makedirs(wants, 0o755, exist_ok=True)
        with contextlib.suppress(FileExistsError):
            os.symlink("../" + BOOT_UNIT, os.path.join(wants, BOOT_UNIT))
        sync_directory(wants)
        sync_directory(UNITS_DIRECTORY)
    except OSError:
        return False
    return True


def forget_boot_unit(directory: str) -> None:
    """Of this memory: another one on the same host may have its own armed."""
    unit = os.path.join(UNITS_DIRECTORY, BOOT_UNIT)
    try:
        with open(unit) as stream:
            ours = os.path.dirname(directory) in stream.read()
        if ours:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(os.path.join(UNITS_DIRECTORY, "multi-user.target.wants", BOOT_UNIT))
            os.unlink(unit)
    except OSError:
        return
