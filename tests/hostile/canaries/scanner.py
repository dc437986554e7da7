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
MARK = "cnry"  # in each half of every canary
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
        return cls(place, f"{MARK}{secrets.token_hex(6)}{middle}{MARK}{secrets.token_hex(6)}")

    def halves(self) -> "list[Canary]":
        """A secret that was cut in two is none the less told."""
        first, second = self.value.split(MARK)[1:3]
        return [Canary(self.place, MARK + first.rstrip('"/+\\')), Canary(self.place, MARK + second)]

    def forms(self) -> Iterator[tuple[str, bytes]]:
        """(encoding, bytes that are there when it is)."""
        raw = self.value.encode()
        yield "raw", raw
        for offset in range(3):
            encoded = base64.b64encode(b"\0" * offset + raw).rstrip(b"=")
            inner = encoded[(0, 2, 3)[offset] :]
            inner = inner if (offset + len(raw)) % 3 == 0 else inner[:-1]
            yield f"base64 at {offset}", inner
            yield f"base64 for URLs at {offset}", inner.translate(bytes.maketrans(b"+/", b"-_"))
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
        marked = all(MARK in canary.value for canary in self.canaries)
        self._marks = {form for _, form in Canary("", MARK).forms()} if marked else {b""}
        self.found: set[Found] = set()
        self.bytes_read = 0

    def scan(self, data: bytes, where: str, depth: int = 0) -> None:
        self.bytes_read += len(data)
        if any(mark in data for mark in self._marks):
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
                unpacked = engine.decompress(memoryview(data)[at:], MAX_UNPACKED)
            except zlib.error:
                unpacked = b""
            if len(unpacked) > 16:
                yield at, unpacked
            at = data.find(start, at + 1)


class Watched:
    """Samples the argv and environment of all processes every 10 ms. `with Watched(scanner):`

    Processes of lab hosts are processes of this machine, so this is both sides. Nothing is scanned while it samples: each
    text is kept once, with the command line that it was seen with.
    """

    def __init__(self, scanner: Scanner) -> None:
        self._scanner = scanner
        self._texts: dict[tuple[str, str], set[bytes]] = {}
        self._known: dict[str, bytes] = {}  # argv by process: it tells whether the environment can have changed
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.samples = 0

    def __enter__(self) -> "Watched":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(10)
        for (name, argv), texts in self._texts.items():
            for text in texts:
                self._scanner.scan(text, f"/proc/PID/{name} of {argv}")

    def _run(self) -> None:
        while not self._stop.wait(0.01):
            self.samples += 1
            for entry in os.scandir("/proc"):
                if not entry.name.isdigit():
                    continue
                try:
                    self._look(entry.name)
                except OSError:
                    continue  # it ended

    def _look(self, pid: str) -> None:
        argv = _content(pid, "cmdline")
        if self._known.get(pid) == argv:
            return
        # what was read before a program was replaced must not count as its own: environment first, then its name
        environment, argv = _content(pid, "environ"), _content(pid, "cmdline")
        if not argv:
            return  # it has just ended, or is a thread of the kernel
        self._known[pid] = argv
        label = argv.replace(b"\0", b" ").decode("utf-8", "replace")[:200]
        for name, text in (("cmdline", argv), ("environ", environment)):
            self._texts.setdefault((name, label), set()).add(text)


def _content(pid: str, name: str) -> bytes:
    with open(f"/proc/{pid}/{name}", "rb") as file:
        return file.read()
