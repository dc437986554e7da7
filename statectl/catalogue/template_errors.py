"""A failure of the rendering child to a Problem: file, line, column, where the variable came from, what led there."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from statectl.catalogue.render import Renderer
from statectl.catalogue.rendered import Failure
from statectl.catalogue.templates import TemplateRefused
from statectl.problems import Note, Problem, Span
from statectl.project.scalars import Expression

Origin = Callable[[str], Note | None]


class Explainer:
    """Knows the texts of the project's files, for columns and carets."""

    def __init__(self, root: Path, renderer: Renderer) -> None:
        self._root = root
        self._renderer = renderer
        self._lines: dict[str, list[str]] = {}

    def problem(self, failure: Failure, origin: Origin) -> Problem:
        """`origin(name)` says where a variable was written."""
        report = failure.report
        number = int(report.get("eid", -1))
        words = [str(word) for word in report.get("find", []) if word]
        template = str(report.get("template") or "") or self._template(number)
        notes: list[Note] = []
        root = str(report.get("root") or "")
        if root:
            note = origin(root)
            if note is not None:
                via = str(report.get("via") or "")
                notes.append(Note(f"{via} is an item of {root}; {note.text}" if via else note.text, note.span))
        span = self._in_template(template, int(report.get("line") or 0), words) if template else None
        expression = self._expression(number) if not template else None
        if expression is not None:
            span = self._in_expression(expression, int(report.get("line") or 0), words)
        for user in report.get("used_by", []):
            used, path = self._expression(user), self._template(user)
            notes.append(Note("used here", used.span if used is not None else Span(path, 1, 1) if path else None))
        return Problem(
            code=str(report["code"]),
            summary=_short(report.get("summary")),
            span=span,
            label=_short(report.get("label")),
            hint=_short(report.get("hint")),
            notes=tuple(notes),
            hidden=number in self._renderer.register.sensitive,
        )

    def _template(self, number: int) -> str:
        """The path of a source that is a template, else ''."""
        source = self._renderer.register.sources[number] if number >= 0 else None
        return source.text if source is not None and source.kind == "template" else ""

    def _expression(self, number: int) -> Expression | None:
        return self._renderer.register.sources[number].expression if number >= 0 else None

    def _in_template(self, path: str, line: int, words: list[str]) -> Span:
        """`line` 0: anywhere in it."""
        try:
            lines = self._renderer.jail.read(path).split("\n")
        except TemplateRefused:
            lines = []  # it is missing or no text, which is the problem itself
        last = line or len(lines)
        return _find(path, lines, max(line, 1), last, words) or Span(path, max(line, 1), 1)

    def _in_expression(self, expression: Expression, line: int, words: list[str]) -> Span | None:
        """`line` counts in the expression; 0: anywhere in it."""
        span = expression.span
        if span is None:
            return None
        lines = self._file(span.file)
        block = span.end_line == 0  # its text begins on the line below the mark
        top = span.line + 1 if block else span.line
        bottom = top + expression.source.count("\n") if block else span.end_line
        first = min(top + max(line, 1) - 1, bottom)
        last = first if block and line else bottom
        found = _find(span.file, lines, first, last, words, span.column if first == span.line else 1)
        return found or (Span(span.file, first, 1) if block else span)

    def _file(self, name: str) -> list[str]:
        if name not in self._lines:
            try:
                self._lines[name] = (self._root / name).read_text(encoding="utf-8", errors="replace").split("\n")
            except OSError:
                self._lines[name] = []  # without the text the problem still has its span, only no narrower one
        return self._lines[name]


def _find(file: str, lines: list[str], first: int, last: int, words: list[str], column: int = 1) -> Span | None:
    """The first of the words that stands on one of the lines."""
    for word in words:
        # a name is not found inside a longer one
        pattern = re.compile(rf"(?<!\w){re.escape(word)}(?!\w)" if word[0].isalnum() else re.escape(word))
        for number in range(first, min(last, len(lines)) + 1):
            match = pattern.search(lines[number - 1], column - 1 if number == first else 0)
            if match is not None:
                return Span(file, number, match.start() + 1, number, match.end() + 1)
    return None


def _short(text: Any) -> str:
    """The child's words on one line, without anything that a terminal obeys."""
    return "".join(c if c.isprintable() else "�" for c in str(text or ""))[:600]
