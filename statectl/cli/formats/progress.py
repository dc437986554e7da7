"""Progress on stderr: a live area on a terminal, plain lines in a pipe (one for each failure, and one each 10 s or 10 %)."""

import asyncio
import time
from collections.abc import Callable, Mapping
from typing import Any, TextIO

from statectl.cli.formats.apply_text import cause_of, notified_line, result_line
from statectl.cli.formats.lasting import Lasting, Writable
from statectl.cli.formats.live_area import Beside, LiveArea
from statectl.cli.formats.live_lines import MANY_HOSTS, last_lines, live_lines
from statectl.cli.formats.tally import Tally, kind_of
from statectl.cli.formats.terminal import Screen, one_line
from statectl.plans.plan import HostPlan
from statectl.reconcile.heard import right_result
from statectl.reconcile.host_result import HostResult
from statectl.reconcile.observer import Pace

EVERY_S = 10.0
FRAME_S = 0.1  # at least between two drawings
LOOK_S = 0.2  # clocks and the size of the terminal are looked at
QUIET_S = 0.3  # what takes less is not drawn at all


class Progress:
    """An Observer. `verbose`: 0 changes and failures, 1 also what is unchanged, 2 also what executors say, 3 also messages.

    title      what was asked for, as `apply web`
    reported   what went wrong is said again at the end, on stdout; else it stays on the terminal

    Left by an exception, what the live area showed stays.
    """

    def __init__(
        self,
        stream: TextIO,
        screen: Screen,
        total: int,
        *,
        title: str = "",
        verbose: int = 0,
        quiet: bool = False,
        reported: bool = True,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._stream = Lasting(stream)
        self._screen = screen
        self._title = title
        self._verbose = verbose
        self._quiet = quiet
        self._reported = reported
        self._tally = Tally(total, clock)
        self._area = LiveArea(stream, screen) if screen.live and not quiet else None
        self._timer: asyncio.TimerHandle | None = None
        self._said = self._tally.began  # when the last line of a pipe was
        self._share = 0
        self._drawn = 0.0
        self._closed = False

    def __enter__(self) -> "Progress":
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self.close(keep=kind is not None or not self._reported)

    @property
    def _many(self) -> bool:
        return self._tally.total > MANY_HOSTS

    # --- what happens

    def begun(self, host: str, age_s: float = 0.0) -> None:
        self._tally.begun(host, age_s)
        self._tick()

    def planned(self, host: str, plan: HostPlan) -> None:
        self._tally.ended(host, plan.outcome, plan.reason)
        if self._verbose and not self._quiet:
            self.say(f"{host}: {plan.outcome}, {plan.ok} as wanted, {len(plan.verdicts)} not")
        self._tick()

    def going(self, pace: Pace, age_s: float = 0.0) -> None:
        self._tally.going(pace, age_s)
        self._said, self._share, self._closed = self._tally.clock(), 0, False
        for host, result in pace.ended.items():
            self._ended_badly(host, result)
        self._tick()

    def applied(self, host: str, result: HostResult) -> None:
        self._tally.ended(host, result.outcome, result.reason)
        self._ended_badly(host, result)
        self._tick()

    def message(self, host: str, message: Mapping[str, Any]) -> None:
        kind = message["type"]
        if kind in ("result", "notified"):
            self._count(host, message)
        elif kind == "waiting":
            self._tally.heard(host, str(message.get("reason") or "waiting"))
        if not self._quiet:
            self._tell(host, message)
            self._tick()

    def _count(self, host: str, message: Mapping[str, Any]) -> None:
        address = str(message["address"])
        if message["outcome"] == "failed":
            self._tally.failed(host, address, cause_of(message))
        if message["outcome"] != "ok":
            self._tally.heard(host, address)

    def _tell(self, host: str, message: Mapping[str, Any]) -> None:
        """The lasting line of a message, if it has one. On a terminal, failures of many hosts are folded below instead."""
        kind, named = message["type"], self._tally.total > 1
        alone = not self._many
        if kind in ("result", "notified"):
            outcome = message["outcome"]
            failed = outcome == "failed" and (alone or self._area is None)
            changed = alone and (outcome == "changed" or kind == "notified")
            if failed or changed or self._verbose:
                line = result_line if kind == "result" else notified_line
                self.say(line(host, message, self._screen, with_host=named))
        elif kind == "right":
            if message["of"] == "result" and self._verbose:
                for address in message["addresses"]:
                    self.message(host, right_result(address))
        elif kind == "waiting" or (kind == "log" and (self._verbose >= 2 or message.get("level") == "warning")):
            self.say(f"{host}: {one_line(str(message.get('text') or message.get('reason') or ''))}")
        elif self._verbose >= 3 and kind not in ("log", "verdict", "right"):
            self.say(f"{host}: message {kind}")

    def _ended_badly(self, host: str, result: HostResult) -> None:
        """A host that did not end well for a reason of its own; what failed on it has lines of its own."""
        kind = kind_of(result.outcome)
        if result.outcome == "terminated":  # nothing was begun; the report says of how many, and why
            return
        if kind == "ok" or not result.reason or self._quiet or (self._many and self._area is not None):
            return
        mark = self._screen.paint(self._screen.mark(kind), kind)
        self.say(f"{mark} {host}  {result.outcome}: {one_line(result.reason)}")

    # --- what is shown

    def say(self, text: str) -> None:
        """A line that stays."""
        if self._area is not None:
            self._area.above(text)
        else:
            self._stream.write(text + "\n")
            self._stream.flush()

    def beside(self, stream: Writable) -> Beside:
        """Another stream that may be on the same terminal."""
        return Beside(stream, self._area.take_away if self._area is not None else lambda: None)

    def tick(self) -> None:
        """Time has passed: to be called now and then where no event loop runs."""
        if not self._closed and not self._quiet:
            self._show()

    def close(self, *, keep: bool = False) -> None:
        """Take the live area away. `keep`: what went wrong stays."""
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._area is None:
            return
        if keep and self._many and self._tally.troubles:
            self._area.leave(last_lines(self._tally, self._title, self._screen, self._area.size()[0]))
        self._area.take_away()

    def _tick(self) -> None:
        self._closed = False
        if self._quiet:
            return
        self._show()
        if self._timer is None and (self._area is not None or self._many):
            try:
                self._timer = asyncio.get_running_loop().call_later(LOOK_S, self._later)
            except RuntimeError:  # no loop: whoever tells us what happens calls tick()
                return

    def _later(self) -> None:
        self._timer = None
        if not self._closed:
            self._tick()

    def _show(self) -> None:
        moment = self._tally.clock()
        if self._area is None:
            self._plain(moment)
        elif moment - self._drawn >= FRAME_S and self._tally.elapsed >= QUIET_S:
            self._drawn = moment
            columns, rows = self._area.size()
            self._area.draw(live_lines(self._tally, self._title, self._screen, columns, rows - 1))

    def _plain(self, moment: float) -> None:
        done = len(self._tally.outcomes)
        share = done * 10 // max(1, self._tally.total)
        if self._many and (share > self._share or moment - self._said >= EVERY_S):
            self._said, self._share = moment, share
            words: dict[str, int] = {}
            for outcome in self._tally.outcomes.values():
                words[outcome] = words.get(outcome, 0) + 1
            counts = "  ".join(f"{count} {word}" for word, count in sorted(words.items()))
            phase = "plan" if self._tally.pace is None else "apply"
            self._stream.write(f"{phase} {done}/{self._tally.total}  {counts}\n")
            self._stream.flush()
