"""Maintenance windows for people and for programs: what they are, whether they are open at a moment, and when they open next."""

import datetime as dt
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

from statectl.cli.formats.terminal import Screen, one_line
from statectl.project.model import MaintenanceWindow
from statectl.schedules import Cron, Opening, opening_at, openings


def window_document(one: MaintenanceWindow, at: dt.datetime, count: int) -> dict[str, Any]:
    """One window as JSON; moments are UTC, those of openings also in the window's zone."""
    window = one.window
    opening = opening_at(window, at)
    return {
        "description": one.description,
        "place": str(one.span or ""),
        "schedule": window.timing.schedule.text,
        "timezone": one.timezone,
        "schedule_offset_days": window.timing.offset_days,
        "duration_s": int(window.duration.total_seconds()),
        "cutoff_s": int(window.cutoff.total_seconds()),
        "start_date": _utc(window.start_date) if window.start_date is not None else "",
        "end_date": _utc(window.end_date) if window.end_date is not None else "",
        "enabled": window.enabled,
        "open": opening is not None,
        "accepts_work": opening is not None and at < opening.cutoff,
        "opening": _opening_document(opening, one) if opening is not None else None,
        "next": [_opening_document(later, one) for later in islice(openings(window, at), count)],
    }


def _opening_document(opening: Opening, one: MaintenanceWindow) -> dict[str, str]:
    zone = one.window.timing.zone
    return {
        "start": _utc(opening.start),
        "cutoff": _utc(opening.cutoff),
        "end": _utc(opening.until),
        "start_local": opening.start.astimezone(zone).isoformat(),
        "end_local": opening.until.astimezone(zone).isoformat(),
    }


def list_lines(windows: Sequence[MaintenanceWindow], at: dt.datetime, count: int, screen: Screen) -> Iterator[str]:
    """One line for each window, one for what it does now, and one for each of its next `count` openings."""
    if not windows:
        yield "No maintenance windows. They stand below `maintenance_windows:` in a file of states/."
        return
    wide = max(len(one.name) for one in windows)
    for one in windows:
        yield f"{one.name:{wide}}  {one.window.timing.schedule.text}{_offset(one)}  {one.timezone}"
        yield f"  {_now(one, at, screen)}"
        yield from (f"  {line}" for line in _next_lines(one, at, count))


def show_lines(one: MaintenanceWindow, at: dt.datetime, count: int, screen: Screen) -> Iterator[str]:
    window = one.window
    yield f"{one.name}{f'   {one_line(one.description)}' if one.description else ''}"
    yield f"  schedule  {window.timing.schedule.text}{_offset(one)}"
    yield f"  timezone  {one.timezone}"
    cutoff = f", nothing new in the last {_hours(window.cutoff)}" if window.cutoff else ""
    yield f"  duration  {_hours(window.duration)}{cutoff}"
    if window.start_date is not None:
        yield f"  from      {_both(window.start_date, one)}"
    if window.end_date is not None:
        yield f"  until     {_both(window.end_date, one)}"
    yield f"  place     {one.span or '-'}"
    yield f"  {_now(one, at, screen)}"
    yield from (f"  {line}" for line in _next_lines(one, at, count))


def _offset(one: MaintenanceWindow) -> str:
    days = one.window.timing.offset_days
    if not isinstance(one.window.timing.schedule, Cron) or not days:
        return ""
    return f" and {days} day{'s' * (days != 1)}"


def _now(one: MaintenanceWindow, at: dt.datetime, screen: Screen) -> str:
    """What the window does at the moment."""
    if not one.window.enabled:
        return screen.paint("disabled: it never opens", "dim")
    opening = opening_at(one.window, at)
    if opening is None:
        return "closed"
    said = f"open until {_both(opening.until, one)}, {_away(opening.until - at)} from now"
    if at >= opening.cutoff:
        return screen.paint(f"{screen.mark('warning')} {said}; nothing new begins any more", "warning")
    later = f"; nothing new from {_both(opening.cutoff, one)}" if opening.cutoff != opening.until else ""
    return screen.paint(f"{screen.mark('ok')} {said}{later}", "ok")


def _next_lines(one: MaintenanceWindow, at: dt.datetime, count: int) -> Iterator[str]:
    if not one.window.enabled:
        return
    found = list(islice(openings(one.window, at), count))
    for opening in found:
        start, end = (moment.astimezone(one.window.timing.zone) for moment in (opening.start, opening.until))
        until = f"{end:%H:%M}" if start.date() == end.date() else f"{end:%a %Y-%m-%d %H:%M}"
        change = "" if start.tzname() == end.tzname() else f" {end.tzname()}"
        utc = "" if one.window.timing.zone is dt.UTC else f"   {_utc(opening.start)}"
        yield f"opens {start:%a %Y-%m-%d %H:%M} {start.tzname()} to {until}{change}{utc}   in {_away(opening.start - at)}"
    if len(found) < count:
        yield "never opens again" if not found else "and never again"


def _both(moment: dt.datetime, one: MaintenanceWindow) -> str:
    """On the wall of the window's zone, and in UTC."""
    local = moment.astimezone(one.window.timing.zone)
    utc = "" if one.window.timing.zone is dt.UTC else f" ({_utc(moment)})"
    return f"{local:%a %Y-%m-%d %H:%M} {local.tzname()}{utc}"


def _utc(moment: dt.datetime) -> str:
    return f"{moment.astimezone(dt.UTC):%Y-%m-%dT%H:%M:%SZ}"


def _hours(span: dt.timedelta) -> str:
    """4h, 1h30m."""
    hours, minutes = divmod(int(span.total_seconds()) // 60, 60)
    return f"{hours}h{minutes}m" if hours and minutes else f"{hours}h" if hours else f"{minutes}m"


def _away(span: dt.timedelta) -> str:
    """How long until then: the largest unit and the next one, as far as anybody wants to know."""
    minutes = int(span.total_seconds()) // 60
    days, hours = minutes // 1440, minutes // 60 % 24
    if days:
        return f"{days}d" if days >= 7 or not hours else f"{days}d {hours}h"
    if hours:
        return f"{hours}h {minutes % 60}m" if minutes % 60 else f"{hours}h"
    return f"{minutes}m" if minutes else "less than 1m"
