"""Patch baselines in compliance: what a host's standing by one of them is beside its associations. Pure."""

from statectl.compliance.entries import Entry
from statectl.patches.standing import Standing


def patch_entry(one: Standing) -> Entry:
    by_status: dict[str, int] = {}
    for deviation in one.deviations:
        by_status[deviation.status] = by_status.get(deviation.status, 0) + 1
    return Entry(
        host=one.host,
        association="",
        baseline=one.baseline,
        status=one.status,
        since=one.since if one.status not in ("unknown", "compliant") else "",
        checked=one.checked,
        counts=by_status,
        deviations=[
            {
                "address": f"patch:{deviation.row['name']}",
                "status": deviation.status,
                "since": deviation.since,
                "reason": deviation.reason,
                "state": deviation.row["state"],
                "level": deviation.row.get("level", "unspecified"),
                "installed": deviation.row.get("from", ""),
                "wanted": deviation.row.get("withheld") or deviation.row.get("to", ""),
                "until": deviation.row["pin"]["until"] if deviation.status == "exempt" else "",
            }
            for deviation in one.deviations
        ],
        reason=one.reason,
        severity=one.level,
        index_fetched=one.fetched,
        patches={name: count for name, count in one.counts.items() if count} if one.status != "unknown" else {},
    )
