"""Outer keys: each provider is a file with a class that wraps and unwraps data keys. `provider(spec)` finds it by the first word.

A wrapped data key is stored with the id of the key that wrapped it, such as `aes:1f0c…`, `age:age1…`, `vault:transit/statectl`.
"""

import importlib
from pathlib import Path
from typing import Protocol

from statectl.errors import Refused, UsageError

# the first word of the setting -> (module, class)
PROVIDERS = {
    "file": ("key_file", "KeyFile"),
    "env": ("environment", "EnvironmentKey"),
    "age": ("age", "AgeIdentities"),
    "vault": ("vault", "VaultTransit"),
    "kms": ("kms", "KmsKey"),
}
DEFAULT = "file:.statectl/parameters.key"


class Outer(Protocol):
    """Where the outer key is, and what it can do. Every method raises Refused (E619, E621) in one line."""

    remote: bool  # wrapping asks another machine: not while the store is held

    def exists(self) -> bool:
        """Is there a key at all?"""

    def create(self) -> str:
        """Make the first key; what was made, in words. Raises Refused where a person has to."""

    def holds(self, key_id: str) -> bool:
        """Can it unwrap what this key wrapped? Looks again, when somebody rotated in the meantime."""

    def current(self) -> str:
        """The id of the key that wraps from now on."""

    def wrap(self, data_key: bytes, name: str) -> tuple[str, bytes]:
        """(key id, wrapped). name: of the parameter, bound to it where the provider can."""

    def unwrap(self, key_id: str, wrapped: bytes, name: str) -> bytes: ...

    def renew(self) -> str:
        """Make a new key that wraps from now on, the old ones still there; what was done, in words."""

    def drop_old(self) -> int:
        """Forget all keys but the newest; how many. Called while nobody can write to the store."""

    def shown(self) -> str:
        """What it is and what it holds, for messages; no secret."""


def spec_problem(spec: str) -> str:
    """What is wrong with the text of the setting, or ''. Imports no provider."""
    kind, colon, rest = spec.partition(":")
    if not colon or kind not in PROVIDERS or not rest.strip():
        return "expected file:PATH, env:NAME, age:PATH, vault:https://HOST:PORT/MOUNT/KEY or kms:KEY"
    return ""


def provider(spec: str, root: Path) -> Outer:
    """root: what relative paths are relative to. Raises UsageError for a text that is none."""
    problem = spec_problem(spec)
    if problem:
        raise UsageError(f"key of the parameter store: {problem}", code="E619")
    kind, _, rest = spec.partition(":")
    module, name = PROVIDERS[kind]
    made: Outer = getattr(importlib.import_module(f"statectl.parameters.keys.{module}"), name)(rest, root)
    return made


class Keys:
    """The key of the store, and others that may unwrap what was written before: `old`, while moving from one to another."""

    def __init__(self, outer: Outer, old: tuple[Outer, ...] = ()) -> None:
        self.outer = outer
        self._all = (outer, *old)

    @classmethod
    def open(cls, spec: str, root: Path, old: tuple[str, ...] = ()) -> "Keys":
        return cls(provider(spec or DEFAULT, root), tuple(provider(one, root) for one in old))

    @property
    def remote(self) -> bool:
        """May unwrapping ask another machine?"""
        return any(outer.remote for outer in self._all)

    def can_unwrap(self, key_id: str) -> bool:
        return any(outer.holds(key_id) for outer in self._all)

    def unwrap(self, key_id: str, wrapped: bytes, name: str, version: int) -> bytes:
        """Raises Refused: E619 when no key here wrapped it."""
        for outer in self._all:
            if outer.holds(key_id):
                return outer.unwrap(key_id, wrapped, name)
        raise Refused(
            f"{name} v{version} was written with the key {key_id}; {self.outer.shown()}",
            code="E619",
            hint="put that key back from your copy, or name it in the setting parameters.key; without it the value is lost",
        )
