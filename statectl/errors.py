"""The exception tree. Each branch is one thing the caller can do about it, and one exit code.

StatectlError
├── ConfigError      4    fix the files: carries Problems; nothing was contacted
├── UsageError      64    fix the command line
├── Unreachable      3    retry: the host did not answer, or answered in no way we can trust
├── Refused          5    do not retry as it is: lock, stale plan, policy, prompt impossible
├── Failed           1    a host or a resource said no
└── Interrupted    130    the user stopped it

A bug is none of these: it keeps its traceback and exits 1. Nothing but `cli/` and `onhost/__main__.py` calls sys.exit.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from statectl.problems import Problem


class StatectlError(Exception):
    """Something we know how to explain.

    `code` has a page in docs/errors; `hint` says what to type next.
    """

    exit_code = 1

    def __init__(self, message: str, *, code: str = "", hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.hint = hint


class ConfigError(StatectlError):
    """The files are wrong. All problems found, never only the first."""

    exit_code = 4

    def __init__(self, problems: "Sequence[Problem]", *, root: "Path | None" = None) -> None:
        """`root`: the project, whose files the problems' places are relative to."""
        super().__init__("; ".join(problem.summary for problem in problems) or "invalid configuration")
        self.problems = tuple(problems)
        self.root = root


class UsageError(StatectlError):
    exit_code = 64


class Unreachable(StatectlError):
    exit_code = 3


class Refused(StatectlError):
    exit_code = 5


class Failed(StatectlError):
    exit_code = 1


class Interrupted(StatectlError):
    exit_code = 130
