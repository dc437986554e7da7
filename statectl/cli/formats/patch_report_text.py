"""The patch report for people: one sentence with its denominator and ages, then what is missing, folded by patch; wide: by host."""

from collections.abc import Callable, Iterator, Sequence

from statectl.cli.formats.ages import age
from statectl.cli.formats.rows import table
from statectl.cli.formats.terminal import Screen, one_line
from statectl.patches.report import AGES, HostEntry, Patch, PatchReport

Compress = Callable[[Sequence[str]], str]
SHOWN = 40  # folded patches of the text; the other formats have all of them
MARKS = {
    "failed": "failed",
    "drifted": "change",
    "pending": "waiting",
    "unknown": "warning",
    "exempt": "orphan",
    "compliant": "ok",
}
STATE_WORDS = {
    "installed": "Installed",
    "installed_other": "InstalledOther",
    "installed_pending_reboot": "InstalledPendingReboot",
    "installed_rejected": "InstalledRejected",
    "missing": "Missing",
    "failed": "Failed",
    "not_applicable": "NotApplicable",
    "available_security_update": "AvailableSecurityUpdate",
}


def sentence(found: PatchReport) -> str:
    """Hosts that are compliant, of how many, and how old what that is known from."""
    if not found.hosts_total:
        return "No host has a patch baseline, so there is nothing to say."
    if not found.oldest_check:
        return f"None of {_hosts(found.hosts_total)} was ever scanned; statectl patch scan reads them"
    rest = ", ".join(f"{count} {status}" for status, count in found.by_status.items() if status != "compliant")
    share = f" ({found.percent:.0f} %)" if found.hosts_total > 1 else ""
    text = f"{found.hosts_compliant} of {_hosts(found.hosts_total)} compliant{share}{', ' + rest if rest else ''}"
    text += f"; the oldest scan is {age(found.oldest_check, found.as_of)} old"
    if found.oldest_index:
        text += f", the oldest package data {age(found.oldest_index, found.as_of)}"
    return text


def report_text(found: PatchReport, screen: Screen, compress: Compress) -> str:
    return "".join(f"{line}\n" for line in _lines(found, screen, compress))


def _lines(found: PatchReport, screen: Screen, compress: Compress) -> Iterator[str]:
    yield sentence(found)
    if found.by_state:
        yield "Patches: " + ", ".join(
            f"{found.by_state[name]} {word}" for name, word in STATE_WORDS.items() if name in found.by_state
        )
    if found.severity_by_age:
        yield ""
        yield "Hosts by the age of their oldest missing patch:"
        columns = ("severity", *(name for name, _ in AGES), "patches", "packages")
        used = [name for name in columns[1:-2] if any(row.ages[name] for row in found.severity_by_age)]
        rows = [
            [row.severity, *(row.ages[name] or "" for name in used), row.patches, row.packages]
            for row in found.severity_by_age
        ]
        text = table(("severity", *used, "patches", "packages"), rows, screen, numbers=(*used, "patches", "packages"))
        yield from (f"  {line}" for line in text.splitlines())
    yield from _unknown(found, screen, compress)
    yield from _folded(found, screen, compress)
    yield from _waiting(found, screen, compress)


def _unknown(found: PatchReport, screen: Screen, compress: Compress) -> Iterator[str]:
    folded: dict[tuple[str, str], list[str]] = {}
    for entry in found.entries:
        if entry.status == "unknown":
            folded.setdefault((entry.baseline, entry.reason), []).append(entry.host)
    if folded:
        yield ""
    for (baseline, reason), hosts in sorted(folded.items(), key=lambda one: (-len(one[1]), one[0])):
        mark = screen.paint(screen.mark("warning"), "warning")
        yield _fit(screen, f"  {mark} unknown  {one_line(baseline)}  {compress(hosts)}  {one_line(reason)}")


