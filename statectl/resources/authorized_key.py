"""Public keys that may log in as a user: ~/.ssh/authorized_keys."""

import base64
import binascii
import re
from posixpath import dirname
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, model_validator

from statectl.resources.fields import AbsolutePath, Account, Flag, wrong
from statectl.resources.model import Edge, Resource
from statectl.resources.paths import State

SECTION = "authorized_keys"
PHASE = "users"

TYPES = (
    "ssh-ed25519",
    "ssh-rsa",
    "ssh-dss",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "sk-ssh-ed25519@openssh.com",
    "sk-ecdsa-sha2-nistp256@openssh.com",
)
_KEY = re.compile(
    r"(?:^|(?<=[ \t]))(" + "|".join(re.escape(name) for name in TYPES) + r")[ \t]+([A-Za-z0-9+/]+={0,3})(?=[ \t]|$)"
)


def _keys(value: Any) -> Any:
    """Lines as sshd reads them: [options] type base64 [comment]. The blob must name the type it stands behind."""
    if isinstance(value, str):
        value = [line for line in value.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    if not isinstance(value, list):
        raise wrong("expected a list of public keys")
    keys = []
    for position, item in enumerate(value, 1):
        line = str(item).strip() if isinstance(item, str) else ""
        match = _KEY.search(line)
        if "PRIVATE KEY" in line:
            raise wrong(f"key {position} is a private key; give the public one (the .pub file)")
        if match is None or "\n" in line:
            raise wrong(f"key {position} is not a public key line: [options] type base64 [comment]")
        try:
            blob = base64.b64decode(match[2], validate=True)
        except (binascii.Error, ValueError):
            raise wrong(f"key {position} is damaged: its base64 part cannot be decoded") from None
        length = int.from_bytes(blob[:4], "big")
        if blob[4 : 4 + length] != match[1].encode():
            raise wrong(f"key {position} is damaged: it says {match[1]} but holds another type, or was cut")
        keys.append(line)
    return keys


class Model(Resource):
    name: Account = Field(description="the user that the keys let in")
    state: State = Field(
        default="present",
        description="absent: the listed keys are removed; with no keys listed, the whole file",
    )
    keys: Annotated[list[str], BeforeValidator(_keys)] | None = Field(
        default=None,
        description="public key lines: [options] type base64 [comment]. A key is the same key whatever its comment says",
    )
    exclusive: Flag | None = Field(default=None, description="true: keys that are not listed are removed from the file")
    file: AbsolutePath | None = Field(
        default=None, description="file to keep them in; not given: .ssh/authorized_keys in the user's home directory"
    )

    @model_validator(mode="after")
    def _fits(self) -> "Model":
        if self.state == "present" and self.keys is None:
            raise wrong("authorized_key needs `keys`")
        if self.state == "present" and self.keys == [] and self.exclusive is not True:
            raise wrong("`keys` is empty; say `exclusive: true` to let nobody in, or leave the resource out")
        return self


def short(key: Any, value: Any) -> dict[str, Any] | None:  # noqa: ARG001  the key says nothing more
    """A list of keys, or `absent`."""
    if isinstance(value, list):
        return {"keys": value}
    if value == "absent":
        return {"state": "absent"}
    if isinstance(value, bool | dict | str) or value is None:
        return None
    return {"keys": value}  # an expression that gives the list


def edges(model: Model) -> list[Edge]:
    found = [Edge(f"user:{model.name}")]
    if isinstance(model.file, str):
        found.append(Edge(f"directory:{dirname(model.file)}"))
    return found
