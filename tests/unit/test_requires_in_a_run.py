"""`requires` across hosts in a run: the real apply over simulated hosts, in virtual time; what plan and report show of it."""

from dataclasses import replace

import pytest
from hypothesis import example, given, settings

from statectl.cli.deciding import apply_code
from statectl.cli.formats.order_text import order_lines
from statectl.cli.formats.terminal import Screen
from statectl.plans.plan import HostOrder, HostPlan, PlannedRollout, PlannedStep, Verdict, Wait, summarise
from statectl.reconcile.fleet import Run
from statectl.reconcile.host_result import HostResult, joined
from statectl.reconcile.record import status_of
from statectl.rollout.waves import waves
from tests.cli.plans import compress, fleet
from tests.sweeps.requirements import CASES, Case, judge, simulate

PRIMARY, REPLICAS = ("b", "h0"), (("a", "h1"), ("a", "h2"))
WAITS = tuple((one, PRIMARY) for one in REPLICAS)
IDLE = (0.0,) * 3


def cluster(primary: str = "todo", **more: object) -> Case:
    nodes = ((PRIMARY, primary), *((one, "todo") for one in REPLICAS))
    return Case(hosts=more.pop("hosts", ("ok",) * 3), delays=IDLE, nodes=nodes, requires=WAITS, **more)  # type: ignore[arg-type]


REPLICA_OF_A_REPLICA = Case(
    hosts=("ok",) * 3,
    delays=IDLE,
    nodes=((PRIMARY, "fails"), (REPLICAS[0], "todo"), (REPLICAS[1], "todo")),
    requires=((REPLICAS[0], PRIMARY), (REPLICAS[1], REPLICAS[0])),
)
CROSSED = Case(  # the agent of the database's host waits for the server, which waits for the database
    hosts=("ok", "ok"),
    delays=(0.0, 0.0),
    nodes=((("c", "h0"), "todo"), (("b", "h1"), "todo"), (("a", "h0"), "todo"), (("a", "h1"), "todo")),
    requires=((("b", "h1"), ("c", "h0")), (("a", "h0"), ("b", "h1"))),
)
OTHERS_GO_ON = Case(
    hosts=("ok", "ok"),
    delays=(0.0, 0.0),
    nodes=((PRIMARY, "fails"), (("a", "h1"), "todo"), (("c", "h1"), "todo"), (("d", "h1"), "todo")),
    requires=((("a", "h1"), PRIMARY), (("d", "h1"), ("a", "h1"))),
)


@settings(max_examples=150, deadline=None)
@given(CASES)
@example(cluster())
@example(cluster("done"))
@example(cluster("fails"))
@example(cluster(hosts=("unreachable", "ok", "ok")))
@example(cluster(hosts=("busy", "ok", "ok")))
@example(cluster(hosts=("stale", "ok", "ok")))
@example(cluster(hosts=("cut", "ok", "ok")))
@example(cluster(outside=("h0",)))
@example(cluster("done", outside=("h0",)))
@example(cluster(signals=(0.3,)))
@example(cluster("fails", errors="0"))
@example(cluster("fails", rolled="a"))
@example(REPLICA_OF_A_REPLICA)
@example(CROSSED)
@example(replace(CROSSED, rolled="a"))
@example(replace(CROSSED, rolled="c"))
@example(OTHERS_GO_ON)
@example(replace(OTHERS_GO_ON, rolled="a"))
def test_nothing_begins_before_what_it_requires_ended_well(case):
    """Exactly those begin whose requirements on other hosts are there; the others are skipped and say why, each host once."""
    judge(simulate(case))


def outcomes(case: Case) -> tuple[dict[str, str], str, int]:
    run = simulate(case).run
    return {host: result.outcome for host, result in run.results.items()}, run.outcome, apply_code(run)


@pytest.mark.parametrize(
    ("case", "expected", "outcome", "code"),
    [
        (cluster(), ["changed"] * 3, "done", 0),
        (cluster("fails"), ["failed", "skipped", "skipped"], "failed", 1),
        (cluster(hosts=("unreachable", "ok", "ok")), ["unreachable", "skipped", "skipped"], "done", 3),
        (cluster(hosts=("busy", "ok", "ok")), ["refused", "skipped", "skipped"], "refused", 5),
        (cluster(hosts=("cut", "ok", "ok")), ["unknown", "skipped", "skipped"], "failed", 3),
        (cluster(outside=("h0",)), ["skipped", "skipped"], "refused", 5),
        (cluster(outside=("h0",), hosts=("unreachable", "ok", "ok")), ["skipped", "skipped"], "done", 3),
        (cluster("done", outside=("h0",)), ["changed", "changed"], "done", 0),
        (cluster("fails", errors="0"), ["failed", "terminated", "terminated"], "failed", 1),
        (REPLICA_OF_A_REPLICA, ["failed", "skipped", "skipped"], "failed", 1),
        (CROSSED, ["changed", "changed"], "done", 0),
        (OTHERS_GO_ON, ["failed", "skipped"], "failed", 1),
    ],
)  # fmt: skip
def test_what_a_run_comes_to(case, expected, outcome, code):
    """The exit code is that of what is missing: 1 failed, 3 unreachable, 5 refused or not as declared."""
    ended, how, exits = outcomes(case)
    assert (list(ended.values()), how, exits) == (expected, outcome, code)


