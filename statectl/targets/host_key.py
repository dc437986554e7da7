"""A public host key as it is pinned: type and key, as a line of known_hosts has them behind the host."""

import base64
import binascii
import re

_TEXT = re.compile(
    r"(?P<type>ssh-(?:ed25519|rsa)|ecdsa-sha2-nistp(?:256|384|521)|sk-[a-z0-9@.-]+) (?P<key>[A-Za-z0-9+/]+={0,3})"
)
EXPECTED = "expected a public host key: TYPE BASE64, as known_hosts has it"


def host_key_problem(text: str) -> str:
    """What is wrong with it, '' when nothing is. The key itself begins with its type again, and must say the same."""
    match = _TEXT.fullmatch(text)
    if match is None:
        return EXPECTED
    try:
        key = base64.b64decode(match["key"], validate=True)
    except binascii.Error:
        return f"{EXPECTED}; what stands behind {match['type']} is no whole base64"
    named = match["type"].encode()
    if key[: 4 + len(named)] != len(named).to_bytes(4, "big") + named or len(key) < 4 + len(named) + 32:
        return f"{EXPECTED}; what stands behind {match['type']} is no key of that type"
    return ""
