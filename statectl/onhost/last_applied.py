"""Drift: the catalogue of what was applied last, from the host's own ledger. No controller is needed to know it.

Contents come from the copies that the host keeps; where a copy is gone, the difference is told by hash and size. What was
wanted with a secret in it is known as a keyed hash only, and compared by that.
"""

from typing import TYPE_CHECKING, Any

from statectl.onhost.content import Content, SecretText
from statectl.onhost.wanted import Reader

if TYPE_CHECKING:
    from typing import Dict, List

    from statectl.onhost.memory import Memory
    from statectl.onhost.shapes import JSON, Fetch, Keyed, Message


def catalogue(memory: "Memory", host: str) -> "Message":
    """The message `catalogue` as the ledger tells it, without commands: they are run, and leave nothing to compare."""
    entries = sorted(memory.ledger.items(), key=lambda pair: (pair[1].get("position", 0), pair[0]))
    # want_hash '': it is not known that this state was ever reached
    entries = [(address, entry) for address, entry in entries if not entry.get("command") and entry.get("want_hash")]
    names = sorted({entry["association"] for _, entry in entries})
    return {
        "type": "catalogue",
        "format": 1,
        "host": host,
        "associations": [{"name": name} for name in names],
        "resources": [
            {
                "address": address,
                "type": address.partition(":")[0],
                "association": entry["association"],
                "owners": entry["owners"],
                "phase": 0,
                "notify": [],
                "want": entry["want"],
                "sensitive": entry.get("sensitive", False),
                "on_removal": entry.get("on_removal"),
                "protect": entry.get("protect", False),
            }
            for address, entry in entries
        ],
    }


class LedgerReader(Reader):
    """Turns wants of the ledger into Desired: texts with secrets are there as keyed hashes."""

    def __init__(self, keyed: "Keyed") -> None:
        super(LedgerReader, self).__init__({}, keyed)

    def _value(self, field: str, value: "JSON") -> "JSON":
        if isinstance(value, dict) and set(value) == {"$keyed"}:
            if field == "content":
                return KeyedContent(value["$keyed"], self._keyed)
            return KeyedText.of(value["$keyed"], self._keyed)
        return super(LedgerReader, self)._value(field, value)

    def masked(self, value: "JSON") -> "JSON":
        return value  # it is as it was stored


class KeyedText(SecretText):
    """A text of which only the keyed hash is known: equal to a text with that hash."""

    identity = ""
    keyed: Any = None

    @classmethod
    def of(cls, identity: str, keyed: "Keyed") -> "KeyedText":
        self = cls("")
        self.identity, self.keyed = identity, keyed
        return self

    def __eq__(self, other: object) -> bool:
        return isinstance(other, str) and self.keyed(other.encode("utf-8", "surrogatepass")) == self.identity

    def __ne__(self, other: object) -> bool:
        return not self == other

    __hash__ = None  # type: ignore[assignment]  # equal to what it was not made of, so no key of a map


class KeyedContent(Content):
    """A content of which only the keyed hash is known."""

    __slots__ = ("identity", "keyed")

    def __init__(self, identity: str, keyed: "Keyed") -> None:
        super(KeyedContent, self).__init__("", 0, b"", secret=True)
        self.identity, self.keyed = identity, keyed

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Content) and self.keyed(other.read()) == self.identity

    def __ne__(self, other: object) -> bool:
        return not self == other

    __hash__ = None  # type: ignore[assignment]  # equal to what it was not made of, so no key of a map


def fetch_from(memory: "Memory", known: "Dict[str, List[Content]]") -> "Fetch":
    """A `fetch` that delivers what the host has copies of. known: {sha256: [Content, ...]}."""

    def fetch(contents: "List[Content]") -> None:
        for content in contents:
            kept = memory.preimages.get(content.sha256)
            if kept is not None:
                for waiting in known.get(content.sha256, ()):
                    waiting.deliver(memory.preimages.path(content.sha256))

    return fetch
