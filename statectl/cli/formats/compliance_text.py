"""Compliance for people: one sentence with its denominator and age, then what is not compliant, folded."""

from collections.abc import Callable, Iterator, Sequence

from statectl.cli.formats.ages import age
from statectl.cli.formats.terminal import Screen, one_line
from statectl.compliance.entries import SEVERITIES, Entry
from statectl.compliance.judge import Compliance
from statectl.compliance.moments import Moment
from statectl.plans.plan import PARAMETERS

Compress = Callable[[Sequence[str]], str]
_MARKS = {"failed": "failed", "drifted": "change", "pending": "waiting", "unknown": "warning", "exempt": "orphan"}


def compliance_lines(result: Compliance, screen: Screen, compress: Compress) -> Iterator[str]:
    with_store = any(entry.host == PARAMETERS for entry in result.entries)
    number = result.hosts_total - with_store
    things = f"{number} host{'s' * (number != 1)}" + (" and the parameter store" if with_store else "")
    hosts = f"{result.hosts_compliant} of {result.hosts_total} host{'s' * (result.hosts_total != 1)} compliant"
    if with_store:
        hosts = f"{result.hosts_compliant} of {result.hosts_total} compliant ({things})"
    rest = ", ".join(f"{count} {status}" for status, count in result.by_status.items() if status != "compliant")
    share = f" ({result.percent:.0f} %)" if result.hosts_total > 1 else ""
    if not result.hosts_total:
        yield "No host has an association or a patch baseline, so there is nothing to say."
        return
    if result.oldest_check:
        yield f"{hosts}{share}{', ' + rest if rest else ''}; from stored results, the oldest read {age(result.oldest_check, result.as_of)} ago{_package_data(result)}"
    else:
        # not even "0 compliant": with an empty store that would be said of hosts that may be as they should
        yield f"No host was ever read from here, so nothing is known of {things}; statectl plan reads them"
    folded: dict[tuple[int, str, str, str, str], list[str]] = {}
    since: dict[tuple[int, str, str, str, str], str] = {}
    judged = {(entry.host, f"patches:{entry.baseline}") for entry in result.entries if entry.baseline}
    for entry in result.entries:
        if entry.baseline:
            continue
        rank = SEVERITIES.index(entry.severity)
        if entry.status == "unknown":
            folded.setdefault((rank, "unknown", entry.association, "", entry.reason), []).append(entry.host)
        for deviation in entry.deviations:
            if (entry.host, deviation["address"]) in judged:
                continue  # the baseline says it, with its patches
            key = (rank, deviation["status"], entry.association, deviation["address"], deviation["reason"])
            folded.setdefault(key, []).append(entry.host)
            since[key] = min(since.get(key, deviation["since"]), deviation["since"])
    for key, names in sorted(folded.items(), key=lambda item: (item[0][:2], -len(item[1]), item[0])):
        rank, status, association, address, reason = key
        severe = f" ({SEVERITIES[rank]})" if SEVERITIES[rank] != "unspecified" else ""
        mark = _MARKS.get(status, "warning")
        what = one_line(address) if address else "the parameter store" if names == [PARAMETERS] else "the whole host"
        tail = f"  {one_line(reason)}" if reason else ""
        when = f"  since {since[key]}, {age(since[key], result.as_of)}" if key in since else ""
        yield _fit(
            screen,
            f"  {screen.paint(screen.mark(mark), mark)} {status:9} {association}{severe}  {what}  {compress(names)}{when}{tail}",
        )
    yield from _patch_lines([entry for entry in result.entries if entry.baseline], result.as_of, screen, compress)


def _package_data(result: Compliance) -> str:
    return f", package data up to {age(result.oldest_index, result.as_of)} old" if result.oldest_index else ""


