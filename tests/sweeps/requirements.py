"""`requires` across hosts: the real apply over simulated hosts in virtual time. Nothing begins before what it requires ended well.

    python -m tests.sweeps.requirements --runs 100000      prints `100000 runs, N hosts, 0 wrong`

A node is an association on a host, with one resource. `simulate` plays a case; `judge` says from the log alone which nodes may begin,
and, where nobody stopped the run, which must.
"""

import argparse
import asyncio
import contextlib
import sys
from collections import Counter
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from statectl.catalogue.requirements import Needed
from statectl.errors import Unreachable
from statectl.reconcile import reconcile
from statectl.reconcile.fleet import Fleet, Rate, Run
from statectl.reconcile.host_run import HostRun
from statectl.rollout.run_targets import Cancel
from statectl.transport.channel import Endpoint
from tests.sweeps import virtual_time

Node = tuple[str, str]  # (association, host)
NAMES = "abcd"
KINDS = {
    "ok": "does what it is told",
    "unreachable": "cannot be reached",
    "busy": "somebody else applies there",
    "stale": "refuses when told to go",
    "cut": "its channel is lost after the first resource; it goes on",
}
STEP = SimpleNamespace(argv=["switch"], hosts=["balancer"], timeout_s=60.0)
RULES = SimpleNamespace(batch=("2", "100%"), bake_s=0.0, on_failure="continue")
STATES = {"todo": "has to be changed, and is", "done": "is as wanted", "fails": "has to be changed, and fails"}


@dataclass(frozen=True)
class Case:
    """`nodes`: {(association, host): state}, in an order that every requirement follows: a node requires earlier ones only."""

    hosts: tuple[str, ...]  # kinds, of h0, h1 ...
    delays: tuple[float, ...]
    nodes: tuple[tuple[Node, str], ...]
    requires: tuple[tuple[Node, Node], ...]  # (the one that waits, what it waits for)
    outside: tuple[str, ...] = ()  # hosts that the run is not about
    errors: str = ""
    batch: str = ""
    concurrency: str = ""
    signals: tuple[float, ...] = ()
    kept: bool = True
    rolled: str = ""  # an association that is rolled out, with a command before and one after each host; '' : none

    @property
    def free(self) -> bool:
        """Does nothing stop the run?"""
        return not self.errors and not self.signals


@dataclass
class Log:
    """[(what, node or host, word)] in order."""

    entries: list[tuple[str, Any, str]] = field(default_factory=list)

    def add(self, what: str, about: Any, word: str = "") -> None:
        self.entries.append((what, about, word))

    def of(self, what: str) -> list[Any]:
        return [about for kind, about, _ in self.entries if kind == what]


class Host:
    """What a host is and knows of itself, whoever listens."""

    def __init__(self, name: str, kind: str, delay: float, case: Case, log: Log) -> None:
        self.name, self.kind, self.delay, self.log, self.rolled = name, kind, delay, log, case.rolled
        self.states = {association: state for (association, host), state in case.nodes if host == name}
        here = [pair for pair in case.requires if pair[0][1] == name]
        self.same = {name_: [b for (a, _), (b, on) in here if a == name_ and on == name] for name_ in self.states}
        other: dict[str, dict[str, list[str]]] = {}
        for (a, _), (b, on) in here:
            if on != name:
                other.setdefault(a, {}).setdefault(b, []).append(on)
        self.requires = {a: tuple(Needed(b, tuple(on), "") for b, on in some.items()) for a, some in other.items()}
        self.done: dict[str, str] = {}
        self.working: asyncio.Task[None] | None = None
        self.went = 0
        self.cancelled = False

    def order(self) -> list[str]:
        """Each after those of this host that it requires."""
        found: list[str] = []
        while len(found) < len(self.states):
            found += [name for name in self.states if name not in found and set(self.same[name]) <= set(found)][:1]
        return found

    def compiled(self) -> Any:
        order = self.order()
        return SimpleNamespace(
            catalogue={
                "type": "hash",
                "hash": "0",
                "resources": [{"address": f"file:/{n}", "owners": [n], "association": n} for n in order],
                "associations": [{"name": name, "requires": self.same[name]} for name in order],
            },
            blobs={},
            secrets={},
            problems=[],
            parameters={},
            rollouts={self.rolled: SimpleNamespace(health=None, before=(STEP,), after=(STEP,))} if self.rolled else {},
            requires=self.requires,
        )

    async def work(self, say: Any, withheld: dict[str, str]) -> None:
        """The executor after `go`, with what it does about `requires` of one host and about what is withheld."""
        not_done: set[str] = set()
        failed = False
        for name in self.order():
            if self.cancelled:
                say({"type": "end", "outcome": "stopped", "reason": "cancelled"})
                return
            result = {"type": "result", "address": f"file:/{name}", "action": "change"}
            if name in withheld or not_done.intersection(self.same[name]):
                not_done.add(name)
                say({**result, "outcome": "skipped", "reason": withheld.get(name, "it requires what was skipped")})
                continue
            if self.states[name] == "done" or self.done.get(name) == "changed":
                say({**result, "outcome": "ok"})
                continue
            self.log.add("begin", (name, self.name))
            await asyncio.sleep(0.25 + self.delay)
            self.done[name] = "failed" if self.states[name] == "fails" else "changed"
            failed = failed or self.done[name] == "failed"
            if self.done[name] == "failed":
                not_done.add(name)
            self.log.add("end", (name, self.name), self.done[name])
            say({**result, "outcome": self.done[name]})
            if self.kind == "cut":
                say(None)
        say({"type": "end", "outcome": "failed" if failed else "applied", "reason": ""})


