"""A text file as lines, to be edited: `line` and `text_block` stand on this.

Bytes that are not UTF-8, the line ending and a missing final newline outside the edit stay as they are. A file whose first line
ends in CRLF has CRLF lines.
"""

import re

from statectl.onhost.content import Content
from statectl.onhost.failure import Failed
from statectl.onhost.kinds import in_the_way, kind

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Collection, Iterable, List, Optional, Sequence

    from statectl.onhost.host import Host

MAX_BYTES = 64 * 1024 * 1024  # of a file that is edited line by line


def bare(line: str) -> str:
    """A line without its end, whichever of the two it has."""
    if line.endswith("\n"):
        line = line[:-1]
    return line[:-1] if line.endswith("\r") else line


class Lines(object):
    """The lines of one file. `exists` False: there is no file yet.

    full    list of text, each line with the end it has; only the last may have none
    ending  of the first line, LF where there is none: what is put behind a line that is added
    """

    def __init__(self, data: "Optional[bytes]") -> None:
        self.exists = data is not None
        text = (data or b"").decode("utf-8", "surrogateescape")
        self._mark = text[:1] if text[:1] == "\ufeff" else ""  # a byte order mark stays in front of what is inserted
        text = text[len(self._mark) :]
        self.full: "List[str]" = re.findall(r"[^\n]*\n|[^\n]+", text)
        self.ending = "\r\n" if self.full and self.full[0].endswith("\r\n") else "\n"

    def bare(self) -> "List[str]":
        """-> list of the lines without their ends."""
        return [bare(line) for line in self.full]

    def insert(self, index: int, texts: "Iterable[str]") -> None:
        """Put lines before line `index`; a last line without an end gets one when something comes behind it."""
        if index and not self.full[index - 1].endswith("\n"):
            self.full[index - 1] += self.ending
        self.full[index:index] = [text + self.ending for text in texts]

    def replace(self, index: int, text: str) -> None:
        """A new text for a line; its end stays what it was."""
        line = self.full[index]
        self.full[index] = text + line[len(bare(line)) :]

    def remove(self, indexes: "Collection[int]") -> None:
        self.full = [line for index, line in enumerate(self.full) if index not in indexes]

    def content(self, secret: bool = False) -> "Content":
        """-> Content of the whole file."""
        return Content.of_bytes((self._mark + "".join(self.full)).encode("utf-8", "surrogateescape"), secret)

    def place(self, insert_after: "Optional[str]", insert_before: "Optional[str]") -> int:
        """Where something new goes -> index of the line it comes before. Where an anchor matches no line: the end.

        insert_after   EOF, or a pattern: after the last line that matches
        insert_before  BOF, or a pattern: before the first line that matches
        """
        if insert_before == "BOF":
            return 0
        anchor = insert_after if insert_before is None else insert_before
        if anchor is not None and anchor != "EOF":
            pattern = re.compile(anchor)
            matching = [index for index, line in enumerate(self.bare()) if pattern.search(line)]
            if matching:
                return matching[-1] + 1 if insert_before is None else matching[0]
        return len(self.full)


def read_lines(host: "Host", path: str) -> "Lines":
    """-> Lines. Raises Failed when the path is no regular file, or one too large to be edited."""
    status = host.lstat(path)
    if status is None:
        return Lines(None)
    found_kind = kind(status)
    if found_kind != "file":
        advice = "name the file it points to" if found_kind == "link" else "only files have lines"
        raise Failed(in_the_way(host, path, found_kind, advice), "something else is at the path of a file")
    if status.st_size > MAX_BYTES:
        raise Failed(
            "%s has %d bytes; a file edited by lines may have %d" % (path, status.st_size, MAX_BYTES), "too large"
        )
    return Lines(host.read_file(path))


def write_lines(
    host: "Host", path: str, lines: "Lines", create: "Optional[bool]", validate: "Optional[Sequence[str]]", secret: bool
) -> None:
    """Replace the file by `lines`. A file that is missing is made only if `create` says so, 0600 when secret.

    secret: what was written into it holds a secret; an existing file keeps its mode, which is the file's own business.
    """
    if not lines.exists and not create:
        raise Failed("%s does not exist; `create: true` makes it" % path, "no such file")
    mode = "0600" if secret and not lines.exists else None
    host.replace_file(path, lines.content(secret), mode=mode, validate=validate)
