"""From a row to the secret in it: first the audit row, durable, then the value."""

from collections.abc import Sequence
from typing import Any

from statectl.parameters import crypto
from statectl.parameters.context import Context
from statectl.parameters.failures import missing
from statectl.parameters.model import SECURE, Parameter
from statectl.parameters.rows import parameter
from statectl.secrets import Secret


def opened(context: Context, row: Any) -> Secret:
    """The secret of a row. Only for who wrote an audit row before, or hands the value on encrypted."""
    name, version = row["name"], row["version"]
    data_key = context.keys.unwrap(row["key_id"], bytes(row["data_key"]), name, version)
    return crypto.unseal(bytes(row["cipher"]), data_key, name=name, life=row["life"], version=version)


def revealed(context: Context, rows: Sequence[tuple[Any, str, tuple[str, ...]]]) -> list[Parameter]:
    """Rows with their selectors and labels as parameters with their values, those of secrets too."""
    secure = [row for row, _, _ in rows if row["type"] == SECURE]
    for row in secure:
        if not context.rights.may("decrypt", row["name"]):
            raise missing(row["name"])
    if secure:
        with context.database.transaction() as connection:
            context.audit(
                connection,
                [("parameter.decrypt", {"name": row["name"], "version": row["version"]}) for row in secure],
            )
    found = []
    for row, selector, labels in rows:
        one = parameter(row, selector=selector, labels=labels)
        if row["type"] == SECURE:
            one.value = opened(context, row)
        found.append(one)
    return found


class Resealing:
    """Encrypting anew what is there, for another name or version. What asks another machine is done by `prepare`, before the store is held."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._opened: dict[bytes, bytes] = {}  # data keys by what they are wrapped as
        self._fresh: dict[str, list[tuple[tuple[str, bytes], bytes]]] = {}  # name -> (wrapped, data key)

    @property
    def asks_others(self) -> bool:
        return self._context.keys.remote

    def prepare(self, row: Any, name: str) -> None:
        """For a row with a ciphertext, which will be written under this name."""
        self._opened[bytes(row["data_key"])] = self._data_key(row)
        self._fresh.setdefault(name, []).append(self._new(name))

    def reseal(self, row: Any, made: dict[str, Any]) -> None:
        """Put the secret of a row into another, whose name, life and version stand."""
        data_key = self._opened.get(bytes(row["data_key"])) or self._data_key(row)
        secret = crypto.unseal(
            bytes(row["cipher"]), data_key, name=row["name"], life=row["life"], version=row["version"]
        )
        prepared = self._fresh.get(made["name"])
        wrapped, fresh = prepared.pop() if prepared else self._new(made["name"])
        sealed(made, secret, wrapped, fresh)

    def _data_key(self, row: Any) -> bytes:
        return self._context.keys.unwrap(row["key_id"], bytes(row["data_key"]), row["name"], row["version"])

    def _new(self, name: str) -> tuple[tuple[str, bytes], bytes]:
        data_key = crypto.new_data_key()
        return self._context.keys.outer.wrap(data_key, name), data_key


def sealed(row: dict[str, Any], secret: Secret | str, wrapped: tuple[str, bytes], data_key: bytes) -> None:
    """Put a secret into a row whose name, life and version stand."""
    row["value"] = None
    row["key_id"], row["data_key"] = wrapped
    row["cipher"] = crypto.seal(secret, data_key, name=row["name"], life=row["life"], version=row["version"])
