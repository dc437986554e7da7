"""A slot is one time at which an association is due. It has an identity, and it is decided about once, whatever the clock does.

Whoever runs associations remembers one moment for each: `last`, the slot decided about last, or, before there was one, when the
association was first seen. Only slots after it count, and it never goes back: a clock that is set back fires nothing twice.
"""

import datetime as dt
from dataclasses import dataclass
from itertools import islice, takewhile
from typing import Literal

from statectl.schedules.due import Timing, fires_before

Missed = Literal["once", "skip", "all"]
LATE_AFTER = dt.timedelta(minutes=1)
MOST_MISSED = 10


@dataclass(frozen=True, slots=True)
class Slot:
    association: str
    scheduled: dt.datetime  # UTC, as the schedule says, before any delay of a host

    @property
    def id(self) -> str:
        """`web@2026-11-29T01:00:00Z`."""
        return f"{self.association}@{self.scheduled.astimezone(dt.UTC):%Y-%m-%dT%H:%M:%SZ}"


@dataclass(frozen=True, slots=True)
class Decision:
    """What is to be run now, the earliest first, and what is not and never will be."""

    run: tuple[Slot, ...]
    missed: tuple[Slot, ...]
    more_missed: bool  # slots before those in `missed` were missed as well; they are not listed
    late: bool  # what runs was due longer ago than is usual
    last: dt.datetime  # to be remembered


def decide(
    association: str,
    timing: Timing,
    last: dt.datetime,
    now: dt.datetime,
    *,
    missed: Missed = "once",
    late_after: dt.timedelta = LATE_AFTER,
    most: int = MOST_MISSED,
) -> Decision:
    """What the slots after `last`, up to and with `now`, come to.

    `once`: the latest one runs, also when it is late, and stands for all before it. `skip`: it runs only when it is not late.
    `all`: each runs, but never more than `most`, and then the latest.
    """
    found = list(islice(takewhile(lambda moment: moment > last, fires_before(timing, now)), most + 1))
    if not found:
        return Decision((), (), more_missed=False, late=False, last=last)
    due = [Slot(association, moment) for moment in reversed(found[:most])]
    late = now - due[-1].scheduled > late_after
    runs = {"all": len(due), "once": 1, "skip": 0 if late else 1}[missed]
    run, rest = due[len(due) - runs :], due[: len(due) - runs]
    return Decision(
        tuple(run),
        tuple(rest),
        more_missed=len(found) > most,
        late=bool(run) and now - run[0].scheduled > late_after,
        last=due[-1].scheduled,
    )