class Conversation:
    """The controller's end of a channel to a `Host`."""

    def __init__(self, host: Host, kind: str) -> None:
        self._host, self._kind = host, kind
        self._said: asyncio.Queue[dict[str, Any] | None] = asyncio.Queue()
        self._open = True
        self._went = False
        if host.kind == "busy" and kind == "apply":
            self._say({"type": "end", "outcome": "refused", "code": "E501", "reason": "another apply"})
        else:
            self._say({"type": "ready", "facts": {}, "probes": {}, "memory": {"undelivered": []}})

    def _say(self, message: dict[str, Any] | None) -> None:
        if self._open:
            self._said.put_nowait(message)
            self._open = message is not None

    async def send(self, message: Any) -> None:
        host, kind = self._host, message["type"]
        if kind == "hash":
            await asyncio.sleep(host.delay)
            for name in host.order():
                word = "ok" if host.states[name] == "done" or host.done.get(name) == "changed" else "change"
                verdict = {"type": "verdict", "address": f"file:/{name}", "association": name, "verdict": word}
                self._say({**verdict, "action": "change", "found_hash": "0"})
            ended = {"type": "end", "outcome": "planned"}
            self._say({"type": "planned"} if self._kind == "apply" else ended)
        elif kind == "go":
            host.went += 1
            self._went = True
            host.log.add("go", host.name)
            if host.kind == "stale":
                self._say({"type": "end", "outcome": "stale", "reason": "changed since the plan was made"})
            else:
                host.working = asyncio.ensure_future(host.work(self._say, message.get("withheld", {})))
        elif kind == "cancel" and self._went:
            host.cancelled = True
        elif kind in ("stop", "cancel"):
            self._say({"type": "end", "outcome": "stopped", "reason": "nothing was written"})

    async def receive(self) -> dict[str, Any]:
        message = await self._said.get()
        if message is None:
            raise Unreachable("channel lost", code="E310")
        return message

    async def close(self) -> None:
        self._open = False


class Records:
    """The store: the last row of each host."""

    def __init__(self) -> None:
        self.rows: dict[str, str] = {}

    def begin_run(self, *_: Any, **__: Any) -> str:
        return "R"

    def record_host(self, _: str, record: Any) -> None:
        self.rows[record.host] = record.outcome

    def end_run(self, _: str, outcome: str, counts: dict[str, int], stop: Any = None) -> None:
        self.outcome, self.counts = outcome, counts

    def save_plan(self, _: Any) -> None: ...


@dataclass
class Played:
    case: Case
    hosts: dict[str, Host]
    run: Run
    log: Log
    records: Records


def simulate(case: Case) -> Played:
    """Raises virtual_time.Hang when it never ends."""
    return virtual_time.run(_simulate(case))  # type: ignore[no-any-return]


