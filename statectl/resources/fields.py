"""Field types of resource models: where a scalar of YAML gets its type.

Each accepts what the loader makes (`Plain` for unquoted text, `str` for quoted) and what an expression gives (typed
values). Messages are our own: pydantic's would print the value.
"""

import re
import shlex
from typing import Annotated, Any

from pydantic import BeforeValidator, Field
from pydantic_core import PydanticCustomError

from statectl.project.scalars import Plain


def wrong(message: str) -> PydanticCustomError:
    """A validation error whose text is the summary of a Problem. Never put the value into it unless it is a plain word."""
    return PydanticCustomError("statectl", "{text}", {"text": message})


def _text(value: Any) -> Any:
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, bool) or value is None or not isinstance(value, int | float):
        raise wrong("expected text")
    return str(value)


def _flag(value: Any) -> Any:
    if isinstance(value, bool):
        return value
    if isinstance(value, Plain) and value in ("true", "false"):
        return value == "true"
    raise wrong("expected true or false")


def _count(value: Any) -> Any:
    if isinstance(value, bool):
        raise wrong("expected a whole number")
    if isinstance(value, int):
        return int(value)
    if isinstance(value, Plain) and re.fullmatch(r"-?(0|[1-9][0-9]{0,17})", value):
        return int(value)
    raise wrong("expected a whole number")


def _mode(value: Any) -> Any:
    if isinstance(value, str) and re.fullmatch(r"0?[0-7]{3,4}", value):
        return value.zfill(4)
    raise wrong("expected an octal mode such as 0644, in text form")


def _path(value: Any) -> Any:
    text = _text(value)
    if not text.startswith("/"):
        raise wrong("expected an absolute path")
    if "\0" in text or "\n" in text:
        raise wrong("a path may not hold a newline or a NUL")
    parts: list[str] = []
    for part in text.split("/"):
        if part == "..":
            if parts:
                parts.pop()
        elif part not in ("", "."):
            parts.append(part)
    return "/" + "/".join(parts)


def _account(value: Any) -> Any:
    text = _text(value)
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_.-]{0,31}\$?|[0-9]{1,10}", text):
        raise wrong("user or group name not valid: letters, digits, _ . - and not starting with a digit or -")
    return text


def _argv(value: Any) -> Any:
    if isinstance(value, list):
        return [_text(item) for item in value]
    text = _text(value)
    try:
        return shlex.split(text)
    except ValueError as error:
        raise wrong(f"cannot be split into arguments: {str(error).lower()}") from None


def _texts(value: Any) -> Any:
    if not isinstance(value, list):
        raise wrong("expected a list")
    return [_text(item) for item in value]


_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)?")
_UNITS = {"ms": 0.001, "s": 1, None: 1, "m": 60, "h": 3600, "d": 86400}


def _duration(value: Any) -> Any:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    match = _DURATION.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise wrong("expected a duration such as 30s, 5m or 2h")
    return float(match[1]) * _UNITS[match[2]]


Text = Annotated[str, BeforeValidator(_text)]
Flag = Annotated[bool, BeforeValidator(_flag)]
Count = Annotated[int, BeforeValidator(_count)]
Mode = Annotated[str, BeforeValidator(_mode), Field(json_schema_extra={"pattern": "^0?[0-7]{3,4}$"})]
AbsolutePath = Annotated[str, BeforeValidator(_path)]
Account = Annotated[str, BeforeValidator(_account)]
Argv = Annotated[list[str], BeforeValidator(_argv)]
Texts = Annotated[list[str], BeforeValidator(_texts)]
Seconds = Annotated[float, BeforeValidator(_duration)]
