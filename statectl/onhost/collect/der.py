"""As much of an X.509 certificate in DER as an inventory wants. Small and strict: what is not as RFC 5280 says is a ValueError."""

import re
from typing import TYPE_CHECKING, NamedTuple, Sequence

if TYPE_CHECKING:
    from typing import Iterator, List, Optional, Tuple

SEQUENCE, SET, INTEGER, BOOLEAN, OID = 0x30, 0x31, 0x02, 0x01, 0x06
OCTETS, UTC_TIME, GENERALIZED_TIME = 0x04, 0x17, 0x18
VERSION, EXTENSIONS = 0xA0, 0xA3  # [0] and [3] of a TBSCertificate
DNS_NAME, IP_ADDRESS = 0x82, 0x87  # [2] and [7] of a GeneralName
COMMON_NAME, ORGANISATION, ALTERNATIVE_NAMES = b"\x55\x04\x03", b"\x55\x04\x0a", b"\x55\x1d\x11"
TEXTS = {0x0C: "utf-8", 0x13: "ascii", 0x14: "latin-1", 0x16: "ascii", 0x1E: "utf-16-be", 0x12: "ascii"}
MAX_NAMES = 50
# fmt: off
LABELS = {
    b"\x55\x04\x03": "CN", b"\x55\x04\x06": "C", b"\x55\x04\x07": "L", b"\x55\x04\x08": "ST", b"\x55\x04\x0a": "O",
    b"\x55\x04\x0b": "OU",
}
# fmt: on


class Certificate(NamedTuple):
    """Times as 2026-11-23T18:00:00Z; serial in hexadecimal; subject and issuer as CN=..., O=..."""

    subject: str
    issuer: str
    names: Sequence[str]
    not_before: str
    not_after: str
    serial: str


def certificate(data: bytes) -> Certificate:
    """Raises ValueError."""
    outer, end = _read(data, 0, len(data), SEQUENCE)
    if end != len(data):
        raise ValueError("something follows the certificate")
    body, _ = _read(data, outer, end, SEQUENCE)
    _, stop = _read(data, outer, end, SEQUENCE)
    parts = list(_parts(data, body, stop))
    if parts and parts[0][0] == VERSION:
        del parts[0]
    if len(parts) < 6 or [part[0] for part in parts[:6]] != [INTEGER] + [SEQUENCE] * 5:
        raise ValueError("not the parts of a certificate")
    serial = data[parts[0][1] : parts[0][2]]
    times = [_time(tag, data[first:last]) for tag, first, last in _parts(data, parts[3][1], parts[3][2])]
    if len(times) != 2:
        raise ValueError("not a validity")
    names: "List[str]" = []
    for tag, first, last in parts[6:]:
        if tag == EXTENSIONS:
            names = _alternative_names(data, first, last)
    return Certificate(
        _name(data, parts[4][1], parts[4][2]),
        _name(data, parts[2][1], parts[2][2]),
        names[:MAX_NAMES],
        times[0],
        times[1],
        "".join("%02x" % byte for byte in bytearray(serial)).lstrip("0") or "0",
    )


def _read(data: bytes, place: int, stop: int, expected: "Optional[int]" = None) -> "Tuple[int, int]":
    """One element at `place` -> (where its content begins, where it ends)."""
    if place + 2 > stop:
        raise ValueError("it ends too early")
    tag, length, begin = data[place], data[place + 1], place + 2
    if expected is not None and tag != expected:
        raise ValueError("unexpected element %d" % tag)
    if length == 0x80 or length > 0x84:
        raise ValueError("a length that DER does not have")
    if length > 0x80:
        count = length - 0x80
        length = int.from_bytes(data[begin : begin + count], "big")
        if length < 0x80 or data[begin] == 0:
            raise ValueError("a length that is not as short as can be")
        begin += count
    if begin + length > stop:
        raise ValueError("it ends too early")
    return begin, begin + length


def _parts(data: bytes, place: int, stop: int) -> "Iterator[Tuple[int, int, int]]":
    """(tag, begin, end) of each element."""
    while place < stop:
        begin, end = _read(data, place, stop)
        yield data[place], begin, end
        place = end


def _time(tag: int, text: bytes) -> str:
    """UTCTime and GeneralizedTime as RFC 5280 has them: to the second, in UTC. Years below 50 are those of this century."""
    shape = {UTC_TIME: rb"[0-9]{12}Z\Z", GENERALIZED_TIME: rb"[0-9]{14}Z\Z"}.get(tag)
    if shape is None or re.match(shape, text) is None:
        raise ValueError("not a time")
    digits = text[:-1].decode("ascii")
    if tag == UTC_TIME:
        digits = ("20" if int(digits[:2]) < 50 else "19") + digits
    from datetime import datetime

    year, month, day, hour, minute, second = (
        int(digits[a:b]) for a, b in ((0, 4), (4, 6), (6, 8), (8, 10), (10, 12), (12, 14))
    )
    datetime(year, month, day, hour, minute, second)  # noqa: DTZ001  raises ValueError for what no calendar has
    return "%s-%s-%sT%s:%s:%sZ" % (digits[:4], digits[4:6], digits[6:8], digits[8:10], digits[10:12], digits[12:])


def _name(data: bytes, place: int, stop: int) -> str:
    """A Name as CN=..., O=...; attributes without a short label are left out."""
    words = []
    for tag, first, last in _parts(data, place, stop):
        if tag != SET:
            raise ValueError("not a name")
        for inner, begin, end in _parts(data, first, last):
            pair = list(_parts(data, begin, end))
            if inner != SEQUENCE or len(pair) != 2 or pair[0][0] != OID:
                raise ValueError("not a name")
            label = LABELS.get(data[pair[0][1] : pair[0][2]])
            if label:
                words.append("%s=%s" % (label, _text(pair[1][0], data[pair[1][1] : pair[1][2]])))
    return ", ".join(words)


def _text(tag: int, data: bytes) -> str:
    if tag not in TEXTS:
        raise ValueError("not a text")
    return data.decode(TEXTS[tag], "replace")


def _alternative_names(data: bytes, place: int, stop: int) -> "List[str]":
    found: "List[str]" = []
    first, last = _read(data, place, stop, SEQUENCE)
    for tag, begin, end in _parts(data, first, last):
        parts = list(_parts(data, begin, end))
        if tag != SEQUENCE or len(parts) < 2 or parts[0][0] != OID or parts[-1][0] != OCTETS:
            raise ValueError("not an extension")
        if data[parts[0][1] : parts[0][2]] != ALTERNATIVE_NAMES:
            continue
        inner, over = _read(data, parts[-1][1], parts[-1][2], SEQUENCE)
        for kind, name, after in _parts(data, inner, over):
            if kind == DNS_NAME:
                found.append(data[name:after].decode("ascii", "replace"))
            elif kind == IP_ADDRESS and after - name in (4, 16):
                found.append(_address(data[name:after]))
    return found


def _address(data: bytes) -> str:
    import _socket as socket

    return socket.inet_ntop(socket.AF_INET if len(data) == 4 else socket.AF_INET6, data)
