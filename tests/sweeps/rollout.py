"""The real apply over simulated hosts in virtual time: what stops a run, exactly when, and whether what it says of it is true.

    python -m tests.sweeps.rollout --runs 100000      prints `100000 runs, N hosts, 0 wrong`

`simulate` plays one case; `judge` compares what was said with what the hosts know and with the event log, by rules of its own.
"""

import argparse
import asyncio
import contextlib
import math
import sys
from collections import Counter
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from statectl.errors import Unreachable
from statectl.reconcile import go, reconcile
from statectl.reconcile.fleet import Fleet, Rate, Run
from statectl.reconcile.host_run import HostRun
from statectl.rollout.run_targets import Cancel
from statectl.transport.channel import Endpoint
from tests.sweeps import virtual_time

RESOURCES = 3
ADDRESSES = [f"file:/{number}" for number in range(RESOURCES)]
KINDS = {
    "ok": "does everything",
    "nothing": "is as wanted already",
    "fails": "its second resource fails",
    "slow": "needs minutes for each resource",
    "unreachable": "cannot be reached",
    "busy": "somebody else applies there",
    "stale": "refuses when told to go",
    "cut at once": "its channel is lost before the plan is told",
    "cut": "its channel is lost after the first resource; it goes on",
    "cut after": "its channel is lost after the last resource, before its last word",
    "twice": "says a result twice",
    "silent": "says nothing any more after go",
    # these are as `ok` where no rollout asks for what goes wrong
    "unwell": "does everything, and its health check fails",
    "sickens": "is well after its change, and not any more after the bake",
    "stuck": "the command before its change fails",
}
SECONDS = {"slow": 200.0}  # for a resource; others: a quarter
QUIRK_AT = {
    "cut": 1,
    "cut after": RESOURCES,
    "twice": 2,
    "silent": 0,
}  # resources done until nothing it says can be believed
ERRORS = {"failed", "unknown"}


@dataclass(frozen=True)
class Rollout:
    """What the association asks for. `steps`: a command before and one after each host."""

    batch: tuple[str, ...]
    health: bool = True
    bake_s: float = 60.0
    on_failure: str = "stop"
    steps: bool = True


@dataclass(frozen=True)
class Case:
    """`signals`: when the user presses Ctrl-C, in virtual seconds. `kept`: are channels kept between plan and go?"""

    hosts: tuple[str, ...]
    delays: tuple[float, ...]
    concurrency: str = ""
    errors: str = ""
    batch: str = "100%"
    unreachable_counts: bool = False
    signals: tuple[float, ...] = ()
    kept: bool = True
    of_association: tuple[str, str] = ("", "")  # its max_concurrency and max_errors
    rollout: Rollout | None = None

    def rolls(self, kind: str) -> bool:
        """Is a host of this kind changed by the association, and the association rolled out?"""
        return self.rollout is not None and kind != "nothing"


@dataclass
class Log:
    """What happened, in order: (moment, what, host, word)."""

    clock: Any
    entries: list[tuple[float, str, str, str]] = field(default_factory=list)

    def add(self, what: str, host: str = "", word: str = "") -> None:
        self.entries.append((self.clock(), what, host, word))

    def of(self, what: str) -> list[tuple[int, str, str]]:
        """[(place in the log, host, word)]"""
        return [(place, host, word) for place, (_, kind, host, word) in enumerate(self.entries) if kind == what]


class Host:
    """What a host is and knows of itself, whoever listens."""

    def __init__(self, name: str, kind: str, delay: float, log: Log, *, asked: bool = False) -> None:
        """asked: is its health asked once it was changed?"""
        self.name, self.kind, self.delay, self.log, self.asked = name, kind, delay, log, asked
        self.went = 0
        self.done: list[str] = []  # outcome of each resource that it came to
        self.begun_after_cancel = 0
        self.cancelled = False
        self.ended = ""
        self.working: asyncio.Task[None] | None = None

    async def work(self, say: Any) -> None:
        """The executor after `go`. It works on when nobody hears it."""
        for address in ADDRESSES:
            if self.cancelled:
                break
            await asyncio.sleep(SECONDS.get(self.kind, 0.25) + self.delay)
            failed = self.kind == "fails" and address == ADDRESSES[1]
            outcome = "failed" if failed else "ok" if self.kind == "nothing" else "changed"
            self.done.append(outcome)
            if self.kind == "silent":
                continue
            say({"type": "result", "address": address, "outcome": outcome, "action": "change", "kind": "intended"})
            if self.kind == "twice" and address == ADDRESSES[1]:
                say({"type": "result", "address": address, "outcome": "ok", "action": "none"})
            if self.kind == "cut" and address == ADDRESSES[0]:
                say(None)
        stopped = len(self.done) < RESOURCES
        self.ended = "stopped" if stopped else "failed" if "failed" in self.done else "applied"
        if self.asked and self.ended == "applied":
            await asyncio.sleep(0.25)
            self.ended = "failed" if self.kind == "unwell" else "applied"
            if self.kind not in ("cut after", "silent"):
                word = "failed" if self.kind == "unwell" else "ok"
                say({"type": "notified", "address": "health:web", "verb": "check", "outcome": word})
        if self.kind == "cut after":
            say(None)
        elif self.kind != "silent":
            say({"type": "end", "outcome": self.ended, "reason": "cancelled by the controller" if stopped else ""})


