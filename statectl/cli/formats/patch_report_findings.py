"""The patch report for machines that read findings: JUnit, SARIF, GitLab's code quality, GitHub's annotations; and a comment in Markdown.

Where a format wants a place, it is that of the baseline.
"""

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from typing import Any
from xml.etree import ElementTree as ET

from statectl import __version__
from statectl.cli.formats.patch_report_text import fold, sentence
from statectl.cli.formats.terminal import json_safe, one_line
from statectl.patches.report import HostEntry, Patch, PatchReport

Compress = Callable[[Sequence[str]], str]
MOST_RESULTS = 5000  # of a SARIF file, as GitHub takes them
MOST_ANNOTATIONS = 10  # of each kind in one step: GitHub drops the rest without a word
COMMENT = 60_000  # characters; GitHub refuses comments above 65,536
WRONG = ("failed", "drifted", "pending")
SARIF_LEVELS = {"critical": "error", "high": "error", "medium": "warning", "low": "note", "informational": "note"}
GITLAB_LEVELS = {"critical": "blocker", "high": "critical", "medium": "major", "low": "minor", "informational": "info"}


def junit(found: PatchReport) -> str:
    """A suite is a host and baseline, a case a patch that is missing or wrong; a host of which nothing is known is an error."""
    root = ET.Element("testsuites", name="statectl patch report")
    for entry in found.entries:
        wrong = [patch for patch in entry.patches if patch.status in WRONG]
        known = entry.status != "unknown"
        suite = ET.SubElement(
            root,
            "testsuite",
            name=f"{entry.host} {entry.baseline}",
            tests=str(max(1, len(entry.patches))),
            failures=str(len(wrong)),
            errors=str(int(not known)),
        )
        if not known:
            case = ET.SubElement(suite, "testcase", classname=entry.host, name=entry.baseline)
            ET.SubElement(case, "error", message=one_line(entry.reason), type="unknown")
        elif not entry.patches:
            ET.SubElement(suite, "testcase", classname=entry.host, name=entry.baseline)
        for patch in entry.patches:
            name = one_line(f"{patch.package} {patch.wanted}".strip())
            case = ET.SubElement(suite, "testcase", classname=f"{entry.host}.{entry.baseline}", name=name)
            if patch.status in WRONG:
                failure = ET.SubElement(case, "failure", message=_what(patch), type=patch.state)
                failure.text = one_line(patch.reason)
            elif patch.status == "exempt":
                ET.SubElement(case, "skipped", message=one_line(patch.reason))
    ET.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(root, encoding="unicode") + "\n"


def _findings(found: PatchReport) -> Iterator[tuple[str, Patch, list[str], list[HostEntry]]]:
    """(baseline, patch, hosts, entries of its baseline), worst first; without exempt ones."""
    by_baseline: dict[str, list[HostEntry]] = {}
    for entry in found.entries:
        by_baseline.setdefault(entry.baseline, []).append(entry)
    for (baseline, status), patch, hosts in fold(found.entries):
        if status in WRONG:
            yield baseline, patch, hosts, by_baseline[baseline]


def _place(entries: Sequence[HostEntry]) -> tuple[str, int]:
    """Of the baseline; of one that comes with statectl, the settings file, which every project has."""
    source = next((entry.source for entry in entries if entry.source), None)
    return (str(source[0]), int(source[1])) if source else ("statectl.yml", 1)


def sarif(found: PatchReport, compress: Compress) -> str:
    """One result for a patch of a baseline, with the hosts in its text."""
    results, rules = [], {}
    findings = list(_findings(found))
    for baseline, patch, hosts, entries in findings[:MOST_RESULTS]:
        file, line = _place(entries)
        rules[patch.state] = {"id": patch.state, "shortDescription": {"text": f"a patch is {patch.state}"}}
        results.append(
            {
                "ruleId": patch.state,
                "level": SARIF_LEVELS.get(patch.severity, "warning"),
                "message": {"text": f"{_what(patch)} on {compress(hosts)}, baseline {one_line(baseline)}"},
                "locations": [{"physicalLocation": {"artifactLocation": {"uri": file}, "region": {"startLine": line}}}],
                "partialFingerprints": {"statectlPatch/v1": _fingerprint(baseline, patch)},
            }
        )
    tool = {"driver": {"name": "statectl", "version": __version__, "rules": list(rules.values())}}
    run = {"tool": tool, "results": results, "properties": {"left_out": max(0, len(findings) - MOST_RESULTS)}}
    document = {"$schema": "https://json.schemastore.org/sarif-2.1.0.json", "version": "2.1.0", "runs": [run]}
    return json_safe(json.dumps(document, indent=2, ensure_ascii=False)) + "\n"


