"""Coming back after a change that may have locked us out, with a host made of lists and a clock of our own."""

import asyncio
from typing import Any

import pytest

from statectl.errors import Unreachable
from statectl.reconcile.confirm import AFTERWARDS_S, Confirmation, confirm, lock_out
from statectl.reconcile.host_result import HostResult, settle
from statectl.targets.undo_after import seconds, undo_after_problem
from statectl.transport.channel import Become, Endpoint

READY = {"type": "ready", "facts": {}, "probes": {}, "memory": {"undelivered": [{"run": "OLD"}]}}
REFUSED = Unreachable("connection refused", code="E301")


def kept(outcome: str) -> dict[str, Any]:
    entry = {"address": "file:/etc/ssh/x", "outcome": outcome, "reason": "undone by the host"}
    return {"run": "R1", "outcome": "applied", "results": [entry], "notified": []}


class Host:
    """Each login takes the next answer: an error, or what the executor says."""

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)
        self.logins: list[float] = []
        self.said: list[Any] = []
        self.closed = 0
        self.clock = 0.0
        self.told: list[str] = []

    async def open(self) -> "Host":
        self.logins.append(self.clock)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        self.waiting = list(answer)
        return self

    async def send(self, message: Any) -> None:
        self.said.append(message)

    async def receive(self) -> dict[str, Any]:
        return self.waiting.pop(0)

    async def close(self) -> None:
        self.closed += 1

    async def sleep(self, pause: float) -> None:
        self.clock += pause

    def confirm(self, limit: float = 60) -> Confirmation:
        return asyncio.run(confirm(self.open, "R1", limit, self.told.append, now=lambda: self.clock, sleep=self.sleep))


def ready(*undelivered: dict[str, Any]) -> dict[str, Any]:
    return {**READY, "memory": {"undelivered": [{"run": "OLD"}, *undelivered]}}


def test_the_first_login_confirms():
    """One login, nothing is told, and the conversation stays open until the run is recorded."""
    host = Host([READY, {"type": "end", "outcome": "done"}])
    told = host.confirm()
    assert (told.outcome, host.logins, host.told, host.closed) == ("confirmed", [0.0], [], 0)
    asyncio.run(told.acknowledge("R1"))
    assert host.said == [{"type": "ack", "runs": ["R1"]}]
    assert host.closed == 1


def test_a_network_that_needs_a_moment():
    """Refused logins are tried again with growing pauses, and said once."""
    host = Host(REFUSED, REFUSED, REFUSED, [READY, {"type": "end", "outcome": "done"}])
    assert host.confirm().outcome == "confirmed"
    assert host.logins == [0.0, 1.0, 3.0, 7.0]
    assert host.told == ["no new login: connection refused; unless one succeeds, the host undoes the change in 60 s"]


def test_the_host_tells_that_it_was_undone():
    """After the time is over the host lets us in again: failed, with its own words and its own result."""
    end = {"type": "end", "outcome": "failed", "reason": "undone by the host", "code": "E341"}
    host = Host(*[REFUSED] * 10, [ready(kept("failed")), end])
    told = host.confirm()
    assert (told.outcome, told.code, told.reason) == ("undone", "E341", "undone by the host")
    assert 60 < host.logins[-1] <= 60 + AFTERWARDS_S
    assert told.kept["run"] == "R1"


def test_nobody_knows():
    """No login at all: unknown, never failed and never ok, after a bounded time and a bounded number of logins."""
    host = Host(REFUSED)
    told = host.confirm()
    assert (told.outcome, told.code) == ("unknown", "E340")
    assert "connection refused" in told.reason
    assert host.logins[-1] <= 60 + AFTERWARDS_S
    assert len(host.logins) < 20  # an sshd that counts bad logins must not shut us out for longer


@pytest.mark.parametrize(
    "answer",
    [
        [{"type": "end", "outcome": "refused", "reason": "another apply holds this host", "code": "E501"}],
        [READY, {"type": "verdict", "address": "file:/x"}],
        [READY, {"type": "end", "outcome": "failed", "reason": "no", "code": "E401"}],
    ],
)
def test_what_is_no_confirmation(answer):
    """An end before ready, a message that is not due, a failure: none of them confirms, each conversation is closed."""
    host = Host(answer)
    assert host.confirm(5).outcome == "unknown"
    assert host.closed == len(host.logins) > 1