async def _simulate(case: Case) -> Played:
    loop, log, records, cancel = asyncio.get_running_loop(), Log(), Records(), Cancel()
    names = [f"h{number}" for number in range(len(case.hosts))]
    hosts = {
        name: Host(name, kind, delay, case, log)
        for name, kind, delay in zip(names, case.hosts, case.delays, strict=True)
    }

    async def open_conversation(endpoint: Endpoint, order: Any) -> Conversation:
        host = hosts[endpoint.name]
        await asyncio.sleep(host.delay)
        if host.kind == "unreachable":
            raise Unreachable("no answer", code="E301")
        return Conversation(host, order["kind"])

    def start(name: str, order: Any, _: Any = None) -> HostRun:
        return HostRun(
            name,
            Endpoint(name=name, address=""),
            order,
            open_conversation=open_conversation,
            compile_with=lambda *_: hosts[name].compiled(),
        )

    async def agree(_: Any) -> bool:
        return True

    async def run_step(_: str, __: Any, about: Any) -> str:
        await asyncio.sleep(0.1)
        log.add(about["when"], (about["association"], about["about"]))
        return ""

    inside = [name for name in names if name not in case.outside]
    fleet = Fleet(
        hosts=inside,
        start=start,
        look=start,
        records=lambda: records,
        own_names={name: {} for name in inside},
        association_order=list(NAMES),
        project="p",
        commit="",
        dirty=False,
        scope={},
        rollouts={case.rolled: RULES} if case.rolled else {},
        run_step=run_step,
    )
    rate = Rate(case.concurrency, case.errors, case.batch)
    observer = SimpleNamespace(
        **dict.fromkeys(("begun", "going", "planned", "message"), lambda *_: None),
        applied=lambda host, result: log.add("applied", host, result.outcome),
    )
    for moment in case.signals:
        loop.call_later(moment, cancel.request)
    kept, reconcile.KEPT_CHANNELS = reconcile.KEPT_CHANNELS, 64 if case.kept else -1
    try:
        run = await reconcile.apply(fleet, rate, observer, cancel, agree=agree)
    finally:
        reconcile.KEPT_CHANNELS = kept
    await asyncio.gather(*(host.working for host in hosts.values() if host.working is not None))
    return Played(case, hosts, run, log, records)


def judge(played: Played) -> None:
    """Raises AssertionError that says which rule was broken."""
    _nothing_begins_too_early(played)
    _once_each(played)
    _nobody_is_prepared_in_vain(played)
    if played.case.free:
        _exactly_these(played)


def _nothing_begins_too_early(played: Played) -> None:
    """What a node requires of other hosts was there, or ended well, before it began; and a host that was lost is no good end."""
    case, states = played.case, dict(played.case.nodes)
    well = {node for node, state in case.nodes if state == "done"}
    for what, node, word in played.log.entries:
        if what == "end" and word == "changed":
            well.add(node)
        if what == "begin":
            assert node[1] not in case.outside, f"{node} is outside of the run"
            known = {
                one for one in well if one[1] == node[1] or played.hosts[one[1]].kind != "cut" or states[one] == "done"
            }
            missing = [other for one, other in case.requires if one == node and other not in known]
            assert not missing, f"{node} began before {missing} ({[states[other] for other in missing]})"


def _once_each(played: Played) -> None:
    """No node is changed twice; a host is told to go once, but where hosts wait for each other."""
    begun = Counter(played.log.of("begin"))
    assert all(count == 1 for count in begun.values()), begun
    crossed = _crossed(played.case)
    for name, host in played.hosts.items():
        assert host.went <= (max(1, len(host.states)) if crossed else 1), f"{name} was told to go {host.went} times"
    applied = Counter(played.log.of("applied"))
    assert all(count == 1 for count in applied.values()), applied
    assert played.records.rows == {} or all(
        played.records.rows[name] == result.outcome for name, result in played.run.results.items()
    ), (played.records.rows, played.run.results)


def _nobody_is_prepared_in_vain(played: Played) -> None:
    """The command before a host runs before the association begins there, and not where that is held back."""
    case, states = played.case, dict(played.case.nodes)
    order = [(what, about) for what, about, _ in played.log.entries]
    for node in played.log.of("begin"):
        if node[0] == case.rolled:
            assert order.index(("before", node)) < order.index(("begin", node)), f"{node} began unprepared"
    assert len(set(played.log.of("before"))) == len(played.log.of("before")), "a host is prepared twice"
    for node in played.log.of("before"):
        assert states[node] != "done", f"{node} has nothing to do"
        held = played.run.results[node[1]].code in ("E524", "E525") and node not in played.log.of("begin")
        assert not held or _behind(case, node), f"{node} is held back"


def _behind(case: Case, node: Node) -> bool:
    """Does it require something of its own host? What that comes to is known when it is there."""
    return any(one == node and other[1] == node[1] for one, other in case.requires)


