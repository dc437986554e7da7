"""Which slots become which runs: hosts that begin at the same time are one run, and each host is contacted once."""

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from statectl.schedules.jitter import delay_of
from statectl.store.slots import Claimed

LEAST_STEP_S = 10.0
STEPS = 12  # into so many runs at most the jitter spreads the hosts of one slot


@dataclass(frozen=True, slots=True)
class Job:
    """One run. On every one of these hosts, all of these associations that concern it are due."""

    slots: tuple[Claimed, ...]
    hosts: tuple[str, ...]

    @property
    def associations(self) -> tuple[str, ...]:
        return tuple(sorted({slot.association for slot in self.slots}))


@dataclass(frozen=True, slots=True)
class Placed:
    """The hosts of one slot."""

    slot: Claimed
    hosts: Sequence[str]
    jitter_s: int


def delay_s(association: str, host: str, jitter_s: int) -> float:
    """How much later a host begins, in whole steps."""
    step = max(LEAST_STEP_S, jitter_s / STEPS)
    return delay_of(association, host, dt.timedelta(seconds=jitter_s)).total_seconds() // step * step


def jobs_of(parts: Iterable[tuple[Claimed, str]], concerned: Mapping[str, frozenset[str]]) -> list[Job]:
    """(slot, host) pairs that begin now. `concerned`: the hosts of every association among them.

    One run for all hosts on which everything of these associations is due. Hosts on which some association is not due now, because of
    its delay or of another schedule there, have runs of their own, so that nothing runs that is not due.
    """
    due: dict[str, list[Claimed]] = {}
    for slot, host in parts:
        due.setdefault(host, []).append(slot)
    every = {slot.association for slots in due.values() for slot in slots}
    groups: dict[frozenset[str], list[str]] = {}
    for host, slots in due.items():
        names = frozenset(slot.association for slot in slots)
        whole = names == {name for name in every if host in concerned.get(name, ())}
        groups.setdefault(frozenset() if whole else names, []).append(host)
    return [
        Job(tuple(dict.fromkeys(slot for host in hosts for slot in due[host])), tuple(hosts))
        for hosts in groups.values()
    ]
