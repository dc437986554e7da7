"""The patch report, `statectl.patch-report/1.0`: how hosts stand by their baselines, patch by patch. The models are the schema.

Made of what was recorded, for now or for a moment of the past. Unknown is never counted as compliant. Pure.
"""

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from statectl.baselines.model import LEVELS
from statectl.patches.standing import STATUSES, Deviation, Standing, rank

FORMAT = "statectl.patch-report/1.0"
AGES = (  # (name, days): of a patch that is known for fewer days than that
    ("under 7 days", 7),
    ("7 to 29 days", 30),
    ("30 to 89 days", 90),
    ("90 days and more", None),
    ("age not known", None),
)
COLUMNS = (  # of the CSV; one row a patch, and one a host without any
    "as_of", "host", "baseline", "host_status", "host_reason", "last_operation", "last_run", "last_checked", "index_fetched",
    "package", "arch", "state", "status", "installed", "wanted", "severity", "level", "vendor_severity", "classification",
    "advisories", "cves", "first_seen", "approved_at", "installed_at", "installed_by_run", "age_days", "exempt_until", "reason",
)  # fmt: skip


class Model(BaseModel):
    model_config = ConfigDict(extra="ignore", hide_input_in_errors=True)


class Patch(Model):
    """One package of a host by a baseline."""

    package: str = Field(description="name")
    arch: str = Field(default="", description="architecture")
    state: str = Field(
        description="Installed, InstalledOther, InstalledPendingReboot, InstalledRejected, Missing, Failed, NotApplicable or AvailableSecurityUpdate"
    )
    status: str = Field(description="what that means for compliance: failed, drifted, pending, exempt or compliant")
    installed: str = Field(default="", description="version that the host has; '' : none")
    wanted: str = Field(default="", description="version that it should have, or that a pin keeps away")
    severity: str = Field(
        description="the level that the baseline gives; where it gives none, what the vendor says; unspecified: nobody says"
    )
    level: str = Field(default="unspecified", description="level that the baseline gives")
    vendor_severity: str = Field(default="", description="as the vendor wrote it; '' : it said nothing")
    classification: str = Field(default="", description="of the advisory")
    advisories: list[str] = Field(default_factory=list, description="ids")
    cves: list[str] = Field(default_factory=list, description="ids")
    first_seen: str = Field(default="", description="UTC; when this version was first seen anywhere")
    approved_at: str = Field(default="", description="UTC; when the baseline approved it, or will")
    installed_at: str = Field(
        default="", description="UTC; when a run of statectl installed it; '' : none did, as far as is recorded"
    )
    installed_by_run: str = Field(default="", description="that run")
    age_days: int | None = Field(
        default=None, description="whole days since it was first seen, of a patch that is not installed"
    )
    exempt_until: str = Field(default="", description="day on which a pin ends")
    reason: str = Field(default="", description="why it is so, in words")


class HostEntry(Model):
    """One host by one baseline."""

    host: str = Field(description="inventory name")
    baseline: str = Field(description="name of the baseline")
    status: str = Field(
        description="failed, unknown, drifted, pending, exempt or compliant; exempt counts as compliant"
    )
    reason: str = Field(default="", description="why nothing can be said of it")
    level: str = Field(default="unspecified", description="the worst level of what is not compliant")
    operation: str = Field(default="", description="scan or install: what this is judged by; '' : never scanned")
    run: str = Field(default="", description="run of it")
    commit: str = Field(default="", description="commit of the files in that run")
    checked: str = Field(default="", description="UTC; when that ended")
    index_fetched: str = Field(default="", description="UTC; when the oldest of the host's package indexes was fetched")
    index_dated: str = Field(default="", description="UTC; when the newest of them was made, as it says")
    stale: list[str] = Field(default_factory=list, description="what was old when it was looked at")
    trouble: list[str] = Field(default_factory=list, description="what people should know of it")
    counts: dict[str, int] = Field(
        default_factory=dict, description="patches by state, and those that are not compliant"
    )
    reboot: str = Field(default="", description="never, if_needed or always: option of the last operation")
    needs_reboot: list[str] = Field(default_factory=list, description="why it has to boot; empty: it need not")
    needs_restart: list[str] = Field(default_factory=list, description="services that run code that was replaced")
    snapshot: str = Field(default="", description="id of the snapshot of the archives that it was made with")
    source: list[str | int] = Field(default_factory=list, description="file and line of the baseline")
    oldest_days: int | None = Field(default=None, description="age of the oldest patch that is missing or failed")
    patches: list[Patch] = Field(default_factory=list, description="those that are not compliant; with --all every one")


