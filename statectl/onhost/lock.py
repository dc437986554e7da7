"""One apply at a time on a host: a flock held by the living executor.

The flock alone decides; the text in the file only tells others who holds it, and is never believed when nobody does. Children do not
inherit the descriptor: a daemon that a command starts would hold the lock for ever. But an executor that was killed may
leave a package manager behind in the middle of its work, so whoever gets the lock next also looks for the command that the
dead holder was running (its marker in the environment, see process.py) and waits for it as for a holder.
"""

import errno
import fcntl
import json
import os
import time

from statectl.onhost.supervised import MARKER

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable, NoReturn, Optional

    from statectl.onhost.shapes import Holder

LOOK_S = 0.2
GLANCE_S = 2.0
TELL_S = 10.0  # between two messages about waiting


class Busy(Exception):
    """`holder`: {"controller", "run", "pid", "since", ...}; the text tells it to people."""

    def __init__(self, holder: "Holder") -> None:
        super(Busy, self).__init__(describe(holder))
        self.holder = holder


class Lock(object):
    def __init__(self, path: str) -> None:
        self._path = path
        self._fd: "Optional[int]" = None

    @property
    def held(self) -> bool:
        return self._fd is not None

    def ours(self) -> bool:
        """Do we hold what others would take? Not when the file was removed under us."""
        return self._fd is not None and _is_at(self._fd, self._path)

    def holder(self) -> "Optional[Holder]":
        """Who holds it now, or None. Never waits, never takes it."""
        if self.held:
            return None
        try:
            self.take({})
        except Busy as busy:
            return busy.holder
        self.release()
        return None

    def take(self, who: "Holder", leftovers: bool = True) -> None:
        """Take it without waiting. who: {"controller", "run"}; empty: only to look. Raises Busy.

        leftovers: does a command that a dead holder left behind count as a holder?
        """
        fd = open_locked(self._path, _busy)
        assert fd is not None  # _busy raises
        try:
            left = _left_behind(_told(fd)) if leftovers else None
            if left:
                raise Busy(left)
            if who:
                record = dict(who, pid=os.getpid(), since=int(time.time()), boot=_boot())
                _tell(fd, record)
        except BaseException:
            os.close(fd)
            raise
        self._fd = fd

    def wait(
        self, who: "Holder", timeout_s: float, tell: "Callable[[Holder], None]", gone: "Callable[[], bool]"
    ) -> None:
        """Take it, waiting up to `timeout_s`. Raises Busy when it is still held then, or when gone() says stop waiting.

        tell(holder): called at once and every 10 s while waiting.
        """
        started = time.monotonic()
        limit = started + timeout_s
        told = None
        while True:
            try:
                return self.take(who)
            except Busy as busy:
                now = time.monotonic()
                # no name in it: somebody only looks who holds it, and lets go at once
                if gone() or now >= (limit if busy.holder.get("pid") else max(limit, started + GLANCE_S)):
                    raise
                if told is None or now - told >= TELL_S:
                    tell(busy.holder)
                    told = now
                time.sleep(LOOK_S)

    def release(self) -> None:
        """Let go. What a clean end leaves behind is nobody's business: the text goes too."""
        if self._fd is not None:
            if _told(self._fd).get("pid") == os.getpid():
                os.ftruncate(self._fd, 0)
            os.close(self._fd)
            self._fd = None


def open_locked(path: str, busy: "Optional[Callable[[int], None]]" = None) -> "Optional[int]":
    """A descriptor of the file at `path`, made when it is missing and held by us alone; None when another holds it.

    busy   called with the descriptor then, instead
    """
    while True:
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            if is_held(fd, fcntl.LOCK_EX):
                if busy is not None:
                    busy(fd)
                os.close(fd)
                return None
            if _is_at(fd, path):
                return fd
        except BaseException:
            os.close(fd)
            raise
        os.close(fd)  # it was removed meanwhile: what is there now may be held by another


def is_held(fd: int, mode: int = fcntl.LOCK_SH) -> bool:
    """Does another process hold it? If not, and `mode` is LOCK_EX, we do from now on."""
    try:
        fcntl.flock(fd, mode | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno not in (errno.EWOULDBLOCK, errno.EACCES):
            raise
        return True
    if mode == fcntl.LOCK_SH:
        fcntl.flock(fd, fcntl.LOCK_UN)
    return False


def _is_at(fd: int, path: str) -> bool:
    try:
        there = os.lstat(path)
    except FileNotFoundError:
        return False
    ours = os.fstat(fd)
    return (there.st_dev, there.st_ino) == (ours.st_dev, ours.st_ino)


def _busy(fd: int) -> "NoReturn":
    holder = _told(fd)
    raise Busy(dict(holder, stopped=True) if is_stopped(holder.get("pid")) else holder)


def is_stopped(pid: "Optional[int]") -> bool:
    """Was the process stopped by a signal? It lives, and does nothing until somebody continues it."""
    if pid is None:
        return False
    try:
        with open("/proc/%d/stat" % pid, "rb") as stream:
            return stream.read().rpartition(b")")[2].split()[0] in (b"T", b"t")
    except (OSError, TypeError):
        return False


def describe(holder: "Holder") -> str:
    """-> 'ana@laptop, run F5, process 4711, since 2026-11-23 10:02:11 UTC'"""
    parts = [holder.get("controller") or "an unknown controller"]
    if holder.get("run"):
        parts.append("run %s" % holder["run"])
    if holder.get("pid"):
        parts.append("process %s" % holder["pid"])
    if holder.get("since"):
        parts.append("since %s UTC" % time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(holder["since"])))
    if holder.get("stopped"):
        parts.append("stopped by a signal and not ended (kill -CONT %s lets it go on)" % holder["pid"])
    if holder.get("command"):
        parts.append("which died; its command %s is still running" % holder["command"])
    return ", ".join(parts)


def _told(fd: int) -> "Holder":
    """The text in the file; {} when there is none or it is not whole."""
    try:
        found = json.loads(os.pread(fd, 65536, 0).decode("utf-8"))
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _tell(fd: int, record: "Holder") -> None:
    os.ftruncate(fd, 0)
    os.pwrite(fd, json.dumps(record).encode("ascii"), 0)


def _boot() -> str:
    try:
        with open("/proc/sys/kernel/random/boot_id") as stream:
            return stream.read().strip()
    except OSError:
        return ""


def _left_behind(dead: "Holder") -> "Optional[Holder]":
    """The dead holder's record with `pid` and `command` of the command it was running, while that lives; else None.

    That command is the leader of its own session and carries the marker. Daemons that earlier commands started rightly may
    carry it as well; of all, the one in hand was started last.
    """
    if not dead.get("pid") or dead.get("boot") != _boot():
        return None
    prefix = ("%s=%d-" % (MARKER, dead["pid"])).encode("ascii")
    last = None
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        try:
            with open("/proc/%s/stat" % name, "rb") as stream:
                fields = stream.read().rpartition(b")")[2].split()
            if fields[3] != name.encode("ascii") or fields[0] in (b"Z", b"X"):
                continue
            with open("/proc/%s/environ" % name, "rb") as stream:
                if not any(part.startswith(prefix) for part in stream.read(65536).split(b"\0")):
                    continue
            with open("/proc/%s/cmdline" % name, "rb") as stream:
                command = stream.read(4096).split(b"\0")[0].decode("utf-8", "replace")
        except (OSError, IndexError):
            continue  # gone meanwhile
        started = int(fields[19])
        if last is None or started > last[0]:
            last = (started, int(name), command)
    return None if last is None else dict(dead, pid=last[1], command=last[2])
