"""Waiting for a host that reboots, with a host made of lists and a clock of our own."""

import asyncio
from typing import Any

import pytest

from statectl.errors import Unreachable
from statectl.reconcile.host_result import HostResult
from statectl.reconcile.rebooting import NOT_GOING_S, Asked, Back, circle, wait

REFUSED = Unreachable("connection refused", code="E301")
ASKED = Asked("one", 900.0, 1, ("patches:debian",), ("lab-kernel asks for a reboot",))


def at(boot: str, *, host_id: str = "h", lock: Any = None) -> dict[str, Any]:
    return {"type": "ready", "facts": {"host": {"boot_id": boot}}, "memory": {"host_id": host_id, "lock": lock}}


class Host:
    """Each login takes the next answer, the last one for ever: an error, or what the executor says first."""

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)
        self.clock = 0.0
        self.logins: list[float] = []
        self.closed = 0
        self.stopped = asyncio.Event()
        self.stop_at = 1e9

    async def open(self) -> "Host":
        self.logins.append(self.clock)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        self.waiting = [answer, {"type": "end", "outcome": "done"}]
        return self

    async def receive(self) -> dict[str, Any]:
        return self.waiting.pop(0)

    async def close(self) -> None:
        self.closed += 1

    async def sleep(self, pause: float) -> None:
        self.clock += pause
        if self.clock >= self.stop_at:
            self.stopped.set()
            await asyncio.sleep(3600)

    def wait(self, asked: Asked = ASKED) -> Back:
        return asyncio.run(wait(self.open, asked, "h", self.stopped, now=lambda: self.clock, sleep=self.sleep))


def test_it_is_back_with_another_boot():
    """Refused logins and answers of the old boot are no return; the first answer of another boot is."""
    host = Host(at("one", lock={"pid": 1}), REFUSED, REFUSED, at("two"))
    back = host.wait()
    assert (back.outcome, back.seconds) == ("back", 2.0)
    assert host.closed == 2
    assert host.logins == [0.0, 0.5, 1.0, 2.0]


def test_it_does_not_come_back():
    """After the time that the baseline gives: failed, with the last reason and what to do, and not one login more."""
    host = Host(REFUSED)
    back = host.wait()
    assert back.outcome == "away"
    assert 880 < host.clock <= 900
    result = HostResult("changed")
    back.fails(result, ASKED)
    assert (result.outcome, result.code) == ("failed", "E530")
    assert result.reason == f"it did not come back from its reboot within {host.clock:.0f} s (connection refused)"
    assert "console" in result.hint
    assert [(one["address"], one["verb"], one["outcome"]) for one in result.notified] == [
        ("patches:debian", "reboot", "unknown")
    ]


def test_it_never_went_down():
    """An old boot of which nobody holds the lock any more will not go down: said long before the time is over, and it stays owed."""
    host = Host(at("one"))
    back = host.wait()
    assert back.outcome == "not booted"
    assert NOT_GOING_S < host.clock < NOT_GOING_S + 15
    result = HostResult("changed")
    back.fails(result, ASKED)
    assert (result.outcome, result.code) == ("failed", "E532")
    assert "stays owed" in result.reason


def test_it_takes_long_to_go_down():
    """While the lock is held there it is on its way; an old boot at the end of the time was not booted."""
    host = Host(at("one", lock={"pid": 1}))
    back = host.wait()
    assert back.outcome == "not booted"
    assert host.clock > 880


def test_another_host_answers():
    """Another identity: nothing is done there."""
    host = Host(REFUSED, at("two", host_id="other"))
    back = host.wait()
    result = HostResult("changed")
    back.fails(result, ASKED)
    assert (back.outcome, result.outcome, result.code) == ("another host", "failed", "E533")


def test_the_run_is_stopped_meanwhile():
    """Whoever stops the run does not wait for the host: nobody knows how it is."""
    host = Host(REFUSED)
    host.stop_at = 3.0
    back = host.wait()
    result = HostResult("changed")
    back.fails(result, ASKED)
    assert (back.outcome, result.outcome, result.code) == ("stopped", "unknown", "E534")
    assert "--resume" in result.hint


@pytest.mark.parametrize(("reboots", "words"), [(1, "after 1 reboot ("), (2, "after 2 reboots (")])
def test_more_reboots_than_it_may_have(reboots, words):
    """It has failed, with what asks for them."""
    result = HostResult("changed")
    circle(result, ASKED, reboots)
    assert (result.outcome, result.code) == ("failed", "E531")
    assert words + "lab-kernel asks for a reboot)" in result.reason
