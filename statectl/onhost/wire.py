"""The executor's end of the channel: messages in, messages out, a digest over what was sent, and no wait without a limit.

Losing the channel never raises out of `send`: after `go` the work goes on and its result is kept on the host. Only
`receive` says that nothing more will come.
"""

import collections
import os
import select
import time
from typing import TYPE_CHECKING

from statectl.onhost import messages, protocol
from statectl.onhost.failure import system_says

if TYPE_CHECKING:
    from typing import Callable, Deque, List, Optional, Sequence, Union

    from statectl.onhost.shapes import Message

PIECE = 4096  # bytes of one write: a pipe or socket that polls writable takes that many without blocking
READ = 65536
STALL_S = 120.0  # a controller that takes nothing for so long is gone
MAX_QUEUED = 2048  # frames taken in while nobody asked for any; more than that is not this protocol


class Closed(Exception):
    """The controller's side ended, or said something that is not in the protocol (`reason`)."""

    def __init__(self, reason: str) -> None:
        super(Closed, self).__init__(reason)
        self.reason = reason


class TimedOut(Exception):
    """Nothing came in the time that was given."""


class Wire(object):
    """receive_fd, send_fd   private descriptors of the channel
    buffered              bytes that whoever started us had read already

    broken   nothing more can be sent, and why ('': it works). What was sent to us before may still be read.
    """

    def __init__(self, receive_fd: int, send_fd: int, buffered: bytes = b"", stall_s: float = STALL_S) -> None:
        self.receive_fd = receive_fd
        self.send_fd = send_fd
        self.broken = ""
        self.tee: "Optional[Callable[[Message], None]]" = (
            None  # called with every message, whether it can be sent or not
        )
        self.digest = protocol.Digest()
        self._stall_s = stall_s
        self._decoder = protocol.Decoder(packed=True)
        self._queue: "Deque[Union[Message, bytes]]" = collections.deque()
        self._ended = ""
        self._take(buffered)

    # -- out

    def send(self, message: "Message") -> bool:
        """One message; waits while the controller does not read, at most `stall_s`. -> was it sent?"""
        if self.tee is not None:
            self.tee(message)
        return self._write(protocol.encode(message))

    def send_encoded(self, payload: bytes) -> bool:
        """One message that was encoded elsewhere, by a process of ours. -> was it sent?"""
        return self._write(protocol.HEADER.pack(protocol.JSON_FRAME, len(payload)) + payload)

    def _write(self, frame: bytes) -> bool:
        if self.broken:
            return False
        self.digest.add(frame[protocol.HEADER.size :])
        view = memoryview(frame)
        poller = select.poll()
        poller.register(self.send_fd, select.POLLOUT)
        while view:
            try:
                if not poller.poll(int(self._stall_s * 1000)):
                    self.broken = "the controller took nothing for %d s" % self._stall_s
                    return False
                view = view[os.write(self.send_fd, view[:PIECE]) :]
            except BlockingIOError:
                time.sleep(0.01)
            except OSError as error:
                self.broken = "the channel is closed: %s" % system_says(error)
                return False
        return True

    # -- in

    def receive(self, timeout_s: float) -> "Union[Message, bytes]":
        """-> a message (dict) or the bytes of a blob frame. Raises Closed or TimedOut."""
        limit = time.monotonic() + timeout_s
        while not self._queue:
            if self.broken or self._ended:
                raise Closed(self.broken or self._ended)
            left = limit - time.monotonic()
            if left <= 0:
                raise TimedOut
            self._read(left)
        return self._queue.popleft()

    @property
    def ended(self) -> str:
        """Why nothing more will come: the controller closed its side, or broke the protocol. It may still be reading."""
        return self._ended or self.broken

    def waiting(self, kinds: "Optional[Sequence[str]]" = None) -> "List[Union[Message, bytes]]":
        """What has come so far, without waiting -> list of messages. Notices the end of the channel.

        kinds: only messages of these types; the others stay for `receive`.
        """
        while not self._ended and self._read(0):
            if len(self._queue) > MAX_QUEUED:
                self.refuse("more than %d messages that nobody asked for" % MAX_QUEUED)
        found = [one for one in self._queue if kinds is None or (isinstance(one, dict) and one["type"] in kinds)]
        self._queue = collections.deque(one for one in self._queue if kinds is not None and one not in found)
        return found

    def refuse(self, reason: str) -> None:
        """Read no more: what came is not in the protocol. The other side can still be told."""
        self._ended = self._ended or "not in the protocol: %s" % reason
        self._queue.clear()

    def _read(self, timeout_s: float) -> bool:
        """-> did anything come?"""
        poller = select.poll()
        poller.register(self.receive_fd, select.POLLIN)
        if not poller.poll(int(min(timeout_s, 3600) * 1000)):
            return False
        try:
            data = os.read(self.receive_fd, READ)
        except BlockingIOError:
            return False
        except OSError as error:
            self._ended = "the channel is closed: %s" % system_says(error)
            return False
        if not data:
            self._ended = "the controller closed the channel"
            return False
        self._take(data)
        return True

    def _take(self, data: bytes) -> None:
        try:
            frames = self._decoder.feed(data)
            while frames:
                for kind, payload in frames:
                    if kind == protocol.BLOB_FRAME:
                        self._queue.append(payload)
                    else:
                        message = protocol.decode_json(payload)
                        messages.check(message)
                        self._queue.append(message)
                frames = self._decoder.feed(b"")
        except protocol.ProtocolError as error:
            self._ended = "not in the protocol: %s" % error  # the frames before it still count
