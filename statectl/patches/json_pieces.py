"""Large JSON files piece by piece: the members of one object, the items of one list, or one value a line. Never the whole in memory."""

import json
from collections.abc import Iterator
from typing import Any

PIECE = 1024 * 1024
MAX_VALUE = 128 * 1024**2  # characters of one piece
SPACE = " \t\r\n"


class NotJSON(Exception):
    """Why, in words."""


class _Source:
    """A buffer over a stream of bytes that is read on when it runs out."""

    def __init__(self, stream: Any) -> None:
        import codecs

        self._stream = stream
        self._decoder = codecs.getincrementaldecoder("utf-8-sig")("replace")
        self._decode = json.JSONDecoder().raw_decode
        self.text = ""
        self.place = 0
        self.read = 0
        self.ended = False

    def more(self, least: int = PIECE) -> bool:
        """-> is there more now?"""
        if self.ended:
            return False
        parts = [self.text[self.place :]]
        got = 0
        while got < least and not self.ended:
            data = self._stream.read(PIECE)
            self.ended = not data
            self.read += len(data)
            parts.append(self._decoder.decode(data, final=not data))
            got += len(parts[-1])
        self.text, self.place = "".join(parts), 0
        return got > 0

    def peek(self) -> str:
        """The next character that is no space, '' at the end."""
        while True:
            while self.place < len(self.text):
                if self.text[self.place] not in SPACE:
                    return self.text[self.place]
                self.place += 1
            if not self.more():
                return ""

    def take(self, wanted: str) -> None:
        if self.peek() != wanted:
            raise NotJSON(self.wrong(f"{wanted!r} is missing"))
        self.place += 1

    def value(self) -> Any:
        if not self.peek():
            raise NotJSON(self.wrong("it ends in the middle"))
        while True:
            try:
                found, end = self._decode(self.text, self.place)
            except json.JSONDecodeError as error:
                waiting = len(self.text) - self.place
                if waiting > MAX_VALUE:
                    raise NotJSON(self.wrong("one entry is larger than it may be")) from None
                if self.more(max(waiting, PIECE)):  # twice as much each time
                    continue
                cut = error.pos >= len(self.text.rstrip()) or "Unterminated" in error.msg
                raise NotJSON(self.wrong("it ends in the middle" if cut else error.msg.lower())) from None
            except RecursionError:
                raise NotJSON(self.wrong("entries stand too deep in each other")) from None
            self.place = end
            return found

    def wrong(self, what: str) -> str:
        return f"{what}, after {self.read / 1024**2:.1f} MiB"


def members(stream: Any) -> Iterator[tuple[str, Any]]:
    """(name, value) of each member of the one object that the file is. Raises NotJSON."""
    source = _Source(stream)
    source.take("{")
    if source.peek() == "}":
        source.place += 1
    else:
        while True:
            name = source.value()
            if not isinstance(name, str):
                raise NotJSON(source.wrong("a name is no text"))
            source.take(":")
            yield name, source.value()
            if source.peek() == "}":
                source.place += 1
                break
            source.take(",")
    if source.peek():
        raise NotJSON(source.wrong("something follows its end"))


def values(stream: Any) -> Iterator[Any]:
    """The items of a list, or the values that stand one behind the other: one object, or JSON lines. Raises NotJSON."""
    source = _Source(stream)
    if source.peek() == "[":
        source.place += 1
        if source.peek() == "]":
            return
        while True:
            yield source.value()
            if source.peek() == "]":
                return
            source.take(",")
    while source.peek():
        yield source.value()