class AgeRow(Model):
    """Of one severity: on how many hosts the oldest missing patch is how old."""

    severity: str = Field(description="critical, high, medium, low, informational or unspecified")
    ages: dict[str, int] = Field(description="hosts, by age")
    patches: int = Field(description="missing or failed patches, each counted on each host")
    packages: int = Field(description="different packages among them")


class PatchReport(Model):
    format: str = Field(default=FORMAT, description="name and version of this document")
    as_of: str = Field(description="UTC; when this was judged")
    project: str = Field(default="", description="name of the project")
    hosts_total: int = Field(description="hosts that have a baseline, or were scanned by one that is asked for")
    hosts_compliant: int = Field(description="hosts that are compliant by all their baselines")
    by_status: dict[str, int] = Field(description="hosts by their worst status")
    by_state: dict[str, int] = Field(description="patches by state, over all hosts whose state is known")
    severity_by_age: list[AgeRow] = Field(description="severities with missing or failed patches, worst first")
    oldest_check: str = Field(default="", description="UTC; the oldest last scan or install among hosts that had one")
    oldest_index: str = Field(default="", description="UTC; when the oldest package index of any host was fetched")
    entries: list[HostEntry] = Field(description="every host and baseline")

    @property
    def percent(self) -> float:
        return 100.0 * self.hosts_compliant / self.hosts_total if self.hosts_total else 100.0


def report(
    standings: Sequence[Standing],
    at: dt.datetime,
    *,
    project: str = "",
    everything: Mapping[str, Sequence[Mapping[str, Any]]] | None = None,
    installed: Iterable[Mapping[str, Any]] = (),
) -> PatchReport:
    """everything: {listed: rows}, when patches that are compliant are wanted too; installed: moves of `PatchHistory.moves`, oldest first."""
    moves = {
        (one["host"], one["name"], one["arch"], one["version_to"]): one
        for one in installed
        if one["outcome"] == "installed"
    }
    entries = [_entry(one, at, everything, moves) for one in standings]
    worst: dict[str, str] = {}
    for entry in entries:
        status = "compliant" if entry.status == "exempt" else entry.status
        worst[entry.host] = min(worst.get(entry.host, "compliant"), status, key=STATUSES.index)
    by_status = {status: sum(value == status for value in worst.values()) for status in STATUSES}
    by_state: dict[str, int] = {}
    for entry in entries:
        for name, count in entry.counts.items():
            if not name.endswith("non_compliant") and count and entry.status != "unknown":
                by_state[name] = by_state.get(name, 0) + count
    return PatchReport(
        as_of=at.strftime("%Y-%m-%dT%H:%M:%SZ"),
        project=project,
        hosts_total=len(worst),
        hosts_compliant=by_status["compliant"],
        by_status={status: count for status, count in by_status.items() if count},
        by_state=by_state,
        severity_by_age=_severity_by_age(entries),
        oldest_check=min((entry.checked for entry in entries if entry.checked), default=""),
        oldest_index=min((entry.index_fetched for entry in entries if entry.index_fetched), default=""),
        entries=entries,
    )


def age_of(patch: Patch) -> str:
    """Which of AGES it is in."""
    if patch.age_days is None:
        return AGES[-1][0]
    return next(name for name, days in AGES if days is None or patch.age_days < days)


def is_missing(patch: Patch) -> bool:
    return patch.state in ("Missing", "Failed") and patch.status != "exempt"


def csv_rows(found: PatchReport) -> list[dict[str, Any]]:
    """For auditors, by COLUMNS: one row for every patch of every host and baseline; one for a host that has none to show."""
    rows: list[dict[str, Any]] = []
    for entry in found.entries:
        host = {
            "as_of": found.as_of,
            "host": entry.host,
            "baseline": entry.baseline,
            "host_status": entry.status,
            "host_reason": entry.reason,
            "last_operation": entry.operation,
            "last_run": entry.run,
            "last_checked": entry.checked,
            "index_fetched": entry.index_fetched,
        }
        rows += [{**host, **patch.model_dump()} for patch in entry.patches] or [host]
    return rows


