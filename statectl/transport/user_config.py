"""The invoking user's ssh config, cut to what can be said about one name before asyncssh reads it.

asyncssh splits every line of the file anew for each host: with a block for each of N hosts that is N times N blocks, 9 ms for each
host at 40 blocks. A `Host` block that names other hosts, and no pattern, says nothing about this one and is left out. What
remains is asyncssh's to understand, and so is the whole of a file with a mistake.
"""

import contextlib
import os
import re
import shlex
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

USER_CONFIG = "~/.ssh/config"
_BLOCK = re.compile(r"""\s*(host|match)\s*[\s=]\s*(.*)""", re.IGNORECASE)
_PATTERN = re.compile(r"[*?\[\]]")


def user_config() -> list[str] | None:
    """The invoking user's own file and no other; None tells asyncssh to read nothing by itself."""
    path = os.path.expanduser(USER_CONFIG)
    return [path] if os.path.isfile(path) else None


@dataclass(frozen=True, slots=True)
class _Block:
    """text: lines with their ends. only: the names it is for; None: whoever."""

    text: str
    only: frozenset[str] | None


class UserConfig:
    """The file as it was when it was last looked at; a changed one is read again."""

    def __init__(self) -> None:
        self._lock = threading.Lock()  # hosts are looked up in threads, all at once
        self._state: tuple[int, int, int] | None = None
        self._blocks: list[_Block] | None = None

    @contextlib.contextmanager
    def about(self, name: str) -> Iterator[list[str] | None]:
        """What asyncssh is to read for one host: a path that lasts as long as the block, or the file itself."""
        whole = user_config()
        text = self._about(whole[0], name) if whole else None
        if text is None:
            yield whole
            return
        file = os.memfd_create("ssh_config")
        try:
            with open(file, "w", encoding="utf-8", errors="surrogateescape", closefd=False) as writing:
                writing.write(text)
            yield [f"/proc/self/fd/{file}"]
        finally:
            os.close(file)

    def _about(self, path: str, name: str) -> str | None:
        """None: the whole file is to be read."""
        if not hasattr(os, "memfd_create"):
            return None
        try:
            with self._lock:
                blocks = self._read(path)
        except OSError:
            return None  # asyncssh says what is wrong with it
        if blocks is None:
            return None
        return "".join(block.text for block in blocks if block.only is None or name in block.only)

    def _read(self, path: str) -> list[_Block] | None:
        found = os.stat(path)
        state = (found.st_ino, found.st_size, found.st_mtime_ns)
        if state != self._state:
            with open(path, encoding="utf-8", errors="surrogateescape") as file:
                self._blocks = _blocks(file)
            self._state = state
        return self._blocks


def _blocks(file: Iterable[str]) -> list[_Block] | None:
    """None: not to be cut, because it has a mistake."""
    found = []
    lines: list[str] = []
    only: frozenset[str] | None = None
    for line in file:
        plain = line.strip()
        if plain.startswith("#"):
            continue
        if any(sign in plain for sign in "\"'\\"):
            try:
                plain = " ".join(shlex.split(plain))
            except ValueError:
                return None  # a mistake, wherever it stands
        begin = _BLOCK.fullmatch(plain)
        if begin:
            found.append(_Block("".join(lines), only))
            lines, only = [], _names(begin[2]) if begin[1].lower() == "host" else None
        elif plain.lower() in ("host", "match"):
            return None
        lines.append(line)
    found.append(_Block("".join(lines), only))
    return found


def _names(patterns: str) -> frozenset[str] | None:
    """The hosts of a `Host` line; None when it has patterns."""
    words = patterns.replace(",", " ").split()
    if not words or any(_PATTERN.search(word) or "=" in word for word in words):
        return None
    return frozenset(words)
