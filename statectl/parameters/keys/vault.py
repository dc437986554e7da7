"""vault:https://HOST:PORT/MOUNT/KEY: a key of Vault's (or OpenBao's) transit engine, which never leaves it.

The token comes from VAULT_TOKEN or ~/.vault-token; VAULT_NAMESPACE and VAULT_CACERT count as for Vault's own command.
"""

import base64
import http.client
import ipaddress
import json
import os
import re
import ssl
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from statectl.errors import Failed, Refused, UsageError

TIMEOUT_S = 10
MOST_BYTES = 1024 * 1024


class VaultTransit:
    remote = True

    def __init__(self, address: str, root: Path) -> None:
        del root
        parts = urlsplit(address)
        try:
            port = parts.port
        except ValueError:
            port = None
        mount, _, key = parts.path.strip("/").rpartition("/")
        named = re.fullmatch(r"[A-Za-z0-9_./-]+", mount) and re.fullmatch(r"[A-Za-z0-9_.-]+", key)
        if parts.scheme not in ("https", "http") or not parts.hostname or parts.username or not named:
            raise UsageError("key of the parameter store: expected vault:https://HOST:PORT/MOUNT/KEY", code="E619")
        if parts.scheme == "http" and not _loopback(parts.hostname):
            raise UsageError(
                "key of the parameter store: vault over http only on this machine; write https", code="E619"
            )
        self._secure, self._host, self._port = parts.scheme == "https", parts.hostname, port or 8200
        self._mount, self._key = mount, key
        self._id = f"vault:{mount}/{key}"

    def exists(self) -> bool:
        return True  # Vault says otherwise when it is asked to wrap

    def create(self) -> str:
        raise Refused(
            f"{self.shown()}: keys of Vault are made there", code="E619", hint=f"vault write -f {self._id[6:]}"
        )

    def holds(self, key_id: str) -> bool:
        return key_id == self._id

    def current(self) -> str:
        return self._id

    def wrap(self, data_key: bytes, name: str) -> tuple[str, bytes]:
        del (
            name
        )  # kinds of keys of Vault differ in whether they take associated data; the value itself is bound to its name
        answer = self._ask("POST", f"encrypt/{self._key}", {"plaintext": base64.b64encode(data_key).decode()})
        return self._id, str(answer["ciphertext"]).encode()

    def unwrap(self, key_id: str, wrapped: bytes, name: str) -> bytes:
        del key_id, name
        answer = self._ask("POST", f"decrypt/{self._key}", {"ciphertext": wrapped.decode("ascii", "replace")})
        return base64.b64decode(str(answer["plaintext"]))

    def renew(self) -> str:
        self._ask("POST", f"keys/{self._key}/rotate", {})
        return f"rotated {self._id[6:]} in Vault"

    def drop_old(self) -> int:
        raise Refused(
            "old versions of a key of Vault are dropped there",
            code="E619",
            hint=f"vault write {self._mount}/keys/{self._key}/config min_decryption_version=N",
        )

    def shown(self) -> str:
        return f"the key is {self._id[6:]} of Vault at {self._host}:{self._port}"

    def _ask(self, method: str, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """`data` of the answer. Raises Refused when Vault says no, Failed when it says nothing."""
        headers = {"X-Vault-Token": _token(), "X-Vault-Request": "true", "Content-Type": "application/json"}
        if os.environ.get("VAULT_NAMESPACE"):
            headers["X-Vault-Namespace"] = os.environ["VAULT_NAMESPACE"]
        connection = self._connection()
        try:
            connection.request(method, f"/v1/{self._mount}/{path}", json.dumps(body), headers)
            answer = connection.getresponse()
            text, status = answer.read(MOST_BYTES), answer.status
        except (OSError, http.client.HTTPException) as error:
            cause = getattr(error, "strerror", None) or type(error).__name__
            raise Failed(
                f"Vault at {self._host}:{self._port} does not answer: {str(cause).lower()}",
                code="E621",
                hint="try again",
            ) from None
        finally:
            connection.close()
        try:
            said = json.loads(text) if text else {}
        except ValueError:
            said = {}
        if status >= 300 or not isinstance(said, dict):
            errors = said.get("errors") if isinstance(said, dict) else None
            words = " ".join(" ".join(map(str, errors or ())).split())[:200] or f"status {status}"
            raise Refused(
                f"Vault at {self._host}:{self._port} refuses {self._mount}/{path}: {words}",
                code="E621",
                hint="look at the token (VAULT_TOKEN), its policy, and the name of the key",
            )
        data = said.get("data")
        return data if isinstance(data, dict) else {}

    def _connection(self) -> http.client.HTTPConnection:
        if not self._secure:
            return http.client.HTTPConnection(self._host, self._port, timeout=TIMEOUT_S)
        context = ssl.create_default_context(cafile=os.environ.get("VAULT_CACERT") or None)
        return http.client.HTTPSConnection(self._host, self._port, timeout=TIMEOUT_S, context=context)


def _loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _token() -> str:
    token = os.environ.get("VAULT_TOKEN", "")
    if not token:
        try:
            token = Path("~/.vault-token").expanduser().read_text(encoding="ascii").strip()
        except (OSError, UnicodeDecodeError, RuntimeError):
            token = ""
    if not token or not re.fullmatch(r"[!-~]+", token):
        raise Refused("there is no token for Vault", code="E621", hint="vault login, or set VAULT_TOKEN")
    return token