class Conversation:
    """The controller's end of a channel to a `Host`. None in its queue: the channel is lost there."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._said: asyncio.Queue[dict[str, Any] | None] = asyncio.Queue()
        self._went = False
        self._open = True
        self._say({"type": "ready", "facts": {}, "probes": {}, "memory": {"undelivered": []}})

    def _say(self, message: dict[str, Any] | None) -> None:
        if self._open:
            self._said.put_nowait(message)

    async def send(self, message: Any) -> None:
        host, kind = self._host, message["type"]
        if kind == "hash":  # the catalogue
            await asyncio.sleep(host.delay)
            if host.kind == "cut at once":
                self._say(None)
                return
            verdict = {"type": "verdict", "action": "change", "association": "web", "found_hash": "0"}
            word = "ok" if host.kind == "nothing" else "change"
            for address in ADDRESSES:
                self._say({**verdict, "address": address, "verdict": word})
            self._say({"type": "planned"})
        elif kind == "go":
            host.went += 1
            self._went = True
            host.log.add("go", host.name)
            if host.kind == "stale":
                self._say({"type": "end", "outcome": "stale", "reason": "changed since the plan was made"})
            else:
                host.working = asyncio.ensure_future(host.work(self._say))
        elif kind == "cancel" and self._went:
            await asyncio.sleep(host.delay)
            host.cancelled = True
        elif kind in ("stop", "cancel"):
            self._say({"type": "end", "outcome": "stopped", "reason": "nothing was written"})

    async def receive(self) -> dict[str, Any]:
        message = await self._said.get()
        if message is None:
            self._open = False
            raise Unreachable("channel lost", code="E310")
        return message

    async def close(self) -> None:
        self._open = False
        if self._went:
            self._went = False
            self._host.log.add("left", self._host.name)


class Records:
    """The store: keeps the rows as they were written."""

    def __init__(self, log: Log) -> None:
        self.log = log
        self.rows: dict[str, list[str]] = {}

    def begin_run(self, verb: str, *_: Any, **__: Any) -> str:
        self.log.add("begin", word=verb)
        return "R"

    def record_host(self, _: str, record: Any) -> None:
        self.rows.setdefault(record.host, []).append(record.outcome)
        self.log.add("row", record.host, record.outcome)

    def end_run(self, _: str, outcome: str, counts: dict[str, int], __: Any = None) -> None:
        self.log.add("end", word=outcome)
        self.counts = counts

    def save_plan(self, _: Any) -> None:
        pass


@dataclass
class Played:
    case: Case
    hosts: dict[str, Host]
    run: Run
    log: Log
    records: Records
    took: float


def simulate(case: Case) -> Played:
    """Raises virtual_time.Hang when it never ends."""
    return virtual_time.run(_simulate(case))  # type: ignore[no-any-return]


async def _simulate(case: Case) -> Played:
    loop = asyncio.get_running_loop()
    log = Log(loop.time)
    names = [f"h{number:02}" for number in range(len(case.hosts))]
    kinds = zip(case.hosts, case.delays, strict=True)
    asks = case.rollout
    hosts = {
        name: Host(name, *is_, log, asked=asks is not None and asks.health and is_[0] != "nothing")
        for name, is_ in zip(names, kinds, strict=True)
    }
    records, cancel = Records(log), Cancel()
    step = SimpleNamespace(argv=["switch"], hosts=["balancer"], timeout_s=60.0)
    steps = (step,) if asks is not None and asks.steps else ()
    check = (
        {"kind": "tcp", "what": ["80"], "expect": 200, "within_s": 30.0} if asks is not None and asks.health else None
    )
    compiled = SimpleNamespace(
        catalogue={
            "type": "hash",
            "hash": "0",
            "resources": [{"address": address, "owners": ["web"], "association": "web"} for address in ADDRESSES],
            "associations": [{"name": "web"}],
        },
        blobs={},
        secrets={},
        problems=[],
        parameters={},
        rollouts={"web": SimpleNamespace(health=check, before=steps, after=steps)} if asks is not None else {},
        requires={},
    )

    async def open_conversation(endpoint: Endpoint, _: Any) -> Conversation:
        host = hosts[endpoint.name]
        await asyncio.sleep(host.delay)
        if host.kind == "unreachable":
            raise Unreachable("no answer", code="E301")
        conversation = Conversation(host)
        if host.kind == "busy":
            conversation._said.get_nowait()
            conversation._say({"type": "end", "outcome": "refused", "code": "E501", "reason": "another apply"})
        return conversation

    def start(name: str, order: Any) -> HostRun:
        return HostRun(
            name,
            Endpoint(name=name, address=""),
            order,
            open_conversation=open_conversation,
            compile_with=lambda *_: compiled,
        )

    async def run_step(_: str, __: Any, about: Any) -> str:
        await asyncio.sleep(0.1)
        log.add(about["when"], about["about"])
        return "exited with 1" if about["when"] == "before" and hosts[about["about"]].kind == "stuck" else ""

    async def check_health(name: str, _: Any) -> str:
        await asyncio.sleep(0.1)
        log.add("looked", name)
        return "no answer" if hosts[name].kind == "sickens" else ""

    def press() -> None:
        log.add("signal")
        cancel.request()

    async def agree(_: Any) -> bool:
        log.add("agreed")
        return True

    fleet = Fleet(
        hosts=names,
        start=start,
        records=lambda: records,
        own_names={name: {} for name in names},
        association_order=["web"],
        project="p",
        commit="",
        dirty=False,
        scope={},
        concurrency={"web": case.of_association[0]},
        errors={"web": case.of_association[1]},
        rollouts={"web": asks} if asks is not None else {},
        run_step=run_step,
        check_health=check_health,
    )
    rate = Rate(case.concurrency, case.errors, case.batch, case.unreachable_counts)
    observer = SimpleNamespace(
        begun=lambda *_: None,
        going=lambda *_: None,
        planned=lambda host, plan: log.add("planned", host, plan.outcome),
        applied=lambda host, result: log.add("applied", host, result.outcome),
        message=lambda *_: None,
    )
    for moment in case.signals:
        loop.call_later(moment, press)
    kept, reconcile.KEPT_CHANNELS = reconcile.KEPT_CHANNELS, 64 if case.kept else -1
    try:
        run = await reconcile.apply(fleet, rate, observer, cancel, agree=agree)
    finally:
        reconcile.KEPT_CHANNELS = kept
    took = loop.time()
    log.add("returned")
    # what the hosts go on with when nobody listens
    await asyncio.gather(*(host.working for host in hosts.values() if host.working is not None))
    return Played(case, hosts, run, log, records, took)


def judge(played: Played) -> None:
    """Raises AssertionError that says which rule was broken."""
    results, log = played.run.results, played.log
    signals = [place for place, _, _ in log.of("signal") if place < log.of("returned")[0][0]]
    agreed = log.of("agreed")
    if not agreed or (signals and signals[0] < agreed[0][0]):
        assert not log.of("go"), "something was written although it was stopped before"
        assert not results, results
        assert played.run.outcome == "interrupted", played.run.outcome
        return
    _every_host_is_one_thing(played)
    _never_more_in_flight(played)
    _waves_follow_each_other(played)
    _starts_are_exact(played, signals)
    _cancel_is_obeyed(played, signals)
    _around_each_host(played, signals)
    _batches_bake(played, signals)
    _stated_from_the_log(played, signals)


def _every_host_is_one_thing(played: Played) -> None:
    """Each host has one outcome, its row says the same, and it is what the host knows of itself."""
    results = played.run.results
    assert set(results) == set(played.hosts), "a host without an outcome"
    for name, host in played.hosts.items():
        word = results[name].outcome
        assert played.records.rows[name][-1] == word, f"{name} is {word}, its row {played.records.rows[name]}"
        rows = played.records.rows[name]
        looked = name in [who for _, who, _ in played.log.of("looked")]
        later = looked and host.kind == "sickens" and rows == ["changed", "failed"]
        assert len(rows) == 1 or later, f"{name} has rows {rows}"
        assert host.went <= 1, f"{name} was told to go {host.went} times"
        heard = [entry["outcome"] for entry in results[name].results]
        assert heard == host.done[: len(heard)], f"{name} says {heard}, did {host.done}"
        if word in ("terminated", "refused", "unreachable"):
            assert not host.done, f"{name} is {word} and did {host.done}"
        if word in ("ok", "changed"):
            assert host.ended == "applied", f"{name} is {word} and {host.ended}"
            assert word == ("ok" if host.kind == "nothing" else "changed"), f"{name} is {word}"
        if word == "failed":
            reasons = {"fails": True, "unwell": host.asked, "sickens": later, "stuck": played.case.rollout is not None}
            assert reasons.get(host.kind), f"{name} ({host.kind}) is {word}"
        if word == "stopped":
            assert len(host.done) < RESOURCES, f"{name} is stopped and did everything"
        if word == "unreachable":
            assert host.kind == "unreachable", f"{name} ({host.kind}) is {word}"
        if word == "refused":
            assert host.kind in ("busy", "stale"), f"{name} ({host.kind}) is {word}"
        if host.went and len(host.done) >= QUIRK_AT.get(host.kind, RESOURCES + 1):
            assert word == "unknown", f"{name} ({host.kind}) is {word}"
    counted = Counter(result.outcome for result in results.values())
    assert played.records.counts == dict(counted)


def _share(text: str, of: int) -> int:
    return math.floor(of * int(text[:-1]) / 100) if text.endswith("%") else int(text)


def _allowed(played: Played) -> tuple[int, int]:
    """(hosts at once, errors) that are allowed, from the words of the case alone."""
    case = played.case
    ready = [host for host, word in ((host, word) for _, host, word in played.log.of("planned")) if word == "planned"]
    changing = [name for name in set(ready) if played.hosts[name].kind != "nothing"]
    at_once = max(1, _share(case.concurrency or "50", max(1, len(set(ready)))))
    errors = _share(case.errors or "100%", len(case.hosts))
    if changing and not case.concurrency and case.of_association[0]:
        at_once = min(at_once, max(1, _share(case.of_association[0], len(changing))))
    if changing and not case.errors and case.of_association[1]:
        errors = min(errors, _share(case.of_association[1], len(changing)))
    return at_once, errors


def _never_more_in_flight(played: Played) -> None:
    at_once, _ = _allowed(played)
    flying: set[str] = set()
    for _, what, host, _ in played.log.entries:
        if what == "go":
            flying.add(host)
            assert len(flying) <= at_once, f"{len(flying)} in flight, {at_once} allowed"
        elif what == "left":
            flying.discard(host)


def _ready(played: Played) -> list[str]:
    """Hosts that were planned, in order."""
    planned = {host for _, host, word in played.log.of("planned") if word == "planned"}
    return [name for name in played.hosts if name in planned]


def _wave_of(played: Played) -> dict[str, int]:
    """{host: number of its wave}: of all that are ready when batches were typed, else of those that the rollout changes."""
    ready, case = _ready(played), played.case
    parts = case.batch.split(",") if case.batch else ["100%"]
    left, wave_of, wave = list(ready), {}, 0
    if not case.batch and case.rollout is not None:
        parts = list(case.rollout.batch)
        left = [name for name in ready if case.rolls(played.hosts[name].kind)]
        wave_of = {name: 0 for name in ready if name not in left}
    whole = len(left)
    while left:
        size = max(1, _share(parts[min(wave, len(parts) - 1)], whole))
        wave_of.update(dict.fromkeys(left[:size], wave))
        left, wave = left[size:], wave + 1
    return wave_of


def _around_each_host(played: Played, signals: list[int]) -> None:
    """Before, go, after: in this order, once each, and `after` for those alone that are well, or that nothing was done to."""
    steps = played.case.rollout is not None and played.case.rollout.steps
    for name, host in played.hosts.items():
        what = [kind for _, kind, who, _ in played.log.entries if who == name and kind in ("before", "go", "after")]
        word = played.records.rows.get(name, [""])[0]
        if not steps or host.kind == "nothing":
            assert what in ([], ["go"]), f"{name}: {what}"
            continue
        assert what in (
            [],
            ["before"],
            ["before", "go"],
            ["before", "after"],
            ["before", "go", "after"],
        ), f"{name} ({host.kind}): {what}"
        if host.kind == "stuck":
            assert what in ([], ["before"]), f"{name}: {what}"
        elif len(signals) < 2 and what:
            assert ("after" in what) == (word in ("ok", "changed", "terminated", "refused")), (
                f"{name} is {word}: {what}"
            )


def _batches_bake(played: Played, signals: list[int]) -> None:
    """Between two batches of a rollout lies its time, and what was changed is asked again then."""
    rollout = played.case.rollout
    if rollout is None or not rollout.bake_s:
        assert not played.log.of("looked")
        return
    wave_of = _wave_of(played)
    rolled = [name for name in wave_of if played.case.rolls(played.hosts[name].kind)]
    ended: dict[int, float] = {}
    last = max((wave_of[name] for name in rolled), default=0)
    for moment, what, host, _ in played.log.entries:
        if what == "row" and host in rolled and not played.log.of("looked"):
            ended[wave_of[host]] = moment
        elif what == "row" and host in rolled:
            ended.setdefault(wave_of[host], moment)
        elif what == "go" and host in rolled and wave_of[host]:
            before = max((at for wave, at in ended.items() if wave < wave_of[host]), default=None)
            assert before is None or moment >= before + rollout.bake_s, (
                f"{host} began {moment - before} s after a batch"
            )
    if rollout.health and not signals:
        looked = {host for _, host, _ in played.log.of("looked")}
        begun = {wave_of[name] for name in rolled if played.hosts[name].went}
        for name in rolled:
            well = played.records.rows[name][0] == "changed" and wave_of[name] < last
            assert not well or name in looked or wave_of[name] == max(begun), f"{name} was not asked again"


def _waves_follow_each_other(played: Played) -> None:
    wave_of = _wave_of(played)
    flying: set[str] = set()
    for _, what, host, _ in played.log.entries:
        if what == "go":
            flying.add(host)
            assert len({wave_of[name] for name in flying}) == 1, f"waves mix: {sorted(flying)}"
        elif what == "left":
            flying.discard(host)


def _is_error(word: str, played: Played) -> bool:
    return word in ERRORS or (word == "unreachable" and played.case.unreachable_counts)


def _starts_are_exact(played: Played, signals: list[int]) -> None:
    """Nothing starts once the errors are more than allowed or a stop was asked for; and without either, everything starts."""
    at_once, allowed = _allowed(played)
    ready = _ready(played)
    strict = played.case.rollout is not None and played.case.rollout.on_failure == "stop"
    halted = False  # a host of the rollout failed
    errors = before = sum(
        _is_error(result.outcome, played) for host, result in played.run.results.items() if host not in ready
    )
    first = signals[0] if signals else len(played.log.entries)
    for place, (_, what, host, word) in enumerate(played.log.entries):
        if what == "go":
            assert errors <= allowed, f"{host} started after {errors} errors, {allowed} allowed"
            assert not halted, f"{host} started after a failure of its rollout"
            assert place < first, f"{host} started after the stop"
        elif what == "row" and host in ready and _is_error(word, played):
            errors += 1
            halted = halted or (strict and played.case.rolls(played.hosts[host].kind))
    held = [host for host, result in played.run.results.items() if result.outcome == "terminated"]
    if held:
        assert errors > allowed or signals or halted, f"{held} held back for nothing"
    if played.log.of("looked"):
        pass  # a whole batch may turn out to be unwell at once
    elif before <= allowed:
        assert errors <= allowed + at_once, f"{errors} errors, {allowed} allowed, {at_once} at once"
    else:
        assert not played.log.of("go")
    stuck = "stuck" if played.case.rollout is not None and played.case.rollout.steps else ""
    never = [name for name in ready if not played.hosts[name].went and played.hosts[name].kind != stuck]
    if not signals and errors <= allowed and not halted:
        assert not never, f"{never} never started"
    said = {result.reason for result in played.run.results.values() if result.outcome == "terminated"}
    if said and not signals and not halted:
        assert said == {"not started: the error budget was spent"}, said
    elif said and not signals:
        assert all("the rollout of association web stops there" in reason for reason in said), said


def _cancel_is_obeyed(played: Played, signals: list[int]) -> None:
    """After the first: nobody begins a resource who had not begun it. After the second: the run is over at once."""
    if not signals:
        return
    moment = played.log.entries[signals[0]][0]
    for name, host in played.hosts.items():
        if not host.went:
            continue
        # a host that still has its channel is told at once; one that lost it works on, and counts as unknown
        lost = host.kind in ("cut", "cut after", "twice") or (len(signals) > 1 and host.delay >= go.PARTING_S)
        if not lost and len(host.done) == RESOURCES:
            begun = next(at for at, what, who, _ in played.log.entries if what == "go" and who == name)
            each = SECONDS.get(host.kind, 0.25) + host.delay
            last = begun + each * (RESOURCES - 1)  # when it began its last resource
            assert last <= moment + host.delay + 1e-6, f"{name} began a resource at {last}, stopped at {moment}"
    if len(signals) > 1:
        moment = played.log.entries[signals[1]][0]
        writing = virtual_time.THREAD_S * (len(played.hosts) + 4)  # of what is recorded one after the other
        assert played.took <= moment + go.PARTING_S + writing + 1e-6, f"aborted at {moment}, over at {played.took}"


def _stated_from_the_log(played: Played, signals: list[int]) -> None:
    """The stated outcome of the run follows from the rows alone, and the store has it after all of them."""
    words = [word for _, _, word in played.log.of("row")]
    _, allowed = _allowed(played)
    errors = sum(_is_error(word, played) for word in words)
    assert (played.run.errors, played.run.errors_allowed) == (errors, allowed)
    assert played.run.unreachable_counts == played.case.unreachable_counts
    last_row = max((place for place, _, _ in played.log.of("row")), default=-1)
    if signals and 0 <= last_row < signals[0] and played.run.outcome != "interrupted":
        signals = []  # it came when every row was written: the run may have been closed by then
    if signals:
        expected = "interrupted"
    elif errors > allowed or any(word in ("failed", "unknown", "terminated", "stopped") for word in words):
        expected = "failed"
    else:
        expected = "refused" if "refused" in words else "done"
    assert played.run.outcome == expected, f"{played.run.outcome}, and the log says {expected}"
    held = "terminated" in words
    assert bool(played.run.stopped_by) == held, played.run.stopped_by
    kinds = [what for _, what, _, _ in played.log.entries]
    begin, end = kinds.index("begin"), kinds.index("end")
    assert all(begin < place < end for place, _, _ in played.log.of("row"))
    assert all(begin < place for place, _, _ in played.log.of("go")), "an action before its record"


NUMBERS = st.sampled_from(["1", "2", "3", "5", "10%", "34%", "50%", "100%"])
ROLLOUTS = st.builds(
    Rollout,
    batch=st.sampled_from([("100%",), ("1", "100%"), ("2",), ("1", "10%", "50%"), ("3", "1")]),
    health=st.booleans(),
    bake_s=st.sampled_from([0.0, 0.5, 60.0]),
    on_failure=st.sampled_from(["stop", "continue"]),
    steps=st.booleans(),
)
CASES = st.integers(1, 14).flatmap(
    lambda count: st.builds(
        Case,
        hosts=st.tuples(*[st.sampled_from(["ok", "ok", "fails", *KINDS])] * count),
        delays=st.tuples(*[st.sampled_from([0.0, 0.0, 0.1, 3.0])] * count),
        concurrency=st.just("") | NUMBERS,
        errors=st.just("") | st.just("0") | st.just("0%") | NUMBERS,
        batch=st.sampled_from(["", "", "", "100%", "1,100%", "2", "1,10%,50%", "3,1"]),
        unreachable_counts=st.booleans(),
        signals=st.lists(st.sampled_from([0.0, 0.05, 0.3, 0.5, 0.6, 3.1, 4.0, 150.0, 700.0]), max_size=3).map(
            lambda moments: tuple(sorted(moments))
        ),
        kept=st.booleans(),
        of_association=st.tuples(st.just("") | NUMBERS, st.just("") | st.just("0") | NUMBERS),
        rollout=st.none() | ROLLOUTS,
    )
)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=10_000)
    runs = parser.parse_args().runs
    counted: Counter[str] = Counter()

    @settings(max_examples=runs, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(CASES)
    def each(case: Case) -> None:
        counted["runs"] += 1
        counted["hosts"] += len(case.hosts)
        judge(simulate(case))

    wrong = 0
    try:
        each()
    except AssertionError:
        wrong = 1
        with contextlib.suppress(BrokenPipeError):
            import traceback

            traceback.print_exc()
    print(f"{counted['runs']} runs, {counted['hosts']} hosts, {wrong} wrong")
    return wrong


if __name__ == "__main__":
    sys.exit(main())
