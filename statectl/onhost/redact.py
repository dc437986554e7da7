"""Masks secret values wherever they turn up in what leaves this host: raw, line by line, base64 and URL-encoded.

The second line of defence: fields known to be secret are left out when a change is made. This catches a secret in a command's
output, an error text, or the old content of some other file.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Iterable, Iterator, List

    from statectl.onhost.shapes import JSON, Change

MASK = "\u2039secret\u203a"
MIN_LENGTH = 4  # shorter values stand in every second word; masking them would tell more than it hides


class Redactor(object):
    """values: iterable of str. Longest first, so that a secret inside another leaves no rest."""

    def __init__(self, values: "Iterable[str]" = ()) -> None:
        needles = set()
        for value in values:
            for form in _forms(value):
                if len(form) >= MIN_LENGTH:
                    needles.add(form)
        self._needles = sorted(needles, key=len, reverse=True)

    def text(self, text: str) -> str:
        for needle in self._needles:
            if needle in text:
                text = text.replace(needle, MASK)
        return text

    def bytes(self, data: bytes) -> bytes:
        for needle in self._needles:
            raw = needle.encode("utf-8", "surrogateescape")
            if raw in data:
                data = data.replace(raw, MASK.encode("utf-8"))
        return data

    def changes(self, changes: "List[Change]") -> "List[Change]":
        """A list of changes, all of it but the names of the fields."""
        return [{key: item if key == "field" else self.clean(item) for key, item in one.items()} for one in changes]

    def clean(self, value: "JSON") -> "JSON":
        """The same JSON-able value with every text in it masked; keys too."""
        if not self._needles:
            return value
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, dict):
            return {self.text(key): self.clean(item) for key, item in value.items()}
        if isinstance(value, (list, tuple)):
            return [self.clean(item) for item in value]
        return value


def _forms(value: str) -> "Iterator[str]":
    if not value:
        return
    yield value
    stripped = value.strip()
    yield stripped
    # a diff or a log shows a key line by line
    for line in value.splitlines():
        if len(line.strip()) >= 8:
            yield line.strip()
    import base64
    from urllib.parse import quote, quote_plus

    for text in {value, stripped}:
        data = text.encode("utf-8", "surrogateescape")
        # at each of the three offsets in a longer text, without the characters that depend on its neighbours
        for offset in range(3):
            encoded = base64.b64encode(b"\0" * offset + data).decode("ascii").rstrip("=")
            inner = encoded[(0, 2, 3)[offset] :]
            yield inner if (offset + len(data)) % 3 == 0 else inner[:-1]
        yield quote(data, safe="")
        yield quote_plus(data)
