"""Reading the files of a project: which ones, whether they are safe to trust, and their text."""

import os
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from statectl.problems import Problem, Span
from statectl.project.model import Places
from statectl.project.yaml_tree import MAX_BYTES, read_yaml

MAX_FILES = 20_000


@dataclass(slots=True)
class Document:
    """One YAML file as read. `tree` is None for an empty or refused file; then `problems` says why, if there is a why."""

    file: str  # as shown: relative to the project, or absolute outside it
    tree: dict[str, Any] | None
    places: Places
    lines: list[str]
    problems: list[Problem] = field(default_factory=list)


def owned_by_us(info: os.stat_result, env: dict[str, str] | None = None) -> bool:
    """Owned by root, by the user who runs this, or by the one who called sudo."""
    allowed = {0, os.geteuid()}
    caller = (env or {}).get("SUDO_UID", "")
    if os.geteuid() == 0 and caller.isdigit():
        allowed.add(int(caller))
    return info.st_uid in allowed


def state_files(root: Path) -> tuple[list[Path], list[Problem]]:
    """All of states/**/*.yml in the order of their names, and what is wrong with how they lie there."""
    found: list[Path] = []
    problems: list[Problem] = []
    real_root = root.resolve()

    if not os.path.lexists(root / "states"):
        return [], []  # a project may begin with its inventory

    def unreadable(error: OSError) -> None:
        name = os.path.relpath(error.filename, root)
        problems.append(
            Problem("E123", f"directory cannot be read: {(error.strerror or 'error').lower()}", Span(name, 1, 1))
        )

    def open_to_all(directory: str) -> None:
        name = os.path.relpath(directory, root)
        summary = "directory is writable for everybody; refused"
        problems.append(Problem("E107", summary, Span(name, 1, 1), hint=f"chmod o-w {name}"))

    for path in _walk(root / "states", unreadable, open_to_all):
        shown = str(path.relative_to(root))
        if path.suffix == ".yaml":
            problems.append(
                Problem(
                    "W103",
                    "this file is not read: only names that end in .yml are",
                    Span(shown, 1, 1),
                    hint="rename it to .yml",
                )
            )
        elif path.suffix == ".yml":
            if path.is_symlink() and not path.resolve().is_relative_to(real_root):
                problems.append(Problem("E122", "a link that leaves the project", Span(shown, 1, 1)))
                continue
            found.append(path)
    if len(found) > MAX_FILES:
        problems.append(Problem("E114", f"too many files below states/ (max {MAX_FILES:,})", Span("states", 1, 1)))
        found = found[:MAX_FILES]
    return found, problems


def _walk(top: Path, unreadable: Callable[[OSError], None], open_to_all: Callable[[str], None]) -> Iterator[Path]:
    """Files below `top` that are not hidden. Nothing is taken from a directory that everybody can put files into."""
    for directory, names, files in os.walk(top, onerror=unreadable):
        if os.stat(directory).st_mode & stat.S_IWOTH:
            open_to_all(directory)
            names.clear()
            continue
        names[:] = sorted(name for name in names if not name.startswith("."))
        for name in sorted(files):
            if not name.startswith("."):
                yield Path(directory) / name


def read_document(path: Path, shown: str, *, own: bool = False) -> Document:
    """Read one YAML file whose top level is a map. `own`: it must belong to us or to root."""
    document = Document(shown, None, Places(shown, {}, {}), [])
    text, problem = read_text(path, shown, own=own)
    if problem is not None:
        document.problems.append(problem)
        return document
    document.lines = text.splitlines()
    tree, document.places, document.problems = read_yaml(text, shown)
    if isinstance(tree, dict):
        document.tree = tree
    elif tree is not None and not document.problems:
        kind = "a list" if isinstance(tree, list) else "text"
        document.problems.append(Problem("E115", f"expected a map, got {kind}", document.places.value(())))
    return document


def read_text(path: Path, shown: str, *, own: bool = False) -> tuple[str, Problem | None]:
    """The text of a regular file that only we or our group can write; judged on the opened file, not on its name."""
    place = Span(shown, 1, 1)
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)  # a fifo must not hang
    except OSError as error:
        return "", Problem("E123", f"file cannot be read: {(error.strerror or 'input/output error').lower()}", place)
    try:
        info = os.fstat(descriptor)
        if not stat.S_ISREG(info.st_mode):
            return "", Problem("E123", "file cannot be read: not a regular file", place)
        if info.st_mode & stat.S_IWOTH:
            return "", Problem("E107", "file is writable for everybody; refused", place, hint=f"chmod o-w {shown}")
        if own and not owned_by_us(info):
            return "", Problem("E107", "file belongs to another user; refused", place)
        if info.st_size > MAX_BYTES:
            return "", Problem("E114", f"file too large (max {MAX_BYTES // 1024 // 1024} MiB)", place)
        with os.fdopen(os.dup(descriptor), "rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        return "", Problem("E123", f"file cannot be read: {(error.strerror or 'input/output error').lower()}", place)
    finally:
        os.close(descriptor)
    try:
        return data.decode("utf-8"), None
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        start = data.rfind(b"\n", 0, error.start) + 1
        column = len(data[start : error.start].decode("utf-8", "replace")) + 1
        where = Span(shown, line, column, line, column + 1)
        return "", Problem("E113", "not UTF-8 text", where, hint="save the file as UTF-8")