def gitlab(found: PatchReport, compress: Compress) -> str:
    """Code quality: a list of findings."""
    findings: list[dict[str, Any]] = []
    for baseline, patch, hosts, entries in _findings(found):
        file, line = _place(entries)
        findings.append(
            {
                "description": f"{_what(patch)} on {compress(hosts)}",
                "check_name": patch.state,
                "fingerprint": _fingerprint(baseline, patch),
                "severity": GITLAB_LEVELS.get(patch.severity, "major"),
                "location": {"path": file, "lines": {"begin": line}},
            }
        )
    return json_safe(json.dumps(findings, indent=2, ensure_ascii=False)) + "\n"


def github(found: PatchReport, compress: Compress) -> str:
    """Workflow commands, the worst first; what there is no room for is counted."""
    lines: dict[str, list[str]] = {"error": [], "warning": []}
    for baseline, patch, hosts, entries in _findings(found):
        kind = "error" if patch.severity in ("critical", "high") or patch.status == "failed" else "warning"
        file, line = _place(entries)
        title = _property(f"{patch.state} {patch.package}")
        text = _data(f"{_what(patch)} on {compress(hosts)}, baseline {baseline}")
        lines[kind].append(f"::{kind} file={_property(file)},line={line},title={title}::{text}")
    left = sum(max(0, len(some) - MOST_ANNOTATIONS) for some in lines.values())
    shown = [line for some in lines.values() for line in some[:MOST_ANNOTATIONS]]
    return "".join(f"{line}\n" for line in [*shown, *([f"and {left} more"] if left else [])])


def markdown(found: PatchReport, compress: Compress) -> str:
    """A comment: summary first, then tables, cut at the end where they are too long, saying so."""
    head = [f"<!-- statectl:patches:{_markdown(found.project or 'project')} -->", "### statectl patch report", ""]
    head += [f"{_markdown(sentence(found))}.", ""]
    ages = list(found.severity_by_age[0].ages) if found.severity_by_age else []
    if ages:
        head += ["| severity | " + " | ".join(ages) + " | patches |", "| --- |" + " ---: |" * (len(ages) + 1)]
        head += [
            f"| {row.severity} | " + " | ".join(str(row.ages[name]) for name in ages) + f" | {row.patches} |"
            for row in found.severity_by_age
        ]
        head += ["", "Hosts by the age of their oldest missing patch of a severity.", ""]
    rows = [
        f"| {patch.severity} | {_markdown(f'{patch.package} {patch.wanted}')} | {patch.state} | {len(hosts)} | {_markdown(compress(hosts))} |"
        for (_, status), patch, hosts in fold(found.entries)
        if status in WRONG
    ]
    unknown = [entry for entry in found.entries if entry.status == "unknown"]
    tail = (
        [""] + [f"- unknown: {_markdown(entry.host)}, {_markdown(entry.reason)}" for entry in unknown]
        if unknown
        else []
    )
    if rows:
        head += ["| severity | patch | state | hosts | on |", "| --- | --- | --- | ---: | --- |"]
    lines, room = list(head), COMMENT - sum(len(line) + 1 for line in head) - 100
    body = [*rows, *tail]
    for place, line in enumerate(body):
        room -= len(line) + 1
        if room < 0:
            lines += ["", f"\u2026 {len(body) - place} lines left out here; statectl patch report shows them"]
            break
        lines.append(line)
    return "\n".join(lines) + "\n"


def _what(patch: Patch) -> str:
    ids = " ".join((*patch.advisories, *patch.cves))
    severity = f" ({patch.severity})" if patch.severity != "unspecified" else ""
    return one_line(f"{patch.state}{severity}: {patch.package} {patch.wanted}{f', {ids}' if ids else ''}")


def _fingerprint(baseline: str, patch: Patch) -> str:
    text = f"{baseline}\0{patch.package}\0{patch.wanted}\0{patch.state}"
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _data(text: str) -> str:
    return one_line(text).replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")


def _markdown(text: str) -> str:
    """In a cell: nothing that ends it, starts HTML, a link or a mention."""
    shown = one_line(text)
    for character in "\\`*_[]<>|@":
        shown = shown.replace(character, f"\\{character}" if character != "@" else "@\u200b")
    return shown
