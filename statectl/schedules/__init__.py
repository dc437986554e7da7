"""Schedules: rate, cron and at expressions, the moments they name, slots and windows. Pure: no clock, no files, no hosts."""

from statectl.schedules.due import Timing, fires, fires_after, fires_before, next_fire, previous_fire
from statectl.schedules.parse import At, Cron, Rate, Schedule, ScheduleError, parse_schedule
from statectl.schedules.window import Opening, Window, accepts_work, next_opening, opening_at, openings

__all__ = [
    "At",
    "Cron",
    "Opening",
    "Rate",
    "Schedule",
    "ScheduleError",
    "Timing",
    "Window",
    "accepts_work",
    "fires",
    "fires_after",
    "fires_before",
    "next_fire",
    "next_opening",
    "opening_at",
    "openings",
    "parse_schedule",
    "previous_fire",
]
