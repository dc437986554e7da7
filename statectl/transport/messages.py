"""What a host may say: every message's keys, their types and their bounds. The other direction is `onhost/messages.py`.

A host is never trusted: what is not in this table is refused, and every text in a message that passes becomes Untrusted.
"""

import re
from collections.abc import Callable
from typing import Any

from statectl.onhost import protocol
from statectl.onhost.protocol import ProtocolError
from statectl.secrets import Untrusted

MAX_NODES = 350_000  # values in one message: small JSON can be large memory
MAX_TEXTS = 500_000  # keys and texts in it
KEYS_SHARED = 1000  # the keys that come again and again are few
MAX_SHARED = 100  # characters of a key that is shared with other messages
COUNTED_FROM = 256 * 1024  # bytes; a smaller message cannot hold many
# A character outside of ASCII widens the whole text that it stands in: to two bytes each, or to four for those written as a pair.
MAX_WIDE = {b"\\u": 8 * 1024 * 1024, b"\\ud": 5 * 1024 * 1024, b"\\uD": 5 * 1024 * 1024}
MAX_LINE = 8192  # characters of an address, a reason, a holder
MAX_BLOBS = 100_000
MAX_FACTS = 1024 * 1024  # characters and values of all facts; an executor's own limits are far below
SHA256 = re.compile(r"[0-9a-f]{64}\Z")
RUN_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}\Z")
ASSOCIATION = re.compile(r"(?:[a-z][a-z0-9_-]{0,63}|\(patching\))?\Z")
SURROGATE = re.compile("[\ud800-\udfff]")
COLLECTED = re.compile(r"(?:Custom:)?[A-Z][A-Za-z0-9_]{0,63}\Z")
COLUMN = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,63}\Z")
MAX_COLUMNS = 50
MAX_ROWS = 10_000  # of one type of the collected inventory
MAX_CELL = 4096  # characters of one value of it
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


def _facts(value: Any) -> bool:
    return isinstance(value, dict) and _weight(value) <= MAX_FACTS


def _weight(value: Any) -> int:
    """About how many characters and values something holds."""
    if isinstance(value, str):
        return len(value)
    if isinstance(value, dict):
        return sum(8 + len(key) + _weight(item) for key, item in value.items())
    if isinstance(value, list):
        return 8 * len(value) + sum(map(_weight, value))
    return 8


def _address(value: Any) -> bool:
    return isinstance(value, str) and ADDRESS.match(value) is not None


def _association(value: Any) -> bool:
    return isinstance(value, str) and ASSOCIATION.match(value) is not None


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


def _flag(value: Any) -> bool:
    return isinstance(value, bool)


def _texts(value: Any) -> bool:
    return isinstance(value, list) and all(map(_text, value))


def _anything(value: Any) -> bool:
    del value
    return True


def _run_id(value: Any) -> bool:
    return isinstance(value, str) and RUN_ID.match(value) is not None


def _each(check: Check) -> Check:
    return lambda value: isinstance(value, list) and all(map(check, value))


def _with(required: dict[str, Check], known: dict[str, Check]) -> Check:
    """A map that has these, and those it may have as they must be. Keys that nobody reads are let pass."""
    return lambda value: (
        isinstance(value, dict)
        and all(key in value for key in required)
        and all(check(value[key]) for key, check in (required | known).items() if key in value)
    )


def _word(*words: str) -> Check:
    return lambda value: isinstance(value, str) and value in words


def _maybe(check: Check) -> Check:
    return lambda value: value is None or check(value)


_ERROR: Check = _maybe(_with({}, {"message": _text, "cause": _text, "output": _text}))
_CHANGES: Check = _each(
    _with({"field": _line}, {"diff": _maybe(_texts), "binary": _flag, "secret": _flag, "found": _anything})
)
_OUTCOME = _word("ok", "changed", "failed", "skipped", "unknown")
_KEPT: Check = _each(
    _with(
        {"address": _address, "outcome": _OUTCOME},
        {
            "changes": _CHANGES,
            "error": _ERROR,
            "reason": _maybe(_text),
            "duration_ms": _duration,
            "verb": _line,
            "action": _line,
            "kind": _line,
            "pending": _flag,
        },
    )
)
_UNDELIVERED: Check = _each(
    _with(
        {"run": _run_id, "outcome": _line},
        {
            "kind": _word("apply", "run"),
            "controller": _line,
            "commit": _maybe(_line),
            "plan_id": _maybe(_line),
            "reason": _maybe(_text),
            "results": _KEPT,
            "notified": _KEPT,
        },
    )
)
_MEMORY: Check = _with(
    {},
    {
        "run_counter": _number,
        "host_id": _line,
        "debts": _each(_with({"address": _address, "verb": _line}, {"because": _addresses})),
        "undelivered": _UNDELIVERED,
        "lock": _maybe(_map),
    },
)
_PROBES: Check = lambda value: (  # noqa: E731 - a check like those above
    isinstance(value, dict)
    and all(map(_with({"ok": _flag}, {"value": _anything, "reason": _maybe(_text)}), value.values()))
)


def _collected(value: Any) -> bool:
    return isinstance(value, str) and COLLECTED.match(value) is not None


def _columns(value: Any) -> bool:
    return (
        isinstance(value, list)
        and len(value) <= MAX_COLUMNS
        and all(isinstance(one, str) and COLUMN.match(one) for one in value)
        and len(set(value)) == len(value)
    )


