"""Who holds a host, in words: the host's own account of it, and what this controller knows of that run. Pure."""

import re
from collections.abc import Callable, Mapping
from typing import Any

RUN_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
Progress = Callable[[str], tuple[int, int]]  # of a run: hosts that ended, hosts; (0, 0) when it is not known here


def holder_of(message: Mapping[str, Any]) -> dict[str, Any] | None:
    """{controller, run, pid, since, ...} of a `waiting` or `end` message, checked; None when it names nobody."""
    found = message.get("holder")
    if not isinstance(found, dict) or not found:
        return None
    holder: dict[str, Any] = {}
    for key in ("controller", "run", "command"):
        if isinstance(found.get(key), str):
            holder[key] = str(found[key])[:200]
    for key in ("pid", "since"):
        if isinstance(found.get(key), int):
            holder[key] = int(found[key])
    holder["stopped"] = found.get("stopped") is True
    if not RUN_ID.fullmatch(holder.get("run", "")):
        holder.pop("run", None)
    return holder


def known_here(holder: Mapping[str, Any], me: str, progress: Progress) -> str:
    """What to add to the host's words: that it is you, and how far that run is; '' when nothing is known."""
    parts = []
    if holder.get("controller") == me:
        parts.append("that is you")
    ended, total = progress(holder["run"]) if "run" in holder else (0, 0)
    if total:
        parts.append(f"{ended} of {total} host{'s' * (total != 1)} done")
    return f" ({'; '.join(parts)})" if parts else ""


def hint(holder: Mapping[str, Any]) -> str:
    """What to type."""
    wait = "wait for it: --lock-timeout 10m"
    if "run" not in holder:
        return wait
    return f"{wait}; watch it: statectl runs follow {holder['run']}; end it: statectl runs cancel {holder['run']}"
