"""What an index of packages says, whoever made it, and its compressed files: read in pieces, never larger than they may be."""

import bz2
import gzip
import lzma
import shutil
import subprocess
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any
from xml.parsers import expat

from statectl.errors import Failed
from statectl.patches.fixes import Fix
from statectl.store.patch_ledger import Found

MAX_COMPRESSED, MAX_PLAIN = 512 * 1024**2, 3 * 1024**3
MAX_PACKAGES = 500_000
PIECE = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Listed:
    """One package of an index, with where its file is. `size` in bytes, 0: not said."""

    found: Found
    location: str
    size: int = 0


@dataclass(frozen=True, slots=True)
class IndexRead:
    """An index that was fetched and checked. `made`: by its own word, seconds since 1970."""

    archives: Mapping[str, int]  # {key: made}
    packages: Callable[[], Iterator[Listed]]  # read anew each time: they are many
    validators: Mapping[str, str]
    made: int
    fixes: Mapping[str, list[Fix]] = field(default_factory=dict)  # by package
    base: str = ""  # that locations are relative to


def damaged(index: str, what: str) -> Failed:
    return Failed(f"index {index}: {what}", code="E642", hint="statectl explain E642")


class Bounded:
    """A stream that ends with E642 where it would be longer than it may."""

    def __init__(self, index: str, name: str, source: Any, most: int = MAX_PLAIN) -> None:
        self._index, self._name, self._source, self._left = index, name, source, most

    def read(self, size: int = PIECE) -> bytes:
        try:
            piece: bytes = self._source.read(size)
        except (OSError, EOFError, lzma.LZMAError, zlib.error) as error:
            cause = " ".join(str(error).split())[:200]
            raise damaged(self._index, f"{self._name} cannot be unpacked: {cause}") from None
        self._left -= len(piece)
        if self._left < 0:
            raise damaged(self._index, f"{self._name} unpacks to more than it may")
        return piece

    def lines(self) -> Iterator[str]:
        """Without their ends. A line is at most a piece long."""
        rest = b""
        while piece := self.read(PIECE):
            whole, newline, after = (rest + piece).rpartition(b"\n")
            if not newline and len(rest) > PIECE:
                raise damaged(self._index, f"{self._name} holds a line of over {PIECE} bytes")
            rest = after
            if newline:
                yield from whole.decode("utf-8", "replace").split("\n")
        if rest:
            yield rest.decode("utf-8", "replace")


@contextmanager
def opened(index: str, path: Path, name: str) -> Iterator[Bounded]:
    """Unpacked as its name says: .gz, .xz, .bz2, .zst or plain."""
    source: IO[bytes] | Any
    if name.endswith(".zst"):
        with _zstd(index, path, name) as source:
            yield Bounded(index, name, source)
        return
    openers: dict[str, Any] = {".gz": gzip.open, ".xz": lzma.open, ".bz2": bz2.open}
    opener = next((openers[end] for end in openers if name.endswith(end)), open)
    with opener(path, "rb") as source:
        yield Bounded(index, name, source)


@contextmanager
def _zstd(index: str, path: Path, name: str) -> Iterator[IO[bytes]]:
    program = shutil.which("zstd")
    if program is None:
        raise damaged(index, f"{name} is packed by zstd, which is not installed here")
    with subprocess.Popen(
        [program, "-dcq", "--memory=128MB", str(path)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as process:
        assert process.stdout is not None
        try:
            yield process.stdout
            if process.stdout.read(1) == b"" and process.wait() != 0:
                raise damaged(index, f"{name} cannot be unpacked")
        finally:
            process.kill()


class Elements:
    """A parser of XML that calls `begin(name, attributes)`, `end(name, text)`; names without namespace. No entities, no document type."""

    def __init__(self, where: str) -> None:
        self._where = where
        self._text: list[str] = []
        self._size = 0
        self._depth = 0
        parser = expat.ParserCreate(namespace_separator=" ")
        parser.buffer_text = True
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._stop
        parser.CharacterDataHandler = self._characters
        parser.StartDoctypeDeclHandler = self._refuse
        parser.EntityDeclHandler = self._refuse
        self._parser = parser

    MAX_DEPTH, MAX_TEXT = 100, 4 * 1024**2

    def begin(self, name: str, attributes: Mapping[str, str]) -> None:
        raise NotImplementedError

    def end(self, name: str, text: str) -> None:
        raise NotImplementedError

    def bad(self, why: str) -> Exception:
        """The error to raise."""
        return damaged(self._where, why)

    def feed(self, source: Any, name: str) -> None:
        """The whole file."""
        while piece := source.read(PIECE):
            self.feed_piece(piece, name)
        self.feed_piece(b"", name, last=True)

    def feed_piece(self, piece: bytes, name: str, *, last: bool = False) -> None:
        try:
            self._parser.Parse(piece, last)
        except expat.ExpatError as error:
            raise self.bad(f"{name} is not whole XML: {error}") from None

    def _start(self, name: str, attributes: Mapping[str, str]) -> None:
        self._depth += 1
        if self._depth > self.MAX_DEPTH:
            raise self.bad("elements stand too deep in each other")
        self._text, self._size = [], 0
        self.begin(name.rpartition(" ")[2], {key.rpartition(" ")[2]: value for key, value in attributes.items()})

    def _stop(self, name: str) -> None:
        self._depth -= 1
        self.end(name.rpartition(" ")[2], "".join(self._text).strip())
        self._text, self._size = [], 0

    def _characters(self, text: str) -> None:
        self._size += len(text)
        if self._size > self.MAX_TEXT:
            raise self.bad("a text is longer than it may be")
        self._text.append(text)

    def _refuse(self, *_: Any) -> None:
        raise self.bad("the file declares a document type or an entity, which no such file needs")