def test_nothing_is_armed_there():
    """A host that knows of nothing to confirm is not asked again; what it keeps of the run is handed over."""
    end = {"type": "end", "outcome": "failed", "reason": "nothing of run R1 waits", "code": "E340"}
    host = Host([ready(kept("changed")), end])
    told = host.confirm()
    assert (told.outcome, len(host.logins), told.kept["run"]) == ("nothing", 1, "R1")


def test_what_becomes_of_the_result():
    """Confirmed: as it was; undone: failed, with what the host undid; unknown: unknown; a lost channel takes the host's own result."""

    def result(outcome: str) -> HostResult:
        entry = {"address": "file:/etc/ssh/x", "outcome": "changed", "action": "add"}
        return HostResult(outcome, results=[entry, {"address": "file:/y", "outcome": "changed"}])

    good = result("changed")
    settle(good, Confirmation("confirmed", kept=kept("changed")))
    assert good == result("changed")
    undone = result("changed")
    settle(undone, Confirmation("undone", "undone by the host", "E341", kept=kept("failed")))
    assert (undone.outcome, undone.code) == ("failed", "E341")
    assert [(one["address"], one["outcome"], one.get("action")) for one in undone.results] == [
        ("file:/etc/ssh/x", "failed", "add"),
        ("file:/y", "changed", None),
    ]
    lost = result("changed")
    settle(lost, Confirmation("unknown", "no new login", "E340"))
    assert (lost.outcome, lost.reason) == ("unknown", "no new login")
    cut = HostResult("unknown", "channel lost", "E310")
    settle(cut, Confirmation("confirmed", kept=kept("changed")))
    assert (cut.outcome, cut.reason, len(cut.results)) == ("changed", "", 1)
    nothing = HostResult("unknown", "channel lost", "E310")
    settle(nothing, Confirmation("nothing", "nothing waits", "E340"))
    assert (nothing.outcome, nothing.reason, nothing.code) == ("unknown", "channel lost", "E310")
    settle(nothing, Confirmation("nothing", "nothing waits", "E340", kept=kept("changed")))
    assert (nothing.outcome, nothing.reason) == ("changed", "")
    killed = HostResult("unknown", "channel lost", "E310")
    settle(killed, Confirmation("confirmed", kept={**kept("unknown"), "outcome": "unknown", "reason": "ended early"}))
    assert (killed.outcome, killed.reason) == ("unknown", "ended early")
    vanished = result("changed")
    settle(vanished, Confirmation("nothing", "nothing waits", "E340"))
    assert (vanished.outcome, vanished.code) == ("unknown", "E340")


def test_when_anything_is_armed():
    """By ssh a login is needed, with sudo sudo is; a local host without sudo, and `never`, arm nothing."""
    host = Endpoint("web01", "10.0.0.1", undo_after=60.0)
    assert lock_out(host) == {"seconds": 60.0, "login": True, "sudo": False}
    by_sudo = Endpoint("web01", "10.0.0.1", user="ana", become=Become("root"), undo_after=60.0)
    assert lock_out(by_sudo) == {"seconds": 60.0, "login": True, "sudo": True}
    assert lock_out(Endpoint("here", "", connection="local", undo_after=60.0)) is None
    local = Endpoint("here", "", connection="local", become=Become("root"), undo_after=60.0)
    assert lock_out(local) == {"seconds": 60.0, "login": False, "sudo": True}
    assert lock_out(Endpoint("web01", "10.0.0.1", undo_after=0.0)) is None


def test_how_it_is_written():
    """Durations with their unit and `never`; anything shorter, longer or else is a problem."""
    assert [seconds(text) for text in ("10s", "60s", "5m", "1h", "never")] == [10, 60, 300, 3600, 0]
    assert not any(undo_after_problem(text) for text in ("10s", "60s", "5m", "1h", "never"))
    assert all(undo_after_problem(text) for text in ("", "60", "9s", "2h", "0s", "-5m", "soon", "1e3s", "99999h"))
