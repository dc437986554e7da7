"""A schedule written in a file and what stands beside it: read by its grammar, and what is wrong shown at its place inside the text."""

import datetime as dt
import re
from collections.abc import Mapping
from functools import cache
from typing import Any

from statectl.problems import Span, did_you_mean, nearest
from statectl.project.findings import Findings
from statectl.project.yaml_nodes import Path
from statectl.schedules import Cron, Schedule, ScheduleError, Timing, parse_schedule
from statectl.schedules.due import LEAST_OFFSET, MOST_OFFSET

UTC_NAMES = ("UTC", "Etc/UTC")


def read_schedule(findings: Findings, value: Any, path: Path) -> Schedule | None:
    """None where nothing was given, and after a problem."""
    text = findings.text(value, path) if value is not None else None
    if text is None:
        return None
    try:
        return parse_schedule(text)
    except ScheduleError as error:
        span = _part_of(findings.places.value(path), text, error.offset, error.length)
        label = f"did you mean `{error.fix}`?" if error.fix else ""
        before, after = text[: error.offset], text[error.offset + error.length :]
        fix = None
        if error.fix and error.fix.startswith(before) and error.fix.endswith(after):
            fix = error.fix[len(before) : len(error.fix) - len(after)]
        findings.add("E117", path, error.message, span=span, label=label, replacement=fix)
        return None


def _part_of(span: Span | None, text: str, offset: int, length: int) -> Span | None:
    """The span of a part of a one-line text, given the span of the whole; the whole where columns are not known."""
    if span is None or span.end_line != span.line:
        return span
    quote = span.end_column - span.column - len(text)  # 0 for plain text, 2 between quotes without escapes
    if quote not in (0, 2):
        return span
    start = span.column + quote // 2 + offset
    return Span(span.file, span.line, start, span.line, start + max(1, length))


def read_zone(findings: Findings, fields: Mapping[str, Any], path: Path) -> tuple[str, dt.tzinfo] | None:
    """The name and the zone of the field `timezone`; None after a problem."""
    if "timezone" not in fields:
        return "UTC", dt.UTC
    place = (*path, "timezone")
    text = findings.text(fields["timezone"], place)
    if text is None:
        return None
    zone = zone_of(text)
    if zone is not None:
        return text, zone
    if not _zones():
        hint = "install tzdata (the package of the system, or from PyPI beside statectl)"
        findings.wrong(place, "this machine has no data about time zones but UTC", hint=hint)
        return None
    near = _near_zone(text)
    hint = "" if near else "a name such as Europe/Oslo or UTC"
    if re.search(r"[+-]\d", text):
        hint = "a name such as Europe/Oslo: an offset does not know when clocks change"
    label = did_you_mean(near, [near]) if near else ""
    findings.wrong(place, "expected the IANA name of a time zone", label=label, hint=hint, replacement=near)
    return None


def read_offset(findings: Findings, fields: Mapping[str, Any], path: Path, schedule: Schedule | None) -> int | None:
    """The days of the field `schedule_offset`, 0 where it is not given; None after a problem."""
    if "schedule_offset" not in fields:
        return 0
    place = (*path, "schedule_offset")
    if schedule is not None and not isinstance(schedule, Cron):
        hint = "leave it out, and say the time that is meant in `schedule`"
        findings.add("E110", place, "`schedule_offset` goes with cron() only", key=True, hint=hint)
        return None
    return findings.number(fields["schedule_offset"], place, LEAST_OFFSET, MOST_OFFSET)


@cache
def timing_of(schedule: str, timezone: str, offset_days: int) -> Timing:
    """The timing of texts that were checked when they were read; an offset counts for cron() only."""
    parsed = parse_schedule(schedule)
    return Timing(parsed, zone_of(timezone) or dt.UTC, offset_days if isinstance(parsed, Cron) else 0)


def zone_of(name: str) -> dt.tzinfo | None:
    """The zone of that name; `localtime` and its like are none: they are another one on every machine."""
    if name in UTC_NAMES:
        return dt.UTC  # needs no data
    if not re.fullmatch(r"[A-Z][A-Za-z0-9_+/-]{0,63}", name) or name == "Factory":
        return None
    from zoneinfo import ZoneInfo, ZoneInfoNotFoundError  # 5 ms, for projects that name a zone

    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return None


@cache
def _zones() -> tuple[str, ...]:
    from zoneinfo import available_timezones

    return tuple(sorted(name for name in available_timezones() if name[:1].isupper() and name != "Factory"))


def _near_zone(text: str) -> str | None:
    """The zone that was probably meant: by its city, or by how it is spelt."""
    word = text.strip().replace(" ", "_").lower()
    for name in _zones():
        if word in (name.lower(), name.rpartition("/")[2].lower()):
            return name
    return nearest(text, _zones()) or None
