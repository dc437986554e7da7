"""Problems for people, in the manner of rustc: what, where, the line itself with a caret, and the fix. Also one line, and JSON.

    error[E101]: unknown key `templete` in a file
      ┌ states/web.yml:15:9
    15│         templete: nginx.conf.j2
      │         ^^^^^^^^ did you mean `template`?          fix: statectl validate --fix

Source lines are data: what could steer a terminal is made visible, and the value behind a key that names a secret is hidden.
"""

import re
import sys
import textwrap
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, TextIO

from statectl.cli.formats.terminal import Screen, clean, one_line, screen
from statectl.problems import Problem, Span

MAX_PER_FILE = 20
FIX = "fix: statectl validate --fix"
HIDDEN = "(hidden)"

_SECRET_KEY = r"[\w.-]*(?:passw|passphrase|secret|token|credential|private_key|password_hash|api_?key)[\w.-]*"  # noqa: S105 - a pattern
_SECRET_VALUE = re.compile(
    rf"""(?P<key>(?:^|[\s{{,\-])["']?{_SECRET_KEY}["']?(?:\s*:\s+|\s*=\s*))(?P<value>"(?:[^"\\]|\\.)*"|'(?:[^']|'')*'|\S.*)""",
    re.IGNORECASE,
)
# An address with a password in it, or what was written where its port belongs
_ADDRESS = re.compile(r"""(?P<key>\w://[^\s"'@:/]*:)(?P<value>[^\s"']+(?=@)|[^\s"'/?,]*[^\d\s"'/?,][^\s"'/?,]*)""")
_PARAMETER = re.compile(r"""(?P<key>[?&][\w%]*pass[\w%]*=)(?P<value>[^&\s"']+)""")
_SENSITIVE = re.compile(r"""(?:^|[\s{,])["']?(?:sensitive["']?\s*:\s*true\b|type["']?\s*:\s*["']?SecureString\b)""")
_CONTENT = re.compile(
    r"""(?P<key>(?:^|[\s{,])["']?(?:content|value)["']?\s*:\s*)(?P<value>"(?:[^"\\]|\\.)*"|'(?:[^']|'')*'|[^\s|>].*)"""
)
_CONTENT_BLOCK = re.compile(r"""^\s*["']?(?:content|value)["']?\s*:\s*[|>]""")
_SECRET_BLOCK = re.compile(rf"""^\s*(?:-\s+)?["']?{_SECRET_KEY}["']?\s*:\s*[|>]""", re.IGNORECASE)


def print_problems(
    problems: Sequence[Problem],
    *,
    root: Path | None = None,
    stream: TextIO | None = None,
    shown_on: Screen | None = None,
) -> None:
    """Print them to `stream` (default stderr). `root`: the project, whose files the lines are taken from."""
    target = stream or sys.stderr
    on = shown_on or screen(target)
    target.write(render(problems, root=root or nearest_project(Path.cwd()), on=on))
    if problems:
        target.write(_summary(problems, on) + "\n")


def nearest_project(start: Path) -> Path:
    """The directory that relative places are relative to: where statectl.yml is, or `start`."""
    return next((path for path in (start, *start.parents) if (path / "statectl.yml").is_file()), start)


def render(problems: Sequence[Problem], *, root: Path, on: Screen, limit: int = MAX_PER_FILE) -> str:
    """All problems as text, at most `limit` per file."""
    sources = Sources(root)
    lines: list[str] = []
    of_file: Counter[str] = Counter()
    for problem in problems:
        file = problem.span.file if problem.span is not None else ""
        of_file[file] += 1
        if of_file[file] <= limit:
            lines += _one(problem, sources, on)
    for file, count in of_file.items():
        if count > limit:
            where = f" in {clean(file)}" if file else ""
            lines.append(f"{on.mark('more')} and {count - limit} more{where}")
    return "".join(f"{line}\n" for line in lines)


def _summary(problems: Sequence[Problem], on: Screen) -> str:
    warnings = sum(problem.is_warning for problem in problems)
    errors = len(problems) - warnings
    files = len({problem.span.file for problem in problems if problem.span is not None})
    counted = [_count(errors, "error")] * bool(errors) + [_count(warnings, "warning")] * bool(warnings)
    where = f" in {_count(files, 'file')}" if files else ""
    worst = next((problem for problem in problems if not problem.is_warning), problems[0])
    text = f"{' and '.join(counted)}{where}; more about one: statectl explain {worst.code}"
    return on.paint(text, "bold")


def _count(number: int, word: str) -> str:
    return f"{number} {word}{'' if number == 1 else 's'}"


