"""Wanted against found: which fields differ, what that means, and hashes of both. No I/O, and nothing is decided here."""

import hashlib
import hmac
import json
from typing import TYPE_CHECKING, Any

from statectl.onhost.content import Content, SecretText

if TYPE_CHECKING:
    from typing import Dict, Tuple

    from statectl.onhost.shapes import JSON, Found, Keyed, Record, ResourceType

GONE = ("absent", "purged")


def compared(module: "ResourceType", want: "Record") -> "Tuple[str, ...]":
    """Names of the fields that count for this wanted record, in the type's order.

    want.state         fields
    absent, purged     state alone
    anything else      every field that is not None, but for name and the type's OPTIONS
    """
    if getattr(want, "state", None) in GONE:
        return ("state",)
    options = getattr(module, "OPTIONS", ())
    return tuple(
        field for field in want._fields if field != "name" and field not in options and getattr(want, field) is not None
    )


def is_absent(found: "Found") -> bool:
    """Is nothing there? A type without a state answers None for that."""
    return found is None or getattr(found, "state", None) in GONE


def differing(module: "ResourceType", want: "Record", found: "Found") -> "Tuple[str, ...]":
    """Names of the fields that are not as wanted; () when all are.

    found               want gone    want there
    nothing             ()           every compared field
    purged, absent      ()  (absent where purged is wanted: state)
    something           state        those for which the type's same(), or ==, says no; or those that its differs() names
    """
    own = getattr(module, "differs", None)
    if own is not None:
        return tuple(own(want, found))
    fields = compared(module, want)
    if want_gone(want):
        if found is None or found.state == want.state or (found.state == "purged" and want.state == "absent"):
            return ()
        return ("state",)
    if is_absent(found):
        return fields
    same = getattr(module, "same", _equal)
    return tuple(field for field in fields if not same(field, getattr(want, field), getattr(found, field)))


def _equal(field: str, wanted: object, found: object) -> bool:  # noqa: ARG001  the shape of a type's same()
    return wanted == found


def want_gone(want: "Record") -> bool:
    return getattr(want, "state", None) in GONE


def action(module: "ResourceType", want: "Record", found: "Found") -> str:
    """The word for making `want` so: run, remove, add or change."""
    if getattr(module, "KIND_RUN", False):
        return "run"
    if want_gone(want):
        return "remove"
    return "add" if is_absent(found) else "change"


# -- plain data


def raw(text: str) -> str:
    """SecretText or str -> str with its real characters."""
    return "".join(text) if isinstance(text, SecretText) else text


def plain(value: "Any", keyed: "Keyed") -> "JSON":
    """A field's value as JSON-able data. Secrets become {"$keyed": hash}; keyed(bytes) -> hex makes it."""
    if isinstance(value, Content):
        if value.secret:
            return {"$keyed": keyed(value.sha256.encode("ascii")), "size": value.size}
        return {"sha256": value.sha256, "size": value.size}
    if isinstance(value, SecretText):
        return {"$keyed": keyed(raw(value).encode("utf-8", "surrogateescape"))}
    if isinstance(value, bytes):
        return {"sha256": hashlib.sha256(value).hexdigest(), "size": len(value)}
    if isinstance(value, dict):
        return {raw(key) if isinstance(key, str) else str(key): plain(item, keyed) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item, keyed) for item in value]
    if isinstance(value, (set, frozenset)):
        return sorted((plain(item, keyed) for item in value), key=json.dumps)
    return value


def holds_keyed(value: "JSON") -> bool:
    """Is there a secret in a want as the ledger keeps it?"""
    if isinstance(value, dict):
        return "$keyed" in value or any(holds_keyed(item) for item in value.values())
    return isinstance(value, (list, tuple)) and any(holds_keyed(item) for item in value)


def record_hash(fields: "Dict[str, Any]", keyed: "Keyed") -> str:
    """{field: value} -> hex, equal for equal values on this host."""
    data = json.dumps(plain(fields, keyed), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(data.encode("ascii")).hexdigest()


def found_hash(module: "ResourceType", want: "Record", found: "Found", keyed: "Keyed", hide: bool) -> str:
    """Hash of what was found, of the compared fields only: what nobody manages may move.

    hide: the values are secret, so the hash is a keyed one and tells nothing outside of this host.
    """
    if found is None:
        fields: Any = {"state": "absent"}
    elif is_absent(found):
        fields = {"state": found.state}
    else:
        fields = {field: getattr(found, field) for field in compared(module, want)}
        fields["state"] = getattr(found, "state", None)
    value = record_hash(fields, keyed)
    return keyed(value.encode("ascii")) if hide else value


def same_hash(one: str, other: str) -> bool:
    return hmac.compare_digest(one, other)
