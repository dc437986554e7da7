"""What one host may make the controller keep in one conversation, and in which order it may speak.

A host speaks of the resources of its catalogue once each, and of others only as what it remembers from before. Text beyond
the room for it is left out and said to be left out: neither a flood nor a giant costs more than this.
"""

from collections.abc import Container, Iterable, Mapping
from functools import lru_cache
from typing import Any

from statectl.errors import Unreachable

ROOM = 8 * 1024 * 1024  # characters of diffs, reasons and outputs that are kept
SHORT = 200  # characters that are always kept of a text
FEW = 5  # entries that are always kept of a list
ROOM_FOR_ELSE = (
    8 * 1024 * 1024
)  # characters of all that is said of addresses which the catalogue does not have: orphans
MAX_WORDS = 20_000  # messages that say only that something is going on
MAX_CONTENTS = 2  # times that one content is sent: a host that lost it may ask once more

BEFORE_GO = frozenset({"need", "right", "verdict", "planned", "end"})
AFTER_GO = frozenset({"need", "right", "result", "notified", "end"})


class Heard:
    """Judges the messages of one host. Raises Unreachable (E321) for what no executor says."""

    def __init__(self) -> None:
        self._room = ROOM
        self._room_for_else = ROOM_FOR_ELSE
        self._told: set[tuple[str, str]] = set()
        self._words = 0
        self._contents: dict[str, int] = {}

    def in_turn(self, kind: str, expected: Iterable[str]) -> None:
        """Refuse a message that is not due, and words without end."""
        if kind in ("log", "waiting"):
            self._words += 1
            if self._words > MAX_WORDS:
                raise _not_in_the_protocol(f"more than {MAX_WORDS:,} messages that say nothing")
        elif kind not in expected:
            raise _not_in_the_protocol(f"{kind} came when it was not due")

    def kept(self, message: Mapping[str, Any], declared: Container[str]) -> dict[str, Any]:
        """The message, shortened when there is no more room. Refuses a second verdict or result of one address."""
        kind, address = str(message["type"]), str(message["address"])
        again = kind == "notified"  # each association may have the same service restarted
        if not again and (kind, address) in self._told:
            raise _not_in_the_protocol(f"{kind} came twice for one address")
        self._told.add((kind, address))
        self._room -= size(message)
        short = dict(message) if self._room >= 0 else shortened(message)
        if again or address not in declared:
            self._room_for_else -= size(short)
            if self._room_for_else < 0:
                raise _not_in_the_protocol("the host tells of more resources than it may have")
        return short

    def right(self, message: Mapping[str, Any], declared: Container[str], due: str) -> None:
        """These addresses are as wanted: it stands for a message of kind `due` for each, and is refused as one would be."""
        kind, addresses = message["of"], message["addresses"]
        if kind != due:
            raise _not_in_the_protocol(f"{kind} came when it was not due")
        for address in addresses:
            if (kind, address) in self._told:
                raise _not_in_the_protocol(f"{kind} came twice for one address")
            self._told.add((kind, address))
            if address not in declared:
                self._room_for_else -= size(address)
        self._room -= sum(map(size, addresses))
        if self._room_for_else < 0:
            raise _not_in_the_protocol("the host tells of more resources than it may have")

    def contents(self, wanted: Iterable[str]) -> None:
        """Refuse to send one content again and again."""
        for sha256 in wanted:
            self._contents[sha256] = self._contents.get(sha256, 0) + 1
            if self._contents[sha256] > MAX_CONTENTS:
                raise _not_in_the_protocol("the host asked for one content again and again")


@lru_cache(maxsize=10_000)
def right_result(address: str) -> dict[str, Any]:
    """The result of a resource that is as wanted, as its own message would say it. One for all hosts that have it: not to be changed."""
    return {
        "type": "result",
        "address": address,
        "outcome": "ok",
        "action": "none",
        "changes": [],
        "kind": "",
        "reason": "",
        "error": None,
        "duration_ms": 0,
    }


def size(value: Any) -> int:
    """About how many characters and values something holds."""
    if isinstance(value, str):
        return len(value) + 8
    if isinstance(value, Mapping):
        return 16 + sum(len(key) + 8 + size(item) for key, item in value.items())
    if isinstance(value, list):
        return 16 + sum(map(size, value))
    return 8


def shortened(message: Mapping[str, Any]) -> dict[str, Any]:
    """Without diffs, values and outputs; a field whose difference is left out counts as too large for a diff."""
    short = dict(message)
    if short.get("changes"):
        short["changes"] = [
            {"field": change["field"][:SHORT], "secret" if change.get("secret") else "binary": True}
            for change in short["changes"][:FEW]
        ]
    for key in ("reason", "association", "found_hash", "verb"):
        if short.get(key):
            short[key] = short[key][:SHORT]
    if short.get("error"):
        short["error"] = {key: str(short["error"].get(key, ""))[:SHORT] for key in ("message", "cause")}
    for key in ("predicted_after", "unknown_until", "notify", "because"):
        if short.get(key):
            short[key] = [text[:SHORT] for text in short[key][:FEW]]
    return short


def _not_in_the_protocol(what: str) -> Unreachable:
    return Unreachable(f"the host's answer is not in the protocol: {what}", code="E321")
