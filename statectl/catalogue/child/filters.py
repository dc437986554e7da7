"""Filters and tests beyond jinja's own: those that templates of configuration files use most. All are pure and deterministic.

What they are called elsewhere they are called here. docs/reference/values.md lists them; a test compares.
"""

import base64
import binascii
import hashlib
import json
import posixpath
import re
import shlex
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from jinja2.exceptions import TemplateRuntimeError
from jinja2.runtime import Undefined

HASHES = ("md5", "sha1", "sha224", "sha256", "sha384", "sha512")
PLAIN_YAML = re.compile(r"[A-Za-z_/][A-Za-z0-9_./@-]*")
YAML_WORDS = {"true", "false", "yes", "no", "on", "off", "null", "y", "n", "~"}


def _plain(value: Any) -> Any:
    """What json cannot write by itself: generators of filters, sets; an undefined value fails as any use of it does."""
    if isinstance(value, Undefined):
        return str(value)
    if isinstance(value, Mapping):
        return dict(value.items())
    if isinstance(value, Iterable):
        return list(value)
    return str(value)


def to_json(value: Any, indent: int | None = None, sort_keys: bool = True) -> str:
    return json.dumps(value, default=_plain, indent=indent, sort_keys=sort_keys, ensure_ascii=False, allow_nan=False)


def to_nice_json(value: Any, indent: int = 4) -> str:
    return to_json(value, indent=indent)


def to_yaml(value: Any, indent: int = 2) -> str:
    """Block style, maps sorted, text quoted with JSON's quotes where a YAML reader could take it for anything else."""
    return "".join(line + "\n" for line in _yaml_lines(value, indent))


def _yaml_lines(value: Any, indent: int) -> list[str]:
    pad = " " * indent
    if isinstance(value, Mapping) and value:
        lines = []
        for key, item in sorted(value.items(), key=lambda pair: str(pair[0])):
            inner = _yaml_lines(item, indent)
            if isinstance(item, Mapping | list) and item:
                lines += [f"{_yaml_scalar(key)}:", *(pad + line for line in inner)]
            else:
                lines.append(f"{_yaml_scalar(key)}: {inner[0]}")
        return lines
    if isinstance(value, list) and value:
        lines = []
        for item in value:
            first, *rest = _yaml_lines(item, indent)
            lines += [f"- {first}", *("  " + line for line in rest)]
        return lines
    return [_yaml_scalar(value)]


def _yaml_scalar(value: Any) -> str:
    if isinstance(value, str) and PLAIN_YAML.fullmatch(value) and value.lower() not in YAML_WORDS:
        return str(value)
    if isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)
    return "".join(c if c.isprintable() else f"\\U{ord(c):08x}" for c in to_json(value))


def from_json(value: str) -> Any:
    return json.loads(value)


def b64encode(value: str) -> str:
    return base64.b64encode(str(value).encode()).decode("ascii")