def _crossed(case: Case) -> bool:
    """Do hosts wait for each other?"""
    edges = {(a[1], b[1]) for a, b in case.requires if a[1] != b[1]}
    left = {host for edge in edges for host in edge}
    while left:
        free = {host for host in left if not any(a == host and b in left for a, b in edges)}
        if not free:
            return True
        left -= free
    return False


def _exactly_these(played: Played) -> None:
    """Which nodes begin, and how each host ends, worked out node by node in the order of the case."""
    case = played.case
    kinds = {f"h{number}": kind for number, kind in enumerate(case.hosts)}
    states = dict(case.nodes)
    if _crossed(case) and ("fails" in states.values() or set(case.hosts) - {"ok"}):
        return  # a host that did not end well is not told to go again: how far it came before that, its waves decide
    good: set[Node] = set()  # there, or ended well
    begins: set[Node] = set()
    skipped: set[Node] = set()  # something was to be done, and was left alone
    passed: set[Node] = set()  # not done, for those of the same host that require it
    for node, state in case.nodes:
        host = node[1]
        needs = [other for one, other in case.requires if one == node]
        behind = any(other in passed for other in needs if other[1] == host)
        if state == "done":
            if behind:
                passed.add(node)
            if kinds[host] not in (("unreachable",) if host in case.outside else ("unreachable", "busy")):
                good.add(node)
        elif host in case.outside or kinds[host] in ("unreachable", "busy"):
            continue
        elif behind or any(other not in good for other in needs if other[1] != host):
            skipped.add(node)
            passed.add(node)
        elif kinds[host] != "stale":
            begins.add(node)
            if state == "fails":
                passed.add(node)
            elif kinds[host] == "ok":
                good.add(node)
    begun = set(played.log.of("begin"))
    assert begun == begins, f"begun {sorted(begun)}, expected {sorted(begins)}"
    expected = {}
    for host, kind in kinds.items():
        if host in case.outside:
            continue
        todo = {node for node, state in case.nodes if node[1] == host and state != "done"}
        mine = {node for node in begins if node[1] == host}
        if kind in ("unreachable", "busy"):
            word = {"busy": "refused"}.get(kind, kind)
        elif kind == "stale" and not (todo and todo <= skipped):
            word = "refused"
        elif kind == "cut" and mine:
            word = "unknown"
        elif any(states[node] == "fails" for node in mine):
            word = "failed"
        else:
            word = "skipped" if todo & skipped else "changed" if mine else "ok"
        expected[host] = word
    ended = {host: result.outcome for host, result in played.run.results.items()}
    assert ended == expected, f"{ended}, expected {expected}"
    for result in played.run.results.values():
        if result.outcome == "skipped":
            assert " requires " in result.reason, result.reason
            assert result.code in ("E524", "E525"), result.code


def _cases(count: int) -> st.SearchStrategy[Case]:
    hosts = [f"h{number}" for number in range(count)]
    pairs = [(name, host) for name in NAMES for host in hosts]

    def with_nodes(nodes: list[tuple[Node, str]]) -> st.SearchStrategy[Case]:
        later = [(a, b) for place, (a, _) in enumerate(nodes) for b, _ in nodes[:place]]
        return st.builds(
            Case,
            hosts=st.tuples(*[st.sampled_from(["ok", "ok", "ok", "ok", *KINDS])] * count),
            delays=st.tuples(*[st.sampled_from([0.0, 0.0, 0.1, 3.0])] * count),
            nodes=st.just(tuple(nodes)),
            requires=st.lists(st.sampled_from(later), max_size=8, unique=True).map(tuple) if later else st.just(()),
            outside=st.lists(st.sampled_from(hosts), max_size=max(0, count - 1), unique=True).map(tuple),
            errors=st.sampled_from(["", "", "", "0", "1"]),
            batch=st.sampled_from(["", "", "1", "2", "1,100%"]),
            concurrency=st.sampled_from(["", "1", "2"]),
            signals=st.sampled_from([(), (), (), (0.1,), (0.6,), (1.0, 3.1), (4.0,)]),
            kept=st.booleans(),
            rolled=st.sampled_from(["", "", "a", "b"]),
        )

    states = st.sampled_from(["todo", "todo", "todo", "done", "fails"])
    return (
        st.lists(st.sampled_from(pairs), min_size=1, max_size=10, unique=True)
        .flatmap(lambda chosen: st.tuples(*(st.tuples(st.just(node), states) for node in chosen)))
        .flatmap(lambda nodes: with_nodes(list(nodes)))
    )


CASES = st.integers(1, 5).flatmap(_cases)


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
