"""One host's run over a reboot: what is said to the host, what is recorded when, and what both halves come to. The host is a script."""

import asyncio
from typing import Any

import pytest

from statectl.errors import StatectlError, Unreachable
from statectl.reconcile import rebooting
from statectl.reconcile.host_result import HostResult
from statectl.reconcile.host_run import HostRun, Order
from statectl.transport.channel import Endpoint

TARGET = "patches:debian"
ASKED = {
    "boot_id": "one",
    "timeout_s": 900,
    "max_reboots": 1,
    "addresses": [TARGET],
    "reasons": ["lab asks for a reboot"],
}


class Compiled:
    def __init__(self) -> None:
        entry = {"address": TARGET, "type": "patches", "association": "web", "owners": ["web"], "want": {}}
        self.catalogue = {"hash": "h", "associations": [{"name": "web"}], "resources": [entry]}
        self.blobs: dict[str, Any] = {}
        self.secrets: dict[str, Any] = {}
        self.problems: list[Any] = []
        self.rollouts: dict[str, Any] = {}
        self.requires: dict[str, Any] = {}
        self.parameters: dict[str, Any] = {}


def end(outcome: str, **more: Any) -> dict[str, Any]:
    return {"type": "end", "outcome": outcome, "digest": "0" * 64, "counts": {}, "reason": "", **more}


def result(outcome: str) -> dict[str, Any]:
    return {"type": "result", "address": TARGET, "outcome": outcome, "action": "change", "changes": [], "error": None}


VERDICT = {"type": "verdict", "address": TARGET, "association": "web", "verdict": "change", "action": "change"}
PLANNED = {"type": "planned", "counts": {}}


def half(outcome: str, verdict: bool = True, **more: Any) -> list[dict[str, Any]]:
    """A whole conversation of kind apply behind its `ready`."""
    return [*([VERDICT] if verdict else []), PLANNED, result(outcome), end("applied", **more)]


class Machine:
    """Answers each login with the next script; `boot` counts up when it was told that it may reboot."""

    def __init__(self, *halves: list[dict[str, Any]], boots: tuple[str, ...] = ("one", "two", "three")) -> None:
        self.halves = list(halves)
        self.boots = list(boots)
        self.said: list[dict[str, Any]] = []
        self.orders: list[dict[str, Any]] = []
        self.recorded: list[tuple[str, str, int]] = []  # (which, outcome, reboots that it had done by then)
        self.reboots = 0
        self.away = 0

    async def open(self, endpoint: Endpoint, order: dict[str, Any]) -> "Machine":
        if self.away:
            self.away -= 1
            raise Unreachable("connection refused", code="E301")
        self.orders.append(order)
        ready = {
            "type": "ready",
            "facts": {"host": {"boot_id": self.boots[0]}},
            "probes": {},
            "memory": {"host_id": "h", "undelivered": [], "debts": [], "lock": None},
        }
        self.waiting = [ready, end("done")] if order["kind"] == "facts" else [ready, *self.halves.pop(0)]
        return self

    async def send(self, message: dict[str, Any]) -> None:
        self.said.append(message)
        if message.get("reboot"):
            self.reboots += 1
            self.boots.pop(0)
            self.away = 2

    async def receive(self) -> dict[str, Any]:
        if not self.waiting:
            raise Unreachable("channel lost", code="E310")
        return self.waiting.pop(0)

    async def close(self) -> None:
        pass


@pytest.fixture
def go(monkeypatch):
    """`go(machine)` -> (result of an apply, what was shown meanwhile)"""

    def run(machine: Machine, interim: Any = None) -> tuple[HostResult, list[str], HostRun]:
        shown: list[str] = []
        one = HostRun(
            "web01",
            Endpoint(name="web01", address="10.0.0.1"),
            Order("R1", "apply", "ana@laptop"),
            open_conversation=machine.open,
            compile_with=lambda *_: Compiled(),
        )

        async def record(which: str, told: HostResult) -> None:
            machine.recorded.append((which, told.outcome, machine.reboots))

        one.record = lambda told: record("final", told)
        one.interim = interim or (lambda told: record("interim", told))
        one.on_message = lambda _, message: (
            shown.append(message.get("reason", "")) if message["type"] == "waiting" else None
        )
        return asyncio.run(one.apply({}, "")), shown, one

    async def at_once(_: float) -> None:
        pass

    original = rebooting.wait
    monkeypatch.setattr(rebooting, "wait", lambda *given: original(*given, sleep=at_once))
    return run


