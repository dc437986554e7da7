"""statectl patch baseline: what baselines say, who has them, and why a package is approved or not. Contacts nothing."""

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

from statectl.cli.formats.terminal import one_line
from statectl.cli.options import inventory_option, output_options, outputs, to_json
from statectl.errors import Unreachable, UsageError

if TYPE_CHECKING:
    from statectl.baselines.assign import Assignment
    from statectl.baselines.model import Baseline
    from statectl.baselines.scan import Scan
    from statectl.cli.fleet import Opened
    from statectl.cli.formats.patch_baseline_text import Explained
    from statectl.project.model import Project
    from statectl.store.patch_scans import KeptScan

FORMATS = ("text", "json")
NAMES = ("text", "json", "name")
LISTED, EXPLAINED = "statectl.patch-baselines/1.0", "statectl.patch-decisions/1.0"


@click.group()
def command() -> None:
    """List and show patch baselines, and explain what they mean for a package of a host."""


@command.command("list")
@output_options(NAMES)
@click.pass_obj
def list_baselines(
    obj: dict[str, Any],
    /,
    out: tuple[str, ...],
    as_json: bool,
    quiet: bool,
    verbose: int,
    color: str,
) -> int:
    """Every baseline: those of the files, then those that come with statectl; and who gets them."""
    from statectl.cli.formats.patch_baseline_text import baseline_document, list_lines
    from statectl.cli.opening import open_project

    shown = outputs(out, NAMES, as_json=as_json, quiet=quiet, verbose=verbose, color=color)
    project = open_project(obj)
    every = _every(project)
    used = _used(project)

    def document() -> dict[str, Any]:
        return {name: baseline_document(one, used.get(name, ())) for name, one in every.items()}

    shown.write(
        {
            "text": lambda: "\n".join(list_lines(list(every.values()), used, shown.screen)) + "\n",
            "json": lambda: to_json({"format": LISTED, "baselines": document()}),
            "name": lambda: "".join(f"{name}\n" for name in every),
        }
    )
    return 0


@command.command("show")
@click.argument("name")
@output_options(FORMATS)
@click.pass_obj
def show_baseline(
    obj: dict[str, Any],
    /,
    name: str,
    out: tuple[str, ...],
    as_json: bool,
    quiet: bool,
    verbose: int,
    color: str,
) -> int:
    """One baseline: everything it says, defaults too."""
    from statectl.cli.formats.patch_baseline_text import baseline_document, show_lines
    from statectl.cli.opening import open_project

    shown = outputs(out, FORMATS, as_json=as_json, quiet=quiet, verbose=verbose, color=color)
    project = open_project(obj)
    one, used = _named(_every(project), name), _used(project).get(name, ())
    shown.write(
        {
            "text": lambda: "\n".join(show_lines(one, used)) + "\n",
            "json": lambda: to_json({"format": LISTED, "baselines": {name: baseline_document(one, used)}}),
        }
    )
    return 0


@command.command("explain")
@click.argument("host")
@click.argument("package")
@click.option("--baseline", metavar="NAME", default="", help="By this baseline, whichever the host has.")
@inventory_option
@output_options(FORMATS)
@click.pass_obj
def explain_package(
    obj: dict[str, Any],
    /,
    host: str,
    package: str,
    baseline: str,
    inventory: str | None,
    out: tuple[str, ...],
    as_json: bool,
    quiet: bool,
    verbose: int,
    color: str,
) -> int:
    """Why PACKAGE is updated on HOST, or is not: for every version what decided, since when it is known, and when it is approved.

    Judges the last scan of the host by the files as they are now.
    """
    from statectl.cli.fleet import Opened
    from statectl.cli.formats.ages import age
    from statectl.cli.formats.patch_baseline_text import explain_lines, explained_document
    from statectl.store.ids import now

    shown = outputs(out, FORMATS, as_json=as_json, quiet=quiet, verbose=verbose, color=color)
    opened = Opened.of(obj, inventory)
    try:
        opened.host(host)
        every = _every(opened.project)
        if baseline:
            _named(every, baseline)
        kept = opened.records().patches.scan(host) if opened.has_records() else None
        if kept is None or kept.message is None:
            why = f": {one_line(kept.trouble)}" if kept is not None and kept.trouble else ""
            hint = f"statectl patch scan -t {host} looks at it"
            raise Unreachable(f"the packages of {host} are not known{why}", code="E175", hint=hint)
        scan = _scan(opened, host, kept)
        _check_package(scan, host, package)
        assignment = _assignment(opened, host, every, baseline)
        at = dt.datetime.now(dt.UTC)
        explained = _explained(opened, scan, kept, package, assignment, at)
    finally:
        opened.close()
    trouble = f"the last look at it failed: {kept.trouble}" if kept.trouble else ""

    def text() -> str:
        lines = [f"{package} on {host}, scanned {kept.at} ({age(kept.at, now())} ago)"]
        lines += [f"  {shown.screen.mark('warning')} {one_line(note)}" for note in (*assignment.notes, trouble) if note]
        return "\n".join([*lines, *explain_lines(host, explained, shown.screen)]) + "\n"

    def document() -> dict[str, Any]:
        return {
            "format": EXPLAINED,
            "host": host,
            "package": package,
            "as_of": f"{at:%Y-%m-%dT%H:%M:%SZ}",
            "scanned": kept.at,
            "notes": [note for note in (*assignment.notes, trouble) if note],
            "baselines": [explained_document(one) for one in explained],
        }

    shown.write({"text": text, "json": lambda: to_json(document())})
    return Unreachable.exit_code if not explained or any(one.unknown for one in explained) else 0


