"""The diff of a content with secrets in it: every character but theirs, and of what was there before only what cannot hold one.

What is wanted is known piece by piece. What is found may hold a secret of before, which nobody knows any more:

a line that was found                         is shown as
equal to a wanted line without a secret       itself
like a wanted line, but for its secrets       that line with marks
any other                                     a mark, for it may be an older template with an older secret
"""

from statectl.onhost.redact import MASK

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import List, Pattern, Sequence, Set, Tuple

    Piece = Tuple[str, bool]  # text, and whether it is a secret

CONTEXT = 3
MAX_MATCHED = 2000  # characters of a line: several secrets in one make matching slow
UNKNOWN = "\u2039not shown: it may hold a secret of before\u203a"


def changed_lines(pieces: "Sequence[Piece]", found: "Sequence[str]", unended: str) -> "List[str]":
    """-> lines of a unified diff from `found` to the text of the pieces, without secrets.

    found: lines without their ends; unended: what stands behind a last line that has none.
    """
    import difflib

    wanted = _wanted_lines(pieces, unended)
    shown = _Shown(wanted, unended)
    before, after = list(found), ["".join(text for text, _ in line) for line in wanted]
    marked = [_marked(line) for line in wanted]
    lines: "List[str]" = []
    for group in difflib.SequenceMatcher(None, before, after).get_grouped_opcodes(CONTEXT):
        first, last = group[0], group[-1]
        lines.append("@@ -%s +%s @@" % (_range(first[1], last[2]), _range(first[3], last[4])))
        for tag, i1, i2, j1, j2 in group:
            if tag == "equal":
                lines += [" " + line for line in marked[j1:j2]]
                continue
            lines += ["-" + shown.line(line) for line in before[i1:i2]]
            lines += ["+" + line for line in marked[j1:j2]]
    return lines


def _range(start: int, stop: int) -> str:
    """As diff -u writes the place of a hunk."""
    if stop - start == 1:
        return str(start + 1)
    return "%d,%d" % (start + (stop > start), stop - start)


def _wanted_lines(pieces: "Sequence[Piece]", unended: str) -> "List[List[Piece]]":
    """The pieces line by line."""
    lines: "List[List[Piece]]" = [[]]
    for text, secret in pieces:
        first, *others = text.split("\n")
        lines[-1].append((first, secret))
        lines += [[(other, secret)] for other in others]
    if any(text for text, _ in lines[-1]):
        lines[-1].append((unended, False))
    else:
        lines.pop()
    return lines


def _marked(line: "Sequence[Piece]") -> str:
    return "".join(MASK if secret and text else text for text, secret in line)


class _Shown(object):
    """What of a line that was found may be shown."""

    def __init__(self, wanted: "Sequence[Sequence[Piece]]", unended: str) -> None:
        import re

        self._unended = unended
        self._plain: "Set[str]" = set()
        self._like: "List[Tuple[Pattern[str], str]]" = []
        patterns = {}
        for pieces in wanted:
            line = [piece for piece in pieces if piece != (unended, False)]
            if not any(secret and text for text, secret in line):
                self._plain.add("".join(text for text, _ in line))
                continue
            pattern = "".join(".*" if secret else re.escape(text) for text, secret in line) + "\\Z"
            patterns[pattern] = _marked(line)
        # the most that is known of a line first: one that is nothing but a secret is like everything
        for pattern in sorted(patterns, key=len, reverse=True):
            self._like.append((re.compile(pattern, re.DOTALL), patterns[pattern]))

    def line(self, text: str) -> str:
        if text.endswith(self._unended):
            return self._ended(text[: -len(self._unended)]) + self._unended
        return self._ended(text)

    def _ended(self, text: str) -> str:
        if text in self._plain:
            return text
        if len(text) <= MAX_MATCHED:
            for pattern, marked in self._like:
                if pattern.match(text):
                    return marked
        return UNKNOWN
