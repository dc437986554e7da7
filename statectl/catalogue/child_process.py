"""One rendering child: started, asked, watched, killed. What is asked of it is none of this module's business."""

import os
import select
import subprocess
import sys
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from statectl.catalogue.child import wire
from statectl.catalogue.register import outcome_tag

# The child stops a job by itself after so much processor time, and the kernel stops the child soon after. Only when neither
# happens does the clock decide; on a busy machine a second of work may take many.
PATIENCE = 12
MEMORY = 256 * 1024 * 1024
JOB_S = 5.0


class ChildLost(Exception):
    """The child hung or ended; the text can stand as the summary of a problem when one job alone is to blame."""


class ChildProcess:
    """`memory`: bytes it may use above its start; `job_s`: seconds that one job may take."""

    def __init__(self, memory: int = MEMORY, job_s: float = JOB_S) -> None:
        self._job_s = job_s
        package = Path(__file__).resolve().parents[2]
        homes = dict.fromkeys(str(path) for path in (package, _home("jinja2"), _home("markupsafe")))
        # no site, no environment, nothing imported from the current directory: only these three places beside the standard library
        start = f"import sys; sys.path += {list(homes)!r}; from statectl.catalogue.child.serve import main; main()"
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", start, str(memory), str(job_s)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,  # what a dying interpreter prints is of no use to people; its own errors come as messages
            cwd="/",
            env={},
            close_fds=True,
            start_new_session=True,  # Ctrl-C is for the command, which then ends the child
        )

    @property
    def pid(self) -> int:
        return self._process.pid

    def converse(self, request: Any, answer: Callable[[str, str], Any]) -> Iterator[Any]:
        """Send a request and give its messages up to the one that says `done`; `answer` serves the child's questions.

        Raises ChildLost when it ends, is silent for longer than a job may last, or says what cannot be right.
        """
        try:
            self._send(request)
            for message in self._messages():
                if "bug" in message:
                    raise RuntimeError(f"the rendering process failed:\n{message['bug']}")
                if "ask" in message:
                    self._send(answer(str(message["ask"]), str(message["argument"])))
                    continue
                yield message
                if message["done"]:
                    return
        except (BrokenPipeError, wire.WireError, KeyError, ValueError) as error:
            raise ChildLost(f"rendering stopped: {error}") from None

    def _send(self, message: Any) -> None:
        assert self._process.stdin is not None
        wire.write_frame(self._process.stdin, message)
        self._process.stdin.flush()

    def _messages(self) -> Iterator[Any]:
        assert self._process.stdout is not None
        pipe = self._process.stdout.fileno()
        buffer = bytearray()
        while True:
            while (payload := wire.take_frame(buffer)) is not None:
                yield wire.decode(payload, outcome_tag)
            if not select.select([pipe], [], [], PATIENCE * self._job_s)[0]:
                raise ChildLost(f"render took more than {PATIENCE * self._job_s:g} s")
            data = os.read(pipe, 1 << 20)
            if not data:
                code = self._process.wait()
                why = "render used more than it may have of memory or time"
                raise ChildLost(why if code < 0 else f"the rendering process ended with {code}")
            buffer += data

    def close(self) -> None:
        """End it, whatever it does."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                try:
                    pipe.close()
                except BrokenPipeError:
                    continue  # bytes that it will never read


def _home(package: str) -> Path:
    """The directory that a package lies in, found without importing it here."""
    found = find_spec(package)
    if found is None or found.origin is None:
        raise ModuleNotFoundError(f"no package {package}", name=package)
    return Path(found.origin).resolve().parents[1]
