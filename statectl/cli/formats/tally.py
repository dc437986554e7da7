"""What is known of a run that goes on: who is at work, who has ended and how, what went wrong. Nothing is drawn here.

Texts of hosts come in as they were said, and are kept harmless.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from statectl.cli.formats.terminal import one_line
from statectl.reconcile.observer import Pace
from statectl.rollout.budget import Budget

GOOD = ("ok", "changed", "planned")
FAILED = ("failed",)


def kind_of(outcome: str) -> str:
    """The mark that an outcome of a host has: ok, failed, or a warning for what is not known or was not begun."""
    return "ok" if outcome in GOOD else "failed" if outcome in FAILED else "warning"


@dataclass
class Trouble:
    """One thing that went wrong in the same way on these hosts."""

    kind: str  # failed | warning
    what: str  # address, or outcome of the host
    cause: str
    hosts: dict[str, None] = field(default_factory=dict)  # in the order in which they were heard of
    _names: tuple[int, str] = (0, "")

    @property
    def names(self) -> str:
        """The hosts as ranges. Asked for at every drawing, so it is made anew only when there are more."""
        if self._names[0] != len(self.hosts):
            from statectl.targets.ranges import compress

            self._names = len(self.hosts), compress(self.hosts)
        return self._names[1]


class Tally:
    """One phase of a run: `reading`, then `applying`. Times are seconds of `clock`."""

    def __init__(self, total: int, clock: Callable[[], float] = time.monotonic) -> None:
        self.clock = clock
        self.pace: Pace | None = None
        self.budget = Budget(total)
        self._first(total)

    def _first(self, total: int) -> None:
        self.total = total
        self.began = self.clock()
        self.outcomes: dict[str, str] = {}  # host: as it ended
        self.kinds = {"ok": 0, "failed": 0, "warning": 0}  # hosts that ended so
        self.running: dict[str, float] = {}  # host: since when
        self.words: dict[str, str] = {}  # host: what was heard of it last
        self.slowest: tuple[float, str] = 0.0, ""  # of those that ended: (seconds, host)
        self._troubles: dict[tuple[str, str, str], Trouble] = {}
        self._wave_of: dict[str, int] = {}
        self.waves: list[list[int]] = []  # of each: [hosts, begun, ended]

    def going(self, pace: Pace, age_s: float = 0.0) -> None:
        """The hosts are written to from now on, or since `age_s` ago."""
        self._first(sum(map(len, pace.waves)) + len(pace.ended))
        self.began -= age_s
        self.pace = pace
        self.budget = Budget(pace.errors_allowed, pace.unreachable_counts)
        self.waves = [[len(wave), 0, 0] for wave in pace.waves]
        self._wave_of = {host: number for number, wave in enumerate(pace.waves) for host in wave}
        for host, result in pace.ended.items():
            self.ended(host, result.outcome, result.reason)

    def begun(self, host: str, age_s: float = 0.0) -> None:
        if host not in self.running and host not in self.outcomes:
            self.running[host] = self.clock() - age_s
            self._of_its_wave(host, 1)

    def heard(self, host: str, words: str) -> None:
        self.words[host] = one_line(words)

    def ended(self, host: str, outcome: str, reason: str = "") -> None:
        if host in self.running:
            self.slowest = max(self.slowest, (self.clock() - self.running.pop(host), host))
        before = self.outcomes.get(host)
        self.outcomes[host] = outcome
        self.kinds[kind_of(outcome)] += 1
        self.words.pop(host, None)
        if before is None:
            self._of_its_wave(host, 2)
            self.budget.record(host, outcome)
        else:  # it turned out not to be well after all
            self.kinds[kind_of(before)] -= 1
            if outcome == "failed":
                self.budget.failed_later(host)
        if kind_of(outcome) != "ok" and reason:
            self.failed(host, outcome, reason, kind_of(outcome))

    def failed(self, host: str, what: str, cause: str, kind: str = "failed") -> None:
        what, cause = one_line(what), one_line(cause)
        trouble = self._troubles.setdefault((kind, what, cause), Trouble(kind, what, cause))
        trouble.hosts[host] = None

    def _of_its_wave(self, host: str, place: int) -> None:
        if host in self._wave_of:
            self.waves[self._wave_of[host]][place] += 1

    @property
    def wave(self) -> int:
        """The one that is worked on, counted from 1."""
        return next((number for number, (size, _, ended) in enumerate(self.waves, 1) if ended < size), len(self.waves))

    @property
    def troubles(self) -> Sequence[Trouble]:
        """Failures first, and those of most hosts."""
        return sorted(self._troubles.values(), key=lambda one: (one.kind != "failed", -len(one.hosts)))

    @property
    def elapsed(self) -> float:
        return self.clock() - self.began
