"""What goes into the parameter store and what comes out. No database here."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal

from statectl.secrets import Secret

STRING, STRING_LIST, SECURE = TYPES = ("String", "StringList", "SecureString")
STANDARD_BYTES = 4096  # what fits the smaller tier of Systems Manager
NO_TAGS: Mapping[str, str] = MappingProxyType({})
FilterOption = Literal["Equals", "BeginsWith", "Contains"]


@dataclass(frozen=True, slots=True)
class Bounds:
    """What a store takes; settings, each with the default of Systems Manager where it has one."""

    value_bytes: int = 8192
    versions: int = 100  # kept of each parameter
    labels: int = 10  # of one version
    levels: int = 15  # of a name
    keep_deleted_days: int = 30  # for `restore`


@dataclass(slots=True)
class Parameter:
    """One version. `value`: text; a Secret when a SecureString was decrypted; None when it was not.

    (Not frozen: a hundred thousand of them are made at once, and freezing doubles what that takes.)
    """

    name: str
    type: str
    version: int
    value: str | Secret | None
    data_type: str
    description: str
    allowed_pattern: str
    policies_text: str  # JSON list
    expires: str | None
    modified: str
    who: str
    why: str
    key_id: str | None  # the outer key of a SecureString
    selector: str = ""  # `:3` or `:label`, when it was asked for by that
    labels: tuple[str, ...] = ()  # in a history
    tags: Mapping[str, str] = field(
        default_factory=lambda: NO_TAGS
    )  # of one that was asked for by name, and in a description

    @property
    def is_secure(self) -> bool:
        return self.type == SECURE

    @property
    def policies(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = json.loads(self.policies_text)
        return found

    @property
    def placeholder(self) -> str:
        """What is shown of a secret."""
        return f"‹secret {self.name} v{self.version}›"


@dataclass(frozen=True, slots=True)
class NewVersion:
    """What to write. What is None keeps the value of the version before; the empty text or list removes it.

    expected_version    the version that is there now, 0 for none: otherwise nothing is written. Given, it stands for `overwrite`.
    """

    name: str
    value: str | Secret
    type: str | None = None
    data_type: str | None = None
    description: str | None = None
    allowed_pattern: str | None = None
    tags: Mapping[str, str] | None = None
    policies: Sequence[Mapping[str, Any]] | None = None
    overwrite: bool = False
    expected_version: int | None = None
    why: str = ""


@dataclass(frozen=True, slots=True)
class Put:
    """changed: another value than before; always true of a SecureString, because whether it is the same is not told."""

    name: str
    version: int
    changed: bool
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Filter:
    """key: Name, Type, KeyId, DataType, Label, or tag:NAME. One of the values has to fit; without values of a tag, that it is there."""

    key: str
    values: tuple[str, ...] = ()
    option: FilterOption = "Equals"


@dataclass(frozen=True, slots=True)
class Page:
    """after: give it as `after` for the next page; '' when this is the last."""

    parameters: list[Parameter]
    after: str = ""


@dataclass(frozen=True, slots=True)
class Labelled:
    version: int
    labels: tuple[str, ...]  # that were moved, or taken away
    invalid: tuple[str, ...] = ()  # that cannot be labels, or were not there


@dataclass(frozen=True, slots=True)
class Change:
    """One row of the audit that tells of a parameter. action: put, delete, expire, label, unlabel, tag, move, restore, decrypt, rotate."""

    sequence: int
    at: str
    who: str
    action: str
    name: str
    version: int | None
    why: str = ""


@dataclass(frozen=True, slots=True)
class Changes:
    changes: list[Change]
    cursor: int  # give it as `since` the next time


@dataclass(frozen=True, slots=True)
class Restored:
    """outcome: revived | put | unchanged | kept (made since; left alone) | expired | gone (its ciphertext was wiped)."""

    name: str
    outcome: str
    version: int | None = None


@dataclass(frozen=True, slots=True)
class Difference:
    """left, right: None where it is not there. secret: values are not compared unless they were decrypted for it."""

    name: str
    left: Parameter | None
    right: Parameter | None
    differs: bool | None  # None: nobody looked, because the values are secret


@dataclass(frozen=True, slots=True)
class Event:
    """What a policy asks for at a moment. due, of: together with the policy they tell one event from the next."""

    name: str
    version: int
    policy: str
    due: str
    text: str
