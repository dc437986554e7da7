"""Sources that are asked for hosts, programs and clouds: what they answer may be kept for a while, with its age."""

import hashlib
import json
import os
import stat
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from statectl.problems import Span
from statectl.targets.draft import Draft

FORMAT = "statectl.source/1"
MAX_BYTES = 128 * 1024 * 1024


class SourceFailed(Exception):
    """There is no answer: why, in one line, and what to do."""

    def __init__(self, code: str, summary: str, hint: str = "") -> None:
        super().__init__(summary)
        self.code, self.summary, self.hint = code, summary, hint


class Answered(NamedTuple):
    """`at`: seconds since 1970. `kept`: it was not asked for now."""

    file: str
    kind: str
    at: float
    kept: bool


@dataclass(frozen=True, slots=True)
class Keeping:
    """How long answers count. `directory` None: none is kept, and none is used.

    cache_s        younger than that, an answer is used and nobody asked
    if_failing_s   how old it may be when the source does not answer
    anew           ask, whatever is kept
    ask            False: never; an answer of any age is used, or none
    """

    directory: Path | None = None
    cache_s: float = 0.0
    if_failing_s: float = 0.0
    anew: bool = False
    ask: bool = True

    @property
    def limit_s(self) -> float:
        return max(self.cache_s, self.if_failing_s)


class _Kept(NamedTuple):
    at: float
    answer: Any


@dataclass(frozen=True, slots=True)
class Source:
    """`file`: as messages name it. `identity`: with another one, an answer is to another question."""

    file: str
    kind: str  # program | ec2
    identity: str

    def read(self, draft: Draft, keeping: Keeping, ask: Callable[[], Any], use: Callable[[Any], None]) -> bool:
        """Add to the draft what the source says: `use` reads an answer of `ask`, which raises SourceFailed. False: nobody was asked."""
        span = Span(self.file, 1, 1)
        kept = self._kept(keeping)
        age = time.time() - kept.at if kept is not None else 0.0
        if not keeping.ask:
            if kept is not None:
                draft.problem("W160", f"not asked: its answer of {ago(age)} ago is used", span)
                self._used(draft, kept, use)
            return kept is not None
        if kept is not None and not keeping.anew and age < keeping.cache_s:
            self._used(draft, kept, use)
            return True
        try:
            answer = ask()
        except SourceFailed as error:
            if kept is None or age > keeping.limit_s:
                draft.problem(error.code, error.summary, span, hint=error.hint)
            else:
                draft.problem("W160", f"{error.summary}; its answer of {ago(age)} ago is used", span, hint=error.hint)
                self._used(draft, kept, use)
            return True
        found = len(draft.problems)
        draft.answered.append(Answered(self.file, self.kind, time.time(), kept=False))
        use(answer)
        if all(problem.is_warning for problem in draft.problems[found:]):
            self._keep(draft, keeping, answer)
        return True

    def _used(self, draft: Draft, kept: _Kept, use: Callable[[Any], None]) -> None:
        draft.answered.append(Answered(self.file, self.kind, kept.at, kept=True))
        use(kept.answer)

    def _path(self, directory: Path) -> Path:
        name = json.dumps([self.file, self.kind, self.identity])
        return directory / f"{hashlib.sha256(name.encode()).hexdigest()[:32]}.json"

    def _kept(self, keeping: Keeping) -> _Kept | None:
        """A file that others could have written, or that is no answer, is none."""
        if keeping.directory is None or (keeping.ask and not keeping.limit_s):
            return None
        try:
            descriptor = os.open(self._path(keeping.directory), os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        except OSError:
            return None
        with os.fdopen(descriptor, "rb") as file:
            info = os.fstat(descriptor)
            ours = info.st_uid in (os.geteuid(), 0) and not info.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
            if not ours or not stat.S_ISREG(info.st_mode) or info.st_size > MAX_BYTES:
                return None
            try:
                content = json.load(file)
            except (ValueError, RecursionError):
                return None
        if not isinstance(content, dict) or content.get("format") != FORMAT or "answer" not in content:
            return None
        at = content.get("at")
        return _Kept(float(at), content["answer"]) if isinstance(at, int | float) and at <= time.time() + 1 else None

    def _keep(self, draft: Draft, keeping: Keeping, answer: Any) -> None:
        """For us alone: what programs print may hold passwords."""
        if keeping.directory is None or not keeping.limit_s:
            return
        path = self._path(keeping.directory)
        content = {"format": FORMAT, "source": self.file, "at": time.time(), "answer": answer}
        beside = ""
        try:
            keeping.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor, beside = tempfile.mkstemp(dir=keeping.directory, prefix=".new-")  # 0600
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                json.dump(content, file)
            os.replace(beside, path)
        except OSError as error:
            reason = (error.strerror or "unknown error").lower()
            draft.problem(
                "W161", f"its answer cannot be kept: {reason}", Span(self.file, 1, 1), hint=f"see {path.parent}"
            )
            if beside:
                with suppress(OSError):
                    os.unlink(beside)


def ago(seconds: float) -> str:
    """12s, 4m, 3h, 2d."""
    for size, unit in ((86400, "d"), (3600, "h"), (60, "m")):
        if seconds >= size:
            return f"{int(seconds // size)}{unit}"
    return f"{max(0, int(seconds))}s"
