"""How many hosts an apply writes to at once, and how many may fail: what is typed, else what associations say."""

import asyncio
from types import SimpleNamespace

import pytest

from statectl.plans.plan import HostPlan, Verdict
from statectl.reconcile import go, reconcile
from statectl.reconcile.fleet import Fleet, Rate
from statectl.reconcile.host_result import HostResult
from statectl.rollout.run_targets import Cancel


class Host:
    """Stands in for HostRun: a host on which one resource of each association would change."""

    def __init__(self, name, associations, at_work, owners=()):
        self.name = name
        self.keep = True
        self.facts, self.memory, self.compiled, self.undelivered = {}, {}, None, []
        self.on_message = self.holder = self.patching = None
        self._at_work = at_work
        self._owners = owners
        verdicts = [
            Verdict(address=f"file:/{one}", association=one, verdict="change", action="change") for one in associations
        ]
        self.plan = HostPlan(outcome="planned", verdicts=verdicts)

    async def parted(self):
        pass

    def declared(self):
        return [{"address": "file:/web", "owners": ["web", *self._owners]}]

    async def contact(self):
        return self.plan

    async def apply(self, observed, plan_id):
        self._at_work.now += 1
        self._at_work.most = max(self._at_work.most, self._at_work.now)
        self._at_work.done += 1
        await asyncio.sleep(0.001)
        self._at_work.now -= 1
        return HostResult("failed" if self.name in self._at_work.failing else "changed")

    async def release(self):
        pass

    async def drop(self):
        pass


@pytest.fixture
def applied(monkeypatch):
    """`applied(associations by host, rate, concurrency=..., errors=...)` -> most at once, how many were tried."""
    monkeypatch.setattr(go, "host_record", lambda *_: None)

    def run(hosts, rate, *, concurrency=None, errors=None, failing=(), owners=()):
        at_work = SimpleNamespace(now=0, most=0, done=0, failing=failing)
        records = SimpleNamespace(
            begin_run=lambda *_, **__: "R",
            end_run=lambda *_: None,
            record_host=lambda *_: None,
            save_plan=lambda *_: None,
        )
        fleet = Fleet(
            hosts=list(hosts),
            start=lambda name, _: Host(name, hosts[name], at_work, owners),
            records=lambda: records,
            own_names={name: {} for name in hosts},
            association_order=["base", "web"],
            project="p",
            commit="",
            dirty=False,
            scope={},
            concurrency=concurrency or {},
            errors=errors or {},
        )
        observer = SimpleNamespace(
            **dict.fromkeys(("begun", "planned", "going", "applied", "message"), lambda *_: None)
        )

        async def agree(_):
            return True

        async def main():
            return await reconcile.apply(fleet, rate, observer, Cancel(), agree=agree)

        asyncio.run(main())
        return at_work.most, at_work.done

    return run


TEN = {f"h{number}": ["base", "web"] for number in range(10)}


def test_without_a_word_many_at_once(applied):
    """The default is fifty at once, and failures stop nobody."""
    assert applied(TEN, Rate(), failing=("h0",)) == (10, 10)


def test_the_strictest_association_sets_the_pace(applied):
    """One at a time is one at a time, also when another association of the same run would allow more."""
    assert applied(TEN, Rate(), concurrency={"base": "5", "web": "1"}) == (1, 10)


def test_an_association_that_changes_nothing_sets_no_pace(applied):
    """Careful restarts of a database do not slow down a run that leaves it alone."""
    assert applied({name: ["base"] for name in TEN}, Rate(), concurrency={"web": "1"}) == (10, 10)


def test_a_share_is_of_the_hosts_that_change(applied):
    """Half of four web servers is two, however many other hosts there are."""
    hosts = {name: ["base", "web"] if name in ("h0", "h1", "h2", "h3") else ["base"] for name in TEN}
    assert applied(hosts, Rate(), concurrency={"web": "50%"}) == (2, 10)


def test_every_owner_of_a_resource_counts(applied):
    """A file of two associations is as delicate as the more careful one says."""
    assert applied({name: ["web"] for name in TEN}, Rate(), concurrency={"base": "1"}, owners=["base"]) == (
        1,
        10,
    )


def test_what_is_typed_wins(applied):
    """--max-concurrency and --max-errors are asked for by somebody who looks on."""
    rate = Rate(max_concurrency="4", max_errors="100%")
    said = {"concurrency": {"web": "1"}, "errors": {"web": "0"}}
    assert applied(TEN, rate, failing=("h0", "h1"), **said) == (4, 10)


def test_errors_of_an_association_stop_the_run(applied):
    """max_errors: 0 and one at a time: the first failure is the last."""
    said = {"concurrency": {"web": "1"}, "errors": {"web": "0"}}
    assert applied(TEN, Rate(), failing=("h2",), **said) == (1, 3)
