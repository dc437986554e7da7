"""Runs under way on this host: what a living executor has told so far, for whoever follows it, and the request that it may stop.

    running/RUN          first who and since when, then every message told, then how it ended; one JSON object a line
    running/RUN.cancel   who asked the run to stop; heeded at the next resource border

The executor holds its file (flock) while it lives and removes it at its end: what is there and not held was left by one that died.
Following never holds a run up: a file that cannot be written any more is closed, and the run goes on.
"""

import contextlib
import json
import os
import time
from typing import TYPE_CHECKING, Any

from statectl.onhost.lock import is_held, open_locked

if TYPE_CHECKING:
    from typing import List

    from statectl.onhost.shapes import Message

TOLD = ("result", "right", "notified", "output", "log", "waiting")
MAX_BYTES = 16 * 1024 * 1024  # of one run; what comes after is left out, saying so
OPEN_S = 1.0
LOOK_S = 0.05
PIECE = 65536


class UnderWay(object):
    """Of our own run. Raises OSError when it cannot be made."""

    def __init__(self, directory: str, order: "Message") -> None:
        self._path = os.path.join(directory, order["run"])
        self._fd: Any = None
        self._room = MAX_BYTES
        self.reason = ""  # how it ended, as its last word said
        limit = time.monotonic() + OPEN_S
        while self._fd is None and time.monotonic() < limit:
            # an earlier contact of the same run may just be ending, and who looks holds it for a moment
            self._fd = open_locked(self._path)
            if self._fd is None:
                time.sleep(LOOK_S)
        if self._fd is not None:
            os.ftruncate(self._fd, 0)
            who = {"controller": order.get("controller", ""), "run": order["run"], "kind": order["kind"]}
            self._write(dict(who, type="began", pid=os.getpid(), since=int(time.time())))

    def tell(self, message: "Message") -> None:
        """A message as it went to the controller."""
        if message["type"] in TOLD:
            self._write(message)
        elif message["type"] == "end":
            self._room = max(self._room, PIECE)
            self._write({key: message[key] for key in message if key != "digest"})

    def asked(self) -> str:
        """-> who asked for the run to stop, in words; '' when nobody did."""
        try:
            with open(self._path + ".cancel", "rb") as stream:
                by = json.loads(stream.read(PIECE).decode("utf-8"))["by"]
        except FileNotFoundError:
            return ""
        except (OSError, ValueError, KeyError, TypeError):
            by = ""
        return "cancelled by %s" % (by or "somebody on this host")

    def close(self) -> None:
        if self._fd is not None:
            for path in (self._path + ".cancel", self._path):
                try:
                    os.unlink(path)
                except FileNotFoundError:
                    continue
            os.close(self._fd)
            self._fd = None

    def _write(self, message: "Message") -> None:
        if self._fd is None:
            return
        data = (json.dumps(message) + "\n").encode("ascii")
        if len(data) > self._room:
            if self._room:
                self._room = 0
                self._write_all(b'{"type": "log", "level": "warning", "text": "more was told than can be followed"}\n')
            return
        self._room -= len(data)
        self._write_all(data)

    def _write_all(self, data: bytes) -> None:
        try:
            while data:
                data = data[os.write(self._fd, data) :]
        except OSError:
            self._room = 0  # a full disk: nobody can follow from here on, and the run must not suffer from it


class Followed(object):
    """Another executor's run, read from its beginning. `living` is False when no such run is under way."""

    def __init__(self, directory: str, run: str) -> None:
        self._path = os.path.join(directory, run)
        self._rest = b""
        self.began: Any = {}  # who, since when
        self._fd: Any = None
        with contextlib.suppress(FileNotFoundError):
            self._fd = os.open(self._path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
        self.living = self.looked()

    def looked(self) -> bool:
        """Does its executor live, now?"""
        return self._fd is not None and is_held(self._fd)

    def read(self) -> "List[Message]":
        """-> messages that were told since the last call."""
        found = []
        while self._fd is not None:
            data = os.read(self._fd, PIECE)
            if not data:
                break
            *lines, self._rest = (self._rest + data).split(b"\n")
            for line in lines:
                message = json.loads(line.decode("ascii"))
                if message["type"] == "began":
                    self.began = message
                else:
                    found.append(message)
        return found

    def ask(self, by: str) -> None:
        """It shall stop at its next resource border. Durable enough: who asked watches it happen."""
        temporary = "%s.%d.new" % (self._path, os.getpid())
        fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            os.write(fd, json.dumps({"by": by, "at": int(time.time())}).encode("ascii"))
        finally:
            os.close(fd)
        os.rename(temporary, self._path + ".cancel")

    def close(self) -> None:
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None


def sweep(directory: str) -> None:
    """Remove what executors left that died, and requests to runs that are over."""
    for name in sorted(os.listdir(directory)):
        path = os.path.join(directory, name)
        if name.endswith(".new"):
            if not os.path.exists("/proc/" + name.split(".")[-2]):
                os.unlink(path)
        elif name.endswith(".cancel"):
            if not os.path.exists(path[: -len(".cancel")]):
                os.unlink(path)
        else:
            fd = open_locked(path)
            if fd is not None:
                os.unlink(path)
                os.close(fd)
