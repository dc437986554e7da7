"""Open the project one stands in: settings, files, store. Problems of the files become one ConfigError with all of them."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from statectl.errors import ConfigError
from statectl.problems import Problem
from statectl.project.model import Project, Settings

if TYPE_CHECKING:
    from statectl.store.store import Store


def enter_directory(directory: str) -> None:
    """-C DIR: from now on here is there, for every path of the command line. Raises ConfigError."""
    if not os.path.isdir(directory):
        raise ConfigError([Problem("E107", f"no such directory: {directory}")])
    try:
        os.chdir(directory)
    except OSError as error:
        raise ConfigError([Problem("E107", f"cannot work in {directory}: {(error.strerror or '').lower()}")]) from error


def start_directory(obj: Mapping[str, Any]) -> Path:
    """Where the search for the project begins: here, or in the files of an older commit."""
    return Path(obj.get("directory") or ".")


def open_settings(obj: Mapping[str, Any]) -> tuple[Path, Settings]:
    """The project's directory and settings, without reading its states."""
    from statectl.project.discover import find_project, not_found, refusal
    from statectl.project.settings import load_settings

    start = start_directory(obj)
    root, end = find_project(start)
    if root is None:
        raise ConfigError([not_found(start, end)])
    refused = refusal(root, os.environ)
    if refused is not None:
        raise ConfigError([refused], root=root)
    settings, problems = load_settings(root, os.environ)
    errors = [problem for problem in problems if not problem.is_warning]
    if errors:
        raise ConfigError(errors, root=root)
    return root, settings


def open_project(obj: Mapping[str, Any]) -> Project:
    """The whole project, without errors (warnings stay in it)."""
    from statectl.sections import load

    project = load(start_directory(obj), env=os.environ)
    if any(not problem.is_warning for problem in project.problems):
        raise ConfigError(project.problems, root=project.root)
    return project


def has_store(root: Path, settings: Settings) -> bool:
    """Is there a store already? Whoever only looks does not make one."""
    from statectl.store.address import is_postgresql

    return is_postgresql(settings.store) or (root / settings.store.partition(":")[2]).exists()


def open_store(root: Path, settings: Settings) -> "Store":
    from statectl.store.store import Store

    return Store.open(settings.store, root)
