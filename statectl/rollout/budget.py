"""Rate control by Systems Manager's rule: how many hosts at once, how many errors before nothing new starts. Pure.

MaxConcurrency: `10` or `10%`; never 0. MaxErrors: `0`, `3`, `5%`. Percentages are of the hosts targeted at the start,
rounded down; concurrency is at least 1. New hosts stop starting as soon as errors > allowed: 0 stops after the first error,
3 at the fourth. What is in flight finishes, so the final count may exceed the limit by the window; concurrency 1 is exact.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from statectl.errors import UsageError

_CONCURRENCY = re.compile(r"[1-9][0-9]{0,6}|[1-9][0-9]?%|100%")
_ERRORS = re.compile(r"[0-9]{1,7}|[0-9]%|[1-9][0-9]%|100%")
DEFAULT_CONCURRENCY = "50"
DEFAULT_ERRORS = "100%"  # a typed apply goes on; CI and associations say otherwise


def concurrency(text: str, targets: int) -> int:
    """'10' or '10%' of `targets`, at least 1. Raises UsageError."""
    if not _CONCURRENCY.fullmatch(text):
        raise UsageError(f"max concurrency not valid: {text!r}", hint="a number from 1, or 1% to 100%")
    return max(1, _share(text, targets))


def allowed_errors(text: str, targets: int) -> int:
    """'0', '3' or '5%' of `targets`, rounded down. Raises UsageError."""
    if not _ERRORS.fullmatch(text):
        raise UsageError(f"max errors not valid: {text!r}", hint="a number from 0, or 0% to 100%")
    return _share(text, targets)


def batches(text: str, targets: int) -> list[int]:
    """'1,10%,100%' -> sizes of the waves that follow each other; the last entry repeats until all hosts are taken.

    Raises UsageError.
    """
    parts = [part.strip() for part in text.split(",")]
    if any(not _CONCURRENCY.fullmatch(part) for part in parts):
        raise UsageError(f"batches not valid: {text!r}", hint="for example 1,10%,100%")
    sizes: list[int] = []
    left = targets
    while left > 0:
        part = parts[min(len(sizes), len(parts) - 1)]
        size = min(left, max(1, _share(part, targets)))
        sizes.append(size)
        left -= size
    return sizes


def _share(text: str, whole: int) -> int:
    return whole * int(text[:-1]) // 100 if text.endswith("%") else int(text)


@dataclass
class Budget:
    """Counts errors. `unreachable_counts`: an unreachable host is an error too (Systems Manager: it is not).

    `stops`: {host: association whose rollout ends with the first failure of such a host}; `halted`: why one has ended, '' : none.
    """

    allowed: int
    unreachable_counts: bool = False
    errors: int = 0
    stops: Mapping[str, str] = field(default_factory=dict)
    halted: str = ""
    _counted: set[str] = field(default_factory=set)
    _wrong: set[str] = field(default_factory=set)

    def record(self, host: str, outcome: str) -> None:
        """One host ended. `failed` and `unknown` are errors; `unreachable` only when declared so; `refused` and `stopped` never.

        A host counts once: as soon as somebody knows, and not again when that has been written down.
        """
        if host in self._counted:
            return
        self._counted.add(host)
        if outcome in ("failed", "unknown") or (outcome == "unreachable" and self.unreachable_counts):
            self._error(host)

    def again(self, host: str) -> None:
        """One that ended well goes on: how it ends is counted anew."""
        self._counted.discard(host)

    def failed_later(self, host: str) -> None:
        """One that had ended well turned out not to be."""
        self._counted.add(host)
        if host not in self._wrong:
            self._error(host)

    def _error(self, host: str) -> None:
        self._wrong.add(host)
        self.errors += 1
        if host in self.stops and not self.halted:
            self.halted = f"{host} did not end well, and the rollout of association {self.stops[host]} stops there"

    @property
    def spent(self) -> bool:
        return bool(self.halted) or self.errors > self.allowed


def strictest(default: int, shares: Iterable[tuple[str, int]], of: Callable[[str, int], int]) -> int:
    """The smallest of `default` and of what several associations say: (text, how many hosts it is about); '' says nothing."""
    return min([default, *(of(text, hosts) for text, hosts in shares if text)])


def run_outcome(words: Iterable[str], *, spent: bool, cancelled: bool) -> str:
    """What the outcomes of its hosts make of a run: interrupted, failed, refused or done. An unreachable host alone fails nothing."""
    found = set(words)
    if cancelled:
        return "interrupted"
    if spent or found & {"failed", "unknown", "terminated", "stopped"}:
        return "failed"
    return "refused" if "refused" in found else "done"


def split(hosts: Sequence[str], sizes: Sequence[int]) -> list[list[str]]:
    """Hosts in order, cut into waves."""
    waves: list[list[str]] = []
    start = 0
    for size in sizes:
        waves.append(list(hosts[start : start + size]))
        start += size
    return waves
