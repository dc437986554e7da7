"""Is what was changed well? A port that takes a connection, a URL that answers as expected, or a command that exits 0.

Each check is tried until it holds or its time is over. It is asked where something of its association was changed, once the
restarts are paid; and, by an order of kind `health`, again when the hosts have worked with the change for a while.
"""

import time

from statectl.onhost import process
from statectl.onhost.ending import End
from statectl.onhost.failure import Failed, system_says

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Dict, Iterable, List, Optional, Set, Tuple

    from statectl.onhost.engine import Engine
    from statectl.onhost.host import Host
    from statectl.onhost.runner import Session
    from statectl.onhost.shapes import JSON, Message

VERB = "check"  # of the `notified` message that tells how a check ended; its address is health:ASSOCIATION
PAUSE_S = 0.5  # between two tries
LOOK_S = 0.1  # how often to look whether to stop
TRY_S = 10.0  # for one answer of a port or a URL
DEFAULT_WITHIN_S = 30.0


def of_changed(engine: "Engine", changed: "Iterable[str]") -> "List[Dict[str, JSON]]":
    """-> the checks of associations that own one of these addresses, in the order of the catalogue."""
    owners: "Dict[str, Iterable[str]]" = {item.address: (item.association,) for item in engine.removals}
    for resource in engine.catalogue["resources"]:
        owners[resource["address"]] = resource.get("owners") or (resource["association"],)
    names: "Set[str]" = set()
    for address in changed:
        names.update(owners.get(address, ()))
    entries = [entry for entry in engine.catalogue["associations"] if entry.get("health") and entry["name"] in names]
    return [dict(entry["health"], association=entry["name"]) for entry in entries]


def ask(
    host: "Host", checks: "Iterable[Dict[str, JSON]]", stop: "Callable[[], str]", emit: "Callable[[Message], Any]"
) -> "Tuple[str, str]":
    """Make the checks one after the other and tell of each -> (what is not well, why they were not made to the end); '' for neither."""
    unwell = ""
    for check in checks:
        name = check["association"]
        error = None  # type: Optional[Failed]
        stopped = ""
        try:
            stopped = wait(host, check, stop)
        except Failed as failed:
            error = failed
        outcome = "failed" if error is not None else "skipped" if stopped else "ok"
        emit(
            {
                "type": "notified",
                "address": "health:%s" % name,
                "verb": VERB,
                "outcome": outcome,
                "because": [],
                "reason": stopped,
                "error": None if error is None else error.record(),
            }
        )
        if stopped:
            return unwell, "%s; whether association %s is well is not known" % (stopped, name)
        if error is not None:
            unwell = unwell or "health of association %s: %s" % (name, error.message)
    return unwell, ""


def run(session: "Session", host: "Host") -> "End":
    """The checks of an order of kind `health` -> End: done, failed or stopped."""
    limits = session.order.get("limits") or {}
    host.limits = dict(limits)
    for check in session.order.get("checks") or ():
        try:
            stopped = wait(host, check, session.stop)
        except Failed as failed:
            # without what a command printed: the secrets of this host, that would be masked in it, are not known here
            return End("failed", "health of association %s: %s" % (check["association"], failed.message))
        if stopped:
            return End("stopped", stopped, session.code_of_stop())
    return End("done")


def wait(host: "Host", check: "Dict[str, JSON]", stop: "Callable[[], str]") -> str:
    """Try until it holds -> '', or why it was stopped before. Raises Failed with the last reason when its time is over.

    What holds already when somebody wants to stop has held.
    """
    if check["kind"] == "command" and host.limits.get("paths"):
        raise Failed("limits.paths is set: no command runs on this host", "no command may run")
    within = float(check.get("within_s") or DEFAULT_WITHIN_S)
    ends = time.monotonic() + within
    while True:
        wrong = _try(host, check, max(LOOK_S, ends - time.monotonic()), stop)
        if wrong is None:
            return ""
        pause = time.monotonic() + PAUSE_S
        while time.monotonic() < min(pause, ends) and not stop():
            time.sleep(LOOK_S)
        reason = stop()
        if reason:
            return reason
        if pause >= ends:
            raise Failed(
                "%s (tried for %g s)" % (wrong.message, within), wrong.cause, wrong.argv, wrong.code, wrong.output
            )


def _try(host: "Host", check: "Dict[str, JSON]", left_s: float, stop: "Callable[[], str]") -> "Optional[Failed]":
    """-> None when it holds, else why not."""
    what = check["what"]
    if check["kind"] == "command":
        return _command(host, what, left_s, stop)
    if check["kind"] == "tcp":
        return _port(what[0], min(TRY_S, left_s))
    return _page(what[0], check.get("expect") or 200, min(TRY_S, left_s))


def _command(host: "Host", argv: "List[str]", left_s: float, stop: "Callable[[], str]") -> "Optional[Failed]":
    try:
        ran = host.run(argv, timeout=left_s, check=False, stop=lambda: bool(stop()))
    except Failed as error:
        return error
    if ran.timed_out:
        return Failed("%s did not end in time" % argv[0], "did not end in time", argv, None, ran.out + ran.err)
    if ran.code == 0:
        return None
    ended = "exited with %d" % ran.code if ran.code is not None and ran.code >= 0 else "was ended by a signal"
    output = (ran.out + ran.err)[-process.OUTPUT_SHOWN :]
    return Failed("%s %s" % (argv[0], ended), "health command failed", argv, ran.code, output)


def _port(where: str, timeout: float) -> "Optional[Failed]":
    import socket

    name, _, port = where.rpartition(":")
    try:
        socket.create_connection((name.strip("[]") or "127.0.0.1", int(port)), timeout).close()
    except (OSError, ValueError, OverflowError) as error:
        says = system_says(error) if isinstance(error, OSError) else str(error)
        return Failed("no connection to %s: %s" % (where, says), "no connection to a port")
    return None


def _page(url: str, expect: int, timeout: float) -> "Optional[Failed]":
    """Only the status is read. Proxies of an environment play no part, and a redirect is an answer like any other."""
    from http.client import HTTPConnection, HTTPException, HTTPSConnection
    from urllib.parse import urlsplit

    try:
        parts = urlsplit(url)
        kind = HTTPSConnection if parts.scheme == "https" else HTTPConnection
        if parts.scheme not in ("http", "https") or not parts.hostname:
            return Failed("not a URL of http or https: %s" % url, "not a URL")
        connection = kind(parts.hostname, parts.port, timeout=timeout)
        try:
            path = (parts.path or "/") + ("?" + parts.query if parts.query else "")
            connection.request("GET", path, headers={"Connection": "close", "User-Agent": "statectl"})
            status = connection.getresponse().status
        finally:
            connection.close()
    except OSError as error:
        return Failed("%s does not answer: %s" % (url, system_says(error)), "a URL does not answer")
    except (HTTPException, ValueError) as error:
        says = type(error).__name__ if isinstance(error, HTTPException) else str(error)
        return Failed("%s does not answer as HTTP: %s" % (url, says), "a URL does not answer as HTTP")
    if status != expect:
        return Failed("%s answers %d, expected %d" % (url, status, expect), "a URL answers another status")
    return None