def b64decode(value: str) -> str:
    try:
        return base64.b64decode(value, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        raise TemplateRuntimeError("not base64 of UTF-8 text") from None


def digest(value: str, algorithm: str = "sha256") -> str:
    if algorithm not in HASHES:
        raise TemplateRuntimeError(f"hash knows {', '.join(HASHES)}")
    return hashlib.new(algorithm, str(value).encode(), usedforsecurity=False).hexdigest()


def regex_replace(
    value: str, pattern: str, replacement: str = "", ignorecase: bool = False, multiline: bool = False
) -> str:
    return _regex(pattern, ignorecase, multiline).sub(replacement, str(value))


def regex_search(value: str, pattern: str, ignorecase: bool = False, multiline: bool = False) -> str:
    """The part that matches, or ''."""
    match = _regex(pattern, ignorecase, multiline).search(str(value))
    return match[0] if match else ""


def regex_findall(value: str, pattern: str, ignorecase: bool = False, multiline: bool = False) -> list[Any]:
    return _regex(pattern, ignorecase, multiline).findall(str(value))


def matches(value: str, pattern: str) -> bool:
    """Does the text begin with something that the pattern matches?"""
    return _regex(pattern, False, False).match(str(value)) is not None


def _regex(pattern: str, ignorecase: bool, multiline: bool) -> re.Pattern[str]:
    try:
        return re.compile(pattern, (re.IGNORECASE if ignorecase else 0) | (re.MULTILINE if multiline else 0))
    except re.error as error:
        raise TemplateRuntimeError(f"not a regular expression: {error}") from None


def to_bool(value: Any) -> bool:
    """yes, on, true, 1 and no, off, false, 0 to a boolean; anything else is an error, not false."""
    text = str(value).lower()
    if text in ("true", "yes", "on", "1"):
        return True
    if text in ("false", "no", "off", "0"):
        return False
    raise TemplateRuntimeError("bool knows true, yes, on, 1 and false, no, off, 0")


def combine(*maps: Mapping[str, Any], recursive: bool = False) -> dict[str, Any]:
    """One map of several; the later wins; `recursive` goes into maps inside."""
    result: dict[str, Any] = {}
    for one in maps:
        for key, value in one.items():
            old = result.get(key)
            if recursive and isinstance(old, Mapping) and isinstance(value, Mapping):
                result[key] = combine(old, value, recursive=True)
            else:
                result[key] = value
    return result


def flatten(value: Iterable[Any], levels: int | None = None) -> list[Any]:
    result: list[Any] = []
    for item in value:
        if isinstance(item, list | tuple) and levels != 0:
            result += flatten(item, None if levels is None else levels - 1)
        else:
            result.append(item)
    return result


def ternary(value: Any, yes: Any, no: Any = "") -> Any:
    return yes if value else no


def split(value: str, separator: str | None = None, maxsplit: int = -1) -> list[str]:
    return str(value).split(separator, maxsplit)


def union(one: Iterable[Any], other: Iterable[Any]) -> list[Any]:
    result: list[Any] = []
    for item in [*one, *other]:
        if item not in result:
            result.append(item)
    return result


def difference(one: Iterable[Any], other: Iterable[Any]) -> list[Any]:
    rest = list(other)
    return [item for item in one if item not in rest]


def intersect(one: Iterable[Any], other: Iterable[Any]) -> list[Any]:
    rest = list(other)
    return [item for item in one if item in rest]


def dict2items(value: Mapping[Any, Any]) -> list[dict[str, Any]]:
    return [{"key": key, "value": item} for key, item in value.items()]


def items2dict(value: Iterable[Mapping[str, Any]]) -> dict[Any, Any]:
    return {item["key"]: item["value"] for item in value}


def mandatory(value: Any) -> Any:
    return str(value) if isinstance(value, Undefined) else value


def quote(value: Any) -> str:
    return shlex.quote(str(value))


def basename(path: str) -> str:
    return posixpath.basename(str(path))


def dirname(path: str) -> str:
    return posixpath.dirname(str(path))


def regex_escape(text: str) -> str:
    return re.escape(str(text))


FILTERS: dict[str, Callable[..., Any]] = {
    "to_json": to_json,
    "to_nice_json": to_nice_json,
    "to_yaml": to_yaml,
    "to_nice_yaml": to_yaml,
    "from_json": from_json,
    "b64encode": b64encode,
    "b64decode": b64decode,
    "hash": digest,
    "regex_replace": regex_replace,
    "regex_search": regex_search,
    "regex_findall": regex_findall,
    "regex_escape": regex_escape,
    "bool": to_bool,
    "combine": combine,
    "flatten": flatten,
    "ternary": ternary,
    "split": split,
    "union": union,
    "difference": difference,
    "intersect": intersect,
    "dict2items": dict2items,
    "items2dict": items2dict,
    "mandatory": mandatory,
    "quote": quote,
    "basename": basename,
    "dirname": dirname,
}
TESTS: dict[str, Callable[..., bool]] = {"match": matches}
REMOVED_FILTERS = ("random",)  # a plan must say what apply will do
REMOVED_GLOBALS = ("lipsum",)
