"""Never more in flight than allowed, nothing new once the budget is spent, and every host ends as exactly one word."""

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from statectl.errors import UsageError
from statectl.rollout.budget import Budget, allowed_errors, batches, concurrency, split
from statectl.rollout.run_targets import Cancel, run_targets


@pytest.mark.parametrize(
    ("text", "targets", "expected"), [("10", 50, 10), ("10%", 50, 5), ("1%", 50, 1), ("100%", 7, 7), ("50", 3, 50)]
)
def test_concurrency_rounds_down_and_is_at_least_one(text, targets, expected):
    """Percentages are of the hosts targeted at the start."""
    assert concurrency(text, targets) == expected


@pytest.mark.parametrize(
    ("text", "targets", "expected"), [("0", 50, 0), ("3", 50, 3), ("10%", 50, 5), ("40%", 10, 4), ("0%", 9, 0)]
)
def test_allowed_errors_round_down(text, targets, expected):
    """10 % of 50 allows 5, so that the sixth error stops."""
    assert allowed_errors(text, targets) == expected


@pytest.mark.parametrize("text", ["0", "0%", "101%", "-1", "ten", "", "1.5"])
def test_concurrency_refuses_what_systems_manager_refuses(text):
    """Zero hosts at once is no rate."""
    with pytest.raises(UsageError):
        concurrency(text, 10)


@pytest.mark.parametrize(
    ("text", "targets", "expected"),
    [("1,10%,100%", 100, [1, 10, 89]), ("1", 3, [1, 1, 1]), ("100%", 5, [5]), ("10%", 5, [1] * 5)],
)
def test_batches_cover_every_host_once(text, targets, expected):
    """The last entry repeats until all are taken."""
    sizes = batches(text, targets)
    assert sizes == expected
    names = [f"h{n}" for n in range(targets)]
    assert [name for wave in split(names, sizes) for name in wave] == names


@settings(max_examples=150, deadline=None)
@given(
    outcomes=st.lists(st.sampled_from(["ok", "changed", "failed", "unreachable", "unknown"]), min_size=1, max_size=40),
    window=st.integers(1, 10),
    allowed=st.integers(0, 5),
    counts=st.booleans(),
    batch=st.sampled_from(["100%", "1,100%", "3", "1,10%,50%"]),
)
def test_the_stop_rule_is_exact(outcomes, window, allowed, counts, batch):
    """At most `window` in flight; no start after errors > allowed; statuses partition the hosts."""
    hosts = [f"h{n}" for n in range(len(outcomes))]
    said = dict(zip(hosts, outcomes, strict=True))
    budget = Budget(allowed, counts)
    in_flight = 0
    most = 0
    started_after_spent = []

    async def work(host):
        nonlocal in_flight, most
        if budget.spent:
            started_after_spent.append(host)
        in_flight += 1
        most = max(most, in_flight)
        await asyncio.sleep(0)
        in_flight -= 1
        return said[host]

    waves = split(hosts, batches(batch, len(hosts)))
    result = asyncio.run(run_targets(waves, work, concurrency=window, budget=budget, cancel=Cancel()))
    assert set(result) == set(hosts)
    assert most <= window
    assert not started_after_spent
    ran = {host: word for host, word in result.items() if word != "terminated"}
    assert all(said[host] == word for host, word in ran.items())
    errors = sum(word in ("failed", "unknown") or (counts and word == "unreachable") for word in ran.values())
    assert errors == budget.errors
    if errors <= allowed:
        assert len(ran) == len(hosts)
    else:
        assert errors <= allowed + window


def test_concurrency_one_stops_exactly():
    """For an exact stop, one at a time: the error over the limit is the last thing that ran."""
    ran = []

    async def work(host):
        ran.append(host)
        return "failed"

    budget = Budget(2)
    asyncio.run(run_targets([["a", "b", "c", "d", "e"]], work, concurrency=1, budget=budget, cancel=Cancel()))
    assert ran == ["a", "b", "c"]


def test_cancel_once_starts_nothing_new_and_twice_lets_go():
    """Once: what runs ends by itself. Twice: what runs is unknown, what never started is terminated."""

    async def scenario(times):
        cancel = Cancel()
        release = asyncio.Event()

        async def work(host):
            if host == "a":
                for _ in range(times):
                    cancel.request()
                if times == 1:
                    release.set()
            await release.wait()
            return "ok"

        return await run_targets([["a", "b", "c"]], work, concurrency=2, budget=Budget(9), cancel=cancel)

    assert asyncio.run(scenario(1)) == {"a": "ok", "b": "ok", "c": "terminated"}
    assert asyncio.run(scenario(2)) == {"a": "unknown", "b": "unknown", "c": "terminated"}


def test_a_bug_is_not_swallowed():
    """An exception of the work itself propagates."""

    async def work(host):
        raise RuntimeError(host)

    with pytest.raises(RuntimeError, match="a"):
        asyncio.run(run_targets([["a"]], work, concurrency=1, budget=Budget(0), cancel=Cancel()))
