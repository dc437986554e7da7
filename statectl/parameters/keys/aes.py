"""A 256-bit key that we hold ourselves: one line of text each, base64, the newest last."""

import base64
import binascii
import hashlib
import hmac
import os

from statectl.errors import Refused

_NONCE = 12


def new_key() -> bytes:
    return os.urandom(32)


def line_of(key: bytes) -> str:
    return base64.b64encode(key).decode()


def keys_of(lines: list[str], where: str) -> dict[str, bytes]:
    """{id: key} in order. Raises Refused (E619) naming the line, never its content."""
    found: dict[str, bytes] = {}
    for number, line in enumerate(lines, 1):
        text = line.strip()
        if not text or text.startswith("#"):
            continue
        try:
            key = base64.b64decode(text, validate=True)
        except (binascii.Error, ValueError):
            key = b""
        if len(key) != 32:
            raise Refused(
                f"{where}: key {number} is not 32 bytes in base64",
                code="E619",
                hint="put the right key back; a new one is made with: head -c 32 /dev/urandom | base64",
            )
        found[id_of(key)] = key
    return found


def id_of(key: bytes) -> str:
    """Tells keys apart and tells nothing about them."""
    return f"aes:{hmac.new(key, b'statectl outer key', hashlib.sha256).hexdigest()[:16]}"


def wrap(key: bytes, data_key: bytes, name: str) -> bytes:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    nonce = os.urandom(_NONCE)
    return nonce + AESGCM(key).encrypt(nonce, data_key, _about(name))


def unwrap(key: bytes, wrapped: bytes, name: str) -> bytes:
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    try:
        return AESGCM(key).decrypt(wrapped[:_NONCE], wrapped[_NONCE:], _about(name))
    except (InvalidTag, ValueError):
        raise Refused(
            f"the data key of {name} was changed, or belongs to another parameter",
            code="E620",
            hint="write the parameter anew, or restore a backup of the store",
        ) from None


def _about(name: str) -> bytes:
    return f"statectl data key\0{name}".encode()
