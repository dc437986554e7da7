"""Compliance for people: one sentence with its denominator and age, then what is not compliant, folded."""

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime

from statectl.cli.formats.terminal import Screen, one_line
from statectl.compliance.judge import SEVERITIES, Compliance

Compress = Callable[[Sequence[str]], str]
_MARKS = {"failed": "failed", "drifted": "change", "pending": "waiting", "unknown": "warning", "exempt": "orphan"}


def compliance_lines(result: Compliance, screen: Screen, compress: Compress) -> Iterator[str]:
    hosts = f"{result.hosts_compliant} of {result.hosts_total} host{'s' * (result.hosts_total != 1)} compliant"
    rest = ", ".join(f"{count} {status}" for status, count in result.by_status.items() if status != "compliant")
    share = f" ({result.percent:.0f} %)" if result.hosts_total > 1 else ""
    if not result.hosts_total:
        yield "No host has an association, so there is nothing to say."
        return
    if result.oldest_check:
        age = _age(result.oldest_check, result.as_of)
        yield f"{hosts}{share}{', ' + rest if rest else ''}; from stored results, the oldest read {age} ago"
    else:
        # not even "0 compliant": with an empty store that would be said of hosts that may be as they should
        total = f"{result.hosts_total} host{'s' * (result.hosts_total != 1)}"
        yield f"No host was ever read from here, so nothing is known of {total}; statectl plan reads them"
    folded: dict[tuple[int, str, str, str, str], list[str]] = {}
    since: dict[tuple[int, str, str, str, str], str] = {}
    for entry in result.entries:
        rank = SEVERITIES.index(entry.severity)
        if entry.status == "unknown":
            folded.setdefault((rank, "unknown", entry.association, "", entry.reason), []).append(entry.host)
        for deviation in entry.deviations:
            key = (rank, deviation["status"], entry.association, deviation["address"], deviation["reason"])
            folded.setdefault(key, []).append(entry.host)
            since[key] = min(since.get(key, deviation["since"]), deviation["since"])
    for key, names in sorted(folded.items(), key=lambda item: (item[0][:2], -len(item[1]), item[0])):
        rank, status, association, address, reason = key
        severe = f" ({SEVERITIES[rank]})" if SEVERITIES[rank] != "unspecified" else ""
        mark = _MARKS.get(status, "warning")
        what = one_line(address) if address else "the whole host"
        tail = f"  {one_line(reason)}" if reason else ""
        when = f"  since {since[key]}" if key in since else ""
        yield screen.fit(
            f"  {screen.paint(screen.mark(mark), mark)} {status:9} {association}{severe}  {what}  {compress(names)}{when}{tail}"
        )


def _age(then: str, at: str) -> str:
    seconds = int((datetime.fromisoformat(at).astimezone(UTC) - datetime.fromisoformat(then)).total_seconds())
    for size, unit in ((86400, "day"), (3600, "hour"), (60, "minute")):
        if seconds >= size:
            count = seconds // size
            return f"{count} {unit}{'s' * (count != 1)}"
    return f"{max(0, seconds)} second{'s' * (seconds != 1)}"
