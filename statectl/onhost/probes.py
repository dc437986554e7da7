"""Probes: read-only commands whose answer becomes a typed name in templates and conditions. A failing one has a reason, not a value."""

import json
import re

from statectl.onhost import process
from statectl.onhost.failure import Failed, os_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Dict, Iterable, NoReturn

    from statectl.onhost.host import Host
    from statectl.onhost.process import Ran
    from statectl.onhost.shapes import JSON

DEFAULT_TIMEOUT_S = 10.0
MAX_ANSWER = 65536  # characters
MAX_DEPTH = 20


def ask(host: "Host", probes: "Iterable[Dict[str, JSON]]") -> "Dict[str, Dict[str, JSON]]":
    """probes: [{"name", "argv", "type", "timeout_s"}] -> {name: {"ok": True, "value"} or {"ok": False, "reason"}}"""
    return {probe["name"]: _ask(host, probe) for probe in probes}


def _ask(host: "Host", probe: "Dict[str, JSON]") -> "Dict[str, JSON]":
    timeout = probe.get("timeout_s") or DEFAULT_TIMEOUT_S
    kind = probe.get("type", "text")
    try:
        ran = host.run(probe["argv"], timeout=timeout, check=False)
        if kind == "boolean" and _says_by_exit_code(ran):
            return {"ok": True, "value": ran.code == 0}
        if ran.timed_out or ran.code != 0:
            raise process.failure(probe["argv"], ran, timeout)
        return {"ok": True, "value": parse(ran.out, kind)}
    except Failed as error:
        return {"ok": False, "reason": error.message}
    except ValueError as error:
        return {"ok": False, "reason": str(error)}


def _says_by_exit_code(ran: "Ran") -> bool:
    """`test -e`, `grep -q` and their like: nothing printed, and 0 for yes or 1 for no. Anything above 1 is a failure."""
    return not ran.timed_out and ran.code in (0, 1) and not ran.out.strip() and not ran.err.strip()


def parse(out: str, kind: str) -> "JSON":
    """What a command printed, as text, integer, boolean or json. Raises ValueError whose text says what is wrong.

    type      printed                          value
    text      anything                         without the newlines at its end
    integer   12, -3                           a number
    boolean   true, false                      true, false; nothing: by exit code, see above
    json      any JSON but NaN                 as it is
    """
    text = os_text(out)
    if len(text) > MAX_ANSWER:
        raise ValueError("printed %d characters, more than %d" % (len(text), MAX_ANSWER))
    stripped = text.strip()
    if kind == "text":
        return text.rstrip("\n")
    if kind == "integer":
        if re.match(r"[+-]?[0-9]{1,18}\Z", stripped) is None:
            raise ValueError("printed %s, expected a whole number" % _shown(stripped))
        return int(stripped)
    if kind == "boolean":
        if stripped not in ("true", "false"):
            raise ValueError("printed %s, expected true or false" % _shown(stripped))
        return stripped == "true"
    try:
        value = json.loads(stripped, parse_constant=_refuse)
    except RecursionError:
        raise ValueError("printed JSON that is nested too deeply")
    except ValueError:
        raise ValueError("printed %s, expected JSON" % _shown(stripped))
    if _depth(value) > MAX_DEPTH:
        raise ValueError("printed JSON that is nested deeper than %d" % MAX_DEPTH)
    return value


def _refuse(text: str) -> "NoReturn":
    raise ValueError(text)


def _depth(value: "JSON") -> int:
    items = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return 1 + max([_depth(item) for item in items] or [0])


def _shown(text: str) -> str:
    first = text.split("\n", 1)[0]
    return "nothing" if not text else repr(first[:60] + ("..." if len(first) > 60 or "\n" in text else ""))
