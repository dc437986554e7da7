"""Inputs from seeds: cut, repeated, swapped, with tokens that parsers trip over."""

import random

TOKENS = (
    b"\0", b"\xff", b"\xf0\x9f\x98\x80", b"\x1b[2J", b"{{", b"}}", b"{%", b"[", b"]", b"{", b"}", b"'", b'"', b":", b"\n", b"\t", b"-",
    b"&a ", b"*a", b"!!int ", b"1e999", b"NaN", b"9" * 40, b"..", b"/", b"~", b"|", b">", b"%", b",", b"[1-9999999999]", b"\xc2\xa0",
    b"\xed\xa0\x80", b"not ", b"and ", b"()", b"__class__", b"** ", b"\\",
)  # fmt: skip


def mutated(seed: bytes, other: bytes, chance: random.Random) -> bytes:
    """A few random changes of `seed`; `other` gives pieces."""
    data = bytearray(seed)
    for _ in range(chance.randint(1, 6)):
        at, length = chance.randint(0, len(data)), chance.randint(1, 12)
        what = chance.randrange(5)
        if what == 0:
            del data[at : at + length]
        elif what == 1:
            data[at:at] = chance.choice(TOKENS)
        elif what == 2:
            data[at:at] = data[at : at + length] * chance.randint(1, 40)
        elif what == 3:
            start = chance.randint(0, len(other))
            data[at : at + length] = other[start : start + length]
        elif data:
            data[at % len(data)] = chance.randrange(256)
    return bytes(data)
