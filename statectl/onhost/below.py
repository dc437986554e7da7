"""Looking at all that is below a directory in bounded memory: never following a link, never leaving the file system."""

import os
import stat

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable, Iterator, List, Optional, Tuple

    from statectl.onhost.host import Host


def walk(
    host: "Host", top: str, enter: "Optional[Callable[[str], bool]]" = None
) -> "Iterator[Tuple[str, os.stat_result]]":
    """Yield (path relative to `top`, lstat result), a directory before what is in it, names in order.

    A directory of another file system is yielded and not entered, nor one whose relative path `enter` says no to. What
    vanishes meanwhile is left out.
    """
    device = os.lstat(host.path(top)).st_dev
    stack = [""]
    while stack:
        relative = stack.pop()
        if relative:
            status = host.lstat(join(top, relative))
            if status is None:
                continue
            yield relative, status
            if not stat.S_ISDIR(status.st_mode) or status.st_dev != device or (enter and not enter(relative)):
                continue
        prefix = relative + "/" if relative else ""
        stack.extend(prefix + name for name in reversed(host.listdir(join(top, relative))))


def join(top: str, relative: str) -> str:
    """'/' and 'a' -> '/a'; '/a' and '' -> '/a'."""
    return top.rstrip("/") + "/" + relative if relative else top


def count(host: "Host", top: str, limit: int = 1000000) -> int:
    """How many entries are below `top`; counting stops at `limit`."""
    entries = 0
    for _ in walk(host, top):
        entries += 1
        if entries >= limit:
            break
    return entries


def entries_text(number: int) -> str:
    return "empty" if number == 0 else "1 entry" if number == 1 else "%d entries" % number


class Sample(object):
    """The first few of many texts, the number of all, and a hash of all: two samples are equal when all was equal."""

    SHOWN = 20

    def __init__(self) -> None:
        import hashlib

        self._first: "List[str]" = []
        self._number = 0
        self._hash = hashlib.sha256()

    def add(self, text: str) -> None:
        self._number += 1
        self._hash.update(text.encode("utf-8", "surrogateescape") + b"\0")
        if len(self._first) < self.SHOWN:
            self._first.append(text)

    def texts(self) -> "List[str]":
        """-> [] when nothing was added; a last line says how many are not shown."""
        more = self._number - len(self._first)
        last = ["... %d more (%s)" % (more, self._hash.hexdigest()[:12])] if more else []
        return self._first + last
