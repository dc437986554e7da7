"""A schedule written in a file: read by its grammar, and what is wrong shown at its place inside the text."""

from typing import Any

from statectl.problems import Span
from statectl.project.findings import Findings
from statectl.project.yaml_nodes import Path
from statectl.schedules import Schedule, ScheduleError, parse_schedule


def read_schedule(findings: Findings, value: Any, path: Path) -> Schedule | None:
    """None where nothing was given, and after a problem."""
    text = findings.text(value, path) if value is not None else None
    if text is None:
        return None
    try:
        return parse_schedule(text)
    except ScheduleError as error:
        span = _part_of(findings.places.value(path), text, error.offset, error.length)
        label = f"did you mean `{error.fix}`?" if error.fix else ""
        before, after = text[: error.offset], text[error.offset + error.length :]
        fix = None
        if error.fix and error.fix.startswith(before) and error.fix.endswith(after):
            fix = error.fix[len(before) : len(error.fix) - len(after)]
        findings.add("E117", path, error.message, span=span, label=label, replacement=fix)
        return None


def _part_of(span: Span | None, text: str, offset: int, length: int) -> Span | None:
    """The span of a part of a one-line text, given the span of the whole; the whole where columns are not known."""
    if span is None or span.end_line != span.line:
        return span
    quote = span.end_column - span.column - len(text)  # 0 for plain text, 2 between quotes without escapes
    if quote not in (0, 2):
        return span
    start = span.column + quote // 2 + offset
    return Span(span.file, span.line, start, span.line, start + max(1, length))
