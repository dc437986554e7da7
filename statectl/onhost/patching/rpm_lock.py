"""Who holds rpm's, dnf's or zypp's lock, and waiting for it. Each manager has its own way; a transaction needs all of them free."""

import struct
import time
from typing import TYPE_CHECKING

from statectl.onhost.failure import Failed

if TYPE_CHECKING:
    from typing import Callable, Optional, Sequence

    from statectl.onhost.host import Host

TIMEOUT_S = 120.0
LOOK_S = 0.5
RPM = ("/var/lib/rpm/.rpm.lock", "/usr/lib/sysimage/rpm/.rpm.lock")  # held by fcntl
DNF = ("/var/lib/dnf/rpmdb_lock.pid",)  # with the holder's number inside
ZYPP = ("/run/zypp.pid",)
_MANAGERS = (
    "zypp",
    "yast",
    "y2",
    "ruby",
    "packagekit",
    "dnf",
    "yum",
    "python",
    "rpm",
)  # a number may be an old one's, used again


def wait(
    host: "Host",
    files: "Sequence[str]",
    timeout: float = TIMEOUT_S,
    sleep: "Callable[[float], None]" = time.sleep,
    clock: "Callable[[], float]" = time.monotonic,
) -> None:
    """Until nobody holds rpm's lock nor one of `files`. Raises Failed, naming the holder, after `timeout` seconds."""
    started = clock()
    while True:
        holder = find(host, files)
        if not holder:
            return
        if clock() - started >= timeout:
            message = "rpm's lock has been held for %d s by %s; wait for it, or end it" % (timeout, holder)
            raise Failed(message, "package manager is locked")
        sleep(LOOK_S)


def find(host: "Host", files: "Sequence[str]") -> str:
    """-> `process 4711 packagekitd`, '' when all locks are free"""
    for path in RPM:
        pid = _fcntl_holder(host.path(path))
        if pid:
            return _named(host, pid)
    for path in files:
        text = (host.read_file(path, 32) or b"").decode("ascii", "replace").strip()
        if text.isdigit() and int(text) > 0:
            name = (host.read_file("/proc/%s/comm" % text) or b"").decode("utf-8", "replace").lower()
            if any(known in name for known in _MANAGERS):
                return _named(host, int(text))
    return ""


def _fcntl_holder(path: str) -> "Optional[int]":
    """The process that holds an fcntl lock on a file, None when none does; -1 one that cannot be seen from here."""
    import fcntl

    if struct.calcsize("l") != 8:
        return None  # another layout; the manager itself waits for the lock, or says that it is held
    asked = struct.pack("hhqqixxxx", fcntl.F_WRLCK, 0, 0, 0, 0)
    try:
        with open(path, "rb") as stream:
            answer = struct.unpack("hhqqixxxx", fcntl.fcntl(stream.fileno(), fcntl.F_GETLK, asked))
    except OSError:
        return None  # no lock file, no lock
    if answer[0] == fcntl.F_UNLCK:
        return None
    return int(answer[4]) or -1


def _named(host: "Host", pid: int) -> str:
    if pid < 0:
        return "a process outside this system"
    words = (host.read_file("/proc/%d/cmdline" % pid) or b"").replace(b"\0", b" ").decode("utf-8", "replace").split()
    return "process %d %s" % (pid, " ".join(words[:3]) or "(no command line)")
