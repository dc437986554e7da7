"""One command on request (kind `run`): its output is streamed as it comes, and it gets no more than the caller takes.

A script travels over the channel and is read by sh from a file of its owner alone: it never stands in an argv, and what it
runs cannot eat it from stdin. When the channel is lost the command goes on to its end or its deadline, for it may be the one that restarts the
network; how it ended and the tail of its output are then kept for the next contact.
"""

import base64
import os
import shutil
import time

from statectl.onhost import process
from statectl.onhost.blobs import IN_MEMORY, Blobs
from statectl.onhost.content import Content
from statectl.onhost.ending import End
from statectl.onhost.failure import Failed, system_says

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable, Dict, Optional, Tuple

    from statectl.onhost.host import Host
    from statectl.onhost.process import Identity
    from statectl.onhost.runner import Session
    from statectl.onhost.shapes import JSON
    from statectl.onhost.wire import Wire

PIECE = 32768  # bytes of output in one message
KEPT = 65536  # bytes of output that are kept when nobody listens
DEFAULT_TIMEOUT_S = 3600.0
SLACK_S = 5.0  # of the session behind the limit of its command


def run(session: "Session", host: "Host") -> "End":
    """Run the order's command -> End; counts {"code": exit code}, or none when there was no such end."""
    order = session.order
    command, limits = order.get("command") or {}, order.get("limits") or {}
    session.state = "applying"
    if command.get("timeout_s"):
        # its own limit counts from its start, and is what is told when it ends the command
        session.deadline = max(session.deadline, time.monotonic() + command["timeout_s"] + SLACK_S)
    job = AdHoc(host, session.wire, session.scratch, session.stop)
    started = int(time.time())
    try:
        if limits.get("paths"):
            raise End("refused", "limits.paths is set: no command runs on this host", "E506")
        if limits.get("become") is False and command.get("user") and host.identity(command["user"]):
            raise End("refused", "limits.become is false: no command runs as %s" % command["user"], "E506")
        stdin = None
        if command.get("stdin"):
            stdin = Content.wanted(command["stdin"]["$blob"], command["stdin"]["size"])
            Blobs(session.wire, session.scratch, {stdin.sha256: [stdin]}, session.control).fetch([stdin])
        code, reason = job.run(command, stdin, session.deadline - time.monotonic())
        outcome = "done" if not reason else "stopped" if session.cancelled else "failed"
    except Failed as error:
        code, reason, outcome = None, error.message, "failed"
    # a signal as shells tell it; no code at all when we ended the command
    counts = {} if code is None or reason else {"code": code if code >= 0 else 128 - code}
    if session.wire.ended:
        told = {
            "run": order["run"],
            "kind": "run",
            "controller": order.get("controller", ""),
            "started": started,
            "ended": int(time.time()),
            "outcome": outcome,
            "reason": reason,
            "counts": counts,
            "results": [],
            "notified": [],
            "output": job.tail.decode("utf-8", "backslashreplace"),
        }
        session.memory.undelivered.put(order["run"], told)
    return End(outcome, reason, session.code_of_stop(), counts)


class AdHoc(object):
    """host      host.Host
    wire      the channel
    scratch   called for a directory of ours alone
    cancelled cancelled() -> '' or why the command must end
    """

    def __init__(
        self, host: "Host", wire: "Wire", scratch: "Callable[[], str]", cancelled: "Callable[[], str]"
    ) -> None:
        self._host = host
        self._wire = wire
        self._scratch = scratch
        self._cancelled = cancelled
        self.tail = b""  # of the output that was not delivered

    def run(
        self, command: "Dict[str, JSON]", stdin: "Optional[Content]", timeout_s: float
    ) -> "Tuple[Optional[int], str]":
        """command: of the order; stdin: None or a Content. -> (exit code or None, reason or ''). Raises Failed."""
        if bool(command.get("argv")) == (command.get("script") is not None):
            raise Failed("a run needs either argv or a script", "not a command")
        identity = self._host.identity(command["user"]) if command.get("user") else None
        script = None
        try:
            if command.get("script") is not None:
                script, path = self._write_script(command["script"], identity)
                argv = ["/bin/sh", path]
            else:
                argv = command["argv"]
            limit = command.get("timeout_s") or timeout_s or DEFAULT_TIMEOUT_S
            source = None if stdin is None or stdin.size <= IN_MEMORY else stdin.open()
            try:
                ran = process.run(
                    argv,
                    timeout=limit,
                    stdin=source or (b"" if stdin is None else stdin.read()),
                    env=command.get("env"),
                    cwd=command.get("cwd") or (identity.home if identity else None),
                    identity=identity,
                    on_output=self._output,
                    stop=lambda: bool(self._cancelled()),
                )
            finally:
                if source is not None:
                    source.close()
        finally:
            if script is not None:
                shutil.rmtree(script, ignore_errors=True)
        if ran.timed_out:
            return ran.code, self._cancelled() or "did not end within %g s" % limit
        return ran.code, ""

    def _write_script(self, text: str, identity: "Optional[Identity]") -> "Tuple[str, str]":
        """-> (directory to remove, path of the script). Below /tmp for another user: our own directories are closed to them."""
        import tempfile

        directory = tempfile.mkdtemp(prefix="statectl-", dir=None if identity else self._scratch())
        path = os.path.join(directory, "script")
        try:
            fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o400)
            with os.fdopen(fd, "wb") as stream:
                stream.write(text.encode("utf-8", "surrogateescape"))
                if identity:
                    os.fchown(stream.fileno(), identity.uid, identity.gid)
            if identity:
                os.chown(directory, identity.uid, identity.gid)
        except OSError as error:
            shutil.rmtree(directory, ignore_errors=True)
            raise Failed("the script cannot be stored: %s" % system_says(error), system_says(error))
        return directory, path

    def _output(self, stream: str, data: bytes) -> None:
        for start in range(0, len(data), PIECE):
            piece = data[start : start + PIECE]
            message = {"type": "output", "stream": stream, "data": base64.b64encode(piece).decode("ascii")}
            if not self._wire.send(message):
                self.tail = (self.tail + piece)[-KEPT:]