def test_reasons_name_association_and_host():
    """Also of what waits for something that waits itself, and of what requires it on the same host."""
    results = simulate(REPLICA_OF_A_REPLICA).run.results
    first = "association a requires b on h0, of which file:/b failed"
    assert results["h1"].reason == first
    assert results["h2"].reason == f"association a requires a on h1, which is held back: {first}"
    reason = simulate(OTHERS_GO_ON).run.results["h1"].reason
    assert reason == "association a requires b on h0, of which file:/b failed (and 1 more)"
    outside = simulate(cluster(outside=("h0",))).run.results["h1"]
    assert "not part of this run and not as declared: file:/b" in outside.reason
    assert outside.hint == "apply it first: statectl apply b -t h0"


def test_the_plan_shows_who_waits_and_what_is_held_back():
    """Waves in order, who makes them, and what apply will leave alone as far as it is known."""
    plan = simulate(cluster()).run.plan
    assert plan.order.waves == [["h0"], ["h1", "h2"]]
    assert plan.order.waits == [Wait(association="a", hosts=["h1", "h2"], requires="b", on=["h0"])]
    assert simulate(cluster("done")).run.plan.order == HostOrder()
    held = simulate(cluster(hosts=("unreachable", "ok", "ok"))).run.plan
    (verdict,) = held.hosts["h1"].verdicts
    assert verdict.held == "association a requires b on h0, which is unreachable: no answer"
    assert (held.has_changes, held.summary.pending, status_of(verdict)) == (False, 2, "pending")
    verdict.kind = "corrective"
    assert status_of(verdict) == "drifted", "that it is held back hides no drift"


def test_a_host_comes_after_others():
    """Batches count on over the hosts that wait; where hosts come after each other, the one that waits for the fewest begins."""
    hosts = ["h0", "h1", "h2", "h3"]
    changes = {host: ["web"] for host in hosts}
    cut = waves(hosts, changes, {"web": ["2", "1"]}, {"h0": {"h3"}, "h2": {"h1"}})
    assert cut == [["h1", "h3"], ["h0"], ["h2"]]
    assert waves(["h0", "h1"], {}, {}, {"h0": {"h1", "h2"}, "h1": {"h0"}}) == [["h0"], ["h1"]]
    ring = waves(["h0", "h1", "h2"], {}, {}, {"h0": {"h1", "h2"}, "h1": {"h0"}, "h2": {"h0"}})
    assert ring == [["h1"], ["h0"], ["h2"]]


def test_order_and_rollouts_as_people_see_them():
    """Waves folded, batches counted, steps and health with the host's own names generalised; nothing where nothing is special."""
    rollout = PlannedRollout(
        association="web",
        batches=[1, 10, 10, 4],
        health="http http://127.0.0.1/ = 200, within 30 s",
        bake_s=120,
        before=[PlannedStep(run=["backend", "drain", "{{ host.name }}"], on=["lb1", "lb2"])],
        after=[PlannedStep(run=["backend", "enable", "{{ host.name }}"], on=["lb1", "lb2"])],
    )
    plain = PlannedRollout(association="db", batches=[3])
    wait = Wait(association="replica", hosts=["pg2", "pg3"], requires="primary", on=["pg1"])
    order = HostOrder(waves=[["pg1"], ["pg2", "pg3"]], waits=[wait], rollouts=[rollout, plain])
    screen = Screen(width=100, colour=False, unicode=False)
    assert list(order_lines(order, screen, compress)) == [
        "o wave 1 of 2: 1 host    pg1",
        "o wave 2 of 2: 2 hosts   pg[2-3]",
        "-> replica on pg[2-3] waits for primary on pg1",
        "o rollout of web: 4 batches: 1, 10 (2 times) and 4 hosts, 2 min apart, the first failure stops it",
        "  -> before each, on lb[1-2]: backend drain {{ host.name }}",
        "  -> health of each: http http://127.0.0.1/ = 200, within 30 s",
        "  -> after each, on lb[1-2]: backend enable {{ host.name }}",
    ]
    many = HostOrder(waves=[[f"h{number}"] for number in range(40)])
    lines = list(order_lines(many, screen, compress))
    assert (len(lines), lines[-1]) == (6, "o ... 35 more waves, 35 hosts")
    assert list(order_lines(HostOrder(rollouts=[plain]), screen, compress)) == []


def test_a_host_that_was_told_twice_says_what_both_came_to():
    """What the first time changed is not lost, and what it skipped is as the second time ended."""
    first = HostResult(
        "skipped",
        results=[{"address": "file:/a", "outcome": "changed"}, {"address": "file:/b", "outcome": "skipped"}],
        notified=[{"address": "service:a", "outcome": "changed", "verb": "restart"}],
        seconds=1.0,
    )
    second = HostResult(
        "ok",
        results=[{"address": "file:/a", "outcome": "ok"}, {"address": "file:/b", "outcome": "ok"}],
        seconds=2.0,
    )
    joined(first, second)
    assert [entry["outcome"] for entry in second.results] == ["changed", "ok"]
    assert (second.outcome, len(second.notified), second.seconds) == ("changed", 1, 3.0)


def test_what_is_held_back_is_no_change():
    """It counts as pending, so that a plan of nothing else has no changes."""
    held = Verdict(
        address="file:/a", association="a", verdict="change", action="change", held="association a requires b"
    )
    summary = summarise({"h": HostPlan(outcome="planned", verdicts=[held])})
    assert (summary.change, summary.pending, summary.hosts_pending, summary.hosts_changed) == (0, 1, 1, 0)
    assert apply_code(Run("R", fleet(), {"h": HostResult("skipped", code="E525")})) == 3
