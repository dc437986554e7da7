"""What is scheduled: one line for each schedule that an association has, its own and those that entries of `where` give."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from statectl.project.model import Association
from statectl.project.schedules import timing_of
from statectl.schedules import Timing


@dataclass(frozen=True, slots=True)
class Line:
    association: str
    variant: str  # target expression of the entry of `where`; '' : the association's own
    timing: Timing | None  # None: the association itself has no schedule, only entries of `where` have
    jitter_s: int
    only_at_schedule: bool
    definition: str

    @property
    def key(self) -> tuple[str, str]:
        return self.association, self.variant


def lines_of(association: Association, definition: str) -> list[Line]:
    """None where nothing schedules it: such an association never runs by itself."""

    def line(variant: str, schedule: str) -> Line:
        timing = timing_of(schedule, association.timezone, association.schedule_offset) if schedule else None
        return Line(association.name, variant, timing, association.jitter_s, association.only_at_schedule, definition)

    # the first entry that matches wins, so of two with the same targets the second is never reached
    variants = {
        one.targets: str(one.fields["schedule"]) for one in reversed(association.where) if "schedule" in one.fields
    }
    if not association.schedule and not variants:
        return []
    return [line("", association.schedule), *(line(targets, schedule) for targets, schedule in variants.items())]


def hosts_of(
    association: Association, variant: str, concerned: Iterable[str], matches: Mapping[str, frozenset[str]]
) -> list[str]:
    """Of the hosts that the association concerns, those that this schedule is about. matches: the hosts of each entry of `where`."""

    def schedule_of(host: str) -> str:
        first = next((one for one in association.where if host in matches[one.targets]), None)
        return first.targets if first is not None and "schedule" in first.fields else ""

    return [host for host in concerned if schedule_of(host) == variant]
