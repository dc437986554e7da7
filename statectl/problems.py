"""Problem: one mistake with its exact place. Validation returns all of them and raises none.

Rendering for people is in `cli/formats/problems.py`; the text of `explain CODE` is in `docs/errors/CODE.md`.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from difflib import get_close_matches


@dataclass(frozen=True, slots=True)
class Span:
    """A range of text in a file of the project. Lines and columns count from 1; the end column is exclusive."""

    file: str  # relative to the project directory, or absolute when outside it
    line: int
    column: int
    end_line: int = 0
    end_column: int = 0

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


@dataclass(frozen=True, slots=True)
class Note:
    """A further place that explains a problem, such as the first of two definitions."""

    text: str
    span: Span | None = None


@dataclass(frozen=True, slots=True)
class Problem:
    """One mistake. `summary` never echoes a value that is or may be secret."""

    code: str  # E101; W… for a warning
    summary: str  # lower case, no full stop
    span: Span | None = None
    label: str = ""  # stands under the caret: did you mean `template`?
    hint: str = ""  # the fix, on its own line
    notes: tuple[Note, ...] = ()
    hosts: tuple[str, ...] = ()  # the hosts it holds for, when it does not hold for all
    hidden: bool = False  # its line belongs to something sensitive and is not shown
    replacement: str | None = field(default=None, compare=False)  # what `validate --fix` would write over the span

    @property
    def is_warning(self) -> bool:
        return self.code.startswith("W")


def nearest(word: str, known: Iterable[str]) -> str:
    """The known word most like `word`, or '' when none is near."""
    matches = get_close_matches(word, list(known), n=1, cutoff=0.6)
    return matches[0] if matches else ""


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """'did you mean `x`?' or ''."""
    match = nearest(word, known)
    return f"did you mean `{match}`?" if match else ""
