"""What a run tells while it goes on, to whoever shows it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from statectl.plans.plan import HostPlan
from statectl.reconcile.host_result import HostResult


@dataclass(frozen=True)
class Pace:
    """How an apply goes on, known once it was agreed to."""

    run_id: str
    waves: Sequence[Sequence[str]]  # hosts of each
    errors_allowed: int
    max_errors: str  # as it was asked for, such as 5%
    unreachable_counts: bool = False
    ended: Mapping[str, HostResult] = field(default_factory=dict)  # hosts that are not told to go at all

    def message(self) -> dict[str, Any]:
        """For those who follow; what `ended` holds has rows of its own."""
        return {
            "type": "pace",
            "waves": [list(wave) for wave in self.waves],
            "errors_allowed": self.errors_allowed,
            "max_errors": self.max_errors,
            "unreachable_counts": self.unreachable_counts,
        }

    @classmethod
    def of(cls, run_id: str, message: Mapping[str, Any]) -> "Pace":
        return cls(
            run_id,
            message["waves"],
            message["errors_allowed"],
            message["max_errors"],
            message["unreachable_counts"],
        )


class Observer(Protocol):
    """Told of what happens, as it happens. Progress bars and `-v` hang here."""

    def begun(self, host: str) -> None:
        """It is contacted, or told to go."""

    def planned(self, host: str, plan: HostPlan) -> None: ...
    def going(self, pace: Pace) -> None: ...
    def applied(self, host: str, result: HostResult) -> None: ...
    def message(self, host: str, message: Mapping[str, Any]) -> None: ...


class Unseen:
    """Observes what nobody is shown."""

    def begun(self, host: str) -> None: ...
    def planned(self, host: str, plan: HostPlan) -> None: ...
    def going(self, pace: Pace) -> None: ...
    def applied(self, host: str, result: HostResult) -> None: ...
    def message(self, host: str, message: Mapping[str, Any]) -> None: ...


UNSEEN = Unseen()
