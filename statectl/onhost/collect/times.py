"""Times as they are told: UTC, 2026-11-23T18:00:00Z. Texts of this form sort as the times do."""

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Optional

MAX_EPOCH = 253402300799  # the end of the year 9999


def iso(epoch: "Optional[int]") -> "Optional[str]":
    """Seconds since 1970 -> text; None for none, and for one that no calendar has."""
    if not epoch or not 0 < epoch <= MAX_EPOCH:
        return None
    return "%04d-%02d-%02dT%02d:%02d:%02dZ" % time.gmtime(epoch)[:6]
