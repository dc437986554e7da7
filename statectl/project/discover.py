"""Where the project is, and whether it may be trusted. Nothing is read from a directory one merely stands in."""

import os
import stat
from collections.abc import Mapping
from pathlib import Path

from statectl.problems import Problem, Span
from statectl.project.documents import owned_by_us
from statectl.project.settings import FILE, is_trusted, trusted_projects


def find_project(start: Path) -> tuple[Path | None, Path]:
    """The nearest directory with statectl.yml, from `start` up to the top of its git work tree; and where the search ended."""
    here = Path(os.path.abspath(start))  # `..` must not be taken for a directory of its own
    if not here.is_dir():
        return None, here
    for directory in (here, *here.parents):
        if os.path.lexists(directory / FILE):
            return directory, directory
        if os.path.lexists(directory / ".git"):
            return None, directory
    return None, Path("/")


def refusal(root: Path, env: Mapping[str, str]) -> Problem | None:
    """Why this project is not read, or None."""
    for path in (root, root / FILE):
        name = str(path) if path is root else FILE
        span = Span(FILE, 1, 1)
        try:
            info = path.stat()
        except OSError as error:
            return Problem("E123", f"{name} cannot be read: {(error.strerror or 'error').lower()}", span)
        what = "the project directory" if path is root else FILE
        if info.st_mode & stat.S_IWOTH:
            return Problem("E107", f"{what} is writable for everybody; refused", span, hint=f"chmod o-w {name}")
        if not owned_by_us(info, dict(env)) and not is_trusted(root, trusted_projects(env)):
            hint = f"trusted_projects: [{root}] in your own configuration accepts it"
            return Problem("E107", f"{what} belongs to another user; refused", span, hint=hint)
    return None


def not_found(start: Path, end: Path) -> Problem:
    here = Path(os.path.abspath(start))
    if not here.is_dir():
        return Problem("E107", f"no such directory: {start}")
    where = "here" if here == end else f"here or above, up to {end}"
    hint = "cd into the project, give -C DIR, or make one: statectl init DIR"
    return Problem("E107", f"no {FILE} {where}", hint=hint)
