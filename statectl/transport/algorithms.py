"""What may protect a connection: an allow-list, and what an attacker on the way could still cut out (Terrapin).

A user who names algorithms in the own ~/.ssh/config has them; everybody else has these, and no SHA-1, no CBC, no DSA.
AES-GCM stands first: prefix truncation does not work on it, whether or not the server knows strict key exchange.
"""

from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import asyncssh

ALLOWED: dict[str, tuple[str, ...]] = {
    "kex_algs": (
        "mlkem768x25519-sha256",
        "curve25519-sha256",
        "curve25519-sha256@libssh.org",
        "ecdh-sha2-nistp521",
        "ecdh-sha2-nistp384",
        "ecdh-sha2-nistp256",
        "diffie-hellman-group-exchange-sha256",
        "diffie-hellman-group16-sha512",
        "diffie-hellman-group18-sha512",
        "diffie-hellman-group14-sha256",
    ),
    "encryption_algs": (
        "aes256-gcm@openssh.com",
        "aes128-gcm@openssh.com",
        "chacha20-poly1305@openssh.com",
        "aes256-ctr",
        "aes192-ctr",
        "aes128-ctr",
    ),
    "mac_algs": (
        "hmac-sha2-256-etm@openssh.com",
        "hmac-sha2-512-etm@openssh.com",
        "umac-128-etm@openssh.com",
        "hmac-sha2-256",
        "hmac-sha2-512",
        "umac-128@openssh.com",
    ),
}
REFUSED_SIGNATURES = frozenset({"ssh-rsa", "ssh-dss"})  # with SHA-1
TRUNCATED = ("chacha20-poly1305", "-cbc")  # what a prefix can be cut off from when key exchange is not strict


@cache
def _defaults() -> dict[str, list[bytes]]:
    """What asyncssh takes when nobody says anything."""
    import asyncssh

    options = asyncssh.SSHClientConnectionOptions(host="localhost", config=None)
    return {name: list(getattr(options, name)) for name in (*ALLOWED, "signature_algs")}


def allowed(resolved: "asyncssh.SSHClientConnectionOptions") -> dict[str, Any]:
    """Options for a connection. `resolved`: what the user's own configuration makes of it; what it names stays."""
    options: dict[str, Any] = {}
    for name, default in _defaults().items():
        if list(getattr(resolved, name)) != default:
            continue
        there = list(dict.fromkeys(algorithm.decode() for algorithm in default))
        if name == "signature_algs":
            options[name] = [algorithm for algorithm in there if algorithm not in REFUSED_SIGNATURES]
        else:
            options[name] = [algorithm for algorithm in ALLOWED[name] if algorithm in there]
    return options


def weakness(connection: "asyncssh.SSHClientConnection") -> tuple[str, bool]:
    """('' or what is missing, may it be used all the same)."""
    if getattr(connection, "_strict_kex", True):
        return "", True
    ciphers = {str(connection.get_extra_info(f"{way}_cipher")) for way in ("send", "recv")}
    cut = sorted(cipher for cipher in ciphers if any(part in cipher for part in TRUNCATED))
    if cut:
        return f"no strict key exchange, and {cut[0]} is open to truncation without it", False
    return "no strict key exchange (the server is older than OpenSSH 9.6)", True
