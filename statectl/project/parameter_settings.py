"""`parameters:` of statectl.yml: where the outer key of the parameter store is, who may do what, and how much it takes."""

import re
from collections.abc import Mapping

FIELDS: Mapping[str, str] = {
    "key": "Outer key of secrets: file:PATH (default file:.statectl/parameters.key), env:NAME, age:PATH, vault:https://HOST:PORT/MOUNT/KEY or kms:KEY",
    "access": "Policy file, relative to the project: who may list, read, decrypt, write and delete which parameters; without it everybody who has the store may",
    "max_value_bytes": "Longest value, in bytes of UTF-8: 1 to 1048576 (default 8192)",
    "max_versions": "How many versions of each parameter are kept: 2 to 10000 (default 100)",
    "max_labels": "How many labels a version has at most: 1 to 100 (default 10)",
    "max_levels": "How many levels a name has at most: 1 to 100 (default 15)",
    "keep_deleted_days": "For how long a deleted parameter can be restored: 0 to 3650 (default 30)",
}
NUMBERS: Mapping[str, tuple[int, int]] = {
    "max_value_bytes": (1, 1024 * 1024),
    "max_versions": (2, 10_000),
    "max_labels": (1, 100),
    "max_levels": (1, 100),
    "keep_deleted_days": (0, 3650),
}
_KEY = re.compile(r"(file|env|age|kms):\s*\S.*|vault:https?://[^/@\s]+(/[A-Za-z0-9_.-]+){2,}/?")


def expected(field: str, text: str) -> str:
    """What the text of `key` or `access` must be, or '' when it is that."""
    if field == "key" and not _KEY.fullmatch(text):
        return "expected file:PATH, env:NAME, age:PATH, vault:https://HOST:PORT/MOUNT/KEY or kms:KEY"
    return ""
