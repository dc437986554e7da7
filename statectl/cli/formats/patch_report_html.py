"""The patch report as one page: nothing is loaded from elsewhere, no script is in it, and every text of a host is escaped.

A state is a word and a shape beside its colour; every drawing stands with its table; colours have AA contrast, light and dark; printed, all
lists are open and nothing is cut.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from html import escape
from typing import Any

from statectl.cli.formats.ages import age
from statectl.cli.formats.patch_report_text import STATE_WORDS, fold, sentence
from statectl.cli.formats.terminal import one_line
from statectl.patches.report import AGES, HostEntry, Patch, PatchReport

Compress = Callable[[Sequence[str]], str]
SHAPES = {  # each state has its own shape: the colour only repeats it
    "failed": "\u2716",
    "unknown": "?",
    "drifted": "~",
    "pending": "\u25f7",
    "exempt": "\u2013",
    "compliant": "\u2714",
}
MEANING = {
    "failed": "a patch was tried and did not come to be",
    "unknown": "never scanned, scanned too long ago, or package data too old: not counted as compliant",
    "drifted": "something is installed that the baseline rejects",
    "pending": "approved patches are missing, or wait for a reboot",
    "exempt": "a pin with a reason and an end keeps patches away",
    "compliant": "all approved patches are installed",
}
# name: (light, dark); text on the background and on a panel has at least 4.5:1, marks of a drawing at least 3:1
COLOURS = {
    "background": ("#ffffff", "#14171a"),
    "panel": ("#f3f5f7", "#1e2328"),
    "text": ("#1b1f23", "#e8eaed"),
    "quiet": ("#4d565f", "#b3bac2"),
    "line": ("#7a838c", "#858e97"),
    "failed": ("#a31515", "#ff9c94"),
    "unknown": ("#5b3fa0", "#c9b3ff"),
    "drifted": ("#8a4b00", "#ffb86b"),
    "pending": ("#0b5394", "#8ec5ff"),
    "exempt": ("#4d565f", "#b3bac2"),
    "compliant": ("#1a6b2f", "#86d99a"),
    "age0": ("#6d8fb3", "#6d8fb3"),
    "age1": ("#4a76a8", "#8aabd0"),
    "age2": ("#8a4b00", "#ffb86b"),
    "age3": ("#a31515", "#ff9c94"),
    "age4": ("#7a838c", "#858e97"),
}
STYLE = """
*{box-sizing:border-box}
body{margin:0 auto;max-width:76rem;padding:1rem;background:var(--background);color:var(--text);font:1rem/1.5 system-ui,sans-serif}
h1{font-size:1.6rem;margin:.5rem 0}h2{font-size:1.25rem;margin:2rem 0 .5rem}
p{margin:.4rem 0}.quiet{color:var(--quiet)}
a{color:inherit}a:focus-visible,summary:focus-visible{outline:3px solid var(--pending);outline-offset:2px}
table{border-collapse:collapse;width:100%;margin:.5rem 0}
caption{text-align:left;color:var(--quiet);padding:.25rem 0}
th,td{text-align:left;vertical-align:top;padding:.3rem .6rem;border-bottom:1px solid var(--line);overflow-wrap:anywhere}
thead th{background:var(--panel)}
td.number,th.number{text-align:right;font-variant-numeric:tabular-nums}
.scroll{overflow-x:auto}
.state{font-weight:600;white-space:nowrap}
details{border:1px solid var(--line);margin:.5rem 0;padding:.3rem .6rem}
summary{cursor:pointer;padding:.2rem 0}
svg{max-width:100%;height:auto;display:block}
svg text{fill:var(--text);font:13px system-ui,sans-serif}
@media (max-width:40rem){th,td{padding:.25rem .35rem}}
@media print{body{max-width:none;padding:0;font-size:9pt}thead{display:table-header-group}tr,svg{break-inside:avoid}
details{border:0;padding:0}details::details-content{content-visibility:visible}.scroll{overflow:visible}nav{display:none}}
"""


def report_html(found: PatchReport, compress: Compress) -> str:
    title = f"Patch report{f', {found.project}' if found.project else ''}"
    body = "\n".join(_body(found, title, compress))
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        """<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'">\n"""
        '<meta name="color-scheme" content="light dark">\n'
        f"<title>{_text(title)}</title>\n<style>{_colours()}{STYLE}</style>\n</head>\n<body>\n{body}\n</body>\n</html>\n"
    )


def _body(found: PatchReport, title: str, compress: Compress) -> Iterator[str]:
    yield f"<header><h1>{_text(title)}</h1>"
    yield f"<p><strong>{_text(sentence(found))}.</strong></p>"
    yield f'<p class="quiet">As of <time datetime="{_text(found.as_of)}">{_text(found.as_of)}</time>, from stored results; no host was asked for this page.</p>'
    yield '<nav aria-label="Parts of this report"><a href="#states">States</a> \u00b7 <a href="#severity">Severity by age</a> \u00b7 <a href="#patches">Patches</a> \u00b7 <a href="#hosts">Hosts</a></nav></header><main>'
    yield from _states(found)
    yield from _severity(found)
    yield from _patches(found, compress)
    yield from _hosts(found)
    yield "</main>"


