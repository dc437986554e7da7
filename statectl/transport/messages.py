"""What a host may say: every message's keys, their types and their bounds. The other direction is `onhost/messages.py`.

A host is never trusted: what is not in this table is refused, and every text in a message that passes becomes Untrusted.
"""

import re
from collections.abc import Callable
from typing import Any

from statectl.onhost import protocol
from statectl.onhost.protocol import ProtocolError
from statectl.secrets import Untrusted

MAX_NODES = 500_000  # values in one message: small JSON can be large memory
COUNTED_FROM = 256 * 1024  # bytes; a smaller message cannot hold many
MAX_LINE = 8192  # characters of an address, a reason, a holder
MAX_BLOBS = 100_000
SHA256 = re.compile(r"[0-9a-f]{64}\Z")
ADDRESS = re.compile(r"[a-z][a-z0-9_]{0,63}:.{1,4200}\Z", re.DOTALL)

Check = Callable[[Any], bool]
Shape = tuple[dict[str, Check], dict[str, Check]]


def _line(value: Any) -> bool:
    return isinstance(value, str) and len(value) <= MAX_LINE


def _text(value: Any) -> bool:
    return isinstance(value, str)


def _number(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**63


def _duration(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 2**53


def _map(value: Any) -> bool:
    return isinstance(value, dict)


def _address(value: Any) -> bool:
    return isinstance(value, str) and ADDRESS.match(value) is not None


def _sha256(value: Any) -> bool:
    return isinstance(value, str) and SHA256.match(value) is not None


def _addresses(value: Any) -> bool:
    return isinstance(value, list) and all(map(_address, value))


def _lines(value: Any) -> bool:
    return isinstance(value, list) and all(map(_line, value))


def _maps(value: Any) -> bool:
    return isinstance(value, list) and all(map(_map, value))


def _counts(value: Any) -> bool:
    return isinstance(value, dict) and all(map(_number, value.values()))


def _blobs(value: Any) -> bool:
    return isinstance(value, list) and len(value) <= MAX_BLOBS and all(map(_sha256, value))


def _changes(value: Any) -> bool:
    return _maps(value) and all(_line(change.get("field")) for change in value)


def _word(*words: str) -> Check:
    return lambda value: isinstance(value, str) and value in words


def _maybe(check: Check) -> Check:
    return lambda value: value is None or check(value)


_ERROR: Check = _maybe(
    lambda value: isinstance(value, dict) and _text(value.get("message", "")) and _text(value.get("cause", ""))
)

# message: (required keys, optional keys). `type` is always there.
SHAPES: dict[str, Shape] = {
    "ready": (
        {"facts": _map, "probes": _map, "memory": _map},
        {"executor": _line, "python": _line, "pid": _number, "uid": _number, "run": _line},
    ),
    "need": ({"blobs": _blobs}, {}),
    "verdict": (
        {
            "address": _address,
            "verdict": _word("ok", "change", "unknown", "refused", "orphan"),
            "action": _word("none", "add", "change", "remove", "run", "orphan"),
        },
        {
            "association": _maybe(_line),
            "source": _maybe(_map),
            "predicted_after": _addresses,
            "unknown_until": _addresses,
            "changes": _changes,
            "notify": _lines,
            "found_hash": _maybe(_line),
            "armed": _number,
            "reason": _maybe(_text),
            "kind": _word("intended", "corrective", ""),
        },
    ),
    "planned": ({"counts": _counts}, {}),
    "result": (
        {"address": _address, "outcome": _word("ok", "changed", "failed", "skipped", "unknown")},
        {
            "association": _maybe(_line),
            "action": _word("none", "add", "change", "remove", "run", "orphan"),
            "changes": _changes,
            "kind": _word("intended", "corrective", ""),
            "reason": _maybe(_text),
            "error": _ERROR,
            "duration_ms": _duration,
        },
    ),
    "notified": (
        {"address": _address, "verb": _line, "outcome": _word("ok", "changed", "failed", "skipped", "unknown")},
        {"because": _lines, "error": _ERROR, "duration_ms": _duration, "reason": _maybe(_text)},
    ),
    "output": ({"stream": _word("out", "err"), "data": _text}, {}),
    "waiting": ({}, {"holder": _maybe(_map), "reason": _maybe(_text)}),
    "log": ({"level": _line, "text": _text}, {}),
    "end": (
        {"outcome": _word("planned", "applied", "stopped", "stale", "refused", "failed", "done"), "digest": _sha256},
        {
            "counts": _maybe(_counts),
            "reason": _maybe(_text),
            "code": _maybe(_line),
            "exit": _maybe(_map),
            "armed": _duration,
        },
    ),
}


def parse(payload: bytes) -> dict[str, Any]:
    """Payload of a JSON frame -> checked message. Raises ProtocolError, whose text holds nothing that the host chose."""
    if len(payload) > COUNTED_FROM and payload.count(b",") + payload.count(b"[") + payload.count(b"{") > MAX_NODES:
        raise ProtocolError(f"a message holds more than {MAX_NODES:,} values")
    message = protocol.decode_json(payload)
    kind = message["type"]
    shape = SHAPES.get(kind)
    if shape is None:
        raise ProtocolError("unknown message type")
    required, optional = shape
    for key in required:
        if key not in message:
            raise ProtocolError(f"message {kind} lacks {key}")
    for key, value in message.items():
        if key == "type":
            continue
        check = required.get(key) or optional.get(key)
        if check is None:
            raise ProtocolError(f"message {kind} has an unknown key")
        if not check(value):
            raise ProtocolError(f"{key} of message {kind} is not valid")
    return {key: value if key == "type" else untrusted(value) for key, value in message.items()}


def untrusted(value: Any) -> Any:
    """The same value with every text in it, keys included, as Untrusted.

    Lone surrogates (what stands for bytes of a name that is not UTF-8, or what a hostile host makes up) become escapes: nothing
    that comes later can store or print them.
    """
    if isinstance(value, str):
        return Untrusted(value if value.isascii() else value.encode("utf-8", "backslashreplace").decode())
    if isinstance(value, list):
        return [untrusted(item) for item in value]
    if isinstance(value, dict):
        return {Untrusted(key): untrusted(item) for key, item in value.items()}
    return value
