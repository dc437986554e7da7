"""Secret and Untrusted: values that cannot be formatted, logged or rendered by accident.

A Secret has one way out, `reveal()`, and the only callers are the sink that writes to a host's channel and the prompt that
answers sudo or sshd. `tests/test_boundaries.py` holds the list of callers.
"""

import hmac
from typing import Any, NoReturn


class Secret:
    """A value that must not be seen. `label` names it for people: `‹secret /web/tls_key›`."""

    __slots__ = ("_value", "label")

    def __init__(self, value: str, label: str = "") -> None:
        self._value = value
        self.label = label

    def reveal(self) -> str:
        """The value itself. For the sink only."""
        return self._value

    def fingerprint(self, key: bytes) -> str:
        """A keyed hash: tells whether two secrets are equal to whoever holds the key, and nothing to anybody else."""
        return hmac.new(key, self._value.encode("utf-8", "surrogatepass"), "sha256").hexdigest()

    def __repr__(self) -> str:
        return f"‹secret {self.label}›" if self.label else "‹secret›"

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return repr(self)

    def __eq__(self, other: object) -> bool:
        raise TypeError("a secret is not compared")

    def __hash__(self) -> int:
        raise TypeError("a secret is not hashed")

    def __bool__(self) -> bool:
        raise TypeError("a secret is not a condition")

    def __reduce_ex__(self, protocol: Any) -> NoReturn:
        raise TypeError("a secret is not serialised")


class Untrusted(str):
    """Text that came from a host: data, never a template, a condition, a path or raw terminal output."""

    __slots__ = ()
