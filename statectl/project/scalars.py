"""What a scalar of a YAML file is before and after the schema has given it a type.

The loader keeps a plain (unquoted) scalar as `Plain`: text exactly as written. A quoted or block scalar is `str`.
Text holding Jinja is an `Expression`. A model's field types (`resources/fields.py`) turn these into typed values; `vars`
and other untyped places go through `untyped()`, which follows YAML 1.2 core rules.
"""

import re
from typing import Any

from statectl.problems import Span


class Plain(str):
    """An unquoted scalar, as written. It becomes a number or a boolean only where a schema or `untyped()` says so."""

    __slots__ = ()


class WrittenInt(int):
    """An integer that renders as it was written (0x1F, 1_0 is text, +5)."""

    text: str

    def __new__(cls, value: int, text: str) -> "WrittenInt":
        self = super().__new__(cls, value)
        self.text = text
        return self

    def __str__(self) -> str:
        return self.text

    def __format__(self, spec: str) -> str:
        return self.text if not spec else int.__format__(self, spec)

    def __reduce__(self) -> tuple[Any, ...]:
        return (WrittenInt, (int(self), self.text))


class WrittenFloat(float):
    """A float that renders as it was written: 1.10 stays 1.10."""

    text: str

    def __new__(cls, value: float, text: str) -> "WrittenFloat":
        self = super().__new__(cls, value)
        self.text = text
        return self

    def __str__(self) -> str:
        return self.text

    def __format__(self, spec: str) -> str:
        return self.text if not spec else float.__format__(self, spec)

    def __reduce__(self) -> tuple[Any, ...]:
        return (WrittenFloat, (float(self), self.text))


class Expression:
    """Text with Jinja in it, not yet rendered. `bare`: the whole text is one expression without braces (`when:`)."""

    __slots__ = ("bare", "source", "span")

    def __init__(self, source: str, span: Span | None = None, *, bare: bool = False) -> None:
        self.source = source
        self.span = span
        self.bare = bare

    def __repr__(self) -> str:
        return f"Expression({self.source!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Expression) and other.source == self.source and other.bare == self.bare

    def __hash__(self) -> int:
        return hash((self.source, self.bare))


_INT = re.compile(r"[-+]?(?:0|[1-9][0-9]*)")
_HEX_OCT = re.compile(r"0x[0-9a-fA-F]+|0o[0-7]+")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_LEADING_ZERO = re.compile(r"[-+]?0[0-9]+(?:\.[0-9]*)?")
MAX_DIGITS = 18


class ScalarError(ValueError):
    """A plain scalar that must not be guessed: a leading zero, too many digits. The text is the summary of a Problem."""


def untyped(plain: str) -> Any:
    """A plain scalar by YAML 1.2 core rules. Raises ScalarError (E104) where guessing would lose what was written."""
    if plain in ("", "~", "null", "Null", "NULL"):
        return None
    if plain in ("true", "True", "TRUE"):
        return True
    if plain in ("false", "False", "FALSE"):
        return False
    if _LEADING_ZERO.fullmatch(plain):
        raise ScalarError("a number with a leading zero could be octal or text; quote it")
    if _INT.fullmatch(plain):
        if len(plain.lstrip("+-")) > MAX_DIGITS:
            raise ScalarError(f"number too long (max {MAX_DIGITS} digits)")
        return WrittenInt(int(plain), plain)
    if _HEX_OCT.fullmatch(plain):
        if len(plain) > MAX_DIGITS:
            raise ScalarError(f"number too long (max {MAX_DIGITS} digits)")
        return WrittenInt(int(plain, 0), plain)
    if _FLOAT.fullmatch(plain):
        return WrittenFloat(float(plain), plain)
    return str(plain)
