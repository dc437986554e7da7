"""Contents on demand: asks the controller for bytes and puts them where a Content reads them. Each blob travels once."""

import hashlib
import os

from statectl.onhost.failure import Failed, system_says
from statectl.onhost.protocol import ProtocolError
from statectl.onhost.wire import Closed, TimedOut

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable, Dict, Iterator, List, Union

    from statectl.onhost.content import Content
    from statectl.onhost.shapes import Message
    from statectl.onhost.wire import Wire

IN_MEMORY = 1024 * 1024  # bytes of one blob
ALL_IN_MEMORY = 32 * 1024 * 1024  # bytes of all; the rest goes to files
PROGRESS_S = 120.0  # without any byte of a blob


class Blobs(object):
    """wire       the channel
    directory  called for a directory of this session's own, when one is needed
    known      {sha256: [Content]}: everything that waits for the same bytes
    control    control(message) for what may come in between; raises ProtocolError for what may not
    """

    def __init__(
        self,
        wire: "Wire",
        directory: "Callable[[], str]",
        known: "Dict[str, List[Content]]",
        control: "Callable[[Message], None]",
    ) -> None:
        self._wire = wire
        self._directory = directory
        self._known = known
        self._control = control
        self._room = ALL_IN_MEMORY

    def fetch(self, contents: "List[Content]") -> None:
        """Deliver these Contents, and all others of the same bytes. Raises Failed when they do not come."""
        wanted = {content.sha256: content.size for content in contents if not content.delivered}
        if not wanted:
            return
        try:
            if not self._wire.send({"type": "need", "blobs": sorted(wanted)}):
                raise Closed(self._wire.broken)
            while wanted:
                message = self._wire.receive(PROGRESS_S)
                if not isinstance(message, dict):
                    raise ProtocolError("bytes of a blob that was not announced")
                if message["type"] != "blob":
                    self._control(message)
                    continue
                size = wanted.pop(message["sha256"], None)
                if size is None or size != message["size"]:
                    raise ProtocolError("a blob that nobody asked for")
                self._deliver(message["sha256"], size)
        except Closed as closed:
            raise Failed("content did not arrive: %s" % closed.reason, "content not delivered")
        except TimedOut:
            self._wire.refuse("no content came for %d s" % PROGRESS_S)
            raise Failed("content did not arrive within %d s" % PROGRESS_S, "content not delivered")
        except ProtocolError as error:
            self._wire.refuse(str(error))
            raise Failed("content did not arrive: %s" % error, "content not delivered")

    def _deliver(self, sha256: str, size: int) -> None:
        digest = hashlib.sha256()
        source: "Union[bytes, str, None]" = (
            self._into_memory(size, digest) if size <= min(IN_MEMORY, self._room) else None
        )
        if source is None:
            source = self._into_file(sha256, size, digest)
        if digest.hexdigest() != sha256:
            raise ProtocolError("a blob whose hash is not its name")
        for content in self._known.get(sha256, ()):
            content.deliver(source)

    def _chunks(self, size: int) -> "Iterator[bytes]":
        left = size
        while left:
            chunk = self._wire.receive(PROGRESS_S)
            if isinstance(chunk, dict) or not chunk or len(chunk) > left:
                raise ProtocolError("not the bytes of the announced blob")
            left -= len(chunk)
            yield chunk

    def _into_memory(self, size: int, digest: "hashlib._Hash") -> bytes:
        data = bytearray()
        for chunk in self._chunks(size):
            digest.update(chunk)
            data += chunk
        self._room -= size
        return bytes(data)

    def _into_file(self, sha256: str, size: int, digest: "hashlib._Hash") -> str:
        path = os.path.join(self._directory(), sha256)
        try:
            fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
            with os.fdopen(fd, "wb") as stream:
                for chunk in self._chunks(size):
                    digest.update(chunk)
                    stream.write(chunk)
        except OSError as error:
            self._wire.refuse("the rest of a blob that could not be stored")
            raise Failed("content of %d bytes cannot be stored: %s" % (size, system_says(error)), system_says(error))
        return path
