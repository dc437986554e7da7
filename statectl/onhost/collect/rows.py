"""The rows of a type, bounded and hashed, as the message that tells them.

A message has a state:

    content    columns, rows, hash; left_out: how many rows more there were
    same       the controller has it already: the hash is the one it said it knows
    failed, timed out, absent   nothing came of it, `reason` says why; absent: there is no such thing on this host
"""

import hashlib
import json
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from typing import Dict, List, Sequence

    from statectl.onhost.shapes import JSON

MAX_TEXT = 256  # characters of one value
MAX_LONG = 4096  # of one value of a custom type
MAX_REASON = 500
MAX_NUMBER = 2**53


class Found(NamedTuple):
    """What came of one type.

    long   values may have up to 4096 characters
    notes  what else is to be told: of custom files that are not as they should be
    """

    name: str
    columns: "Any"  # Sequence[str]
    rows: "Any"  # List[List[JSON]]
    most: int = 1000
    lasting: bool = True
    long: bool = False
    state: str = "content"
    reason: str = ""


class Absent(Exception):
    """There is no such thing on this host: no systemd, no package database."""


def encoded_message(found: "Found", known: "Dict[str, str]", took_ms: int) -> bytes:
    """The JSON of one type's message. Of a large one the rows are made text once, for the hash and for the message."""
    if found.state != "content":
        return encoded(refusal(found.name, found.state, found.reason))
    rows = bounded(found.rows, MAX_LONG if found.long else MAX_TEXT)
    rows.sort(key=lambda row: tuple(map(str, row)))
    left_out = max(0, len(rows) - found.most)
    del rows[found.most :]
    head = {"type": "collected", "name": found.name, "ms": took_ms}
    content = b',"columns":%s,"rows":%s,"left_out":%d' % (encoded(list(found.columns)), encoded(rows), left_out)
    head["hash"] = digest = hashlib.sha256(content).hexdigest()
    if found.lasting and known.get(found.name) == digest:
        return encoded(dict(head, state="same"))
    return encoded(dict(head, state="content"))[:-1] + content + b"}"


def encoded(value: "JSON") -> bytes:
    return json.dumps(value, ensure_ascii=True, separators=(",", ":"), allow_nan=False).encode("ascii")


def refusal(name: str, state: str, reason: str) -> "Dict[str, JSON]":
    return {"type": "collected", "name": name, "state": state, "reason": _text(reason, MAX_REASON)}


def bounded(rows: "Sequence[Sequence[JSON]]", limit: int = MAX_TEXT) -> "List[List[JSON]]":
    """Rows of texts, whole numbers, true, false and null, none of them longer than may be told."""
    return [
        [
            value
            if value is None or (value.__class__ is str and len(value) <= limit and value.isprintable())
            else _value(value, limit)
            for value in row
        ]
        for row in rows
    ]


def _value(value: "JSON", limit: int) -> "JSON":
    if isinstance(value, str):
        return _text(value, limit)
    if isinstance(value, bool):
        return value
    if isinstance(value, int):
        return max(-MAX_NUMBER, min(MAX_NUMBER, value))
    if isinstance(value, float):
        return round(value, 1) if -1e15 < value < 1e15 else None
    return _text(str(value), limit)


def _text(text: str, limit: int) -> str:
    """One line, with bytes that are no text spelled out."""
    return " ".join(text[:limit].encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace").split())