def _states(found: PatchReport) -> Iterator[str]:
    yield '<section aria-labelledby="states"><h2 id="states">States</h2>'
    total = found.hosts_total
    rows = [
        [_state(status), count, f"{100 * count / total:.0f} %", MEANING[status]]
        for status, count in found.by_status.items()
    ]
    caption = f"Hosts by their worst state, of {total} that have a patch baseline"
    yield _table(caption, ("State", "Hosts", "Share", "Meaning"), rows, numbers=(1, 2))
    if found.by_state:
        rows = [[word, found.by_state[name]] for name, word in STATE_WORDS.items() if name in found.by_state]
        yield _table("Patches by state, on hosts of which it is known", ("State", "Patches"), rows, numbers=(1,))
    yield "</section>"


def _severity(found: PatchReport) -> Iterator[str]:
    yield '<section aria-labelledby="severity"><h2 id="severity">Severity by age</h2>'
    if not found.severity_by_age:
        yield "<p>No patch is missing on a host whose state is known.</p></section>"
        return
    yield _drawing(found)
    names = [name for name, _ in AGES]
    rows: list[list[Any]] = [
        [row.severity, *(row.ages[name] for name in names), row.patches, row.packages] for row in found.severity_by_age
    ]
    columns = ("Severity", *(name.capitalize() for name in names), "Missing patches", "Packages")
    caption = "Hosts by severity and by the age of the oldest patch of that severity that they miss; the age counts from when the version was first seen"
    yield _table(caption, columns, rows, numbers=range(1, len(columns)))
    yield "</section>"


def _drawing(found: PatchReport) -> str:
    """One bar a severity, in parts of ages; the longest is the hosts of the severity with the most, from zero. The table has its numbers."""
    rows = found.severity_by_age
    most = max(sum(row.ages.values()) for row in rows)
    left, wide, high = 110, 520, 30
    height = len(rows) * high + 40
    parts = [
        f'<svg role="img" aria-labelledby="drawn drawn-more" viewBox="0 0 720 {height}" width="720" height="{height}" xmlns="http://www.w3.org/2000/svg">',
        '<title id="drawn">Severity by age of the oldest missing patch</title>',
        '<desc id="drawn-more">One bar for each severity; its parts are hosts by age. The table below holds the same numbers.</desc>',
    ]
    parts += _patterns()
    for place, row in enumerate(rows):
        top, at = place * high + 4, float(left)
        parts.append(f'<text x="{left - 8}" y="{top + 16}" text-anchor="end">{_text(row.severity)}</text>')
        for number, (name, _) in enumerate(AGES):
            count = row.ages[name]
            if count:
                width = wide * count / most
                parts.append(
                    f'<rect x="{at:.1f}" y="{top}" width="{max(width - 1, 1):.1f}" height="{high - 8}" fill="var(--age{number})"><title>{_text(row.severity)}, {_text(name)}: {count}</title></rect>'
                )
                parts.append(
                    f'<rect x="{at:.1f}" y="{top}" width="{max(width - 1, 1):.1f}" height="{high - 8}" fill="url(#p{number})" aria-hidden="true"/>'
                )
                at += width
        parts.append(f'<text x="{at + 6:.1f}" y="{top + 16}">{sum(row.ages.values())}</text>')
    at, top = 0.0, len(rows) * high + 14
    for number, (name, _) in enumerate(AGES):
        if any(row.ages[name] for row in rows):
            parts.append(f'<rect x="{at}" y="{top}" width="14" height="14" fill="var(--age{number})"/>')
            parts.append(f'<rect x="{at}" y="{top}" width="14" height="14" fill="url(#p{number})"/>')
            parts.append(f'<text x="{at + 20}" y="{top + 12}">{_text(name)}</text>')
            at += 30 + 7.5 * len(name)
    return "\n".join([*parts, "</svg>"])


def _patterns() -> list[str]:
    """A hatching of its own for every age, so that no part is told by its colour alone."""
    lines = ("", "M0 8L8 0", "M0 0L8 8", "M0 0L8 8M0 8L8 0", "M4 0V8")
    drawn = [
        f'<pattern id="p{number}" width="8" height="8" patternUnits="userSpaceOnUse"><path d="{line}" stroke="var(--background)" stroke-width="1.2" fill="none"/></pattern>'
        for number, line in enumerate(lines)
    ]
    return ["<defs>", *drawn, "</defs>"]


def _patches(found: PatchReport, compress: Compress) -> Iterator[str]:
    yield '<section aria-labelledby="patches"><h2 id="patches">Patches</h2>'
    rows = [
        [
            patch.severity,
            f"{patch.package} {patch.wanted}".strip(),
            _state(status, patch.state),
            len(hosts),
            compress(hosts),
            _days(patch),
            " ".join((*patch.advisories, *patch.cves)),
            baseline,
            patch.reason,
        ]
        for (baseline, status), patch, hosts in fold(found.entries)
    ]
    if not rows:
        yield "<p>None is missing, failed, rejected or exempt on a host whose state is known.</p></section>"
        return
    columns = ("Severity", "Patch", "State", "Hosts", "On", "Age", "Advisories and CVEs", "Baseline", "Why")
    yield _table("Patches that are not installed as their baseline says, worst first", columns, rows, numbers=(3,))
    yield "</section>"


