"""Maintenance windows of the files: when something that disrupts may happen."""

import datetime as dt
import re
from collections.abc import Mapping
from typing import Any

from statectl.project.findings import Findings
from statectl.project.model import MaintenanceWindow
from statectl.project.names import check_slug
from statectl.project.scalars import Plain
from statectl.project.schedules import read_offset, read_schedule, read_zone
from statectl.project.yaml_nodes import Path
from statectl.project.yaml_tree import BROKEN
from statectl.schedules import Rate, Timing, Window
from statectl.schedules.due import EPOCH

SHORTEST, LONGEST = dt.timedelta(hours=1), dt.timedelta(hours=24)

FIELDS: Mapping[str, str] = {
    "description": "What it is for, for people",
    "schedule": "When it opens (required): cron(0 2 ? * SUN *), rate(7 days) counted from start_date, or at(2027-06-30T22:00)",
    "timezone": "Zone of the schedule's times of day, such as Europe/Oslo (default UTC); its changes of clocks are followed",
    "duration": "How long it stays open (required): 1h to 24h, such as 4h or 90m",
    "cutoff": "How long before its end nothing new begins any more, such as 1h (default 0h); shorter than the duration",
    "start_date": "It does not open before, such as 2027-01-01T00:00:00Z or 2027-01-01T00:00:00+01:00",
    "end_date": "From then on it is closed, in the same form",
    "schedule_offset": "With cron(): it opens that many days later, 1 to 6, at the same time of day",
    "enabled": "false: it never opens (default true)",
}
# A window says when. What is done in it by itself, and where, comes later.
RESERVED: Mapping[str, str] = {
    "tasks": "a window says when it is open; work that it starts by itself comes with a later version",
    "targets": "the hosts of a window's tasks, which come with a later version; leave it out",
}


class WindowReader:
    def __init__(self, findings: Findings) -> None:
        self.findings = findings

    def read(self, name: str, value: Any, path: Path) -> MaintenanceWindow | None:
        """None after a problem without which there is no window."""
        findings = self.findings
        check_slug(findings, name, path, "a maintenance window")
        fields = findings.map(value, path, "expected a map with `schedule` and `duration`")
        if fields is None:
            return None
        for key, inner in fields.items():
            if key in RESERVED:
                findings.add("E106", (*path, key), f"`{key}` is not part of this version", key=True, hint=RESERVED[key])
            elif key not in FIELDS:
                findings.unknown(path, key, FIELDS, "a maintenance window", inner)
        for key in ("schedule", "duration"):
            if key not in fields:
                findings.add("E109", path, f"a maintenance window needs `{key}`", key=True, hint=FIELDS[key])
        schedule = read_schedule(findings, fields.get("schedule"), (*path, "schedule"))
        named = read_zone(findings, fields, path)
        duration = self._duration(fields, path)
        cutoff = self._cutoff(fields, path, duration)
        start, end = self._date(fields, "start_date", path), self._date(fields, "end_date", path)
        if start is not None and end is not None and end <= start:
            findings.wrong((*path, "end_date"), "expected a time after `start_date`")
        offset = read_offset(findings, fields, path, schedule)
        if isinstance(schedule, Rate) and "start_date" not in fields:
            hint = "rate() counts from there; without it nobody could say when it opens"
            findings.add("E109", path, "a maintenance window with rate() needs `start_date`", key=True, hint=hint)
        enabled = findings.flag(fields["enabled"], (*path, "enabled")) if "enabled" in fields else True
        description = findings.text(fields["description"], (*path, "description")) if "description" in fields else ""
        if schedule is None or named is None or duration is None or cutoff is None or offset is None or enabled is None:
            return None
        timezone, zone = named
        timing = Timing(schedule, zone, offset, anchor=start or EPOCH)
        window = Window(timing, duration, cutoff, start, end, enabled)
        return MaintenanceWindow(name, description or "", timezone, window, findings.places, path)

    def _duration(self, fields: Mapping[str, Any], path: Path) -> dt.timedelta | None:
        place = (*path, "duration")
        if "duration" not in fields:
            return None
        found = self._span_of_time(fields["duration"], place, "expected a time such as 4h or 90m, from 1h to 24h")
        if found is not None and not SHORTEST <= found <= LONGEST:
            self.findings.wrong(place, "expected a time from 1h to 24h")
            return None
        return found

    def _cutoff(self, fields: Mapping[str, Any], path: Path, duration: dt.timedelta | None) -> dt.timedelta | None:
        place = (*path, "cutoff")
        if "cutoff" not in fields:
            return dt.timedelta(0)
        found = self._span_of_time(
            fields["cutoff"], place, "expected a time such as 1h or 30m, shorter than `duration`"
        )
        if found is not None and duration is not None and found >= duration:
            self.findings.wrong(
                place, "expected a time shorter than `duration`", hint="nothing could ever begin in this window"
            )
            return None
        return found

    def _span_of_time(self, value: Any, path: Path, expected: str) -> dt.timedelta | None:
        """`4h`, `90m`, `1h30m`."""
        if value is BROKEN:
            return None
        match = re.fullmatch(r"(?:(\d{1,3})h)?(?:(\d{1,4})m)?", value) if isinstance(value, str) else None
        if match is not None and value:
            return dt.timedelta(hours=int(match[1] or 0), minutes=int(match[2] or 0))
        hours = f"{value}h" if isinstance(value, Plain) and re.fullmatch(r"\d{1,2}", value) else None
        label = f"did you mean `{hours}`?" if hours else ""
        self.findings.wrong(path, expected, label=label, replacement=hours)
        return None

    def _date(self, fields: Mapping[str, Any], key: str, path: Path) -> dt.datetime | None:
        """A moment in UTC."""
        if key not in fields:
            return None
        place = (*path, key)
        text = self.findings.text(fields[key], place)
        if text is None:
            return None
        found = None
        if re.fullmatch(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(:\d{2})?(Z|[+-]\d{2}:\d{2})", text):
            found = _moment(text)
        if found is None:
            hint = ""
            if re.fullmatch(r"\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}(:\d{2})?)?", text):
                hint = "with its offset from UTC: the dates do not depend on `timezone`"
            self.findings.wrong(
                place, "expected a date, time and offset such as 2027-06-30T22:00:00Z or ...+02:00", hint=hint
            )
        return found


def _moment(text: str) -> dt.datetime | None:
    try:
        return dt.datetime.fromisoformat(text).astimezone(dt.UTC)
    except (ValueError, OverflowError):
        return None
