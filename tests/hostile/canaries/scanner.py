"""Finds planted secrets wherever and however they lie: raw, base64 at each alignment, hex, URL-encoded, JSON-escaped, compressed.

Its zero means something only because `test_scanner.py` shows that it finds all that was planted.
"""

import base64
import json
import os
import secrets
import sqlite3
import threading
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

MAX_UNPACKED = 64 * 1024 * 1024
MAX_DEPTH = 3
MEMBERS = (b"\x1f\x8b\x08", b"\x78\x01", b"\x78\x5e", b"\x78\x9c", b"\x78\xda")


@dataclass(frozen=True)
class Canary:
    """`place`: where it was put on purpose."""

    place: str
    value: str

    @classmethod
    def made(cls, place: str, *, plain: bool = False) -> "Canary":
        """24 random characters and a marker; with characters that every encoding writes differently, unless `plain`."""
        middle = "" if plain else '"/+\\'
        return cls(place, f"cnry{secrets.token_hex(6)}{middle}{secrets.token_hex(6)}")

    def forms(self) -> Iterator[tuple[str, bytes]]:
        """(encoding, bytes that are there when it is)."""
        raw = self.value.encode()
        yield "raw", raw
        for offset in range(3):
            encoded = base64.b64encode(b"\0" * offset + raw).rstrip(b"=")
            inner = encoded[(0, 2, 3)[offset] :]
            yield f"base64 at {offset}", inner if (offset + len(raw)) % 3 == 0 else inner[:-1]
        yield "hex", raw.hex().encode()
        yield "HEX", raw.hex().upper().encode()
        yield "URL", quote(self.value, safe="").encode()
        yield "JSON", json.dumps(self.value)[1:-1].encode()


@dataclass(frozen=True)
class Found:
    place: str
    encoding: str
    where: str


class Scanner:
    """`scan(bytes, where)`, `scan_tree(path)`, `scan_database(path)`; what was found is in `found`."""

    def __init__(self, canaries: Iterable[Canary]) -> None:
        self.canaries = list(canaries)
        self._needles = [(canary.place, name, form) for canary in self.canaries for name, form in canary.forms()]
        self.found: set[Found] = set()
        self.bytes_read = 0

    def scan(self, data: bytes, where: str, depth: int = 0) -> None:
        self.bytes_read += len(data)
        for place, encoding, needle in self._needles:
            if needle in data:
                self.found.add(Found(place, encoding, where))
        if depth < MAX_DEPTH:
            for at, unpacked in members(data):
                self.scan(unpacked, f"{where} [compressed, at {at}]", depth + 1)

    def scan_tree(self, top: Path, leave_out: Iterable[Path] = ()) -> None:
        """Every regular file below, names and targets of links too."""
        left = {path.resolve() for path in leave_out}
        for directory, names, files in os.walk(top):
            names[:] = [name for name in names if Path(directory, name).resolve() not in left]
            for name in [*names, *files]:
                path = Path(directory, name)
                self.scan(name.encode("utf-8", "surrogateescape"), f"name of {path}")
                if path.is_symlink():
                    self.scan(os.readlink(path).encode("utf-8", "surrogateescape"), f"link {path}")
                elif path.is_file() and path.resolve() not in left:
                    self.scan(path.read_bytes(), str(path))

    def scan_database(self, path: Path) -> None:
        """The values of all rows: a large one does not lie in one piece in the file. The file itself is for `scan_tree`."""
        connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
        try:
            for (table,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
                for row in connection.execute(f'SELECT * FROM "{table}"'):
                    for value in row:
                        data = value if isinstance(value, bytes) else str(value).encode("utf-8", "surrogateescape")
                        self.scan(data, f"{path.name}: {table}")
        finally:
            connection.close()


def members(data: bytes) -> Iterator[tuple[int, bytes]]:
    """(offset, content) of what gzip or zlib packed somewhere in the data."""
    for start in MEMBERS:
        at = data.find(start)
        while at >= 0:
            engine = zlib.decompressobj(47)
            try:
                unpacked = engine.decompress(data[at:], MAX_UNPACKED)
            except zlib.error:
                unpacked = b""
            if len(unpacked) > 16:
                yield at, unpacked
            at = data.find(start, at + 1)


class Watched:
    """Samples the argv and environment of all processes every 10 ms. `with Watched(scanner):`

    Nothing is scanned while it samples: each text is kept once. `ignore`: process ids whose environment is the one who planted it.
    """

    def __init__(self, scanner: Scanner) -> None:
        self._scanner = scanner
        self._texts: set[tuple[str, bytes]] = set()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.samples = 0

    def __enter__(self) -> "Watched":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(10)
        for name, text in self._texts:
            self._scanner.scan(text, name)

    def _run(self) -> None:
        while not self._stop.wait(0.01):
            self.samples += 1
            for entry in os.scandir("/proc"):
                if not entry.name.isdigit():
                    continue
                for name in ("cmdline", "environ"):
                    try:
                        with open(f"/proc/{entry.name}/{name}", "rb") as file:
                            text = file.read()
                    except OSError:
                        continue
                    if text:
                        self._texts.add((f"/proc/PID/{name}", text))
