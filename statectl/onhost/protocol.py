"""Frames and message shapes between controller and executor. Both sides import this module, and nothing else of each other.

A frame is 1 byte kind, 4 bytes big-endian length, then the payload: kind `J` is one JSON object in UTF-8, kind `B` is the
bytes of a blob whose message (`{"type": "blob", ...}`) came just before; kind `C` is a JSON object of the controller, compressed
by zlib. Nothing is read that was not announced, nothing longer than its limit.
An `end` message whose digest matches everything sent before it is the only success.
"""

import hashlib
import json
import struct

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Dict, List, Mapping, NoReturn, Tuple

    from statectl.onhost.shapes import JSON, Message

PROTOCOL = 1  # controller and executor are of one content hash, so this changes only with the bootstrap
JSON_FRAME = b"J"
BLOB_FRAME = b"B"
PACKED_FRAME = b"C"
HEADER = struct.Struct(">cI")
MAX_JSON = 16 * 1024 * 1024  # bytes of one message
PACKED_FROM = 8192  # bytes of a frame; a connection's first flight takes somewhat more
MAX_BLOB = 1024 * 1024  # bytes of one chunk of a blob
MAX_DEPTH = 40
MAX_QUOTES = 4 * 1024 * 1024  # in one message
PIECE = 64 * 1024  # bytes of a message that are taken apart at once
NO_BRACKETS = bytes(byte for byte in range(256) if byte not in b"[]{}")
MAX_KEYS = 65536  # of one map: a ledger of so many resources


class ProtocolError(Exception):
    """The other side said something that is not in this language."""


def encode(message: "Mapping[str, JSON]") -> bytes:
    """dict -> bytes of one JSON frame."""
    payload = json.dumps(message, ensure_ascii=True, separators=(",", ":"), allow_nan=False).encode("ascii")
    if len(payload) > MAX_JSON:
        raise ProtocolError("message of %d bytes is over the limit of %d" % (len(payload), MAX_JSON))
    return HEADER.pack(JSON_FRAME, len(payload)) + payload


def encode_packed(message: "Mapping[str, JSON]") -> bytes:
    """dict -> bytes of one frame, compressed where that saves a flight of packets. Of the controller's messages only."""
    frame = encode(message)
    if len(frame) < PACKED_FROM:
        return frame
    import zlib

    payload = zlib.compress(frame[HEADER.size :], 1)
    return HEADER.pack(PACKED_FRAME, len(payload)) + payload


def _unpacked(payload: bytes) -> bytes:
    import zlib

    stream = zlib.decompressobj()
    try:
        data = stream.decompress(payload, MAX_JSON + 1)
    except zlib.error:
        raise ProtocolError("a compressed message is damaged")
    if len(data) > MAX_JSON:
        raise ProtocolError("a compressed message is over the limit of %d bytes" % MAX_JSON)
    if not stream.eof or stream.unused_data:
        raise ProtocolError("a compressed message is damaged")
    return data


def encode_blob(chunk: bytes) -> bytes:
    """bytes -> bytes of one blob frame."""
    if len(chunk) > MAX_BLOB:
        raise ProtocolError("blob chunk of %d bytes is over the limit of %d" % (len(chunk), MAX_BLOB))
    return HEADER.pack(BLOB_FRAME, len(chunk)) + chunk


def _no_duplicates(pairs: "List[Tuple[str, JSON]]") -> "Dict[str, JSON]":
    if len(pairs) > MAX_KEYS:
        raise ProtocolError("a map has more than %d keys" % MAX_KEYS)
    result = dict(pairs)
    if len(result) != len(pairs):
        seen = set()
        for key, _ in pairs:
            if key in seen:
                raise ProtocolError("key %r appears twice in one message" % key)
            seen.add(key)
    return result


def _no_constant(text: str) -> "NoReturn":
    raise ProtocolError("%s is not a number here" % text)


