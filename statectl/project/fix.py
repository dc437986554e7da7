"""`validate --fix`: replace the spans whose right text is known. Nothing else of a file changes, not a space."""

import os
import tempfile
from collections.abc import Iterable
from pathlib import Path

from statectl.problems import Problem, Span


def fixable(problems: Iterable[Problem]) -> list[Problem]:
    """The problems that fix() would mend: a replacement for a span within one line."""
    return [
        problem
        for problem in problems
        if problem.replacement is not None
        and problem.span is not None
        and problem.span.end_line == problem.span.line
        and problem.span.end_column > problem.span.column
    ]


def fix(root: Path, problems: Iterable[Problem]) -> list[Problem]:
    """Write the replacements into the files below `root`. Returns what was mended; load again to see what is left."""
    by_file: dict[str, list[Problem]] = {}
    for problem in fixable(problems):
        assert problem.span is not None
        by_file.setdefault(problem.span.file, []).append(problem)
    mended: list[Problem] = []
    for name, found in by_file.items():
        path = root / name
        if not path.resolve().is_relative_to(root.resolve()):
            continue  # the user's own configuration is not the project's to write
        text = path.read_bytes().decode("utf-8")
        new, done = replaced(text, found)
        if done:
            _write(path, new)
            mended += done
    return mended


def replaced(text: str, problems: Iterable[Problem]) -> tuple[str, list[Problem]]:
    """The text with the replacements, and the problems they belong to. Of two that overlap the first one is done."""
    lines = text.splitlines(keepends=True)
    mark = 1 if text.startswith("\ufeff") else 0
    done: list[Problem] = []
    taken: list[Span] = []
    for problem in sorted(problems, key=lambda one: (one.span.line, one.span.column) if one.span else (0, 0)):
        span = problem.span
        if span is None or span.line > len(lines):
            continue
        if taken and taken[-1].line == span.line and taken[-1].end_column > span.column:
            continue
        taken.append(span)
        done.append(problem)
    for problem in reversed(done):
        span = problem.span
        assert span is not None
        line, moved = lines[span.line - 1], mark if span.line == 1 else 0
        start, end = span.column - 1 + moved, span.end_column - 1 + moved
        lines[span.line - 1] = line[:start] + str(problem.replacement) + line[end:]
    return "".join(lines), done


def _write(path: Path, text: str) -> None:
    """Replace the file as a whole, with its mode: never half of it."""
    target = path.resolve()
    descriptor, name = tempfile.mkstemp(prefix=".statectl-", dir=target.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(text.encode("utf-8"))
            file.flush()
            os.fsync(file.fileno())
        os.chmod(name, target.stat().st_mode & 0o7777)
        os.replace(name, target)
    except BaseException:
        os.unlink(name)
        raise
