"""The real command on a terminal of its own: what it would show to somebody who watches."""

import os
import pty
import subprocess
import sys

from tests.cli.local_project import LocalProject, environment

LIMIT_S = 60


def in_a_terminal(project: LocalProject, *argv: str) -> tuple[int, bytes]:
    """-> exit code and every byte that was written to the terminal."""
    leader, follower = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "statectl", *argv],
        cwd=project.root,
        env=environment(project.home, {"NO_COLOR": "1"}),
        stdin=subprocess.DEVNULL,
        stdout=follower,
        stderr=follower,
    )
    os.close(follower)
    seen = b""
    while True:
        try:
            data = os.read(leader, 65536)
        except OSError:  # the other end is closed
            break
        if not data:
            break
        seen += data
    os.close(leader)
    return process.wait(LIMIT_S), seen
