"""Orders about a run of somebody else: `follow` tells what it tells, `cancel` asks it to stop at its next resource border.

Neither writes to the machine, neither takes the lock, and neither ends a living process: a run stops itself. One whose process was
stopped by a signal is continued (`wake`) when somebody wants it to end, for else it would never hear of it.
"""

import contextlib
import os
import signal
import time

from statectl.onhost.ending import End
from statectl.onhost.lock import is_stopped
from statectl.onhost.memory.journal import replay
from statectl.onhost.underway import Followed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from statectl.onhost.runner import Session
    from statectl.onhost.shapes import Counts

LOOK_S = 0.1


def run(session: "Session") -> None:
    """order: about: run id, '' for the run that holds the lock; wake, wait_s: of a cancel. Raises End; counts {"living": 0 or 1}."""
    order = session.order
    about = order.get("about") or (session.lock.holder() or {}).get("run", "")
    followed = Followed(session.memory.path("running"), about) if about else None
    try:
        session.tell_ready()
        if followed is None or not followed.living:
            raise End(
                "done", "run %s is not under way here" % about if about else "no apply holds this host", "", _living(0)
            )
        if order["kind"] == "follow":
            _follow(session, followed)
        _cancel(session, followed, about)
    finally:
        if followed is not None:
            followed.close()


def _living(count: int) -> "Counts":
    return {"living": count}


def _follow(session: "Session", followed: "Followed") -> None:
    ended = None
    while ended is None:
        living = followed.looked()  # before reading: what it said last is there when it is gone
        for message in followed.read():
            if message["type"] == "end":
                ended = message
            else:
                session.wire.send(message)
        if ended is None and not living:
            raise End("failed", "its executor ended before the run did; the next contact tells how far it came", "E519")
        _heed(session)
        if ended is None:
            time.sleep(LOOK_S)
    raise End(
        ended["outcome"], ended.get("reason") or "", ended.get("code") or "", dict(ended.get("counts") or {}, living=1)
    )


def _cancel(session: "Session", followed: "Followed", about: str) -> None:
    """Ask, and wait until it has stopped or `wait_s` are over."""
    order = session.order
    followed.ask(order.get("controller", ""))
    followed.read()
    if order.get("wake"):
        # it may have ended meanwhile, or not be ours to continue
        with contextlib.suppress(ProcessLookupError, PermissionError, KeyError):
            os.kill(followed.began["pid"], signal.SIGCONT)
    limit = time.monotonic() + (order.get("wait_s") or 0)
    while followed.looked():
        _heed(session)
        if time.monotonic() >= limit:
            raise End("done", _still(session, followed, about), "", _living(1))
        time.sleep(LOOK_S)
    raise End("done", "", "", dict(_living(0), stopped=1))


def _heed(session: "Session") -> None:
    for message in session.wire.waiting():
        session.control(message)  # stop and cancel are of this session: they raise
    if session.wire.ended:
        raise End("stopped", "nobody follows any more")


def _still(session: "Session", followed: "Followed", about: str) -> str:
    """Why it has not stopped yet."""
    told = replay(session.memory.path("journal.jsonl"))
    if told and told["begin"] and told["begin"]["run"] == about:
        doing = [one["address"] for one in told["result"]["results"] if one["outcome"] == "unknown"]
        if doing:
            return "it stops after %s, which it is changing" % ", ".join(doing)
    if is_stopped(followed.began.get("pid")):
        return "process %d was stopped by a signal (kill -CONT %d)" % ((followed.began["pid"],) * 2)
    return "it stops at its next resource border"
