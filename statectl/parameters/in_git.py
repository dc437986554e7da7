"""Ciphertext of single values, for those who keep secrets in git: `cipher:TEXT`, bound to the parameter's name.

A ciphertext is made once for a value and stays while the value does, so that a difference of files is a difference of values. Whoever has the
outer key reads it; nobody needs it to see that a value changed.
"""

import base64
import binascii
import hashlib
import re
import secrets
import struct
from collections.abc import Iterable

from statectl.errors import Refused
from statectl.parameters import crypto
from statectl.parameters.keys import Keys
from statectl.secrets import Secret

PREFIX = "cipher:"
_FORM = 1
_LIFE = "git"  # stands for a life of the store: neither opens as the other
TOKEN = re.compile(r"cipher:([A-Za-z0-9_-]{60,})")


def encrypted(keys: Keys, name: str, secret: Secret, before: str = "") -> str:
    """What to write behind `value_from`. `before`: what stands there; it is given back when it holds the same value."""
    if before and same(keys, before, secret):
        return before
    if not keys.outer.exists():
        keys.outer.create()
    data_key = crypto.new_data_key()
    key_id, wrapped = keys.outer.wrap(data_key, name)
    cipher = crypto.seal(secret, data_key, name=name, life=_LIFE, version=0)
    parts = [name.encode(), key_id.encode(), wrapped]
    packed = bytes([_FORM]) + b"".join(struct.pack(">H", len(part)) + part for part in parts) + cipher
    return PREFIX + base64.urlsafe_b64encode(packed).decode().rstrip("=")


def decrypted(keys: Keys, text: str) -> tuple[str, Secret]:
    """(name, value). Raises Refused: E626 when it is no ciphertext, E619 without its key, E620 when it was changed."""
    name, key_id, wrapped, cipher = _parts(text)
    data_key = keys.unwrap(key_id, wrapped, name, 0)
    try:
        return name, crypto.unseal(cipher, data_key, name=name, life=_LIFE, version=0)
    except Refused:
        raise Refused(
            f"the ciphertext of {name} was changed",
            code="E620",
            hint=f"statectl parameter encrypt {name} makes a new one",
        ) from None


def name_of(text: str) -> str:
    """For which parameter it says it was made; that it was is known once it is decrypted. Raises Refused (E626)."""
    return _parts(text)[0]


def same(keys: Keys, text: str, secret: Secret) -> bool:
    """Does it hold this value? False also where it cannot be read."""
    try:
        _, held = decrypted(keys, text)
    except Refused:
        return False
    key = secrets.token_bytes(32)
    return held.fingerprint(key) == secret.fingerprint(key)


def readable(text: str) -> str:
    """Text in which every ciphertext is short: the name, and a few characters that change with it."""

    def short(match: re.Match[str]) -> str:
        try:
            name = name_of(match[0])
        except Refused:
            return match[0]
        return f"{PREFIX}‹secret {name} {hashlib.sha256(match[0].encode()).hexdigest()[:8]}›"

    return TOKEN.sub(short, text)


def alike(keys: Keys, texts: Iterable[str]) -> dict[str, str]:
    """{ciphertext: the first one of these texts that holds the same value for the same name}; what cannot be read stands for itself."""
    key = secrets.token_bytes(32)
    first: dict[tuple[str, str], str] = {}
    found: dict[str, str] = {}
    for text in texts:
        for match in TOKEN.finditer(text):
            token = match[0]
            if token in found:
                continue
            try:
                name, secret = decrypted(keys, token)
            except Refused:
                found[token] = token
                continue
            found[token] = first.setdefault((name, secret.fingerprint(key)), token)
    return found


def _parts(text: str) -> tuple[str, str, bytes, bytes]:
    """(name, key id, wrapped data key, ciphertext)."""
    body = text.strip().removeprefix(PREFIX)
    try:
        packed = base64.b64decode(body + "=" * (-len(body) % 4), altchars=b"-_", validate=True)
        if packed[0] != _FORM:
            raise ValueError(packed[0])
        at, parts = 1, []
        for _ in range(3):
            (size,) = struct.unpack_from(">H", packed, at)
            parts.append(packed[at + 2 : at + 2 + size])
            if len(parts[-1]) != size:
                raise ValueError(size)
            at += 2 + size
        return parts[0].decode(), parts[1].decode(), parts[2], packed[at:]
    except (binascii.Error, ValueError, IndexError, struct.error):
        raise Refused(
            "this is no ciphertext of a parameter", code="E626", hint="statectl parameter encrypt NAME makes one"
        ) from None
