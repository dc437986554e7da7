"""What the terminal can show: width, colour, marks; and the one function that makes a host's text harmless.

Colour repeats meaning and never carries it. Without a UTF-8 locale marks are ASCII.
"""

import json
import os
import re
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TextIO

_MARKS = {
    "add": ("+", "+"),
    "change": ("~", "~"),
    "remove": ("-", "-"),
    "run": ("!", "!"),
    "orphan": ("?", "?"),
    "unknown": ("·", "."),
    "then": ("→", "->"),
    "bar": ("│", "|"),
    "ok": ("✔", "ok"),
    "failed": ("✖", "x"),
    "warning": ("⚠", "!"),
    "waiting": ("◷", "o"),
    "more": ("…", "..."),
    "outlier": ("←", "<-"),
    "dash": ("—", "-"),
    "done": ("█", "#"),
    "left": ("░", "."),
}
_COLOURS = {
    "add": "32",
    "change": "33",
    "remove": "31",
    "run": "35",
    "orphan": "36",
    "failed": "31",
    "ok": "32",
    "warning": "33",
    "dim": "2",
    "bold": "1",
}

# C0 but newline and tab, DEL, C1, and what reorders or hides text: bidi controls, zero-width characters, separators
_HARMFUL = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ufffe\uffff\U000e0000-\U000e007f\ud800-\udfff]"
)


_LONG_WORD_FROM = 4096
_LONG_WORD = re.compile(rf"\S{{{_LONG_WORD_FROM},}}")


def clean(text: str) -> str:
    """A host's text with everything that could steer a terminal or a log escaped. Newlines and tabs stay."""
    return _HARMFUL.sub(lambda match: match[0].encode("unicode_escape", "surrogatepass").decode(), text)


def json_safe(document: str) -> str:
    """JSON text with the same characters as JSON escapes: a terminal may be reading it. It stays the same document."""
    return _HARMFUL.sub(lambda match: json.dumps(match[0])[1:-1], document)


def same_line(text: str) -> str:
    """clean() for one line of a text: a newline in it, which only a hostile host sends, is escaped; tabs stay."""
    return clean(text).replace("\n", "\\n")


def one_line(text: str) -> str:
    """clean(), newlines and tabs escaped as well, and no word longer than a path may be."""
    shown = clean(text).replace("\n", "\\n").replace("\t", "\\t")
    return _LONG_WORD.sub(lambda match: f"{match[0][:100]}...", shown) if len(shown) > _LONG_WORD_FROM else shown


def cells(text: str) -> int:
    """How many columns of a terminal a harmless text takes: East Asian wide characters two, marks that combine none."""
    if text.isascii():
        return len(text)
    import unicodedata

    taken = 0
    for character in text:
        if not unicodedata.combining(character):
            taken += 2 if unicodedata.east_asian_width(character) in "WF" else 1
    return taken


@dataclass(frozen=True, slots=True)
class Screen:
    """`terminal`: somebody may be watching; `live`: what was written there may be drawn anew."""

    width: int = 80
    colour: bool = False
    unicode: bool = True
    terminal: bool = False
    live: bool = False

    def mark(self, name: str) -> str:
        return _MARKS[name][0 if self.unicode else 1]

    def paint(self, text: str, style: str) -> str:
        return f"\x1b[{_COLOURS[style]}m{text}\x1b[0m" if self.colour and style in _COLOURS else text

    def fit(self, text: str, width: int | None = None) -> str:
        """Cut to the width and say so."""
        limit = width or self.width
        if cells(text) <= limit:
            return text
        more = self.mark("more")
        cut = text[: max(0, limit - len(more))]
        while cells(cut) > max(0, limit - len(more)):
            cut = cut[:-1]
        return cut + more


def screen(stream: TextIO | None = None, *, color: str = "auto", environ: Mapping[str, str] = os.environ) -> Screen:
    """What `stream` (default stdout) can show. NO_COLOR, FORCE_COLOR, CI and TERM=dumb are respected."""
    target = stream or sys.stdout
    terminal = target.isatty()
    encoding = (getattr(target, "encoding", "") or "").lower().replace("-", "")
    if color == "always" or environ.get("FORCE_COLOR"):
        colour = True
    elif color == "never" or "NO_COLOR" in environ or environ.get("TERM") == "dumb":
        colour = False
    else:
        colour = terminal and not environ.get("CI")
    width = int(environ["COLUMNS"]) if environ.get("COLUMNS", "").isdigit() else 0
    if not width:
        width = shutil.get_terminal_size((80, 24)).columns if terminal else 100
    live = terminal and environ.get("TERM", "dumb") not in ("", "dumb") and not environ.get("CI")
    return Screen(max(40, width), colour, "utf" in encoding and _locale_is_utf8(environ), terminal, live)


def _locale_is_utf8(environ: Mapping[str, str]) -> bool:
    """Python itself turns the locale C into UTF-8 and sets LC_CTYPE to say so; what the user chose is C all the same."""
    if environ.get("PYTHONUTF8") == "1":
        return True
    chosen = environ.get("LC_ALL") or environ.get("LC_CTYPE") or environ.get("LANG") or "C.UTF-8"
    if chosen == "C.UTF-8" and not environ.get("LC_ALL") and environ.get("LANG") in ("C", "POSIX"):
        return False
    return "utf" in chosen.lower()
