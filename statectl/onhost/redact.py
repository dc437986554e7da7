"""Masks secret values wherever they turn up in what leaves this host: raw, line by line, base64, hex, URL-encoded, JSON-escaped.

The second line of defence: fields known to be secret are left out when a change is made. This catches a secret in a command's
output, an error text, or the old content of some other file.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Dict, Iterable, Iterator, List, Optional, Set

    from statectl.onhost.shapes import JSON, Change, Message

MASK = "\u2039secret\u203a"
MIN_LENGTH = 4  # shorter values stand in every second word; masking them would tell more than it hides
MIN_LINE = 8  # of one line of a secret, for the same reason
WRAPPED = (64, 76)  # columns at which base64 is folded: keys and certificates, mail and base64(1)
UNRESERVED = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")
WORTH_A_LOOK = 8  # characters of text per needle, above which one search a needle is faster than one look a character
PLAIN_IN_URLS = (b"", b"/", b"!*'()")  # what the encoders in use leave as it is besides


class Redactor(object):
    """values: iterable of str. Longest first, so that a secret inside another leaves no rest.

    Its encodings are worked out when the first text is looked at: most sessions have nothing to say.
    """

    def __init__(self, values: "Iterable[str]" = ()) -> None:
        self._values = {value for value in values if value}
        self._needles: "Optional[List[str]]" = None
        self._beginnings: "Dict[str, List[str]]" = {}

    def text(self, text: str) -> str:
        for needle in self._candidates(text) if text and self._values else ():
            if needle in text:
                text = text.replace(needle, MASK)
        return text

    def _candidates(self, text: str) -> "List[str]":
        """What may be in the text, longest first: of very many needles those whose beginning is in a short text."""
        if self._needles is None:
            found: "Set[str]" = set()
            for value in self._values:
                found.update(form for form in _forms(value) if len(form) >= MIN_LENGTH)
            self._needles = sorted(found, key=len, reverse=True)
            for needle in self._needles:
                self._beginnings.setdefault(needle[:MIN_LENGTH], []).append(needle)
        if len(text) > WORTH_A_LOOK * len(self._needles):
            return self._needles
        there = {text[at : at + MIN_LENGTH] for at in range(len(text) - MIN_LENGTH + 1)}
        few = [needle for beginning in there for needle in self._beginnings.get(beginning, ())]
        return sorted(few, key=len, reverse=True)

    def message(self, message: "Message") -> "Message":
        """A verdict, result, notification or log line as it may be sent and stored."""
        masked = dict(message)
        if masked.get("changes"):
            masked["changes"] = self.changes(masked["changes"])
        for key in ("reason", "error", "text"):
            if masked.get(key):
                masked[key] = self.clean(masked[key])
        return masked

    def changes(self, changes: "List[Change]") -> "List[Change]":
        """A list of changes, all of it but the names of the fields."""
        return [{key: item if key == "field" else self.clean(item) for key, item in one.items()} for one in changes]

    def clean(self, value: "JSON") -> "JSON":
        """The same JSON-able value with every text in it masked; keys too."""
        if not self._values:
            return value
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, dict):
            return {self.text(key): self.clean(item) for key, item in value.items()}
        if isinstance(value, (list, tuple)):
            return [self.clean(item) for item in value]
        return value


def _forms(value: str) -> "Iterator[str]":
    stripped = value.strip()
    texts = {value, stripped}
    # a diff or a log shows a key line by line
    lines = {line.strip() for line in value.splitlines()}
    texts.update(line for line in lines if len(line) >= MIN_LINE)
    for text in texts:
        yield text
        data = text.encode("utf-8", "surrogateescape")
        for form in _base64(data):
            yield form
        for form in _hex(data):
            yield form
        for form in _url(data):
            yield form
        for form in _json(text):
            yield form


def _base64(data: bytes) -> "Iterator[str]":
    """Both alphabets, at each of the three offsets in a longer text, without the characters that depend on its neighbours."""
    import binascii

    for offset in range(3):
        ended = binascii.b2a_base64(b"\0" * offset + data).decode("ascii").rstrip("\n")[(0, 2, 3)[offset] :]
        whole = ended.rstrip("=")
        inner = whole[:-1] if (offset + len(data)) % 3 else whole
        pieces = [ended, whole, inner]
        if offset == 0:
            for columns in WRAPPED:
                pieces += [inner[at : at + columns] for at in range(0, len(inner), columns)] if inner[columns:] else []
        for piece in pieces:
            if len(piece) >= MIN_LINE or piece is inner:
                yield piece
                yield piece.replace("+", "-").replace("/", "_")


def _hex(data: bytes) -> "Iterator[str]":
    import binascii

    digits = binascii.hexlify(data).decode("ascii")
    yield digits
    yield digits.upper()
    pairs = [digits[at : at + 2] for at in range(0, len(digits), 2)]
    for between in (":", " "):
        yield between.join(pairs)
        yield between.join(pairs).upper()


def _url(data: bytes) -> "Iterator[str]":
    for plain in PLAIN_IN_URLS:
        kept = UNRESERVED.union(plain)
        for code in ("%%%02X", "%%%02x"):
            encoded = [chr(byte) if byte in kept else code % byte for byte in bytearray(data)]
            yield "".join(encoded)
            yield "".join("+" if text == "%20" else text for text in encoded)


def _json(text: str) -> "Iterator[str]":
    import json

    for ascii_only in (True, False):
        escaped = json.dumps(text, ensure_ascii=ascii_only)[1:-1]
        yield escaped
        yield escaped.replace("/", "\\/")
        yield json.dumps(escaped)[1:-1]  # JSON in JSON, as in a log
