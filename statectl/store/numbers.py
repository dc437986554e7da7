"""Lists of numbers as the store keeps them: packed, and the same bytes on every machine."""

import sys
import zlib
from array import array
from collections.abc import Sequence

IDS, MOMENTS = "i", "q"  # of an array: four and eight bytes, the lowest first
LEVEL = 6


def packed_numbers(numbers: Sequence[int], code: str = IDS) -> bytes:
    found = array(code, numbers)
    if sys.byteorder == "big":
        found.byteswap()
    return zlib.compress(found.tobytes(), LEVEL)


def numbers_of(data: bytes, code: str = IDS) -> "array[int]":
    """Of bytes that were decompressed already."""
    found = array(code)
    found.frombytes(data)
    if sys.byteorder == "big":
        found.byteswap()
    return found


def unpacked_numbers(data: bytes, code: str = IDS) -> "array[int]":
    return numbers_of(zlib.decompress(data), code)
