"""One text for one value, and its hash."""

import hashlib
import json
from typing import Any


def canonical(value: Any) -> bytes:
    """JSON with sorted keys and no spaces."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False).encode("ascii")


def fingerprint(value: Any) -> str:
    """SHA-256 of the canonical text, hex."""
    return hashlib.sha256(canonical(value)).hexdigest()
