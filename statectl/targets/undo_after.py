"""How long a change that may lock us out waits for a new login, as it is written: `60s`, `5m` or `never`."""

import re

DEFAULT_S = 60.0
LEAST_S = 10.0
MOST_S = 3600.0
_TEXT = re.compile(r"(?P<number>[0-9]{1,5})(?P<unit>[smh])")
_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0}


def seconds(text: str) -> float:
    """-> seconds, 0.0 for never. The text must have no problem."""
    match = _TEXT.fullmatch(text)
    return float(match["number"]) * _UNITS[match["unit"]] if match is not None else 0.0


def undo_after_problem(text: str) -> str:
    """What is wrong with it, '' when nothing is."""
    if text == "never" or LEAST_S <= seconds(text) <= MOST_S:
        return ""
    return "expected a duration from 10s to 1h, or never"
