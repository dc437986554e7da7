"""Schedules: rate, cron and at expressions as values. Pure: no clock, no files, no hosts."""

from statectl.schedules.parse import At, Cron, Rate, Schedule, ScheduleError, parse_schedule

__all__ = ["At", "Cron", "Rate", "Schedule", "ScheduleError", "parse_schedule"]
