"""Local users of /etc/passwd.

The home directory of a user that is not `system` is made together with the user; an existing one is never moved, filled or re-owned.
"""

import datetime as dt
import re
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, model_validator

from statectl.resources.fields import AbsolutePath, Account, Count, Flag, Text, wrong
from statectl.resources.model import Edge, Resource
from statectl.resources.paths import State
from statectl.secrets import Secret

SECTION = "users"
PHASE = "users"

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,31}\$?")
# What chpasswd -e writes into /etc/shadow: a hash of crypt(5), or a mark that no password fits.
_HASH = re.compile(r"[!*]{0,2}\$[A-Za-z0-9./$=,_-]{8,250}|[!*]{1,2}|[A-Za-z0-9./]{13}")


def _name(value: Any) -> Any:
    if not isinstance(value, str) or not _NAME.fullmatch(value):
        raise wrong("user name not valid: letters, digits, _ . - and not starting with a digit or -")
    return str.__str__(value)


def _groups(value: Any) -> Any:
    if not isinstance(value, list):
        raise wrong("expected a list of group names")
    return sorted({str(item) for item in value})


def _comment(value: Any) -> Any:
    if not isinstance(value, str) or re.search(r"[:\n\x00-\x1f]", value):
        raise wrong("a comment may not hold a colon or a line break")
    return str.__str__(value)


def _shell(value: Any) -> Any:
    if not isinstance(value, str) or not re.fullmatch(r"/[^:\s]*", value):
        raise wrong("expected the absolute path of a shell")
    return str.__str__(value)


def _home(value: Any) -> Any:
    if isinstance(value, str) and ":" in value:
        raise wrong("a home directory may not hold a colon")
    return value


def _expires(value: Any) -> Any:
    if value == "never":
        return "never"
    try:
        return dt.date.fromisoformat(str(value)).isoformat()
    except ValueError:
        raise wrong("expected a date such as 2027-06-30, or never") from None


def _password_hash(value: Any) -> Any:
    if isinstance(value, Secret | dict):
        return value  # the host checks it: a secret's value is seen at the sink only
    if not isinstance(value, str) or not _HASH.fullmatch(value):
        raise wrong(
            "expected the hash of a password as crypt(5) writes it ($6$...), or ! for no password; never a password"
        )
    # a text of parts is never shown, diffed or stored as it is: not even a hash that stands openly in the files
    return {"$parts": [str.__str__(value)]}


class Model(Resource):
    name: Annotated[Text, BeforeValidator(_name)] = Field(description="name of the user")
    state: State = Field(default="present", description="present or absent")
    uid: Annotated[Count, Field(ge=0, le=4294967294)] | None = Field(
        default=None, description="numeric id; not given: the next free one when the user is made, then left alone"
    )
    group: Account | None = Field(
        default=None,
        description="primary group, name or number; not given: a group of the user's own name when the user is made",
    )
    groups: Annotated[list[Account], BeforeValidator(_groups)] | None = Field(
        default=None, description="further groups. Exactly these, unless `append` is true"
    )
    append: Flag | None = Field(default=None, description="true: be in `groups` and leave other memberships alone")
    home: Annotated[AbsolutePath, BeforeValidator(_home)] | None = Field(
        default=None, description="home directory. Changing it moves no files"
    )
    shell: Annotated[Text, BeforeValidator(_shell)] | None = Field(
        default=None, description="login shell, an absolute path"
    )
    comment: Annotated[Text, BeforeValidator(_comment)] | None = Field(
        default=None, description="full name or purpose (the GECOS field)"
    )
    system: Flag | None = Field(
        default=None,
        description="make a system user: a number of the system range and no home directory; never compared afterwards",
    )
    password_hash: Annotated[Any, BeforeValidator(_password_hash)] = Field(
        default=None,
        description="hash of the password as crypt(5) writes it ($6$...), `!` for none; give it as a secret variable. Written through stdin, never shown",
    )
    expires: Annotated[Text, BeforeValidator(_expires)] | None = Field(
        default=None, description="day from which the account is locked, such as 2027-06-30, or never"
    )
    remove_home: Flag | None = Field(
        default=None, description="when the user is removed, remove the home directory and mail spool too"
    )

    @model_validator(mode="after")
    def _fits(self) -> "Model":
        if self.append is not None and self.groups is None:
            raise wrong("`append` needs `groups`")
        if self.name == "root" and self.state == "absent":
            raise wrong("root cannot be removed")
        return self


def short(key: Any, value: Any) -> dict[str, Any] | None:  # noqa: ARG001  the key says nothing more
    """`present` or `absent`."""
    if value is None:
        return {}
    return None if isinstance(value, bool | dict | list) else {"state": value}


def edges(model: Model) -> list[Edge]:
    """After the groups it is in, its namesake included: useradd would fail on a group that exists unasked for."""
    if model.state == "absent":
        return []
    names = {model.name, *(model.groups if isinstance(model.groups, list) else [])}
    if isinstance(model.group, str):
        names.add(model.group)
    return [Edge(f"unix_group:{name}") for name in sorted(names)]
