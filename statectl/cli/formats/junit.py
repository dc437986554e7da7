"""JUnit XML: a suite is an association, a case is an address, folded hosts stand in the text."""

from collections.abc import Sequence
from xml.etree import ElementTree as ET

from statectl.cli.formats.plan_text import Compress
from statectl.cli.formats.terminal import one_line
from statectl.plans.plan import Plan, Verdict
from statectl.reconcile.fleet import Run


def plan_junit(plan: Plan, compress: Compress) -> str:
    """A pending change is a failure of the case; a host that was not planned is an error of the suite `hosts`."""
    root = ET.Element("testsuites", name="statectl plan")
    by_association: dict[str, dict[str, list[tuple[Sequence[str], Verdict]]]] = {}
    for block in plan.blocks:
        for verdict in block.changes:
            by_association.setdefault(block.association, {}).setdefault(verdict.address, []).append(
                (block.hosts, verdict)
            )
    for association, cases in by_association.items():
        suite = ET.SubElement(
            root, "testsuite", name=association or "(no association)", tests=str(len(cases)), failures=str(len(cases))
        )
        for address, blocks in cases.items():
            case = ET.SubElement(suite, "testcase", classname=association or "(no association)", name=_xml(address))
            text = []
            for hosts, verdict in blocks:
                text.append(f"{compress(hosts)}: {verdict.verdict} {verdict.action} {verdict.reason}".rstrip())
                text += [
                    f"  {change.field}" + (": " + " | ".join(change.diff) if change.diff else "")
                    for change in verdict.changes
                ]
            first = blocks[0][1]
            failure = ET.SubElement(
                case, "failure", message=_xml(f"{first.verdict}: {first.action}"), type=first.verdict
            )
            failure.text = _xml("\n".join(text))
    _hosts(root, [(name, host.outcome, host.reason) for name, host in plan.hosts.items()], good=("planned",))
    return _text(root)


def apply_junit(run: Run) -> str:
    """Every resource result of every host."""
    root = ET.Element("testsuites", name=f"statectl apply {run.run_id}")
    for host, result in run.everything.items():
        entries = [*result.results, *result.notified]
        failures = sum(entry["outcome"] == "failed" for entry in entries)
        suite = ET.SubElement(root, "testsuite", name=host, tests=str(len(entries)), failures=str(failures))
        for entry in entries:
            name = f"{entry['verb']} {entry['address']}" if entry.get("verb") else str(entry["address"])
            case = ET.SubElement(suite, "testcase", classname=host, name=_xml(name))
            if entry["outcome"] == "failed":
                error = entry.get("error") or {}
                failure = ET.SubElement(
                    case, "failure", message=_xml(str(error.get("message") or entry.get("reason") or "failed"))
                )
                failure.text = _xml(str(error.get("output") or ""))
            elif entry["outcome"] in ("skipped", "unknown"):
                ET.SubElement(case, "skipped", message=_xml(str(entry.get("reason") or entry["outcome"])))
        if result.warnings:
            said = ET.SubElement(suite, "system-out")
            said.text = _xml("\n".join(f"warning: {text}" for text in result.warnings))
    _hosts(
        root, [(name, result.outcome, result.reason) for name, result in run.everything.items()], good=("ok", "changed")
    )
    return _text(root)


def _hosts(root: ET.Element, hosts: Sequence[tuple[str, str, str]], *, good: tuple[str, ...]) -> None:
    errors = sum(outcome not in good for _, outcome, _ in hosts)
    suite = ET.SubElement(root, "testsuite", name="hosts", tests=str(len(hosts)), errors=str(errors))
    for name, outcome, reason in hosts:
        case = ET.SubElement(suite, "testcase", classname="hosts", name=name)
        if outcome not in good:
            ET.SubElement(case, "error", message=_xml(f"{outcome}: {reason}"), type=outcome)


def _xml(text: str) -> str:
    """XML 1.0 forbids most control characters; a host's text is escaped before it comes here."""
    return "\n".join(one_line(line) for line in text.split("\n"))


def _text(root: ET.Element) -> str:
    ET.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(root, encoding="unicode") + "\n"
