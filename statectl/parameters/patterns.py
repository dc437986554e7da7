"""Allowed patterns, searched in another process that may not think for long: no pattern on no value holds up a writer.

Python's matching cannot be interrupted from a thread, and no check of the pattern alone tells which value it is slow on. So a child does
the matching, with a limit of processor time for each and of memory; when it reaches one, it is gone, and nothing was written.
"""

import contextlib
import json
import re
import select
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import IO

LONGEST = 1024
CPU_S = 1.0  # for one match
WALL_S = 30.0  # on a machine with other things to do
_MEMORY = 512 * 1024 * 1024
_CHILD = f"""\
import json, re, resource, signal, sys
resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
resource.setrlimit(resource.RLIMIT_AS, ({_MEMORY}, {_MEMORY}))
for line in sys.stdin.buffer:
    pattern, text = json.loads(line)
    signal.setitimer(signal.ITIMER_VIRTUAL, {CPU_S})
    try:
        answer = "yes" if re.search(pattern, text) else "no"
    except (re.error, OverflowError, RecursionError) as error:
        answer = "bad " + str(error)
    except MemoryError:
        answer = "much"
    signal.setitimer(signal.ITIMER_VIRTUAL, 0)
    print(json.dumps(answer), flush=True)
"""


@dataclass(frozen=True, slots=True)
class Verdict:
    """problem: '' when the value fits. of_pattern: the pattern itself is wrong, or too slow to be of use."""

    problem: str = ""
    of_pattern: bool = False


def search(pairs: Sequence[tuple[str, str]]) -> list[Verdict]:
    """Is each pattern found in its value? In one child for all; a new one when it had to be ended."""
    verdicts: list[Verdict] = []
    child: _Child | None = None
    try:
        for pattern, text in pairs:
            if len(pattern) > LONGEST:
                verdicts.append(Verdict(f"the pattern has {len(pattern):,} characters; at most {LONGEST:,}", True))
                continue
            child = child or _Child()
            answer = child.ask(pattern, text)
            verdicts.append(_verdict(answer))
            if answer is None:
                child.end()
                child = None
    finally:
        if child is not None:
            child.end()
    return verdicts


def _verdict(answer: str | None) -> Verdict:
    if answer is None:
        return Verdict(
            f"the pattern takes over {CPU_S:g} s on this value; write it without repeats inside repeats", True
        )
    if answer == "much":
        return Verdict("the pattern needs too much memory", True)
    if answer.startswith("bad "):
        return Verdict(f"the pattern is not a regular expression: {answer[4:]}", True)
    return Verdict() if answer == "yes" else Verdict("the value does not fit the allowed pattern")


class _Child:
    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", _CHILD],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={},
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._in: IO[bytes] = self._process.stdin
        self._out: IO[bytes] = self._process.stdout

    def ask(self, pattern: str, text: str) -> str | None:
        """None: it did not answer within its limits."""
        try:
            self._in.write(json.dumps([pattern, text]).encode() + b"\n")
            self._in.flush()
        except BrokenPipeError:
            return None
        line, ends = b"", time.monotonic() + WALL_S
        while not line.endswith(b"\n"):
            ready, _, _ = select.select([self._out], [], [], max(0.0, ends - time.monotonic()))
            part = self._out.read1(65536) if ready else b""  # type: ignore[attr-defined]  # a buffered pipe has it
            if not part:
                return None
            line += part
        return str(json.loads(line))

    def end(self) -> None:
        self._process.kill()
        for stream in (self._in, self._out):
            with contextlib.suppress(BrokenPipeError):
                stream.close()
        self._process.wait()


def lint(pattern: str) -> str:
    """A doubt about a pattern that is searched for, or ''."""
    if not pattern:
        return ""
    begins = re.match(r"(\(\?[a-zA-Z]+\))?(\^|\\A)", pattern) is not None
    ends = pattern.endswith(("\\Z", "$")) and not pattern.endswith("\\$")
    if begins and ends:
        return ""
    where = "its beginning and end" if not begins and not ends else "its beginning" if not begins else "its end"
    return f"the pattern is open at {where}: anything may stand around what it finds; write ^...$"
