"""Content: the bytes of a file, wanted or found, known by hash and size and read only when somebody asks.

Unchanged files never travel: a wanted Content is a promise until the engine has delivered its blob.
"""

import hashlib
import io
import os
import stat

from statectl.onhost.failure import Failed, system_says

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import BinaryIO, Iterator, Optional, Sequence, Tuple, Union

CHUNK = 256 * 1024  # bytes read at a time: huge files are never held in memory


class SecretText(str):
    """Text with a secret in it. Encodes and joins as what it is; prints, formats and logs as a mark."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "<secret>"

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return "<secret>"


class Content(object):
    """Equal when the hashes are equal. `secret`: neither its bytes nor its hash may be shown or sent.

    pieces: of one with secrets inside other text, [(text, whether it is a secret)]; () for any other.
    """

    __slots__ = ("_source", "pieces", "secret", "sha256", "size")

    def __init__(
        self, sha256: str, size: int, source: "Optional[Union[bytes, str, None]]" = None, secret: bool = False
    ) -> None:
        self.sha256 = sha256  # hex
        self.size = size  # bytes
        self.secret = secret
        self.pieces: "Sequence[Tuple[str, bool]]" = ()
        self._source = source  # bytes, path of a regular file, or None: not delivered yet

    @classmethod
    def of_bytes(cls, data: "Union[bytes, bytearray]", secret: bool = False) -> "Content":
        return cls(hashlib.sha256(data).hexdigest(), len(data), bytes(data), secret)

    @classmethod
    def of_file(cls, path: str) -> "Content":
        """The regular file at `path`, hashed now. Never follows a link, never blocks on a fifo. Raises Failed."""
        digest = hashlib.sha256()
        size = 0
        with open_regular(path) as stream:
            for chunk in chunks(stream):
                digest.update(chunk)
                size += len(chunk)
        return cls(digest.hexdigest(), size, path)

    @classmethod
    def wanted(cls, sha256: str, size: int) -> "Content":
        """What the controller says it will deliver on `need`."""
        return cls(sha256, size)

    @property
    def delivered(self) -> bool:
        return self._source is not None

    def deliver(self, source: "Union[bytes, str]") -> None:
        """`source`: bytes, or the path of a file that stays for the life of this object."""
        self._source = source

    def open(self) -> "BinaryIO":
        """-> binary file object at its start; the caller closes it."""
        if self._source is None:
            raise Failed("the controller has not delivered content %s" % self.sha256[:12], "content not delivered")
        if isinstance(self._source, bytes):
            return io.BytesIO(self._source)
        return open_regular(self._source)

    def read(self, limit: "Optional[int]" = None) -> bytes:
        """-> at most `limit` bytes from the start; everything when None."""
        with self.open() as stream:
            return stream.read() if limit is None else stream.read(limit)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Content):
            return NotImplemented
        return self.sha256 == other.sha256

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __hash__(self) -> int:
        return hash(self.sha256)

    def __repr__(self) -> str:
        return "<content secret>" if self.secret else "<content %s, %d bytes>" % (self.sha256[:12], self.size)


def open_regular(path: str, dir_fd: "Optional[int]" = None) -> "BinaryIO":
    """Open a regular file for reading -> unbuffered binary file object. Links and everything that is not a file are refused."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC, dir_fd=dir_fd)
    except OSError as error:
        raise Failed("cannot read %s: %s" % (path, error.strerror), system_says(error))
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise Failed("cannot read %s: not a regular file" % path, "not a regular file")
    return io.FileIO(fd, "r")


def chunks(stream: "BinaryIO") -> "Iterator[bytes]":
    while True:
        chunk = stream.read(CHUNK)
        if not chunk:
            return
        yield chunk
