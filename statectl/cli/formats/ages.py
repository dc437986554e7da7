"""How long ago, in one word and its unit."""

from datetime import UTC, datetime


def age(then: str, at: str) -> str:
    """From one moment to another, both ISO 8601 in UTC: `3 days`, `1 hour`, `12 seconds`."""
    seconds = int((datetime.fromisoformat(at).astimezone(UTC) - datetime.fromisoformat(then)).total_seconds())
    for size, unit in ((86400, "day"), (3600, "hour"), (60, "minute")):
        if seconds >= size:
            count = seconds // size
            return f"{count} {unit}{'s' * (count != 1)}"
    return f"{max(0, seconds)} second{'s' * (seconds != 1)}"
