"""What a value may be: sizes, data types, no references. No problem ever repeats a value, which may be secret."""

import base64
import binascii
import ipaddress
import json
import re
from collections.abc import Callable, Mapping
from urllib.parse import urlsplit

from statectl.parameters.failures import one_of
from statectl.parameters.model import TYPES
from statectl.secrets import Secret

_HOST_LABEL = re.compile(r"(?!-)[A-Za-z0-9-]{1,63}(?<!-)")
_REFERENCE = re.compile(r"\{\{.*?\}\}", re.DOTALL)


def text_of(value: str | Secret) -> str:
    """The text that is to be checked and stored; a secret goes from here only into the cipher."""
    return value.reveal() if isinstance(value, Secret) else value


def text_problem(text: str) -> str:
    """What no database takes as text, or ''."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return "not UTF-8"
    return "a NUL in it" if "\0" in text else ""


def type_problem(kind: str) -> str:
    if kind in TYPES:
        return ""
    return f"type {kind[:40]!r} is not known; {one_of(kind, TYPES)}"


def value_problem(text: str, most_bytes: int) -> str:
    """What is wrong with a value of any type, or ''."""
    if not text:
        return "the value is empty; delete the parameter, or give it a value that means nothing"
    try:
        size = len(text.encode())
    except UnicodeEncodeError:
        return "the value is not UTF-8"
    if size > most_bytes:
        return f"the value has {size:,} bytes; at most {most_bytes:,} (setting parameters.max_value_bytes)"
    if "\0" in text:
        return "the value holds a NUL; write it in base64 with the data type binary"
    if _REFERENCE.search(text):
        return "the value holds {{ }}: values do not refer to others, and are never rendered"
    return ""


def data_type_problem(data_type: str, text: str) -> str:
    """What is wrong with a value of this data type, or with the data type itself, or ''."""
    check = DATA_TYPES.get(data_type)
    if check is None:
        return f"data type {data_type[:80]!r} is not known; {one_of(data_type, DATA_TYPES)}"
    try:
        good = check(text)
    except (ValueError, RecursionError):
        good = False
    return "" if good else f"the value is not of data type {data_type}"


def _matches(pattern: str) -> Callable[[str], bool]:
    compiled = re.compile(pattern)
    return lambda text: compiled.fullmatch(text) is not None


def _email(text: str) -> bool:
    local, at, host = text.rpartition("@")
    return bool(at and local and len(local) <= 64 and not re.search(r"\s", text) and _host(host))


def _host(text: str) -> bool:
    return len(text) <= 253 and all(_HOST_LABEL.fullmatch(label) for label in text.removesuffix(".").split("."))


def _url(text: str) -> bool:
    parts = urlsplit(text)
    return bool(parts.scheme and (parts.netloc or parts.path)) and not re.search(r"\s", text)


def _json(text: str) -> bool:
    json.loads(text, parse_constant=_no_constant)
    return True


def _no_constant(name: str) -> None:
    raise ValueError(name)


def _json_with_comments(text: str) -> bool:
    strings_or_comments = re.compile(r'("(?:\\.|[^"\\])*")|//[^\n]*|/\*.*?\*/', re.DOTALL)
    return _json(strings_or_comments.sub(lambda match: match[1] or " ", text))


def _binary(text: str) -> bool:
    try:
        base64.b64decode(text, validate=True)
    except binascii.Error:
        return False
    return True


DATA_TYPES: Mapping[str, Callable[[str], bool]] = {
    "text": lambda _: True,
    "integer": _matches(r"[+-]?[0-9]+"),
    "float": _matches(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?"),
    "boolean": _matches(r"(?i:true|false)"),
    "binary": _binary,
    "json": _json,
    "jsonc": _json_with_comments,
    "url": _url,
    "email": _email,
    "hostname": _host,
    "ipv4-address": lambda text: ipaddress.IPv4Address(text) is not None,
    "ipv6-address": lambda text: ipaddress.IPv6Address(text) is not None,
    "aws:ec2:image": _matches(r"ami-[0-9a-f]{8,17}"),
    "aws:ssm:integration": _json,
    "aws:region": _matches(r"[a-z]{2}(-[a-z]+)+-[0-9]"),
    "aws:account:id": _matches(r"[0-9]{12}"),
}