def _patch_lines(entries: Sequence[Entry], as_of: str, screen: Screen, compress: Compress) -> Iterator[str]:
    """Hosts of one baseline with the same status, level and reason are one line; a pin that excuses is one of its own."""
    folded: dict[tuple[int, str, str, str], list[Entry]] = {}
    exempt: dict[tuple[str, str, str], list[str]] = {}
    for entry in entries:
        if entry.status not in ("compliant", "exempt"):
            rank = SEVERITIES.index(entry.severity) if entry.status != "unknown" else len(SEVERITIES) - 1
            folded.setdefault((rank, entry.status, entry.baseline, entry.reason), []).append(entry)
        for deviation in entry.deviations:
            if deviation["status"] == "exempt":
                what = f"{deviation['address'].partition(':')[2]} {deviation['wanted']}"
                exempt.setdefault((entry.baseline, what, deviation["reason"]), []).append(entry.host)
    for (rank, status, baseline, reason), found in sorted(
        folded.items(), key=lambda item: (item[0][:2], -len(item[1]))
    ):
        severe = f" ({SEVERITIES[rank]})" if SEVERITIES[rank] != "unspecified" else ""
        hosts = compress([entry.host for entry in found])
        what = one_line(reason) if status == "unknown" else _counted(found, status)
        since = min((entry.since for entry in found if entry.since), default="")
        when = f"  since {since}, {age(since, as_of)}" if since else ""
        mark = screen.paint(screen.mark(_MARKS[status]), _MARKS[status])
        yield _fit(screen, f"  {mark} {status:9} patches {one_line(baseline)}{severe}  {hosts}  {what}{when}")
    for (baseline, what, reason), names in exempt.items():
        mark = screen.paint(screen.mark("orphan"), "orphan")
        yield _fit(
            screen,
            f"  {mark} exempt    patches {one_line(baseline)}  {one_line(what)}  {compress(names)}  {one_line(reason)}",
        )
    if folded:
        yield "Patch by patch:  statectl patch report"


def _counted(entries: Sequence[Entry], status: str) -> str:
    """`12 patches of 3 packages: curl, openssl, tzdata`, of those in that status."""
    names = [
        deviation["address"].partition(":")[2]
        for entry in entries
        for deviation in entry.deviations
        if deviation["status"] == status
    ]
    distinct = list(dict.fromkeys(names))
    few = ", ".join(one_line(name) for name in distinct[:3]) + (
        f" and {len(distinct) - 3} more" if distinct[3:] else ""
    )
    patches = f"{len(names)} patch{'es' * (len(names) != 1)}"
    if not names:
        return "not compliant by its last scan"
    packages = f" of {len(distinct)} packages" if len(distinct) not in (1, len(names)) else ""
    return f"{patches}{packages}: {few}"


def history_lines(moments: Sequence[Moment], total: int, screen: Screen, compress: Compress) -> Iterator[str]:
    """`moments`, newest first, of `total` that there are. Runs that changed nothing are counted."""
    if not total:
        yield "No history: no run of this store has read a host."
        return
    yield f"History, newest first, {total} run{'s' * (total != 1)} that read hosts:"
    same: list[Moment] = []
    for place, moment in enumerate(moments):
        older = moments[place + 1] if place + 1 < len(moments) else None
        if older is not None and not moment.changes and moment.by_status == older.by_status:
            same.append(moment)
            continue
        yield from _moment(moment, same, screen, compress)
        same = []
    if len(moments) < total:
        yield f"  {screen.mark('more')} {total - len(moments)} earlier runs (--limit shows more)"


def _fit(screen: Screen, text: str) -> str:
    """On a terminal a line is a row; in a pipe nothing is cut."""
    return screen.fit(text) if screen.terminal else text


def _moment(moment: Moment, same: Sequence[Moment], screen: Screen, compress: Compress) -> Iterator[str]:
    if same:
        runs = f"{len(same)} run{'s' * (len(same) != 1)}"
        yield f"  {same[0].at}  the same after {runs} more, the last of them {same[0].verb} {same[0].run}"
    rest = "".join(f", {count} {word}" for word, count in moment.by_status.items() if word != "compliant")
    counted = f"{moment.hosts_compliant} of {moment.hosts_total} host{'s' * (moment.hosts_total != 1)} compliant"
    yield f"  {moment.at}  {counted}{rest}  after {moment.verb} {moment.run}"
    folded: dict[tuple[str, str, str, str], list[str]] = {}
    for change in moment.changes:
        key = (change.after or "no longer declared", change.association, change.address, change.before)
        folded.setdefault(key, []).append(change.host)
    for (after, association, address, before), hosts in sorted(folded.items(), key=lambda one: -len(one[1])):
        mark = _MARKS.get(after, "ok")
        was = f"was {before}" if before else "read for the first time"
        text = f"      {screen.mark(mark)} {after:9} {association}  {one_line(address)}  {compress(hosts)}  ({was})"
        yield _fit(screen, text)
