"""Progress on stderr: one redrawn line on a terminal, plain lines in a pipe (one for each failure, and one each 10 s or 10 %)."""

import time
from collections.abc import Mapping
from typing import Any, TextIO

from statectl.cli.formats.apply_text import notified_line, result_line
from statectl.cli.formats.lasting import Lasting
from statectl.cli.formats.terminal import Screen, one_line
from statectl.plans.plan import HostPlan
from statectl.reconcile.heard import right_result
from statectl.reconcile.host_result import HostResult

EVERY_S = 10.0
MANY_HOSTS = 20  # up to here every change has its own line


class Progress:
    """An Observer. `verbose`: 0 changes and failures, 1 also what is unchanged, 2 also what executors say, 3 also messages."""

    def __init__(self, stream: TextIO, screen: Screen, total: int, *, verbose: int = 0, quiet: bool = False) -> None:
        self._stream = Lasting(stream)
        self._screen = screen
        self._total = total
        self._verbose = verbose
        self._quiet = quiet
        self._done: dict[str, int] = {}
        self._phase = "plan"
        self._last = time.monotonic()
        self._last_share = 0
        self._live = ""

    def planned(self, host: str, plan: HostPlan) -> None:
        self._enter("plan")
        self._count(plan.outcome)
        if self._verbose and not self._quiet:
            self._line(f"{host}: {plan.outcome}, {plan.ok} as wanted, {len(plan.verdicts)} not")
        self._tick()

    def applied(self, host: str, result: HostResult) -> None:
        self._enter("apply")
        self._count(result.outcome)
        if result.outcome not in ("ok", "changed") and not result.results and not self._quiet:
            self._line(f"{self._screen.mark('failed')} {host}  {result.outcome}: {one_line(result.reason)}")
        self._tick()

    def message(self, host: str, message: Mapping[str, Any]) -> None:
        kind = message["type"]
        many = self._total > MANY_HOSTS
        if self._quiet:
            return
        if kind == "result":
            outcome = message["outcome"]
            if outcome == "failed" or (outcome == "changed" and not many) or self._verbose:
                self._line(result_line(host, message, self._screen, with_host=self._total > 1))
        elif kind == "right":
            if message["of"] == "result" and self._verbose:
                for address in message["addresses"]:
                    self.message(host, right_result(address))
        elif kind == "notified":
            if message["outcome"] == "failed" or not many or self._verbose:
                self._line(notified_line(host, message, self._screen, with_host=self._total > 1))
        elif kind == "waiting" or (kind == "log" and (self._verbose >= 2 or message.get("level") == "warning")):
            self._line(f"{host}: {one_line(str(message.get('text') or message.get('reason') or ''))}")
        elif self._verbose >= 3 and kind not in ("log", "verdict", "right"):
            self._line(f"{host}: message {kind}")

    def close(self) -> None:
        """Take the live line away; everything that matters has its own."""
        if self._live:
            self._stream.write("\r\x1b[K")
            self._stream.flush()
            self._live = ""

    def _enter(self, phase: str) -> None:
        if phase != self._phase:
            self.close()
            self._phase, self._done, self._last_share = phase, {}, 0

    def _count(self, outcome: str) -> None:
        self._done[outcome] = self._done.get(outcome, 0) + 1

    def _line(self, text: str) -> None:
        live = self._live
        self.close()
        self._stream.write(text + "\n")
        if live:
            self._draw()
        self._stream.flush()

    def _tick(self) -> None:
        if self._quiet:
            return
        if self._screen.terminal and self._total > 1:
            self._draw()
            return
        done = sum(self._done.values())
        share = done * 10 // max(1, self._total)
        moment = time.monotonic()
        if self._total > MANY_HOSTS and (share > self._last_share or moment - self._last >= EVERY_S):
            self._last, self._last_share = moment, share
            self._stream.write(self._summary() + "\n")
            self._stream.flush()

    def _draw(self) -> None:
        self._live = self._screen.fit(self._summary(), self._screen.width - 1)
        self._stream.write("\r\x1b[K" + self._live)
        self._stream.flush()

    def _summary(self) -> str:
        done = sum(self._done.values())
        counts = "  ".join(f"{count} {word}" for word, count in sorted(self._done.items()))
        return f"{self._phase} {done}/{self._total}  {counts}"
