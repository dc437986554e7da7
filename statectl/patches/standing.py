"""How a host stands by a baseline: from its last scan or install, and how old that and the package data behind it are. Pure.

failed      a patch was tried and did not come to be
unknown     never scanned, scanned too long ago, package data too old, or the host could not say
drifted     something is installed that the baseline rejects
pending     approved patches are missing, or what is installed waits for a reboot
exempt      nothing of these, and a pin of the baseline keeps a patch away
compliant   nothing of these
"""

import datetime as dt
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from statectl.baselines.evaluation import COMPLIANT
from statectl.baselines.model import LEVELS
from statectl.patches.history import worst_level
from statectl.store.patch_history import PatchOperation

STATUSES = ("failed", "unknown", "drifted", "pending", "exempt", "compliant")  # worst first
STATUS_OF = {
    "Failed": "failed",
    "InstalledRejected": "drifted",
    "Missing": "pending",
    "InstalledPendingReboot": "pending",
    "AvailableSecurityUpdate": "pending",
}
TooOld = Callable[[str, str], tuple[dt.datetime, str] | None]
Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Deviation:
    """One patch of a host that is not as the baseline says, or that a pin excuses. `since`: UTC, when it was approved, '' : not known."""

    status: str
    row: Row
    since: str = ""

    @property
    def reason(self) -> str:
        pin = self.row.get("pin")
        if self.status == "exempt" and pin:
            return f"{pin['reason']} (pinned until {pin['until']})"
        if pin and self.row.get("withheld") and self.row["state"] in COMPLIANT:
            return f"its pin ended on {pin['until']}"
        return str(self.row.get("reason", ""))


@dataclass(frozen=True, slots=True)
class Standing:
    """`last`: the operation that it is judged by, None: never scanned. `level`: the worst of what is not compliant."""

    host: str
    baseline: str
    status: str
    reason: str = ""
    level: str = "unspecified"
    last: PatchOperation | None = None
    deviations: Sequence[Deviation] = field(default_factory=tuple)

    @property
    def checked(self) -> str:
        return self.last.ended if self.last is not None else ""

    @property
    def fetched(self) -> str:
        """When the oldest of the host's package indexes was fetched; '' : not known."""
        return str(self.last.detail.get("fetched", "")) if self.last is not None else ""

    @property
    def counts(self) -> Mapping[str, int]:
        return self.last.detail.get("counts", {}) if self.last is not None else {}

    @property
    def since(self) -> str:
        """When the first of what makes the status came to be."""
        return min((one.since for one in self.deviations if one.status == self.status and one.since), default="")


def standings(
    expected: Iterable[tuple[str, str]],
    latest: Sequence[PatchOperation],
    rows: Mapping[str, Sequence[Row]],
    at: dt.datetime,
    too_old: TooOld = lambda _host, _baseline: None,
) -> list[Standing]:
    """expected: (host, baseline) of files and inventory; latest: the last operation of each; rows: {listed: rows} of these operations;
    too_old: what was scanned before that moment is too old, and why.
    """
    by_key = {(one.host, one.baseline): one for one in latest}
    return [
        _standing(host, baseline, by_key.get((host, baseline)), rows, at, too_old(host, baseline))
        for host, baseline in expected
    ]


def _standing(
    host: str,
    baseline: str,
    last: PatchOperation | None,
    rows: Mapping[str, Sequence[Row]],
    at: dt.datetime,
    old: tuple[dt.datetime, str] | None,
) -> Standing:
    if last is None:
        return Standing(host, baseline, "unknown", "never scanned")
    found = deviations(rows.get(last.listed, ()), last, at.date())
    level = worst_level(one.row.get("level", "unspecified") for one in found if one.status != "exempt")
    reason = _unknown(last, at, old)
    status = min((one.status for one in found), key=STATUSES.index, default="compliant")
    if status in ("exempt", "compliant") and not last.compliant and not reason:
        status = "pending"  # the scan said so, whatever its rows say
    if reason and status != "failed":
        status = "unknown"
    return Standing(host, baseline, status, reason, level, last, found)


def deviations(rows: Iterable[Row], operation: PatchOperation, today: dt.date) -> tuple[Deviation, ...]:
    """What is not as it should be, and what a pin excuses, worst first."""
    found = []
    for row in rows:
        status = _status(row, operation, today)
        if status != "compliant":
            since = str(row.get("approved_at") or row.get("first_seen") or "")
            found.append(Deviation(status, row, operation.ended if status == "failed" else since))
    order = {level: place for place, level in enumerate(LEVELS)}
    return tuple(
        sorted(
            found, key=lambda one: (STATUSES.index(one.status), order[rank(one.row)], one.row["name"], one.row["arch"])
        )
    )


def _status(row: Row, operation: PatchOperation, today: dt.date) -> str:
    state = row["state"]
    if row.get("pin") and row.get("withheld"):
        return "exempt" if row["pin"]["until"] >= today.isoformat() else "pending"
    if state in COMPLIANT:
        return "compliant"
    if state == "AvailableSecurityUpdate" and operation.detail.get("available_security_updates") != "non_compliant":
        return "compliant"
    return STATUS_OF[state]


def _unknown(last: PatchOperation, at: dt.datetime, old: tuple[dt.datetime, str] | None) -> str:
    if last.unknown:
        return last.unknown
    if old is not None and dt.datetime.fromisoformat(last.ended) < old[0]:
        return f"last scanned at {last.ended}, {old[1]}"
    fetched, most = last.detail.get("fetched"), last.detail.get("max_index_age_s")
    if fetched and most and at - dt.datetime.fromisoformat(fetched) > dt.timedelta(seconds=most):
        return f"the package data are of {fetched}; the baseline counts what is at most {_days(most)} old"
    return ""


def _days(seconds: int) -> str:
    for size, unit in ((86400, "day"), (3600, "hour"), (60, "minute")):
        if seconds % size == 0 and seconds >= size:
            return f"{seconds // size} {unit}{'s' * (seconds != size)}"
    return f"{seconds} seconds"


_VENDOR = {"critical": "critical", "important": "high", "moderate": "medium", "medium": "medium", "low": "low"}


def rank(row: Row) -> str:
    """The level that the baseline gives; where it gives none, what the vendor says of the patch; never from a score."""
    level = str(row.get("level", "unspecified"))
    return level if level != "unspecified" else _VENDOR.get(str(row.get("severity", "")).casefold(), "unspecified")
