"""The end of a command: noticing it, and bringing it about for everything that the command started.

Every command has a session and a random marker in its environment. What escaped by setsid or a double fork still carries the
marker and is found in /proc. (A child subreaper would need ctypes and would turn us into the parent of every daemon that a command
starts rightly.) Only a process that left the session *and* wiped its environment *and* lost its parents gets away.
"""

import os
import signal
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Dict, Optional, Set, Tuple

KILL_GRACE_S = 5.0
MARKER = "STATECTL_PROCESS"
MAX_ENVIRONMENT = 131072  # bytes of it that are searched for the marker


class Supervised(object):
    """The started process: its end, and how to bring it about. `code` is None until it was reaped."""

    def __init__(self, pid: int, marker: str, grace: float) -> None:
        self.pid = pid
        self.code: "Optional[int]" = None
        self._marker = (MARKER + "=" + marker).encode("ascii")
        self._grace = grace
        self._ended = False
        self._known: "Dict[int, int]" = {}  # process id: when it started, of all that was ever found to belong here

    def poll(self) -> bool:
        """-> True once the process has ended."""
        if not self._ended:
            try:
                pid, status = os.waitpid(self.pid, os.WNOHANG)
            except ChildProcessError:
                self._ended = True  # somebody else reaped it: the code is lost
                return True
            if pid:
                self._ended = True
                self.code = -os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)
        return self._ended

    def end(self) -> None:
        """TERM to all that belongs to the command, KILL after the grace; bounded even when nothing reacts."""
        self._signal(signal.SIGTERM)
        # CONT: a stopped process would never see the TERM
        self._signal(signal.SIGCONT)
        limit = time.monotonic() + self._grace
        while time.monotonic() < limit:
            if self.poll() and not self._living():
                return
            time.sleep(0.02)
        limit = time.monotonic() + KILL_GRACE_S
        while time.monotonic() < limit:
            self._signal(signal.SIGKILL)
            if self.poll() and not self._living():
                return
            time.sleep(0.02)

    def _signal(self, number: int) -> None:
        for pid in self._living():
            try:
                os.kill(pid, number)
            except (ProcessLookupError, PermissionError):
                continue  # gone meanwhile, or a setuid program that is not ours to end
        if not self.poll():
            try:
                os.killpg(self.pid, number)
            except (ProcessLookupError, PermissionError):
                return

    def _living(self) -> "Set[int]":
        """Process ids that belong to the command: its session, its descendants, and all that carry its marker.

        Who was found once stays known: when the parent dies first, nothing else ties an escaped child to us.
        """
        table = {}
        for name in os.listdir("/proc"):
            if name.isdigit() and int(name) != os.getpid():
                entry = _stat(name)
                if entry is not None:
                    table[int(name)] = entry
        found = set()
        for pid, (parent, session, started) in table.items():
            ours = session == self.pid or (parent == self.pid and not self._ended)
            if ours or self._known.get(pid) == started or self._marked(pid):
                found.add(pid)
        grown = True
        while grown:  # children of what was found, whatever session they moved to
            more = {pid for pid, (parent, _, _) in table.items() if parent in found and pid not in found}
            found |= more
            grown = bool(more)
        self._known.update((pid, table[pid][2]) for pid in found)
        return found

    def _marked(self, pid: int) -> bool:
        try:
            with open("/proc/%d/environ" % pid, "rb") as stream:
                return self._marker in stream.read(MAX_ENVIRONMENT).split(b"\0")
        except (OSError, IOError):
            return False


def _stat(pid: str) -> "Optional[Tuple[int, int, int]]":
    """-> (parent, session, start in clock ticks since boot) of a process, or None: gone, or a zombie."""
    try:
        with open("/proc/%s/stat" % pid, "rb") as stream:
            fields = stream.read().rpartition(b")")[2].split()
    except (OSError, IOError):
        return None
    return None if not fields or fields[0] in (b"Z", b"X") else (int(fields[1]), int(fields[3]), int(fields[19]))
