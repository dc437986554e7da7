"""Collected inventory: what is on this host, one module per type, all of it in one pass over one channel (kind `inventory`).

A type's module defines

    NAME        as in AWS's inventory where that has the type, without the `AWS:`
    COLUMNS     its attributes, the key among them first
    DEADLINE_S  seconds after which it is told as `timed out`
    gather(host, asked) -> iterable of rows, each a list of values in the order of COLUMNS

and, where they differ from the default, LASTING = False (only the latest reading is kept; it is told every time) and
MAX_ROWS. It reads; the commands that it needs only read. tests/test_contract.py compares these with targets/collected.py.

All types are read by one child process. When one of them does not answer in time the child is killed, that type is told as
timed out, and another child reads those behind it: a dead file server costs its own type and no other.
"""

import importlib
import json
import os
import select
import signal
import struct
import time
from typing import TYPE_CHECKING, Any

from statectl.onhost import protocol
from statectl.onhost.collect.rows import Absent, Found, encoded, encoded_message, refusal
from statectl.onhost.ending import End
from statectl.onhost.failure import Failed

if TYPE_CHECKING:
    from typing import Callable, Dict, Iterator, List, Optional, Sequence, Tuple

    from statectl.onhost.host import Host
    from statectl.onhost.runner import Session
    from statectl.onhost.shapes import JSON

    # what it is told as when nothing comes of it, seconds, how it is read
    Part = Tuple[str, float, Callable[[], Iterator[Found]]]

# In the order in which they are read: the cheap ones first.
TYPES = (
    "instance_information",
    "instance_detailed_information",
    "kernel",
    "network",
    "user",
    "group",
    "mount",
    "disk",
    "usage",
    "language_package",
    "application",
    "process",
    "listener",
    "service",
    "file",
    "certificate",
)
LENGTH = struct.Struct(">I")
CUSTOM_DIRECTORY = "/etc/statectl/inventory.d"
CUSTOM_S = 10.0  # for a command of the project that says nothing else
GRACE_S = 4.0  # for what a type started to be ended by its own deadline, before the child is killed
LOOK_S = 0.2  # how often to look whether the controller wants us to stop
READ = 1 << 16


def run(session: "Session", host: "Host") -> "End":
    """Read all types and tell each as soon as it is known."""
    asked = session.order.get("collect") or {}
    counts: "Dict[str, int]" = {}
    for payload in read_all(parts(host, asked), asked.get("known") or {}, session.look):
        counts[payload.state] = counts.get(payload.state, 0) + 1
        session.wire.send_encoded(payload.data)
    reason = session.look()
    return End("stopped" if reason else "done", reason, "", counts)


def parts(host: "Host", asked: "Dict[str, JSON]") -> "List[Part]":
    """What there is to read, as independent parts."""
    wanted = asked.get("types")
    found: "List[Part]" = []
    for name in TYPES:
        module = importlib.import_module("statectl.onhost.collect." + name)
        if wanted is None or module.NAME in wanted:
            found.append((module.NAME, module.DEADLINE_S, lambda module=module: _one(module, host, asked)))  # type: ignore[misc]
    if wanted is None or any(name == "Custom" or name.startswith("Custom:") for name in wanted):
        from statectl.onhost.collect import custom

        declared = asked.get("custom") or {}
        found.append(("Custom", custom.DEADLINE_S, lambda: custom.dropped(host, CUSTOM_DIRECTORY, declared)))
        for name in sorted(declared):
            limit = declared[name].get("timeout_s") or CUSTOM_S
            found.append(("Custom:" + name, limit, lambda name=name: custom.declared(host, name, declared[name])))  # type: ignore[misc]
    return found


def _one(module: "Any", host: "Host", asked: "Dict[str, JSON]") -> "Iterator[Found]":
    rows = module.gather(host, asked)
    yield Found(
        module.NAME,
        module.COLUMNS,
        list(rows),
        getattr(module, "MAX_ROWS", 1000),
        getattr(module, "LASTING", True),
    )


class Payload(object):
    """One message, encoded already. state: as in the message; data: the bytes of its JSON."""

    __slots__ = ("data", "state")

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.state = json.loads(data.decode("ascii"))["state"] if len(data) < 4096 else "content"


