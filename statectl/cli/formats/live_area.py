"""The last lines of a terminal, drawn anew while something goes on; whatever is said meanwhile stays above them.

Between two drawings the cursor stands at their first column and first line. So what was drawn is taken away by clearing to the end
of the screen, however a resize has folded it, and no line above can be hit. The cursor is never hidden and no mode of the
terminal is changed: there is nothing to be undone after a kill.
"""

import os
from collections.abc import Callable, Sequence
from typing import TextIO

from statectl.cli.formats.lasting import Lasting, Writable
from statectl.cli.formats.terminal import Screen, cells

CLEAR = "\r\x1b[J"
Line = Sequence[tuple[str, str]]
"""Parts of a line: (text, style of `Screen.paint`)."""


class LiveArea:
    def __init__(self, stream: TextIO, screen: Screen) -> None:
        self._stream = stream
        self._lasting = Lasting(stream)
        self._screen = screen
        self._drawn: tuple[tuple[int, int], list[str]] | None = None

    def size(self) -> tuple[int, int]:
        """(columns, rows) of the terminal as it is now."""
        try:
            columns, rows = os.get_terminal_size(self._stream.fileno())
        except (OSError, ValueError):
            columns, rows = 0, 0
        return columns or self._screen.width, rows or 24

    def draw(self, lines: Sequence[Line]) -> None:
        """Show these lines, as many as the terminal has room for."""
        columns, rows = self.size()
        fitting = [self._painted(line, columns - 1) for line in lines[: max(1, rows - 1)]]
        if self._drawn == ((columns, rows), fitting):
            return
        self._lasting.write(CLEAR + _standing(fitting))
        self._lasting.flush()
        self._drawn = (columns, rows), fitting

    def above(self, text: str) -> None:
        """A line that stays."""
        before, again = (CLEAR, _standing(self._drawn[1])) if self._drawn is not None else ("", "")
        if self._drawn is not None and self._drawn[0] != self.size():
            again, self._drawn = "", None  # these lines would be folded now, and the way up would be too short
        self._lasting.write(f"{before}{text}\n{again}")
        self._lasting.flush()

    def take_away(self) -> None:
        if self._drawn is not None:
            self._lasting.write(CLEAR)
            self._lasting.flush()
            self._drawn = None

    def leave(self, lines: Sequence[Line]) -> None:
        """These lines stay, whole, where the area was."""
        self.take_away()
        for line in lines:
            self._lasting.write(self._painted(line, 0) + "\n")
        self._lasting.flush()

    def _painted(self, line: Line, limit: int) -> str:
        """Cut to `limit` columns, 0: whole."""
        painted = ""
        for text, style in line:
            shown = self._screen.fit(text, limit) if limit else text
            painted += self._screen.paint(shown, style) if style else shown
            if limit:
                if shown != text or cells(text) == limit:
                    break
                limit -= cells(text)
        return painted


class Beside:
    """Another stream on the same terminal: before it is written to, what is drawn is taken away by `hide`."""

    def __init__(self, stream: Writable, hide: Callable[[], None]) -> None:
        self._stream, self._hide = stream, hide

    def write(self, text: str) -> None:
        self._hide()
        self._stream.write(text)

    def flush(self) -> None:
        self._stream.flush()


def _standing(lines: Sequence[str]) -> str:
    """The lines, and the cursor back where they begin."""
    up = f"\x1b[{len(lines) - 1}A" if len(lines) > 1 else ""
    return "\n".join(lines) + "\r" + up
