"""Addresses: `service:nginx`, `web01/service:nginx`. Parsed and printed here only.

The same string stands in plans, JSON, JUnit, URLs, `--only`, `after` and `notify`.
"""

import re
from typing import NamedTuple

TYPE_PATTERN = re.compile(r"[a-z][a-z0-9_]*")
_ADDRESS = re.compile(r"(?:(?P<host>[^/]+)/)?(?P<type>[a-z][a-z0-9_]*):(?P<name>.+)", re.DOTALL)


class Address(NamedTuple):
    type: str
    name: str
    host: str = ""

    def __str__(self) -> str:
        prefix = f"{self.host}/" if self.host else ""
        return f"{prefix}{self.type}:{self.name}"

    def on(self, host: str) -> "Address":
        return Address(self.type, self.name, host)


def parse_address(text: str) -> Address | None:
    """Read an address; None when the text is not one.

    A colon before the first slash ends a type, so a path that holds colons (`file:/etc/a:b/c`) is never taken for a host.
    """
    head, colon, name = text.partition(":")
    if colon and name and TYPE_PATTERN.fullmatch(head):
        return Address(head, name)
    match = _ADDRESS.fullmatch(text)
    if match is None:
        return None
    return Address(match["type"], match["name"], match["host"] or "")
