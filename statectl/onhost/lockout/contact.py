"""A later contact: the confirmation of the run itself, and what everybody else does about something that is armed.

contact          armed, time left        armed, time over or rebooted                 watchdog dead
confirm          the change stays        waits for the undoing, and tells             started again; then as the columns before
apply            refused, or waits       waits for the undoing, then goes on          the same
any other        goes on                 waits for the undoing, then goes on          the same
"""

import time

from statectl.onhost.ending import End
from statectl.onhost.failure import Failed
from statectl.onhost.host import Host
from statectl.onhost.lock import Busy
from statectl.onhost.lockout import program
from statectl.onhost.lockout.record import Armed, left

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Dict

    from statectl.onhost.runner import Session
    from statectl.onhost.shapes import JSON, Holder

UNDO_S = 120.0  # how long a contact waits for an undoing that is due
LOCK_S = 20.0
LOOK_S = 0.1


def confirm(session: "Session") -> None:
    """The order that says: a new login came through. Raises End."""
    run = session.order["run"]
    armed = Armed(session.memory.path("armed"))
    _guard(session, armed)
    _settle(session, armed, run)
    session.memory.reload()
    session.tell_ready()
    settled = armed.settled()
    if settled.get("run") != run:
        raise End("failed", "nothing of run %s waits for a confirmation here" % run, "E340")
    if settled["outcome"] == "undone":
        raise End("failed", settled["reason"], "E341")
    raise End("done")


def _settle(session: "Session", armed: "Armed", run: str) -> None:
    """Confirm, if there is time left; else wait until it is undone."""
    try:
        session.lock.wait({"controller": session.order.get("controller", ""), "run": run}, LOCK_S, _nobody, _never)
    except Busy as busy:
        raise End("failed", "cannot confirm: another apply holds this host: %s" % busy, "E501")
    try:
        record = armed.read()
        if record is not None and record["run"] == run and left(record) != 0:
            armed.settle(run, "confirmed", "")
            return
    finally:
        session.lock.release()
    if record is not None and record["run"] == run:
        _wait_undone(armed)


def before(session: "Session", kind: str) -> str:
    """Any other contact, before it reads the memory -> the run that still waits, or ''. Raises End where an apply must not go on."""
    armed = Armed(session.memory.path("armed"))
    record = armed.read()
    if record is None:
        return ""
    _guard(session, armed)
    if left(record) == 0:
        _wait_undone(armed)
        return ""
    if kind != "apply":
        return str(record["run"])
    limit = time.monotonic() + (session.order.get("lock_timeout_s") or 0)
    told = False
    while True:
        record = armed.read()
        if record is None:
            return ""
        if time.monotonic() >= limit:
            raise End("refused", _waiting(record), "E518")
        if not told:
            session.wire.send({"type": "waiting", "holder": None, "reason": "waiting: " + _waiting(record)})
            told = True
        session.look()
        time.sleep(LOOK_S)


def _waiting(record: "Dict[str, JSON]") -> str:
    remaining = left(record)
    when = "" if remaining is None else "; it is undone in %d s unless that comes" % (remaining + 1)
    return "a change by run %s of %s waits for a new login to confirm it%s" % (
        record["run"],
        record["controller"] or "an unknown controller",
        when,
    )


def _guard(session: "Session", armed: "Armed") -> None:
    """A watchdog that was killed is started again, after a reboot too."""
    record = armed.read()
    if record is None or armed.guarded():
        return
    try:
        program.start(Host(), armed, session.memory.directory, record["run"])
    except Failed as error:
        raise End("failed", "run %s is armed here and cannot be undone: %s" % (record["run"], error.message), "E401")


def _wait_undone(armed: "Armed") -> None:
    limit = time.monotonic() + UNDO_S
    while armed.read() is not None:
        if time.monotonic() > limit:
            raise End("failed", "the host is still undoing a change that nobody confirmed", "E401")
        time.sleep(LOOK_S)


def _nobody(holder: "Holder") -> None:
    """Who holds the lock is not told while confirming: it is the executor that is just ending."""


def _never() -> bool:
    return False