def _one(problem: Problem, sources: "Sources", on: Screen) -> list[str]:
    kind, style = ("warning", "warning") if problem.is_warning else ("error", "failed")
    head = f"{kind}[{problem.code}]"
    text = f"{head}: {one_line(problem.summary)}"
    wrapped = _wrap(text, on.width, "  ")
    lines = [on.paint(head, style) + wrapped[0][len(head) :], *wrapped[1:]]
    span = problem.span
    gutter = max(2, len(str(span.line)) if span is not None else 0)
    corner, bar = ("┌", "│") if on.unicode else ("-->", "|")
    pad = " " * gutter
    label, fix = one_line(problem.label), FIX if problem.replacement is not None else ""
    if span is not None:
        hosts = _hosts(problem.hosts)
        lines.append(f"{pad}{on.paint(corner, 'dim')} {one_line(str(span))}{hosts}")
        source = None if problem.hidden else sources.line(span)
        if source is not None:
            shown = _Shown(source, span, on, gutter, sensitive=sources.sensitive(span))
            lines.append(f"{span.line:>{gutter}}{on.paint(bar, 'dim')} {shown.text}".rstrip())
            caret = f"{pad}{on.paint(bar, 'dim')} {shown.caret_pad}{on.paint(shown.caret, style)}"
            used = gutter + 2 + len(shown.caret_pad) + len(shown.caret)
            tails = [f"{label}{gap}{fix}" for gap in (" " * 10, "  ")] if label and fix else [label or fix]
            for tail in (*tails, label):
                if tail and used + 1 + len(tail) <= on.width:
                    caret += f" {tail}"
                    label, fix = "", "" if fix in tail else fix
                    break
            lines.append(caret)
    extra = [label, fix, one_line(problem.hint)]
    if span is None and problem.hosts:
        extra.append(_hosts(problem.hosts).strip())
    for note in problem.notes:
        place = str(note.span) if note.span is not None else ""
        short = f"{note.span.line}:{note.span.column}" if note.span is not None else ""
        if not short or short not in problem.label:
            extra.append(one_line(f"{note.text}: {place}" if place else note.text))
    for text in filter(None, extra):
        lines += _wrap(f"{pad}= {text}", on.width, f"{pad}  ")
    return lines


def _hosts(names: Sequence[str]) -> str:
    if not names:
        return ""
    from statectl.targets.ranges import compress

    return f"      for {clean(compress(names))}"


def _wrap(text: str, width: int, indent: str) -> list[str]:
    return textwrap.wrap(text, width, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False) or [
        text
    ]