def _hosts(found: PatchReport) -> Iterator[str]:
    yield '<section aria-labelledby="hosts"><h2 id="hosts">Hosts</h2>'
    rows = [
        [
            entry.host,
            entry.baseline,
            _state(entry.status),
            _number(entry, "missing"),
            _number(entry, "failed"),
            entry.level if entry.status not in ("compliant", "exempt", "unknown") else "",
            f"{entry.checked} ({age(entry.checked, found.as_of)} ago)" if entry.checked else "never",
            f"{age(entry.index_fetched, found.as_of)}" if entry.index_fetched else "not known",
            entry.run,
            entry.commit[:12],
        ]
        for entry in found.entries
    ]
    columns = (
        "Host",
        "Baseline",
        "State",
        "Missing",
        "Failed",
        "Worst level",
        "Checked",
        "Age of package data",
        "Run",
        "Commit",
    )
    yield _table(
        "Every host and baseline, with the scan or install that it is judged by", columns, rows, numbers=(3, 4)
    )
    for entry in found.entries:
        if entry.patches or entry.reason or entry.needs_reboot or entry.needs_restart or entry.stale or entry.trouble:
            yield from _host(entry)
    yield "</section>"


def _host(entry: HostEntry) -> Iterator[str]:
    head = f"{_text(entry.host)} by {_text(entry.baseline)}: {_state(entry.status)}"
    yield f"<details open><summary>{head}</summary>"
    if entry.reason:
        yield f"<p>{_text(entry.reason)}</p>"
    notes = [f"needs a reboot: {text}" for text in entry.needs_reboot]
    notes += [f"{unit} runs old code" for unit in entry.needs_restart]
    notes += [*entry.stale, *entry.trouble]
    if notes:
        yield "<ul>" + "".join(f"<li>{_text(text)}</li>" for text in notes) + "</ul>"
    rows = [
        [
            f"{patch.package} ({patch.arch})" if patch.arch else patch.package,
            _state(patch.status, patch.state),
            patch.installed or "-",
            patch.wanted,
            patch.severity,
            patch.classification,
            " ".join((*patch.advisories, *patch.cves)),
            _days(patch),
            patch.approved_at,
            patch.installed_at,
            patch.reason,
        ]
        for patch in entry.patches
    ]
    if rows:
        columns = (
            "Package",
            "State",
            "Installed",
            "Wanted",
            "Severity",
            "Classification",
            "Advisories and CVEs",
            "Age",
            "Approved",
            "Installed at",
            "Why",
        )
        yield _table(f"Patches of {entry.host} by {entry.baseline}", columns, rows)
    yield "</details>"


class _Html(str):
    """Text that is HTML already."""

    __slots__ = ()


def _state(status: str, word: str = "") -> _Html:
    shape = f'<span aria-hidden="true">{SHAPES[status]}</span>'
    return _Html(f'<span class="state" style="color:var(--{status})">{shape} {_text(word or status)}</span>')


def _table(caption: str, columns: Sequence[str], rows: Iterable[Sequence[Any]], numbers: Iterable[int] = ()) -> str:
    """The first cell of a row is its head."""
    right = set(numbers)
    css = [' class="number"' if place in right else "" for place in range(len(columns))]
    head = "".join(f'<th scope="col"{css[place]}>{_text(name)}</th>' for place, name in enumerate(columns))
    body = []
    for row in rows:
        cells = [f'<th scope="row"{css[0]}>{_cell(row[0])}</th>']
        cells += [f"<td{css[place]}>{_cell(value)}</td>" for place, value in enumerate(row) if place]
        body.append(f"<tr>{''.join(cells)}</tr>")
    lines = "\n".join(body)
    return f'<div class="scroll"><table><caption>{_text(caption)}</caption><thead><tr>{head}</tr></thead><tbody>\n{lines}\n</tbody></table></div>'


def _cell(value: Any) -> str:
    return value if isinstance(value, _Html) else _text(str(value))


def _text(value: str) -> str:
    return escape(one_line(value), quote=True)


def _days(patch: Patch) -> str:
    return f"{patch.age_days} day{'s' * (patch.age_days != 1)}" if patch.age_days is not None else ""


def _number(entry: HostEntry, name: str) -> Any:
    return entry.counts.get(name, "") if entry.status != "unknown" else "not known"


def _colours() -> str:
    light = "".join(f"--{name}:{pair[0]};" for name, pair in COLOURS.items())
    dark = "".join(f"--{name}:{pair[1]};" for name, pair in COLOURS.items())
    return (
        f":root{{color-scheme:light dark;{light}}}@media (prefers-color-scheme:dark){{:root{{{dark}}}}}"
        f"@media print{{:root{{{light}}}}}"
    )