def _finite(text: str) -> float:
    number = float(text)
    if number - number != 0:  # 1e999 is infinite, without the word
        raise ProtocolError("a number is too large")
    return number


def _measure_depth(payload: bytes) -> None:
    """Raises ProtocolError for what is nested too deep for a parser that recurses. A few passes in C, whatever was sent."""
    bare = payload.replace(b"\\\\", b"").replace(b'\\"', b"")  # no quote is left that does not begin or end a text
    if bare.count(b'"') > MAX_QUOTES:
        raise ProtocolError("a message holds more than %d texts" % (MAX_QUOTES // 2))
    depth = inside = 0
    for start in range(
        0, len(bare), PIECE
    ):  # a message of many short texts, split as a whole, would take ten times its size
        parts = bare[start : start + PIECE].split(b'"')
        outside = b"".join(parts[inside::2])  # of texts
        inside ^= (len(parts) - 1) & 1
        for byte in outside.translate(None, NO_BRACKETS):
            depth += 1 if byte in b"[{" else -1
            if depth > MAX_DEPTH:
                raise ProtocolError("message is nested deeper than %d" % MAX_DEPTH)


def decode_json(payload: bytes) -> "Message":
    """bytes -> dict; refuses duplicate keys, NaN, depth, and anything that is not an object."""
    if payload.count(b"[") + payload.count(b"{") > MAX_DEPTH:
        _measure_depth(payload)
    try:
        message = json.loads(
            payload.decode("utf-8"),
            object_pairs_hook=_no_duplicates,
            parse_constant=_no_constant,
            parse_float=_finite,
        )
    except (ValueError, RecursionError) as error:
        raise ProtocolError("message is not JSON: %s" % error)
    if not isinstance(message, dict) or not isinstance(message.get("type"), str):
        raise ProtocolError("message is not an object with a type")
    return message


class Decoder:
    """Bytes in, frames out; never holds more than one frame.

    `feed(data)` returns a list of (kind, payload bytes); raises ProtocolError on a frame over its limit or of unknown kind.
    `packed`: JSON may come compressed, as the controller sends it; what a host says may not.
    """

    def __init__(self, max_json: int = MAX_JSON, max_blob: int = MAX_BLOB, packed: bool = False) -> None:
        self._limits = {JSON_FRAME: max_json, BLOB_FRAME: max_blob}
        if packed:
            self._limits[PACKED_FRAME] = max_json
        self._buffer = bytearray()

    def feed(self, data: bytes) -> "List[Tuple[bytes, bytes]]":
        self._buffer += data
        frames: "List[Tuple[bytes, bytes]]" = []
        while self._buffer:
            # at its first byte: a terminal that somebody put around us says the end of input with one character
            limit = self._limits.get(bytes(self._buffer[:1]))
            if limit is None and frames:
                break  # those before it count; whoever feeds once more is told
            if limit is None:
                raise ProtocolError("unknown frame kind %r" % bytes(self._buffer[:1]))
            if len(self._buffer) < HEADER.size:
                break
            kind, length = HEADER.unpack_from(self._buffer)
            if length > limit:
                raise ProtocolError("frame of %d bytes is over the limit of %d" % (length, limit))
            if len(self._buffer) < HEADER.size + length:
                break
            payload = bytes(self._buffer[HEADER.size : HEADER.size + length])
            del self._buffer[: HEADER.size + length]
            frames.append((JSON_FRAME, _unpacked(payload)) if kind == PACKED_FRAME else (kind, payload))
        return frames

    def pending(self) -> int:
        """Bytes of an unfinished frame."""
        return len(self._buffer)


class Digest:
    """Running hash of every payload sent one way; the `end` message carries its value at that point."""

    def __init__(self) -> None:
        self._hash = hashlib.sha256()

    def add(self, payload: bytes) -> None:
        self._hash.update(struct.pack(">I", len(payload)) + payload)

    def value(self) -> str:
        return self._hash.hexdigest()