def _entry(
    one: Standing,
    at: dt.datetime,
    everything: Mapping[str, Sequence[Mapping[str, Any]]] | None,
    moves: Mapping[tuple[str, str, str, str], Mapping[str, Any]],
) -> HostEntry:
    shown = [_patch(one.host, deviation, at, moves) for deviation in one.deviations]
    last = one.last
    if everything is not None and last is not None:
        known = {(deviation.row["name"], deviation.row["arch"]) for deviation in one.deviations}
        others = [row for row in everything.get(last.listed, ()) if (row["name"], row["arch"]) not in known]
        others.sort(key=lambda row: (row["name"], row["arch"]))
        shown += [_patch(one.host, Deviation("compliant", row), at, moves) for row in others]
    detail: Mapping[str, Any] = last.detail if last is not None else {}
    return HostEntry(
        host=one.host,
        baseline=one.baseline,
        status=one.status,
        reason=one.reason,
        level=one.level,
        operation=last.operation if last is not None else "",
        run=last.run if last is not None else "",
        commit=last.commit if last is not None else "",
        checked=one.checked,
        index_fetched=one.fetched,
        index_dated=detail.get("dated", ""),
        stale=detail.get("stale", []),
        trouble=detail.get("trouble", []),
        counts=dict(one.counts),
        reboot=detail.get("reboot", ""),
        needs_reboot=detail.get("needs_reboot", []),
        needs_restart=detail.get("needs_restart", []),
        snapshot=detail.get("snapshot", ""),
        source=detail.get("source", []),
        oldest_days=max((p.age_days for p in shown if is_missing(p) and p.age_days is not None), default=None),
        patches=shown,
    )


def _patch(
    host: str,
    deviation: Deviation,
    at: dt.datetime,
    moves: Mapping[tuple[str, str, str, str], Mapping[str, Any]],
) -> Patch:
    row = deviation.row
    move = moves.get((host, row["name"], row["arch"], row.get("from", "")), {})
    first, waits = row.get("first_seen", ""), row["state"] in ("Missing", "Failed") or deviation.status == "exempt"
    return Patch(
        package=row["name"],
        arch=row["arch"],
        state=row["state"],
        status=deviation.status,
        installed=row.get("from", ""),
        wanted=row.get("withheld") or row.get("to", ""),
        severity=rank(row),
        level=row.get("level", "unspecified"),
        vendor_severity=row.get("severity", ""),
        classification=row.get("classification", ""),
        advisories=row.get("advisories", []),
        cves=row.get("cves", []),
        first_seen=first,
        approved_at=row.get("approved_at", ""),
        installed_at=move.get("at", ""),
        installed_by_run=move.get("run_id", ""),
        age_days=max(0, (at - dt.datetime.fromisoformat(first)).days) if first and waits else None,
        exempt_until=row["pin"]["until"] if deviation.status == "exempt" else "",
        reason=deviation.reason,
    )


def _severity_by_age(entries: Sequence[HostEntry]) -> list[AgeRow]:
    names = [name for name, _ in AGES]
    oldest: dict[tuple[str, str], int] = {}  # (severity, host) -> place in AGES; not known counts as the least old
    patches = dict.fromkeys(LEVELS, 0)
    packages: dict[str, set[str]] = {level: set() for level in LEVELS}
    for entry in entries:
        for patch in filter(is_missing, entry.patches):
            place = names.index(age_of(patch))
            key = (patch.severity, entry.host)
            before = oldest.get(key)
            last = len(names) - 1
            if before is None or before == last or (place != last and place > before):
                oldest[key] = place
            patches[patch.severity] += 1
            packages[patch.severity].add(patch.package)
    return [
        AgeRow(
            severity=level,
            ages={
                name: sum(found == place for (of, _), found in oldest.items() if of == level)
                for place, name in enumerate(names)
            },
            patches=patches[level],
            packages=len(packages[level]),
        )
        for level in LEVELS
        if patches[level]
    ]
