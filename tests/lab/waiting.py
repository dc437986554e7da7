"""Wait for a moment, and no longer than a limit."""

import time
from collections.abc import Callable

LOOK_S = 0.05


def wait_for(condition: Callable[[], object], what: str, limit_s: float = 30) -> None:
    """Raises AssertionError with `what` when it does not come to pass."""
    end = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < end, f"not within {limit_s:g} s: {what}"
        time.sleep(LOOK_S)