def _every(project: "Project") -> dict[str, "Baseline"]:
    """Those of the files by name, then those that come with statectl."""
    from statectl.baselines.predefined import predefined

    return {**dict(sorted(project.patch_baselines.items())), **predefined()}


def _named(every: "Mapping[str, Baseline]", name: str) -> "Baseline":
    from statectl.problems import did_you_mean

    if name not in every:
        hint = did_you_mean(name[:80], every) or "statectl patch baseline list shows them"
        raise UsageError(f"no patch baseline {one_line(name[:80])!r}", hint=hint)
    return every[name]


def _used(project: "Project") -> dict[str, list[str]]:
    """{baseline: associations that name it, also in a variant}."""
    found: dict[str, list[str]] = {}
    for one in project.associations.values():
        variants = (name for variant in one.where for name in variant.fields.get("patch_baseline", ()))
        for name in dict.fromkeys((*one.patch_baseline, *variants)):
            found.setdefault(name, []).append(one.name)
    return found


def _scan(opened: "Opened", host: str, kept: "KeptScan") -> "Scan":
    from statectl.baselines.scan import read_scan

    assert kept.message is not None  # it was asked before
    return read_scan(kept.message, (opened.facts_of(host) or {}).get("os") or {})


def _check_package(scan: "Scan", host: str, package: str) -> None:
    from statectl.problems import did_you_mean

    known = {one.name for one in (*scan.installed, *scan.available)}
    if package not in known:
        hint = did_you_mean(package[:80], known) or "neither installed there nor brought by an update"
        raise UsageError(f"no package {one_line(package[:80])!r} on {host}", hint=hint)


def _assignment(opened: "Opened", host: str, every: "Mapping[str, Baseline]", asked: str) -> "Assignment":
    from statectl.baselines.assign import assign
    from statectl.cli.patch_standings import named_by_associations

    return assign(
        every,
        (opened.facts_of(host) or {}).get("os") or {},
        {tag: str(value) for tag, value in opened.inventory.hosts[host].tags.items()},
        named=named_by_associations(opened).get(host, ()),
        asked=[asked] if asked else [],
        matches=lambda targets: host in opened.concerned(targets),
    )


def _explained(
    opened: "Opened",
    scan: "Scan",
    kept: "KeptScan",
    package: str,
    assignment: "Assignment",
    at: dt.datetime,
) -> "Sequence[Explained]":
    from statectl.baselines.evaluate import Evaluator
    from statectl.cli.formats.patch_baseline_text import Explained
    from statectl.patches.ledger import StoredLedger

    ledger = StoredLedger(opened.records().patches)
    ledger.prepare([package])
    scanned_at = dt.datetime.fromisoformat(kept.at)
    installed = {one.arch: one.version for one in scan.installed if one.name == package}
    found = []
    for assigned in assignment.assigned:
        evaluator = Evaluator(assigned.baseline, ledger, at)
        judged = evaluator.evaluate(scan, scanned_at=scanned_at)
        states = [one for one in judged.states if one.name == package]
        decisions = evaluator.decisions(scan, package, scanned_at=scanned_at)
        of_packages = {f"{one.name}: {one.reason}" for one in judged.states}
        trouble = [text for text in judged.trouble if text not in of_packages]
        found.append(Explained(assigned, decisions, states, installed, judged.unknown, trouble))
    return found