class _Shown:
    """One source line, cut to the screen around the place that is marked, and the caret below it."""

    def __init__(self, source: str, span: Span, on: Screen, gutter: int, *, sensitive: bool = False) -> None:
        start = min(max(span.column - 1, 0), len(source))
        same_line = span.end_line == span.line and span.end_column > span.column
        end = min(span.end_column - 1, len(source)) if same_line else start + 1
        if span.end_line > span.line:
            end = len(source.rstrip())
        source, start, end = _hide_secret(source, start, max(end, start + 1), _SECRET_VALUE)
        for pattern in (_ADDRESS, _PARAMETER):
            source, start, end = _hide_secret(source, start, end, pattern)
        if sensitive:
            source, start, end = _hide_secret(source, start, end, _CONTENT)
        room = max(20, on.width - gutter - 2)
        more = on.mark("more")
        if _width(source) > room:  # show the marked part, and what fits before it
            first = max(0, min(start - room // 3, len(source) - room + len(more)))
            before = more if first else ""
            last = first + room - len(before)
            after = more if last < len(source) else ""
            last -= len(after)
            source = before + source[first:last] + after
            start, end = start - first + len(before), min(end, last) - first + len(before)
        harmless = "".join(_visible(character, on) for character in source)
        self.text = harmless
        self.caret_pad = " " * _width(harmless[:start])
        self.caret = "^" * max(1, _width(harmless[start:end]))


def _visible(character: str, on: Screen) -> str:
    """One character for one: columns must stay where they are."""
    if character == "\t":
        return " "
    if clean(character) != character or (not on.unicode and not character.isascii()):
        return "\ufffd" if on.unicode else "?"
    return character


def _width(text: str) -> int:
    """Columns on a terminal."""
    return sum(
        0 if unicodedata.combining(character) else 2 if unicodedata.east_asian_width(character) in "WF" else 1
        for character in text
    )


def _hide_secret(source: str, start: int, end: int, pattern: re.Pattern[str]) -> tuple[str, int, int]:
    """A line whose key names a secret loses its value, unless the value is only an expression."""
    for match in reversed(list(pattern.finditer(source))):
        first, last = match.span("value")
        if source[first] not in "\"'" and source.count("{", 0, first) > source.count("}", 0, first):
            inside = re.match(r"[^,}]*", source[first:])  # one entry of a flow map; the others stay readable
            last = first + len(inside[0].rstrip()) if inside is not None else last
        if re.fullmatch(r"""["']?\{\{[^{}]*\}\}["']?""", source[first:last].strip()):
            continue
        source = source[:first] + HIDDEN + source[last:]
        if start >= last:
            moved = len(HIDDEN) - (last - first)
            start, end = start + moved, end + moved
        elif start >= first:
            start, end = first, first + len(HIDDEN)
        elif end > first:
            end = first
    return source, start, max(end, start + 1)


class Sources:
    """Lines of the project's files, each file read once."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._files: dict[str, list[str]] = {}

    def line(self, span: Span) -> str | None:
        """The line of a span, or None when there is none to show."""
        lines = self._lines(span.file)
        if not 0 < span.line <= len(lines):
            return None
        line = lines[span.line - 1]
        if self._inside_secret_block(lines, span.line - 1):
            return " " * (len(line) - len(line.lstrip())) + HIDDEN
        return line

    def _lines(self, file: str) -> list[str]:
        if file not in self._files:
            try:
                text = (self.root / file).read_bytes().decode("utf-8", "replace")
            except OSError:
                text = ""
            self._files[file] = re.split(r"\r\n|\r|\n", text.removeprefix("\ufeff")) if text else []
        return self._files[file]

    @staticmethod
    def _inside_secret_block(lines: Sequence[str], index: int) -> bool:
        """Whether the line belongs to a text block below a key that names a secret."""
        indent = len(lines[index]) - len(lines[index].lstrip())
        for above in range(index - 1, max(-1, index - 2000), -1):
            line = lines[above]
            if line.strip() and len(line) - len(line.lstrip()) < indent:
                if _SECRET_BLOCK.match(line) is not None:
                    return True
                return _CONTENT_BLOCK.match(line) is not None and _beside_sensitive(lines, above)
        return False

    def harmless(self, file: str, number: int) -> str:
        """A line without what it says of secrets; '' when there is none."""
        span = Span(file, number, 1)
        text = self.line(span) or ""
        for pattern in (_SECRET_VALUE, _ADDRESS, _PARAMETER, *([_CONTENT] if self.sensitive(span) else [])):
            text, _, _ = _hide_secret(text, 0, 1, pattern)
        return text

    def sensitive(self, span: Span) -> bool:
        """Does the line of a span belong to a resource that is `sensitive: true`, or to a SecureString?"""
        lines = self._lines(span.file)
        return 0 < span.line <= len(lines) and _beside_sensitive(lines, span.line - 1)


def _beside_sensitive(lines: Sequence[str], index: int) -> bool:
    """Is the line, or one of the keys beside it, `sensitive: true` or of a SecureString?"""
    indent = len(lines[index]) - len(lines[index].lstrip())
    if _SENSITIVE.search(lines[index]):
        return True
    for step in (-1, 1):
        at = index + step
        while 0 <= at < len(lines) and abs(at - index) < 2000:
            line = lines[at]
            depth = len(line) - len(line.lstrip())
            if line.strip() and depth < indent:
                break
            if depth == indent and _SENSITIVE.search(line):
                return True
            at += step
    return False


def line_of(problem: Problem) -> str:
    """The one-line form: `states/web.yml:15:9: error[E101]: unknown key ...; did you mean ...?`."""
    place = f"{problem.span}: " if problem.span is not None else ""
    kind = "warning" if problem.is_warning else "error"
    parts = [problem.summary, problem.label, problem.hint]
    text = "; ".join(part for part in parts if part)
    return one_line(f"{place}{kind}[{problem.code}]: {text}")


def as_json(problem: Problem) -> dict[str, Any]:
    """One problem of the `problems` list of JSON documents. Lines and columns count from 1; the end column is exclusive."""
    found: dict[str, Any] = {
        "code": problem.code,
        "severity": "warning" if problem.is_warning else "error",
        "summary": problem.summary,
        **_place(problem.span),
    }
    if problem.label:
        found["label"] = problem.label
    if problem.hint:
        found["hint"] = problem.hint
    if problem.notes:
        found["notes"] = [{"text": note.text, **_place(note.span)} for note in problem.notes]
    if problem.hosts:
        found["hosts"] = list(problem.hosts)
    if problem.replacement is not None:
        found["replacement"] = problem.replacement
    return found


def _place(span: Span | None) -> dict[str, Any]:
    if span is None:
        return {}
    place: dict[str, Any] = {"file": span.file, "line": span.line, "column": span.column}
    if span.end_line:
        place |= {"end_line": span.end_line, "end_column": span.end_column}
    return place


def all_as_json(problems: Iterable[Problem]) -> list[dict[str, Any]]:
    return [as_json(problem) for problem in problems]