def _rows(value: Any) -> bool:
    return (
        isinstance(value, list)
        and len(value) <= MAX_ROWS
        and all(isinstance(row, list) and len(row) <= MAX_COLUMNS and all(map(_cell, row)) for row in value)
    )


def _cell(value: Any) -> bool:
    if isinstance(value, str):
        return len(value) <= MAX_CELL
    return value is None or isinstance(value, bool) or (isinstance(value, int | float) and abs(value) <= 2**53)


_REBOOT: Check = _with(
    {"boot_id": _line, "timeout_s": _duration, "max_reboots": _number, "addresses": _addresses}, {"reasons": _lines}
)

# message: (required keys, optional keys). `type` is always there.
SHAPES: dict[str, Shape] = {
    "ready": (
        {"facts": _facts, "probes": _PROBES, "memory": _MEMORY},
        {"executor": _line, "python": _line, "pid": _number, "uid": _number, "patches": _maybe(_map)},
    ),
    "need": ({"blobs": _blobs}, {}),
    "verdict": (
        {
            "address": _address,
            "verdict": _word("ok", "change", "unknown", "refused", "orphan"),
            "action": _word("none", "add", "change", "remove", "run", "orphan"),
        },
        {
            "association": _maybe(_association),
            "predicted_after": _addresses,
            "unknown_until": _addresses,
            "changes": _CHANGES,
            "notify": _lines,
            "found_hash": _maybe(_line),
            "armed": _number,
            "disrupts": _line,
            "reason": _maybe(_text),
            "kind": _word("intended", "corrective", ""),
        },
    ),
    "right": ({"of": _word("verdict", "result"), "addresses": _addresses}, {"association": _maybe(_association)}),
    "planned": ({"counts": _counts}, {}),
    "result": (
        {"address": _address, "outcome": _OUTCOME},
        {
            "association": _maybe(_association),
            "action": _word("none", "add", "change", "remove", "run", "orphan"),
            "changes": _CHANGES,
            "kind": _word("intended", "corrective", ""),
            "reason": _maybe(_text),
            "error": _ERROR,
            "duration_ms": _duration,
            "pending": _flag,
        },
    ),
    "notified": (
        {"address": _address, "verb": _line, "outcome": _OUTCOME},
        {"because": _lines, "error": _ERROR, "duration_ms": _duration, "reason": _maybe(_text), "pending": _flag},
    ),
    "output": ({"stream": _word("out", "err"), "data": _text}, {}),
    "collected": (
        {"name": _collected, "state": _word("content", "same", "absent", "failed", "timed out")},
        {"hash": _sha256, "ms": _number, "columns": _columns, "rows": _rows, "left_out": _number, "reason": _line},
    ),
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
            "holder": _maybe(_map),
            "reboot": _REBOOT,
        },
    ),
}


def parse(payload: bytes) -> dict[str, Any]:
    """Payload of a JSON frame -> checked message. Raises ProtocolError, whose text holds nothing that the host chose."""
    if len(payload) > COUNTED_FROM:
        _measure(payload)
    if not payload.isascii():
        raise ProtocolError("a message is not ASCII")
    message: dict[str, Any] = protocol.decode_json(payload)
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
    names: dict[str, Untrusted] = {}
    plain = b"\\ud" not in payload and b"\\uD" not in payload
    for key, value in message.items():
        if key != "type":
            message[key] = untrusted(value, names, plain=plain)
    return message


def _measure(payload: bytes) -> None:
    """Refuse what would take far more memory than it takes on the wire, before it is parsed."""
    values = payload.count(b",") + payload.count(b"[") + payload.count(b"{")
    if values > MAX_NODES or payload.count(b'"') // 2 > MAX_TEXTS:
        raise ProtocolError(f"a message holds more than {MAX_NODES:,} values")
    for mark, limit in MAX_WIDE.items():
        if len(payload) > limit and mark in payload:
            raise ProtocolError(f"a message of {len(payload):,} bytes is not plain ASCII (max {limit:,})")


_names: dict[
    str, Untrusted
] = {}  # keys that were met in messages before, of whatever host: the facts of all have the same


def untrusted(value: Any, names: dict[str, Untrusted] | None = None, *, plain: bool = False) -> Any:
    """The same value with every text in it, keys included, as Untrusted. Lists are changed in place: there may be no room for two.

    Lone surrogates (what stands for bytes of a name that is not UTF-8, or what a hostile host makes up) become escapes: nothing
    that comes later can store or print them. `names`: keys that were met in this message. `plain`: it is known that there are none.
    """
    if isinstance(value, str):
        if not plain and SURROGATE.search(value):
            return Untrusted(value.encode("utf-8", "backslashreplace").decode())
        return Untrusted(value)
    if isinstance(value, list):
        for place, item in enumerate(value):
            value[place] = untrusted(item, names, plain=plain)
        return value
    if isinstance(value, dict):
        known = {} if names is None else names
        for key in list(value):
            name = known.get(key)
            if name is None:
                name = _name(key, plain=plain)
                if len(known) < KEYS_SHARED:
                    known[key] = name
            value[name] = untrusted(value.pop(key), known, plain=plain)
        return value
    return value


def _name(key: str, *, plain: bool) -> Untrusted:
    """A key as Untrusted; one text for all messages, as long as there is room."""
    name = _names.get(key)
    if name is None:
        name = untrusted(key, plain=plain)
        if len(_names) < KEYS_SHARED and len(key) <= MAX_SHARED:
            _names[key] = name
    return name
