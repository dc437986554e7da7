"""How compliance came to be what it is: one moment for each run that read hosts, from what the store wrote down when it happened.

The hosts are those that the files and the inventory name now: their number is the denominator of every moment. A host is unknown
until it was first read, and from a contact that came to nothing until the next one. Pure.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from statectl.compliance.moments import WORST_FIRST, Moment, StatusChange

LOST = ("unreachable", "unknown")
READ = ("planned", "ok", "changed", "failed", "stopped", "skipped")


def history(
    expected: Iterable[tuple[str, str]], readings: Sequence[Mapping[str, Any]], changes: Sequence[Mapping[str, Any]]
) -> list[Moment]:
    """expected: (host, association) of the inventory and the files; readings, changes: of the store, oldest first."""
    pairs = set(expected)
    hosts = {host for host, _ in pairs}
    by_run: dict[str, list[Mapping[str, Any]]] = {}
    for change in changes:
        by_run.setdefault(change["run_id"], []).append(change)
    lost = dict.fromkeys(hosts, True)
    wrong: dict[str, dict[tuple[str, str], str]] = {host: {} for host in hosts}
    standing = dict.fromkeys(hosts, "unknown")
    counts = {"unknown": len(hosts)}
    moments: list[Moment] = []
    last = {reading["run_id"]: place for place, reading in enumerate(readings)}
    for place, reading in enumerate(readings):
        if reading["host"] in hosts and reading["outcome"] in (*LOST, *READ):
            lost[reading["host"]] = reading["outcome"] in LOST
            _count(counts, standing, reading["host"], lost, wrong)
        if last[reading["run_id"]] != place:
            continue
        told = [one for one in by_run.get(reading["run_id"], ()) if (one["host"], one["association"]) in pairs]
        for change in told:
            key = change["association"], change["address"]
            if change["after"] in ("", "compliant", "exempt"):
                wrong[change["host"]].pop(key, None)
            else:
                wrong[change["host"]][key] = change["after"]
            _count(counts, standing, change["host"], lost, wrong)
        moments.append(
            Moment(
                at=reading["at"],
                run=reading["run_id"],
                verb=reading["verb"],
                hosts_total=len(hosts),
                hosts_compliant=counts.get("compliant", 0),
                by_status={status: counts[status] for status in WORST_FIRST if counts.get(status)},
                changes=[StatusChange.model_validate(change, from_attributes=False) for change in told],
            )
        )
    return moments


def _count(
    counts: dict[str, int],
    standing: dict[str, str],
    host: str,
    lost: Mapping[str, bool],
    wrong: Mapping[str, Mapping[tuple[str, str], str]],
) -> None:
    found = [*wrong[host].values(), *(["unknown"] if lost[host] else [])]
    now = min(found, key=WORST_FIRST.index, default="compliant")
    counts[standing[host]] -= 1
    counts[now] = counts.get(now, 0) + 1
    standing[host] = now
