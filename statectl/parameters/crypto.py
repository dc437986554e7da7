"""The envelope of a SecureString: AES-256-GCM under a data key of its own, which an outer key wraps.

Name, life and version are associated data: a ciphertext that was moved to another name, or put back into another version, does not open.
"""

import os

from statectl.errors import Refused
from statectl.secrets import Secret

KEY_BYTES = 32
_NONCE = 12


def new_data_key() -> bytes:
    return os.urandom(KEY_BYTES)


def seal(secret: str | Secret, data_key: bytes, *, name: str, life: str, version: int) -> bytes:
    """nonce + ciphertext + tag."""
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    text = secret.reveal() if isinstance(secret, Secret) else secret
    nonce = os.urandom(_NONCE)
    return nonce + AESGCM(data_key).encrypt(nonce, text.encode(), _about(name, life, version))


def unseal(cipher: bytes, data_key: bytes, *, name: str, life: str, version: int) -> Secret:
    """Raises Refused (E620) when it is not what was written there."""
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    try:
        text = AESGCM(data_key).decrypt(cipher[:_NONCE], cipher[_NONCE:], _about(name, life, version)).decode()
    except (InvalidTag, ValueError):
        raise damaged(name, version) from None
    return Secret(text, f"{name} v{version}")


def damaged(name: str, version: int) -> Refused:
    return Refused(
        f"the ciphertext of {name} v{version} was changed, or belongs to another name or version",
        code="E620",
        hint="write the parameter anew, or restore a backup of the store; somebody wrote to the database without statectl",
    )


def _about(name: str, life: str, version: int) -> bytes:
    return f"statectl parameter\0{name}\0{life}\0{version}".encode()
