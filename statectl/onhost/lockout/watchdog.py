"""The process that waits for the confirmation, and undoes when none comes. One for each memory."""

import os
import signal
import time

from statectl.onhost.lockout import record
from statectl.onhost.lockout.record import Armed

LOOK_S = 0.2


def main(state_dir: str) -> int:
    """-> exit code: 0 when nothing is armed any more."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    os.umask(0o077)
    armed = Armed(os.path.join(state_dir, "armed"))
    claim = armed.claim()
    if claim is None:
        return 0
    died = None  # when the executor was first seen to be gone without a word about the deadline
    while True:
        found = armed.read()
        if found is None:
            return 0
        if died is None and found["deadline"] is None and not record.alive(found["executor"]):
            died = time.monotonic()
        left = record.left(found, died)
        if left is not None and left <= 0:
            from statectl.onhost.lockout import undo

            undo.undo(state_dir, armed)
            return 0
        time.sleep(LOOK_S)