def read_all(
    wanted: "Sequence[Part]", known: "Dict[str, str]", stop: "Optional[Callable[[], str]]" = None
) -> "Iterator[Payload]":
    """Every part's messages, in order. known: {type: hash} of what the controller has already."""
    left = list(wanted)
    while left:
        reader = _Reader(left, known)
        try:
            while left:
                name, limit, _ = left[0]
                payloads, why = reader.next(limit + GRACE_S, stop)
                if why == "stop":
                    return
                for data in payloads:
                    yield Payload(data)
                left.pop(0)
                if why:
                    words = "timed out" if why == "timed out" else "failed"
                    reason = "no answer in %g s" % limit if why == "timed out" else why
                    yield Payload(encoded(refusal(name, words, reason)))
                    break  # with another child
        finally:
            reader.close()


class _Reader(object):
    """A child that reads parts one after the other; its answers come through a pipe, those of one part behind their number."""

    def __init__(self, wanted: "Sequence[Part]", known: "Dict[str, str]") -> None:
        self._fd, write_end = os.pipe()
        self._data = b""
        self._pid = os.fork()
        if self._pid == 0:
            try:
                signal.signal(signal.SIGTERM, signal.SIG_DFL)
                # one that hangs for good must not hold the channel or a pipe of ours open
                os.closerange(3, write_end)
                os.closerange(write_end + 1, 1024)
                null = os.open(os.devnull, os.O_RDWR)
                for standard in (0, 1):
                    os.dup2(null, standard)
                with os.fdopen(write_end, "wb") as stream:
                    for part in wanted:
                        _write(stream, _read(part, known))
            finally:
                os._exit(0)
        os.close(write_end)

    def next(self, limit_s: float, stop: "Optional[Callable[[], str]]") -> "Tuple[List[bytes], str]":
        """-> (messages of the next part, '' or why there are none of it: timed out, stop, the child died)."""
        limit = time.monotonic() + limit_s
        poller = select.poll()
        poller.register(self._fd, select.POLLIN)
        while True:
            whole = self._take()
            if whole is not None:
                return whole, ""
            if stop is not None and stop():
                return [], "stop"
            left = limit - time.monotonic()
            if left <= 0:
                return [], "timed out"
            if not poller.poll(int(min(left, LOOK_S) * 1000) + 1):
                continue
            data = os.read(self._fd, READ)
            if not data:
                return [], "the process that read it has ended"
            self._data += data

    def _take(self) -> "Optional[List[bytes]]":
        """The messages of one part, once all of them have come: how many, then each behind its length."""
        if len(self._data) < LENGTH.size:
            return None
        (count,) = LENGTH.unpack_from(self._data)
        place, found = LENGTH.size, []
        for _ in range(count):
            if len(self._data) < place + LENGTH.size:
                return None
            (length,) = LENGTH.unpack_from(self._data, place)
            place += LENGTH.size
            if len(self._data) < place + length:
                return None
            found.append(self._data[place : place + length])
            place += length
        self._data = self._data[place:]
        return found

    def close(self) -> None:
        os.close(self._fd)
        os.kill(self._pid, signal.SIGKILL)
        # a child stuck in the kernel does not die of that; it is not waited for
        end = time.monotonic() + 0.2
        while os.waitpid(self._pid, os.WNOHANG)[0] == 0 and time.monotonic() < end:
            time.sleep(0.001)


def _read(part: "Part", known: "Dict[str, str]") -> "List[bytes]":
    """In the child: the messages of one part. Whatever is odd on this host, its other types are still true."""
    name, _, gather = part
    started = time.monotonic()
    found = []
    try:
        for one in gather():
            took = int((time.monotonic() - started) * 1000)
            data = encoded_message(one, known, took)
            if len(data) > protocol.MAX_JSON // 2:
                data = encoded(refusal(one.name, "failed", "%d bytes, more than may be told" % len(data)))
            found.append(data)
    except Absent as error:
        found.append(encoded(refusal(name, "absent", str(error))))
    except Failed as error:
        found.append(encoded(refusal(name, "timed out" if error.cause == "timed out" else "failed", error.message)))
    except Exception as error:  # noqa: BLE001
        found.append(encoded(refusal(name, "failed", "%s: %s" % (type(error).__name__, error))))
    return found


def _write(stream: "Any", payloads: "Sequence[bytes]") -> None:
    stream.write(LENGTH.pack(len(payloads)))
    for data in payloads:
        stream.write(LENGTH.pack(len(data)))
        stream.write(data)
    stream.flush()
