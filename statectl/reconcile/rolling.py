"""Rolling change: what associations ask to be done around each host, and between two batches.

    before, on other hosts  ->  the host changes, its restarts are paid, its health is checked there  ->  after, on other hosts
    the batch has ended     ->  bake  ->  health again  ->  the next batch

Only what an association changes on a host concerns its rollout. A host that failed stays as `before` left it.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from statectl.reconcile.host_result import HostResult
from statectl.reconcile.host_run import HostRun
from statectl.rollout.run_targets import Cancel

UNTOUCHED = ("terminated", "refused")  # outcomes of a host that nothing was written to
WELL = ("ok", "changed", "skipped")  # skipped: but for what was held back


class Rules(Protocol):
    """What is needed of `project.model.Rollout`."""

    @property
    def batch(self) -> Sequence[str]: ...
    @property
    def bake_s(self) -> float: ...
    @property
    def on_failure(self) -> str: ...


class Around(Protocol):
    """What is needed of `catalogue.rollouts.RenderedStep`."""

    @property
    def argv(self) -> Sequence[str]: ...
    @property
    def hosts(self) -> Sequence[str]: ...
    @property
    def timeout_s(self) -> float: ...


RunStep = Callable[[str, Around, Mapping[str, str]], Awaitable[str]]
"""(host that runs it, step, what it is about) -> '' or why it failed. Recorded like every other command."""
CheckHealth = Callable[[str, Sequence[Mapping[str, Any]]], Awaitable[str]]
"""(host, checks) -> '' or why it is not well."""


@dataclass
class Rolling:
    """The rollouts of one run. `changes`: {host: associations that change something there, in order}."""

    rules: Mapping[str, Rules]
    runs: Mapping[str, HostRun]
    changes: Mapping[str, Sequence[str]]
    run_id: str
    run_step: RunStep | None = None
    check_health: CheckHealth | None = None
    tell: Callable[[str, str], None] = lambda *_: None  # (host, words): shown while the run goes on
    _steps: dict[str, dict[str, Any]] = field(default_factory=dict)  # host: its rollouts as they were planned
    _out: dict[str, Collection[str]] = field(default_factory=dict)  # host: associations that are left out
    _ready: set[str] = field(default_factory=set)  # hosts whose `before` went through
    _one_by_one: dict[str, asyncio.Lock] = field(default_factory=dict)  # steps of one host do not meet

    def __post_init__(self) -> None:
        for host, names in self.changes.items():
            compiled = self.runs[host].compiled
            planned: Mapping[str, Any] = compiled.rollouts if compiled is not None else {}
            self._steps[host] = {name: planned[name] for name in names if name in self.rules and name in planned}

    @property
    def batch(self) -> dict[str, Sequence[str]]:
        """Entries of the batches of each association that changes something."""
        changing = {name for names in self.changes.values() for name in names}
        return {name: rules.batch for name, rules in self.rules.items() if name in changing}

    @property
    def stops(self) -> dict[str, str]:
        """{host: association whose rollout ends with the first failure of such a host}."""
        return {
            host: name
            for host, names in self.changes.items()
            for name in reversed(names)
            if name in self.rules and self.rules[name].on_failure == "stop"
        }

    async def before(self, host: str) -> str:
        """'' or why this host must not be changed now."""
        why = await self._around(host, "before")
        if not why:
            self._ready.add(host)
        return why

    async def after(self, host: str, result: HostResult) -> str:
        """'' or what went wrong. Not for a host that failed: it stays out; one that nothing was written to goes back in."""
        if host not in self._ready or result.outcome not in (*WELL, *UNTOUCHED):
            return ""
        return await self._around(host, "after")

    def planned(self, host: str) -> Mapping[str, Any]:
        """{association: catalogue.rollouts.HostRollout} of what changes the host."""
        return {name: one for name, one in self._steps.get(host, {}).items() if name not in self._out.get(host, ())}

    def leave_out(self, host: str, associations: Collection[str]) -> None:
        """These do nothing on the host now that it is told to go: nothing of theirs is done around it."""
        self._out[host] = associations
        self._ready.discard(host)

    async def _around(self, host: str, when: str) -> str:
        for name, planned in self.planned(host).items():
            for step in planned.before if when == "before" else planned.after:
                for other in step.hosts:
                    why = await self._run(step, other, {"when": when, "association": name, "about": host})
                    if why:
                        return f"`{when}` step of association {name} failed on {other}: {why}"
        return ""

    async def _run(self, step: Around, other: str, about: Mapping[str, str]) -> str:
        if self.run_step is None:
            return "no commands can be run on other hosts here"
        async with self._one_by_one.setdefault(other, asyncio.Lock()):
            self.tell(about["about"], f"{about['when']} on {other}: {' '.join(step.argv)}")
            return await self.run_step(other, step, {**about, "run": self.run_id})

    async def between(
        self,
        wave: Sequence[str],
        later: Sequence[str],
        results: Mapping[str, HostResult],
        cancel: Cancel,
        worse: Callable[[str, str], Awaitable[None]],
    ) -> None:
        """After a wave that others follow: bake, then look whether its hosts are still well. `worse(host, why)`: one is not."""
        ahead = {name for host in later for name in self.changes.get(host, ())}
        baked = {
            name
            for host in wave
            for name in self.changes.get(host, ())
            if name in ahead and name in self.rules and self.rules[name].bake_s > 0
        }
        if not baked:
            return
        seconds = max(self.rules[name].bake_s for name in baked)
        self.tell(wave[0], f"batch of {len(wave)} done; {seconds:g} s until the next")
        if await _asked_to_stop(cancel, asyncio.sleep(seconds)):
            return

        async def look(host: str) -> None:
            checks = [
                {**planned.health, "association": name}
                for name, planned in self.planned(host).items()
                if name in baked and planned.health is not None
            ]
            if not checks or self.check_health is None or results[host].outcome not in ("changed", "skipped"):
                return
            why = await self.check_health(host, checks)
            if why:
                await worse(host, f"{seconds:g} s after its change: {why}")

        await _asked_to_stop(cancel, asyncio.gather(*(look(host) for host in wave)))


async def _asked_to_stop(cancel: Cancel, work: Awaitable[Any]) -> bool:
    """Wait for `work`, and give it up when the run is asked to stop."""
    doing = asyncio.ensure_future(work)
    asked = asyncio.ensure_future(cancel.requested.wait())
    try:
        await asyncio.wait({doing, asked}, return_when=asyncio.FIRST_COMPLETED)
        if doing.done():
            doing.result()
        return asked.done()
    finally:
        asked.cancel()
        doing.cancel()
        await asyncio.gather(doing, return_exceptions=True)
