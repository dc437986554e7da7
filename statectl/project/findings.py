"""Reading one file's tree against a shape: what is asked for comes back typed, what is wrong becomes a Problem.

Every method that returns a value returns None after it has reported why there is none.
"""

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from statectl.problems import Note, Problem, Span, did_you_mean, nearest
from statectl.project.model import Places
from statectl.project.scalars import Expression, Plain, ScalarError, WrittenFloat, WrittenInt, untyped
from statectl.project.yaml_nodes import Path
from statectl.project.yaml_tree import BROKEN

NULLS = ("", "~", "null", "Null", "NULL")
LEAVE_OUT = "leave the key out, or quote the text"


def is_null(value: Any) -> bool:
    """Nothing stands behind the key, or a plain `null`. In a field with a type both are mistakes."""
    return isinstance(value, Plain) and value in NULLS


def kind_of(value: Any) -> str:
    """What a loaded value is, in words for people."""
    if is_null(value):
        return "nothing"
    if isinstance(value, Mapping):
        return "a map"
    return "a list" if isinstance(value, list) else "text"


class Findings:
    """The problems of one file. Paths are those of its tree."""

    def __init__(self, places: Places) -> None:
        self.places = places
        self.problems: list[Problem] = []

    def add(
        self,
        code: str,
        path: Path,
        summary: str,
        *,
        key: bool = False,
        span: Span | None = None,
        label: str = "",
        hint: str = "",
        notes: tuple[Note, ...] = (),
        replacement: str | None = None,
    ) -> None:
        """One problem at a value, or at its key."""
        place = span or (self.places.key(path) if key else self.places.value(path))
        self.problems.append(Problem(code, summary, place, label, hint, notes, replacement=replacement))

    def wrong(
        self, path: Path, expected: str, *, label: str = "", hint: str = "", replacement: str | None = None
    ) -> None:
        """The value of a key is not of its form; `expected` says which form that is."""
        name = path[-1] if path else "file"
        summary = f"entry {name + 1}: {expected}" if isinstance(name, int) else f"`{name}`: {expected}"
        self.add("E108", path, summary, label=label, hint=hint, replacement=replacement)

    def map(self, value: Any, path: Path, what: str = "expected a map") -> dict[str, Any] | None:
        """A map whose keys are plain text."""
        if value is BROKEN:
            return None
        if not isinstance(value, dict):
            self.wrong(path, f"{what}, got {kind_of(value)}")
            return None
        result = {}
        for key, below in value.items():
            if isinstance(key, Expression):
                self.add("E108", (*path, key.source), "a key here cannot be a template", key=True)
            else:
                result[key] = below
        return result

    def unknown(
        self, path: Path, key: str, allowed: Collection[str], where: str, value: Any = None, hint: str = ""
    ) -> None:
        """A key that does not exist at this place: `unknown key `templete` in a file`."""
        match = nearest(key, allowed)
        label = did_you_mean(key, allowed)
        around = self.places.values.get(path)
        if not hint and not match and is_null(value) and around is not None and around.end_line:
            hint = "inside { } a value that holds a comma needs quotes"
        self.add(
            "E101",
            (*path, key),
            f"unknown key `{key}` in {where}",
            key=True,
            label=label,
            hint=hint,
            replacement=match or None,
        )

    def text(self, value: Any, path: Path, *, empty: bool = False) -> str | None:
        if value is BROKEN:
            return None
        if isinstance(value, Expression):
            self.wrong(path, "a template is not possible here", hint="this is read before any host is known")
            return None
        if not isinstance(value, str) or is_null(value):
            self.wrong(path, f"expected text, got {kind_of(value)}", hint=LEAVE_OUT if is_null(value) else "")
            return None
        if not value.strip() and not empty:
            self.wrong(path, "expected text, got nothing but spaces" if value else "expected text, got empty text")
            return None
        return str.__str__(value)

    def choice(self, value: Any, path: Path, choices: Collection[str]) -> str | None:
        text = self.text(value, path)
        if text is None or text in choices:
            return text
        match = nearest(text, choices)
        label = f"did you mean `{match}`?" if match else ""
        self.wrong(path, f"expected {one_of(choices)}", label=label, replacement=match or None)
        return None

    def flag(self, value: Any, path: Path) -> bool | None:
        if value is BROKEN:
            return None
        if isinstance(value, Plain) and value in ("true", "false"):
            return str(value) == "true"
        meant = {"yes": "true", "on": "true", "True": "true", "no": "false", "off": "false", "False": "false"}
        fix = meant.get(value) if isinstance(value, Plain) else None
        label = f"did you mean `{fix}`?" if fix else ""
        quoted = isinstance(value, str) and value in ("true", "false")
        self.wrong(
            path, "expected true or false", label=label or ("leave out the quotes" if quoted else ""), replacement=fix
        )
        return None

    def number(self, value: Any, path: Path, low: int, high: int) -> int | None:
        if value is BROKEN:
            return None
        typed = self.scalar(value, path) if isinstance(value, Plain) else value
        if typed is BROKEN:
            return None
        if not isinstance(typed, int) or isinstance(typed, bool) or not low <= typed <= high:
            self.wrong(path, f"expected a whole number from {low} to {high}")
            return None
        return int(typed)

    def texts(self, value: Any, path: Path, what: str) -> list[str] | None:
        """A list of texts. One text where a list belongs is shown the brackets."""
        if value is BROKEN:
            return None
        if isinstance(value, str) and not is_null(value):
            simple = isinstance(value, Plain) and "\n" not in value
            label = f"did you mean `[{value}]`?" if simple else ""
            self.wrong(path, f"expected a list of {what}", label=label, replacement=f"[{value}]" if simple else None)
            return None
        if not isinstance(value, list):
            self.wrong(path, f"expected a list of {what}, got {kind_of(value)}")
            return None
        found = [self.text(item, (*path, index)) for index, item in enumerate(value)]
        return [item for item in found if item is not None]

    def scalar(self, value: Any, path: Path) -> Any:
        """A plain scalar of an untyped place, typed by YAML 1.2's rules; BROKEN after a problem."""
        try:
            return untyped(value)
        except ScalarError as error:
            self.add("E104", path, str(error), label="quote it" if "quote" in str(error) else "")
            return BROKEN

    def untyped(self, value: Any, path: Path) -> Any:
        """A value of an untyped place (`vars`), typed to the last leaf."""
        if isinstance(value, Plain):
            return self.scalar(value, path)
        if isinstance(value, list):
            return [self.untyped(item, (*path, index)) for index, item in enumerate(value)]
        if isinstance(value, dict):
            return {
                key if isinstance(key, str) else key.source: self.untyped(
                    item, (*path, key if isinstance(key, str) else key.source)
                )
                for key, item in (self.map(value, path) or {}).items()
            }
        return value


def one_of(choices: Iterable[str]) -> str:
    """'a, b or c'."""
    words = list(choices)
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} or {words[-1]}"


def plain_value(value: Any) -> Any:
    """A typed scalar without the memory of how it was written, for checks that need no more."""
    if isinstance(value, WrittenInt):
        return int(value)
    return float(value) if isinstance(value, WrittenFloat) else value
