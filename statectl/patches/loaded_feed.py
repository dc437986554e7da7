"""A feed while it is read: its file, packed or not, and what was found in it."""

import bz2
import gzip
import lzma
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from statectl.patches.fixes import Fix

MAX_TITLE = 160
MAX_PLAIN = 4 * 1024**3
MAX_ENTRIES = 5_000_000
MAX_FILES = 1_000_000
_MAGIC = {b"\x1f\x8b": gzip.open, b"BZh": bz2.open, b"\xfd7zXZ": lzma.open}


class BrokenFeed(Exception):
    """Why it cannot be used, in words."""


@dataclass(slots=True)
class Loaded:
    """`made`: ISO 8601, as the feed says of itself, ''."""

    fixes: dict[str, list[tuple[Any, ...]]] = field(default_factory=dict)
    cves: set[str] = field(default_factory=set)
    entries: int = 0
    made: str = ""

    def add(self, package: str, fix: Fix) -> None:
        if not package or len(package) > 256 or len(fix.cve) > 64:
            return
        self.entries += 1
        if self.entries > MAX_ENTRIES:
            raise BrokenFeed(f"it has over {MAX_ENTRIES} entries")
        self.fixes.setdefault(package, []).append(fix.fields())
        if fix.cve:
            self.cves.add(fix.cve)


class _Limited:
    """Reads no more than a feed may unpack to."""

    def __init__(self, stream: Any, name: str) -> None:
        self._stream, self._name, self._left = stream, name, MAX_PLAIN

    def read(self, size: int) -> bytes:
        try:
            data: bytes = self._stream.read(size)
        except (OSError, EOFError, lzma.LZMAError, zlib.error, zipfile.BadZipFile) as error:
            cause = " ".join(str(error).split())[:200] or "it ends in the middle"
            raise BrokenFeed(f"{self._name} cannot be unpacked: {cause}") from None
        self._left -= len(data)
        if self._left < 0:
            raise BrokenFeed(f"{self._name} unpacks to more than {MAX_PLAIN // 1024**3} GiB")
        return data


class FeedFile:
    """One file, packed by gzip, bzip2, xz or zip as its first bytes say, or a directory of files."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @contextmanager
    def opened(self) -> Iterator[Any]:
        """One file as a stream of bytes."""
        with self._opener()(self.path, "rb") as stream:
            yield _Limited(stream, self.path.name)

    def streams(self) -> Iterator[tuple[str, Any]]:
        """(name, stream) of the files of a zip or a directory that are called .json or .jsonl, or of the one file."""
        if self.path.is_dir():
            names = sorted(one for one in self.path.rglob("*.json*") if one.is_file())
            for path in names[:MAX_FILES]:
                with FeedFile(path).opened() as stream:
                    yield path.name, stream
        elif zipfile.is_zipfile(self.path):
            try:
                with zipfile.ZipFile(self.path) as packed:
                    members = [one for one in packed.infolist() if one.filename.endswith((".json", ".jsonl"))]
                    if sum(one.file_size for one in members) > MAX_PLAIN or len(members) > MAX_FILES:
                        raise BrokenFeed(f"it unpacks to more than {MAX_PLAIN // 1024**3} GiB, or {MAX_FILES} files")
                    for one in members:
                        with packed.open(one) as stream:
                            yield one.filename, _Limited(stream, one.filename[:100])
            except zipfile.BadZipFile as error:
                raise BrokenFeed(f"its zip is damaged: {error}") from None
        else:
            with self.opened() as stream:
                yield self.path.name, stream

    def _opener(self) -> Any:
        with self.path.open("rb") as stream:
            first = stream.read(6)
        return next((opener for magic, opener in _MAGIC.items() if first.startswith(magic)), open)


def text(value: Any) -> str:
    """'' for what is no text."""
    return value if isinstance(value, str) else ""
