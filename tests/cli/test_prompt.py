"""The question before an apply, asked of somebody who sits at a terminal."""

import os
import pty
import re
import subprocess
import sys
import time

import pytest

from tests.cli.local_project import environment


def answering(project, answer: bytes) -> tuple[int, str, float]:
    """`apply` at a terminal; `answer` is typed once the question is there -> exit code, what was shown, seconds after the answer."""
    leader, follower = pty.openpty()
    process = subprocess.Popen(
        [
            "setsid",
            "--ctty",
            "--wait",
            sys.executable,
            "-m",
            "statectl",
            "apply",
        ],  # Ctrl-C reaches who owns the terminal
        cwd=project.root,
        env=environment(project.home),
        stdin=follower,
        stdout=follower,
        stderr=follower,
    )
    os.close(follower)
    seen = b""
    answered = 0.0
    try:
        while True:
            try:
                data = os.read(leader, 65536)
            except OSError:  # the other end is closed
                break
            seen += data
            if not answered and b"[y/N] " in seen:
                os.write(leader, answer)
                answered = time.monotonic()
        return process.wait(30), seen.decode().replace("\r\n", "\n"), time.monotonic() - answered
    finally:
        process.kill()
        process.wait()
        os.close(leader)


def test_yes(project):
    """`y` applies what was shown, and it was shown once."""
    code, seen, _ = answering(project, b"y\n")
    assert code == 0
    assert seen.count("8 changes on 1 host") == 1
    assert "Apply this to 1 host? [y/N] " in seen
    assert "8 changed on 1 host." in seen
    assert "Nothing was changed" not in seen
    assert (project.machine / "etc/app.conf").exists()


@pytest.mark.parametrize(
    "answer", [b"n\n", b"\n", b"yes please\n", b"\x04"], ids=["n", "return", "else", "end of file"]
)
def test_no(project, answer):
    """Anything but yes writes nothing: exit 5, and the plan is not shown again."""
    code, seen, _ = answering(project, answer)
    assert code == 5
    assert "not applied: declined" in seen
    assert seen.count("8 changes on 1 host") == 1
    assert not project.machine.exists()


def test_ctrl_c(project):
    """Ctrl-C at the question ends it at once: exit 130, nothing written, no second key needed."""
    code, seen, seconds = answering(project, b"\x03")
    assert code == 130
    assert re.search(r"interrupted; nothing was changed", seen)
    assert seconds < 10
    assert not project.machine.exists()