def fold(entries: Sequence[HostEntry]) -> list[tuple[tuple[str, str], Patch, list[str]]]:
    """[((baseline, status), patch of one of the hosts, hosts)]: the same patch with the same reason once, worst and most first."""
    folded: dict[tuple[str, ...], tuple[tuple[str, str], Patch, list[str]]] = {}
    for entry in entries:
        for patch in entry.patches:
            if patch.status != "compliant":
                key = (
                    entry.baseline,
                    patch.status,
                    patch.severity,
                    patch.package,
                    patch.wanted,
                    patch.state,
                    patch.reason,
                )
                kind = (entry.baseline, patch.status)
                folded.setdefault(key, (kind, patch, []))[2].append(entry.host)
    order = list(MARKS)
    severities = ("critical", "high", "medium", "low", "informational", "unspecified")
    return sorted(
        folded.values(),
        key=lambda one: (
            one[0][1] == "exempt",
            severities.index(one[1].severity),
            order.index(one[0][1]),
            -len(one[2]),
            -(one[1].age_days or 0),
            one[1].package,
        ),
    )


def _folded(found: PatchReport, screen: Screen, compress: Compress) -> Iterator[str]:
    folded = fold(found.entries)
    if folded:
        yield ""
    for (baseline, status), patch, hosts in folded[:SHOWN]:
        mark = screen.paint(screen.mark(MARKS[status]), MARKS[status])
        severity = f" ({patch.severity})" if patch.severity != "unspecified" else ""
        old = f"  {patch.age_days} day{'s' * (patch.age_days != 1)}" if patch.age_days is not None else ""
        ids = " ".join((*patch.advisories[:2], *(patch.cves[:2] if not patch.advisories else ())))
        reason = patch.reason if patch.state != "Missing" or not ids else ""
        parts = [
            f"{mark} {'exempt' if status == 'exempt' else patch.state}{severity}",
            f"{one_line(patch.package)} {one_line(patch.wanted)}",
            f"{len(hosts)} host{'s' * (len(hosts) != 1)} {compress(hosts)}{old}",
            one_line(baseline),
            one_line(ids or reason),
        ]
        yield _fit(screen, "  " + "  ".join(part for part in parts if part))
    if len(folded) > SHOWN:
        yield f"  {screen.mark('more')} {len(folded) - SHOWN} more (-o csv, -o json and -o html have all)"


def _waiting(found: PatchReport, screen: Screen, compress: Compress) -> Iterator[str]:
    """Hosts that have to boot, and services that run old code; data that was old; what people should know."""
    folded: dict[str, list[str]] = {}
    for entry in found.entries:
        if entry.status != "unknown" and entry.needs_reboot:
            folded.setdefault(f"needs a reboot: {'; '.join(entry.needs_reboot)}", []).append(entry.host)
        if entry.needs_restart:
            folded.setdefault(f"runs old code: {', '.join(entry.needs_restart)}", []).append(entry.host)
        for text in (*entry.stale, *entry.trouble):
            folded.setdefault(text, []).append(entry.host)
    if folded:
        yield ""
    for text, hosts in folded.items():
        names = compress(list(dict.fromkeys(hosts)))
        yield _fit(screen, f"  {screen.paint(screen.mark('warning'), 'warning')} {names}  {one_line(text)}")


WIDE = ("host", "baseline", "status", "missing", "failed", "worst", "oldest", "scanned", "data", "run", "reason")


def report_wide(found: PatchReport, screen: Screen) -> str:
    """One line for each host and baseline."""
    rows = []
    for entry in found.entries:
        days = f"{entry.oldest_days} days" if entry.oldest_days is not None else ""
        rows.append(
            [
                entry.host,
                entry.baseline,
                entry.status,
                entry.counts.get("missing", "") if entry.status != "unknown" else "",
                entry.counts.get("failed", "") if entry.status != "unknown" else "",
                entry.level if entry.status not in ("compliant", "exempt", "unknown") else "",
                days,
                f"{age(entry.checked, found.as_of)} ago" if entry.checked else "never",
                f"{age(entry.index_fetched, found.as_of)} old" if entry.index_fetched else "",
                entry.run,
                entry.reason,
            ]
        )
    return f"{sentence(found)}\n" + (table(WIDE, rows, screen, numbers=("missing", "failed")) if rows else "")


def _hosts(number: int) -> str:
    return f"{number} host{'s' * (number != 1)}"


def _fit(screen: Screen, text: str) -> str:
    """On a terminal a line is a row; in a pipe nothing is cut."""
    return screen.fit(text) if screen.terminal else text
