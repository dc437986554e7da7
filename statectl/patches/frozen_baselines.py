"""Baselines as JSON-able values and back: exactly what they were, whoever made them."""

import datetime as dt
import types
import typing
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from functools import cache
from typing import Any

from statectl.baselines.model import Baseline


def document_of(value: Any) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        return {one.name: document_of(getattr(value, one.name)) for one in fields(value)}
    if isinstance(value, dt.date):
        return value.isoformat()
    if isinstance(value, tuple | list):
        return [document_of(one) for one in value]
    if isinstance(value, Mapping):
        return {str(key): document_of(one) for key, one in value.items()}
    return value


def baseline_of(document: Mapping[str, Any]) -> Baseline:
    """Fields that a newer or older statectl wrote and this one does not have are left out; those it lacks have their defaults."""
    made = _made(Baseline, document)
    assert isinstance(made, Baseline)
    return made


@cache
def _types(kind: type) -> dict[str, Any]:
    return typing.get_type_hints(kind)


def _made(kind: Any, value: Any) -> Any:
    if value is None:
        return None
    origin = typing.get_origin(kind)
    if origin in (types.UnionType, typing.Union):
        inner = [one for one in typing.get_args(kind) if one is not type(None)]
        return _made(inner[0], value)
    if origin is tuple:
        return tuple(_made(typing.get_args(kind)[0], one) for one in value)
    if isinstance(kind, type) and is_dataclass(kind):
        known = _types(kind)
        return kind(**{name: _made(known[name], one) for name, one in value.items() if name in known})
    if kind is dt.date:
        return dt.date.fromisoformat(value)
    return value
