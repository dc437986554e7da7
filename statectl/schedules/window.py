"""A maintenance window as a value: whether it is open at a moment, until when, and when it opens next.

An opening lasts `duration` of elapsed time, also over a change of clocks. Openings may overlap when the schedule is faster than they
are long: then the one that began last counts, and it is the one that ends last.
"""

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass

from statectl.schedules.due import Timing, fires_after, previous_fire

_INSTANT = dt.timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Opening:
    start: dt.datetime
    until: dt.datetime  # from here on it is closed
    cutoff: dt.datetime  # from here on nothing new begins


@dataclass(frozen=True, slots=True)
class Window:
    timing: Timing
    duration: dt.timedelta
    cutoff: dt.timedelta = dt.timedelta(0)  # before the end
    start_date: dt.datetime | None = None  # nothing opens before
    end_date: dt.datetime | None = None  # nothing opens from here on, and what is open closes
    enabled: bool = True


def opening_at(window: Window, at: dt.datetime) -> Opening | None:
    """The opening that `at` lies in; None: closed. A window that was missed does not open late."""
    if not window.enabled:
        return None
    start = previous_fire(window.timing, at)
    if start is None or (window.start_date is not None and start < window.start_date):
        return None
    opening = _opening(window, start)
    return opening if at < opening.until else None


def accepts_work(window: Window, at: dt.datetime) -> bool:
    """Open, and something new may still begin."""
    opening = opening_at(window, at)
    return opening is not None and at < opening.cutoff


def openings(window: Window, after: dt.datetime) -> Iterator[Opening]:
    """Those that begin later than `after`, the earliest first."""
    if not window.enabled:
        return
    if window.start_date is not None and after < window.start_date:
        after = window.start_date - _INSTANT
    for start in fires_after(window.timing, after):
        if window.end_date is not None and start >= window.end_date:
            return
        yield _opening(window, start)


def next_opening(window: Window, after: dt.datetime) -> Opening | None:
    """The first that begins later than `after`; None: it never opens again."""
    return next(openings(window, after), None)


def _opening(window: Window, start: dt.datetime) -> Opening:
    until = start + window.duration
    if window.end_date is not None:
        until = min(until, window.end_date)
    return Opening(start, until, max(start, until - window.cutoff))
