"""What a run is given: the hosts and how to work on them, how fast, and what of the store; and what it gives back."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from statectl.plans.plan import PARAMETERS, Plan
from statectl.reconcile.host_result import HostResult
from statectl.reconcile.host_run import HostRun, Order
from statectl.reconcile.parameters import ParameterRun
from statectl.reconcile.requirements import Selects
from statectl.reconcile.rolling import CheckHealth, Rules, RunStep
from statectl.rollout.run_targets import Cancel


class Records(Protocol):
    """What is needed of the store; opened only when first used, because its import is slow."""

    def begin_run(
        self,
        verb: str,
        scope: Mapping[str, Any],
        *,
        run_id: str,
        commit: str,
        plan_id: str,
        hosts: Sequence[str] = (),
        document: Mapping[str, Any] | None = None,
        project: str = "",
    ) -> str: ...
    def end_run(
        self, run_id: str, outcome: str, counts: Mapping[str, int], stop: Mapping[str, Any] | None = None
    ) -> None: ...
    def record_host(self, run_id: str, record: Any) -> None: ...
    def take_over(self, host: str, result: Mapping[str, Any]) -> None: ...
    def save_plan(self, document: Mapping[str, Any]) -> None: ...
    def plan(self, plan_id: str) -> Any: ...
    def mark_applied(self, plan_id: str) -> None: ...


class Watching(Protocol):
    """What is needed of `watch.Watch`."""

    cancelled_by: str

    async def __aenter__(self) -> Any: ...
    async def __aexit__(self, *_: object) -> None: ...
    def message(self, host: str, message: Mapping[str, Any]) -> None: ...
    async def begun(self, host: str) -> None: ...


@dataclass
class Fleet:
    """The hosts of one run and how to work on them."""

    hosts: Sequence[str]
    start: Callable[[str, Order], HostRun]  # makes the HostRun of one host
    records: Callable[[], Records]
    own_names: Mapping[str, Mapping[str, str]]
    association_order: Sequence[str]
    project: str
    commit: str
    dirty: bool
    scope: Mapping[str, Any]
    problems: Sequence[Mapping[str, Any]] = ()
    selected: Sequence[str] | None = None  # associations in scope; None: all
    # what associations say of themselves, by name: max_concurrency and max_errors, '' where they say nothing
    concurrency: Mapping[str, str] = field(default_factory=dict)
    errors: Mapping[str, str] = field(default_factory=dict)
    watch: Callable[[str, Cancel], Watching] | None = None  # (run id, cancel): opened while hosts are written to
    rollouts: Mapping[str, Rules] = field(default_factory=dict)  # by association, of those that have one
    run_step: RunStep | None = None
    check_health: CheckHealth | None = None
    # a host that only shows how it stands with these associations, for those that require them; and who is chosen with facts of now
    look: Callable[[str, Order, Sequence[str]], HostRun] | None = None
    selects: Selects = lambda *_: True
    parameters: ParameterRun | None = None  # None: none is declared, and none was
    versions: Callable[[], Mapping[str, int | str]] = dict  # of the parameters that were looked up so far, by selector


@dataclass
class Rate:
    """How fast, and when to stop. '' : the default, or as associations with changes ask for it."""

    max_concurrency: str = ""
    max_errors: str = ""
    batch: str = ""
    unreachable_counts: bool = False
    lock_timeout_s: float = 0.0
    deadline_s: float = 1800.0


@dataclass
class Run:
    """What became of an apply."""

    run_id: str
    plan: Plan
    results: dict[str, HostResult] = field(default_factory=dict)  # of hosts
    parameters: HostResult | None = None  # of the parameter store, where something is declared for it
    outcome: str = "done"  # done | failed | refused | declined | interrupted | nothing to do
    errors: int = 0
    errors_allowed: int = 0
    unreachable_counts: bool = False
    cancelled_by: str = ""  # who cancelled it from elsewhere
    resumes: str = ""  # the run that it goes on with
    stopped_by: str = ""  # why hosts were not started: errors | cancel, '' when none was held back
    halted: str = ""  # why the rollout of an association ended, '' when none did

    @property
    def everything(self) -> dict[str, HostResult]:
        """All that was worked on: the parameter store, which came first, and the hosts."""
        return {**({PARAMETERS: self.parameters} if self.parameters is not None else {}), **self.results}

    @property
    def budget_spent(self) -> bool:
        return self.errors > self.errors_allowed

    @property
    def stop(self) -> dict[str, Any]:
        """What stopped it, or would have."""
        return {
            "errors": self.errors,
            "allowed": self.errors_allowed,
            "unreachable": "error" if self.unreachable_counts else "skip",
            "by": self.stopped_by,
            "rollout": self.halted,
        }


@dataclass(frozen=True)
class Resumed:
    """What is gone on with. `begun`: hosts that the plan was begun on, so that they are not as they were when it was made."""

    run_id: str
    begun: frozenset[str] = frozenset()
