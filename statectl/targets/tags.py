"""Tags that people set beside those of the inventory: the rules of AWS for keys and values, and who wins."""

import unicodedata
from collections.abc import Mapping
from dataclasses import replace

from statectl.targets.hosts import Inventory

MAX_KEY, MAX_VALUE, MAX_TAGS = 128, 256, 50
_SIGNS = "_.:/=+-@"
ALLOWED = f"letters, digits, spaces and {' '.join(_SIGNS)}"


def key_problem(key: str) -> str:
    """'' when a tag may have that key."""
    if not key.strip() or key != key.strip():
        return "the key of a tag must not be empty, nor begin or end with a space"
    if len(key) > MAX_KEY:
        return f"the key of a tag has at most {MAX_KEY} characters, this one {len(key)}"
    if not all(map(_allowed, key)):
        return f"the key of a tag holds {ALLOWED}"
    if key.lower().startswith("aws:"):
        return "keys that begin with aws: are those of AWS"
    if key.startswith("facts."):
        return "facts. is where a machine's own facts are"
    from statectl.targets.collected import is_collected

    return "such a name asks for collected inventory; give the tag another key" if is_collected(key) else ""


def value_problem(value: str) -> str:
    if len(value) > MAX_VALUE:
        return f"the value of a tag has at most {MAX_VALUE} characters, this one {len(value)}"
    return "" if all(map(_allowed, value)) else f"the value of a tag holds {ALLOWED}"


def _allowed(character: str) -> bool:
    return character in _SIGNS or unicodedata.category(character) in ("Zs", "Nd", "Nl", "No") or character.isalpha()


def with_stored(inventory: Inventory, stored: Mapping[str, Mapping[str, str]]) -> Inventory:
    """With the tags that are stored of its hosts. A key that the inventory declares keeps the inventory's value."""
    hosts = dict(inventory.hosts)
    for name, tags in stored.items():
        host = hosts.get(name)
        if host is not None and tags:
            hosts[name] = replace(host, tags={**host.tags, **tags, **host.tags}, stored_tags=tags)
    return replace(inventory, hosts=hosts)
