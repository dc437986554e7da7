"""What parent and rendering child say to each other: frames of 4 bytes length and JSON, and values with tags.

Tags are maps of one key that starts with `$`; a map of the user's that could be taken for one travels as pairs:
    {"$n": "0x1F"}           a number that renders as written
    {"$d": [[key, value]]}   a map with unusual keys
    {"$x": 12}               an expression of the parent's register, not yet rendered
    {"$s": 3}                a secret, by its number: the value never leaves the parent
    {"$parts": ["a", 3]}     text with secrets in it, by number
Facts and probe results travel as JSON text of their own that is never searched for tags: hosts write them.
"""

import json
import math
import struct
from collections.abc import Callable
from typing import IO, Any

from statectl.project.scalars import WrittenFloat, WrittenInt, untyped

LENGTH = struct.Struct(">I")
MAX_FRAME = 512 * 1024 * 1024  # bytes; far above what the limits of a job allow
MAX_DEPTH = 60


class WireError(Exception):
    """A frame that cannot be right. From the child it means: do not trust this child any longer."""


def write_frame(stream: IO[bytes], message: Any) -> None:
    payload = json.dumps(message, separators=(",", ":"), allow_nan=False, check_circular=False).encode("ascii")
    stream.write(LENGTH.pack(len(payload)) + payload)


def take_frame(buffer: bytearray) -> bytes | None:
    """The payload of the first frame of a buffer, taken out of it; None when it is not complete."""
    if len(buffer) < LENGTH.size:
        return None
    (length,) = LENGTH.unpack_from(buffer)
    if length > MAX_FRAME:
        raise WireError(f"frame of {length} bytes is over the limit")
    if len(buffer) < LENGTH.size + length:
        return None
    payload = bytes(buffer[LENGTH.size : LENGTH.size + length])
    del buffer[: LENGTH.size + length]
    return payload


def read_exactly(stream: IO[bytes], size: int) -> bytes:
    """Bytes of the stream; shorter only at its end."""
    data = stream.read(size)
    while len(data) < size:
        more = stream.read(size - len(data))
        if not more:
            break
        data += more
    return data


def read_frame(stream: IO[bytes], tag: Callable[[str, Any], Any]) -> Any:
    """The next message, None at the end of the stream."""
    header = read_exactly(stream, LENGTH.size)
    if not header:
        return None
    if len(header) < LENGTH.size:
        raise WireError("the stream ended inside a frame")
    (length,) = LENGTH.unpack(header)
    if length > MAX_FRAME:
        raise WireError(f"frame of {length} bytes is over the limit")
    payload = read_exactly(stream, length)
    if len(payload) < length:
        raise WireError("the stream ended inside a frame")
    return decode(payload, tag)


def decode(payload: bytes | str, tag: Callable[[str, Any], Any]) -> Any:
    """JSON with tags to values. `tag(name, content)` makes what only one side knows: `$x`, `$s` and `$parts`."""

    def hook(found: dict[str, Any]) -> Any:
        if len(found) == 1:
            ((name, content),) = found.items()
            if name.startswith("$"):
                if name == "$n":
                    return written(content)
                if name == "$d":
                    return dict(content)
                return tag(name, content)
        return found

    return json.loads(payload, object_hook=hook)


def written(text: str) -> Any:
    """The text of a number to the number that renders so."""
    value = untyped(text)
    if not isinstance(value, WrittenInt | WrittenFloat):
        raise WireError("a number as written is not a number")
    return value


def encode(value: Any, other: Callable[[Any], Any], depth: int = 0) -> Any:
    """Values to JSON with tags. `other` encodes what is neither text, number, list nor map, or raises."""
    kind = type(value)
    if kind is str or value is None or kind is bool or kind is int:
        return value
    if depth > MAX_DEPTH:
        raise ValueError(f"nested deeper than {MAX_DEPTH}")
    if kind is list or kind is tuple:
        return [encode(item, other, depth + 1) for item in value]
    if kind is dict:
        pairs = [(encode(key, other, depth + 1), encode(item, other, depth + 1)) for key, item in value.items()]
        if all(type(key) is str and not key.startswith("$") for key, _ in pairs):
            return dict(pairs)
        return {"$d": [list(pair) for pair in pairs]}
    if kind is WrittenInt or kind is WrittenFloat:
        return {"$n": value.text}
    if kind is float:
        if not math.isfinite(value):
            raise ValueError("not a finite number")
        return value
    return other(value)
