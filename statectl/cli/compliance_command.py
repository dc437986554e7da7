"""statectl compliance: how the fleet stands, from stored results; --refresh reads the hosts first."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

import click

from statectl.cli.options import Outputs, host_options, output_options, to_json, to_json_lines
from statectl.errors import UsageError

FORMATS = ("text", "json", "jsonl")


@click.command()
@click.option("--min", "minimum", metavar="N%", default=None, help="Exit 2 when fewer hosts than this are compliant.")
@click.option("--refresh", is_flag=True, help="Plan first, so that the results are of now.")
@click.option("--history", "moments", is_flag=True, help="Also how it came to this: after each run that read hosts.")
@click.option(
    "--limit",
    metavar="N",
    type=click.IntRange(1, 100_000),
    default=20,
    show_default=True,
    help="Moments of --history, newest first.",
)
@host_options
@output_options(FORMATS)
@click.pass_obj
def command(
    obj: dict[str, Any], /, minimum: str | None, refresh: bool, moments: bool, limit: int, **options: Any
) -> int:
    """Say how many hosts are as their files say, of how many, and how old that knowledge is."""
    from statectl.cli.fleet import Opened
    from statectl.cli.formats.compliance_text import compliance_lines, history_lines
    from statectl.cli.patch_standings import patch_standings
    from statectl.cli.planning import outputs_of
    from statectl.cli.scope import Scope
    from statectl.compliance.history import history
    from statectl.compliance.judge import judge
    from statectl.compliance.patches import patch_entry
    from statectl.targets.ranges import compress

    floor = _percent(minimum)
    shown = outputs_of(options, FORMATS)
    opened = Opened.of(obj, options["inventory"], options)
    scope = Scope.of((), options)
    if refresh:
        _refresh(opened, scope, options, shown)
    store = opened.records()
    schedule, severity = _said(opened, "schedule"), _said(opened, "severity")
    zones = {name: (one.timezone, one.schedule_offset) for name, one in opened.project.associations.items()}
    now = datetime.now(UTC)
    standings, _ = patch_standings(
        opened,
        opened.chosen(scope),
        now,
        all_systems=False,
        too_old=_patches_too_old(opened, schedule, zones, now),
    )
    result = judge(
        opened.expected(scope),
        store.current(),
        store.host_states(),
        lambda host, name: too_old(schedule(host, name), now, *zones.get(name, ("UTC", 0))),
        now,
        severity,
        [patch_entry(one) for one in standings],
    )
    if moments:
        found = history(opened.expected(scope), store.readings(), store.status_changes())
        result.history = found[::-1][:limit]
    opened.close()

    def text() -> str:
        lines = list(compliance_lines(result, shown.screen, compress))
        if result.history is not None:
            lines += history_lines(result.history, len(found), shown.screen, compress)
        return "\n".join(lines) + "\n"

    document = result.model_dump(mode="json")
    shown.write(
        {
            "text": text,
            "json": lambda: to_json(document),
            "jsonl": lambda: to_json_lines(document["entries"]),
        }
    )
    if floor is not None:
        return 2 if result.percent < floor else 0
    return 3 if any(entry.status == "unknown" for entry in result.entries) else 0


def _percent(text: str | None) -> float | None:
    if text is None:
        return None
    if not re.fullmatch(r"100(\.0+)?%|[0-9]{1,2}(\.[0-9]+)?%", text):
        raise UsageError(f"--min {text!r}: expected a percentage from 0% to 100%")
    return float(text[:-1])


def _said(opened: Any, field: str) -> Callable[[str, str], str]:
    """(host, association) -> what the association says of a field there: its first matching `where`, or itself."""
    variants = {
        name: [
            (set(opened.concerned(variant.targets)), str(variant.fields.get(field, getattr(association, field))))
            for variant in association.where
        ]
        for name, association in opened.project.associations.items()
    }

    def of(host: str, name: str) -> str:
        if name not in opened.project.associations:  # parameters of the project
            return {"schedule": "", "severity": "unspecified"}[field]
        own = str(getattr(opened.project.associations[name], field))
        return next((value for hosts, value in variants[name] if host in hosts), own)

    return of


@cache
def too_old(schedule: str, at: datetime, timezone: str = "UTC", offset_days: int = 0) -> tuple[datetime, str] | None:
    """What was read before that moment is too old, and why: two intervals of a rate, or two times of a cron, have gone by since.

    at() names one time, and without a schedule nothing is due: there nothing grows too old by itself.
    """
    from itertools import islice

    from statectl.project.schedules import timing_of
    from statectl.schedules import Cron, Rate, fires_before

    timing = timing_of(schedule, timezone, offset_days) if schedule else None
    parsed = timing.schedule if timing is not None else None
    if isinstance(parsed, Rate):
        return at - 2 * timedelta(seconds=parsed.every_s), "more than two intervals ago"
    if timing is not None and isinstance(parsed, Cron):
        times = list(islice(fires_before(timing, at), 2))
        return (times[1], "before the last two times that it was due") if len(times) == 2 else None
    return None


def _patches_too_old(
    opened: Any, schedule: Callable[[str, str], str], zones: dict[str, tuple[str, int]], now: datetime
) -> Callable[[str, str], tuple[datetime, str] | None]:
    """Of (host, baseline): by the schedules of the associations of the host that name the baseline, the one that comes most often."""
    from statectl.cli.patch_standings import named_by_associations

    named = named_by_associations(opened)

    def of(host: str, baseline: str) -> tuple[datetime, str] | None:
        names = [name for name, of_it in named.get(host, ()) if of_it == baseline]
        found = [too_old(schedule(host, name), now, *zones.get(name, ("UTC", 0))) for name in names]
        return max((one for one in found if one is not None), default=None)

    return of


def _refresh(opened: Any, scope: Any, options: dict[str, Any], shown: Outputs) -> None:
    from statectl.cli.planning import progress_of, rate_of, run_interruptible
    from statectl.reconcile import reconcile
    from statectl.rollout.run_targets import Cancel

    fleet = opened.fleet(scope, kind="plan")
    cancel = Cancel()
    with progress_of(shown, len(fleet.hosts), "compliance") as progress:
        run_interruptible(lambda: reconcile.plan(fleet, rate_of(options), progress, cancel), cancel, abort_at_once=True)