def test_both_halves_are_one_result(go):
    """Recorded before the host may reboot and again at the end; the second order says that it was rebooted; what was done before counts."""
    machine = Machine(half("changed", reboot=ASKED), half("ok", verdict=False))
    told, shown, run = go(machine)
    assert told.outcome == "changed"
    assert [one["outcome"] for one in told.results] == ["changed"]
    assert machine.recorded == [("interim", "unknown", 0), ("final", "changed", 1)]
    assert [order["kind"] for order in machine.orders] == ["apply", "facts", "apply"]
    assert [order.get("rebooted", 0) for order in machine.orders] == [0, 1, 1]
    acks = [one for one in machine.said if one.get("type") == "ack"]
    assert [one.get("reboot", False) for one in acks] == [True, False]
    assert shown == ["rebooting: lab asks for a reboot", "back after 0 s"]
    assert [verdict.address for verdict in run.plan.verdicts] == [TARGET]  # the plan that was agreed to


def test_it_asks_for_more_than_it_may_have(go):
    """A host that says again that it wants a reboot gets no word: failed, whatever its executor counts."""
    machine = Machine(half("changed", reboot=ASKED), half("ok", verdict=False, reboot={**ASKED, "boot_id": "two"}))
    told, _, _ = go(machine)
    assert (told.outcome, told.code, machine.reboots) == ("failed", "E531", 1)
    assert machine.recorded[-1] == ("final", "failed", 1)


def test_two_reboots_where_two_are_allowed(go):
    """Results of all three parts are one."""
    two = {**ASKED, "max_reboots": 2}
    machine = Machine(
        half("changed", reboot=two), half("ok", False, reboot={**two, "boot_id": "two"}), half("ok", False)
    )
    told, _, _ = go(machine)
    assert (told.outcome, machine.reboots) == ("changed", 2)
    assert [one["outcome"] for one in told.results] == ["changed"]


def test_it_is_back_and_then_lost(go):
    """A channel that is lost in the second half leaves the host unknown, with what the first half did."""
    machine = Machine(half("changed", reboot=ASKED), [PLANNED])
    told, _, _ = go(machine)
    assert told.outcome == "unknown"
    assert [one["outcome"] for one in told.results] == ["changed"]


def test_it_is_back_and_somebody_else_holds_it(go):
    """The host was changed, so it is not merely refused: failed, with what came after the reboot."""
    machine = Machine(
        half("changed", reboot=ASKED), [end("refused", reason="another apply holds this host", code="E501")]
    )
    told, _, _ = go(machine)
    assert (told.outcome, told.code) == ("failed", "E501")
    assert told.reason.startswith("it is back from its reboot, and then: another apply holds this host")
    assert [one["outcome"] for one in told.results] == ["changed"]


def test_a_host_that_failed_is_not_told_to_reboot(go):
    """Whatever its executor asks for."""
    machine = Machine(half("failed", reboot=ASKED))
    told, _, _ = go(machine)
    assert (told.outcome, machine.reboots) == ("failed", 0)


def test_the_machine_that_this_runs_on(go, monkeypatch):
    """It is never rebooted: the reboot stays owed, and the run says why."""
    monkeypatch.setattr(rebooting, "own_boot_id", lambda: "one")
    machine = Machine(half("changed", reboot=ASKED))
    told, _, _ = go(machine)
    assert (told.outcome, told.code, machine.reboots) == ("failed", "E535", 0)
    assert "by hand" in told.hint
    assert machine.recorded == [("final", "failed", 0)]


def test_nothing_is_rebooted_that_could_not_be_recorded(go):
    """The store refuses the row before the reboot: no word is given, and the host stays up."""
    machine = Machine(half("changed", reboot=ASKED))

    async def full(_: HostResult) -> None:
        raise StatectlError("database or disk is full")

    told, _, _ = go(machine, interim=full)
    assert (told.outcome, machine.reboots) == ("failed", 0)
    assert "disk is full" in told.reason
