"""env:NAME: the outer keys in an environment variable, in base64; several separated by commas, the newest first."""

import os
from pathlib import Path

from statectl.errors import Refused
from statectl.parameters.keys import aes


class EnvironmentKey:
    remote = False

    def __init__(self, name: str, root: Path) -> None:
        del root
        self._name = name
        self._keys = aes.keys_of(os.environ.get(name, "").split(","), f"environment variable {name}")

    def exists(self) -> bool:
        return bool(self._keys)

    def create(self) -> str:
        raise self._missing()

    def holds(self, key_id: str) -> bool:
        return key_id in self._keys

    def current(self) -> str:
        if not self._keys:
            raise self._missing()
        return next(iter(self._keys))

    def wrap(self, data_key: bytes, name: str) -> tuple[str, bytes]:
        key_id = self.current()
        return key_id, aes.wrap(self._keys[key_id], data_key, name)

    def unwrap(self, key_id: str, wrapped: bytes, name: str) -> bytes:
        return aes.unwrap(self._keys[key_id], wrapped, name)

    def renew(self) -> str:
        """The variable is the user's: the new key is the first in it, put there before."""
        if len(self._keys) < 2:
            raise Refused(
                f"environment variable {self._name} holds {len(self._keys)} key",
                code="E619",
                hint=f"put a new key before the old one, {self._name}=NEW,OLD, and rotate again: head -c 32 /dev/urandom | base64",
            )
        return f"wraps with {self.current()}, the first key in {self._name}"

    def drop_old(self) -> int:
        raise Refused(
            f"the keys in {self._name} are not ours to drop", code="E619", hint=f"take the old ones out of {self._name}"
        )

    def shown(self) -> str:
        if not self._keys:
            return f"environment variable {self._name} is not set"
        return f"environment variable {self._name} holds {', '.join(self._keys)}"

    def _missing(self) -> Refused:
        return Refused(
            f"environment variable {self._name} is not set: it holds the key of the parameter store",
            code="E619",
            hint="32 bytes in base64; a new key is made with: head -c 32 /dev/urandom | base64",
        )
