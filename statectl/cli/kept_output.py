"""What is kept of one stream of a command's output: all of it, or its two ends and how much stood between."""

HALF = 3 * 1024 * 1024  # bytes of each end


class KeptOutput:
    """`add` as it comes, `bytes()` for what is there. Never holds more than two halves."""

    def __init__(self, half: int = HALF) -> None:
        self._half = half
        self._first = bytearray()
        self._last = bytearray()
        self.left_out = 0

    def add(self, data: bytes) -> None:
        room = self._half - len(self._first)
        if room > 0:
            self._first += data[:room]
            data = data[room:]
        self._last += data
        if len(self._last) > self._half:
            self.left_out += len(self._last) - self._half
            del self._last[: -self._half]

    def __bytes__(self) -> bytes:
        if not self.left_out:
            return bytes(self._first + self._last)
        return b"".join((self._first, b"\n[%d bytes left out]\n" % self.left_out, self._last))

    def __bool__(self) -> bool:
        return bool(self._first)
