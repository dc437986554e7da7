"""Host patterns of Ansible inventories: the name, and the port that may follow it."""

import re

from statectl.targets.names import is_ip_address

_BRACKETED = re.compile(r"\[(.+)\]:([0-9]{1,9})")
_WITH_PORT = re.compile(r"((?:[^:\[\]]|\[[^\]]*\])+):([0-9]{1,9})")


def split_port(pattern: str) -> tuple[str, int | None]:
    """`name:22`, `[2001:db8::1]:22` and plain names; ranges such as `web[1:3]` stay part of the name."""
    match = _BRACKETED.fullmatch(pattern) or _WITH_PORT.fullmatch(pattern)
    return (match[1], int(match[2])) if match is not None else (pattern, None)


def suspicious_ipv6(name: str) -> bool:
    """An IPv6 address whose last group looks like a port that somebody wrote without brackets."""
    return name.count(":") >= 2 and name.rpartition(":")[2] in ("22", "2222") and is_ip_address(name)
