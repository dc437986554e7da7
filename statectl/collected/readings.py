"""From what a host says it has to what the store keeps. A host is not believed: what does not fit its type ends the conversation."""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from statectl.errors import Unreachable
from statectl.store.collected import Reading
from statectl.targets.collected import TYPES, CollectedType

MAX_TYPES = 64
MAX_CUSTOM = 40
MAX_TOTAL = 12 * 1024 * 1024  # characters of all entries of one host
NOTES = "Custom"  # no type: what is told of files of custom types that are not as they should be


class Readings:
    """What one pass over one host told, message by message."""

    def __init__(self, known: Mapping[str, str]) -> None:
        self._known = known
        self._found: dict[str, Reading] = {}
        self._total = 0

    def add(self, message: Mapping[str, Any]) -> None:
        """A `collected` message that has passed `transport.messages`. Raises Unreachable."""
        name = str(message["name"])
        if name in self._found or len(self._found) >= MAX_TYPES:
            raise _refused("a type came twice" if name in self._found else "too many types")
        kind = TYPES.get(name)
        if kind is None and name != NOTES and not name.startswith("Custom:"):
            raise _refused("a type that is not known")
        if sum(one.startswith("Custom:") for one in self._found) > MAX_CUSTOM:
            raise _refused("too many custom types")
        state = str(message["state"])
        if state == "same" and message.get("hash") != self._known.get(name, ""):
            raise _refused("it says that nothing changed of what it never told")
        if state != "content":
            self._found[name] = Reading(name, state, reason=str(message.get("reason") or ""))
            return
        if name == NOTES or any(key not in message for key in ("hash", "columns", "rows")):
            raise _refused("content without columns, rows and hash")
        columns = [str(column) for column in message["columns"]]
        if kind is not None and columns != [one.name for one in kind.attributes]:
            raise _refused(f"other attributes than {name} has")
        self._found[name] = self._content(name, kind, columns, message)

    def all(self) -> list[Reading]:
        return list(self._found.values())

    def _content(
        self, name: str, kind: CollectedType | None, columns: Sequence[str], message: Mapping[str, Any]
    ) -> Reading:
        left_out = int(message.get("left_out", 0))
        digest = str(message["hash"])
        if kind is not None and not kind.lasting:
            latest = json.dumps([_entry(columns, row) for row in message["rows"]], separators=(",", ":"))
            self._count(len(latest))
            return Reading(name, "content", digest, left_out=left_out, latest=latest)
        own = kind.own if kind is not None else ""
        entries = []
        for row in message["rows"]:
            entry = _entry(columns, row)
            at = epoch(entry.pop(own, None)) if own else 0
            text = json.dumps(entry, separators=(",", ":"), ensure_ascii=False)
            self._count(len(text))
            entries.append((entry_name(kind, entry), text, at))
        return Reading(name, "content", digest, left_out=left_out, entries=entries, timed=bool(own))

    def _count(self, characters: int) -> None:
        self._total += characters
        if self._total > MAX_TOTAL:
            raise _refused(f"more than {MAX_TOTAL:,} characters")


def entry_name(kind: CollectedType | None, entry: Mapping[str, Any]) -> str:
    """What an expression calls the entry; '' when entries of its type have no names."""
    if kind is None:
        return str(entry.get("Name") or "")[:2048]
    first, *rest = (str(entry.get(name) or "") for name in (*kind.key, ""))
    return "/".join([first.rstrip("/") if any(rest) else first, *filter(None, rest)])[:2048]


def _entry(columns: Sequence[str], row: Sequence[Any]) -> dict[str, Any]:
    """What is not there is left out."""
    if len(row) != len(columns):
        raise _refused("an entry with more or fewer values than columns")
    return {column: value for column, value in zip(columns, row, strict=True) if value is not None and value != ""}


def epoch(text: Any) -> int:
    """2026-11-23T18:00:00Z -> seconds since 1970; 0 when it is no time."""
    try:
        return int(datetime.strptime(str(text), "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC).timestamp())
    except ValueError:
        return 0


def shown_moment(seconds: int) -> str | None:
    """The other way round."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if seconds > 0 else None


def _refused(what: str) -> Unreachable:
    return Unreachable(f"the host's answer is not in the protocol: {what}", code="E321")
