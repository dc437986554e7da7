"""Streams that may lose their reader: a closed window or a pipe that nobody reads must not end what is being done on hosts."""

import contextlib
import errno
import os
from collections.abc import Iterator
from typing import Protocol, TextIO

GONE = (errno.EPIPE, errno.EIO)  # no reader of the pipe, no terminal


@contextlib.contextmanager
def outlived(stream: TextIO) -> Iterator[None]:
    """Write to `stream` in here: when its reader is gone, this and all that follows goes nowhere, and nobody fails."""
    try:
        yield
        stream.flush()
    except OSError as error:
        if error.errno not in GONE:
            raise
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)


class Writable(Protocol):
    """What is needed of a stream of text."""

    def write(self, text: str, /) -> object: ...
    def flush(self) -> None: ...


class Lasting:
    """`stream`, written to as long as somebody is there."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> None:
        with outlived(self._stream):
            self._stream.write(text)

    def flush(self) -> None:
        with outlived(self._stream):
            self._stream.flush()
