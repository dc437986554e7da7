"""statectl patch cve: which hosts are exposed to which vulnerabilities, from stored scans. Contacts nothing."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

import click

from statectl.cli.formats.terminal import one_line
from statectl.cli.options import inventory_option, output_options, outputs, to_json, to_json_lines
from statectl.cli.patch_memory import ago, clock
from statectl.errors import UsageError

if TYPE_CHECKING:
    from statectl.cli.fleet import Opened
    from statectl.cli.formats.terminal import Screen
    from statectl.patches.exposure import Exposure
    from statectl.store.patch_feeds import KeptFeed

FORMATS = ("text", "json", "jsonl", "csv")
FORMAT = "statectl.patch-cve/1.0"
COLUMNS = (
    "cve", "host", "state", "since", "package", "arch", "installed", "fixed", "available", "advisory", "severity", "approval", "source",
    "scanned", "reason",
)  # fmt: skip
SHOWN = 50  # vulnerabilities of the text; the other formats have all
_CVE = re.compile(r"CVE-[0-9]{4}-[0-9]{4,19}")


@click.command()
@click.argument("cve", default="", metavar="[CVE]")
@click.option("-t", "--target", metavar="EXPR", default=None, help="Only these hosts: web01, group:web and env=prod.")
@click.option("--allow-empty", is_flag=True, help="A target that matches no host is not an error.")
@inventory_option
@output_options(FORMATS)
@click.pass_obj
def command(
    obj: dict[str, Any],
    /,
    cve: str,
    target: str | None,
    allow_empty: bool,
    inventory: str | None,
    out: tuple[str, ...],
    as_json: bool,
    quiet: bool,
    verbose: int,
    color: str,
) -> int:
    """Say which hosts are exposed to CVE, since when, in which package, and which patch fixes it; without CVE every vulnerability.

    From the last scans, and what feeds, advisories and changelogs say. Hosts that were never scanned are unknown. 2: some host is
    exposed; 3: none is, and of some nothing is known.
    """
    from statectl.cli.fleet import Opened
    from statectl.cli.formats.rows import comma_separated

    shown = outputs(out, FORMATS, as_json=as_json, quiet=quiet, verbose=verbose, color=color)
    wanted = cve.upper()
    if wanted and not _CVE.fullmatch(wanted):
        raise UsageError(f"{one_line(cve[:60])!r} names no vulnerability", hint="write it as CVE-2024-3094")
    opened = Opened.of(obj, inventory)
    try:
        hosts = opened.matching("all" if target is None else target, allow_empty=allow_empty or target is None)
        found = exposures(opened, hosts, wanted)
        feeds = opened.records().patches.feeds.all()
    finally:
        opened.close()
    rows = [{name: asdict(one)[name] for name in COLUMNS} for one in found]
    shown.write(
        {
            "text": lambda: _text(found, hosts, wanted, feeds, shown.screen),
            "json": lambda: to_json({"format": FORMAT, "cve": wanted, "hosts": rows, "feeds": _feeds(feeds)}),
            "jsonl": lambda: to_json_lines(rows),
            "csv": lambda: comma_separated(COLUMNS, rows),
        }
    )
    states = {one.state for one in found}
    return 2 if "exposed" in states else 3 if "unknown" in states else 0


def exposures(opened: "Opened", hosts: Sequence[str], cve: str) -> "list[Exposure]":
    """Of each host, with what its baselines said of the patch at its last scan."""
    from statectl.patches.exposure import Exposures

    patches = opened.records().patches
    systems = {host: (opened.facts_of(host) or {}).get("os") or {} for host in hosts}
    scans = patches.scans(hosts if len(hosts) < len(opened.inventory.hosts) else None)
    known = Exposures(patches, {host: one for host, one in scans.items() if host in systems}, systems, cve)
    approvals = _approvals(opened, set(hosts))
    found = []
    for host in hosts:
        for one in known.of(host):
            said = approvals.get((host, one.package, one.arch), "") if one.state == "exposed" else ""
            found.append(replace(one, approval=said) if said else one)
    return found


def _approvals(opened: "Opened", hosts: set[str]) -> dict[tuple[str, str, str], str]:
    """{(host, package, architecture): what baselines said of its patch at the last scan}."""
    history = opened.records().patch_history
    latest = [one for one in history.latest() if one.host in hosts]
    rows = history.rows(one.listed for one in latest)
    found: dict[tuple[str, str, str], str] = {}
    for one in latest:
        for row in rows.get(one.listed, ()):
            said = _said(row)
            if said:
                key = (one.host, str(row["name"]), str(row["arch"]))
                text = f"{said} by {one.baseline}"
                found[key] = f"{found[key]}; {text}" if key in found else text
    return found


def _said(row: Mapping[str, Any]) -> str:
    state, version, at = row["state"], row.get("version", ""), str(row.get("approved_at") or "")[:16].replace("T", " ")
    if state == "Missing":
        return f"{version} approved" + (f" since {at}" if at else "")
    if state == "Failed":
        return f"{version} approved, its installation failed"
    if state == "AvailableSecurityUpdate":
        return f"{version} waits" + (f" until {at}" if at else " for approval")
    if state == "InstalledPendingReboot":
        return f"{version} installed, waits for a reboot"
    return "rejected" if state == "InstalledRejected" else ""


def _text(
    found: "Sequence[Exposure]", hosts: Sequence[str], cve: str, feeds: "Mapping[str, KeptFeed]", screen: "Screen"
) -> str:
    lines = _of_one(found, hosts, cve, screen) if cve else _of_all(found, hosts, screen)
    return "".join(f"{line}\n" for line in [*lines, *_sources(feeds)])


def _of_one(found: "Sequence[Exposure]", hosts: Sequence[str], cve: str, screen: "Screen") -> list[str]:
    from statectl.cli.formats.rows import table

    now = clock()
    exposed = [one for one in found if one.state == "exposed"]
    title = next((one.reason for one in exposed if one.reason), "")
    lines = [f"{cve}: {_count(exposed, hosts)} exposed{f' ({one_line(title)})' if title else ''}"]
    if exposed:
        cells = [
            (
                one.host, f"{one.package} {one.installed}", one.fixed or "nothing fixes it yet",
                one.available or "not offered", ago(one.since, now), one.approval or "no baseline says anything", ago(one.scanned, now),
            )
            for one in exposed
        ]  # fmt: skip
        columns = ("host", "installed", "fixed in", "available", "exposed since", "baseline", "scanned")
        lines += table(columns, cells, screen).splitlines()
    return [*lines, *_others(found)]


def _of_all(found: "Sequence[Exposure]", hosts: Sequence[str], screen: "Screen") -> list[str]:
    from statectl.cli.formats.rows import table

    now = clock()
    exposed = [one for one in found if one.state == "exposed"]
    by_cve: dict[str, list[Exposure]] = {}
    for one in exposed:
        by_cve.setdefault(one.cve, []).append(one)
    order = sorted(by_cve, key=lambda cve: (-len({one.host for one in by_cve[cve]}), cve))
    lines = [f"{_count(exposed, hosts)} exposed to {len(by_cve)} known vulnerabilities"]
    cells = []
    for cve in order[:SHOWN]:
        some = by_cve[cve]
        fixed = len({one.host for one in some if one.fixed})
        names = list(dict.fromkeys(one.package for one in some))
        more = f" and {len(names) - 2} more" if len(names) > 2 else ""
        count = len({one.host for one in some})
        severity = next((one.severity for one in some if one.severity), "-")
        since = min((one.since for one in some if one.since), default="")
        cells.append(
            (
                cve,
                count,
                severity,
                "yes" if fixed == count else f"on {fixed}" if fixed else "no",
                ago(since, now),
                ", ".join(names[:2]) + more,
            )
        )
    if cells:
        columns = ("vulnerability", "hosts", "severity", "fixed", "exposed since", "packages")
        lines += table(columns, cells, screen, numbers=("hosts",)).splitlines()
    if len(order) > SHOWN:
        lines.append(f"and {len(order) - SHOWN} more; -o csv has all of them")
    return [*lines, *_others(found)]


def _count(exposed: "Sequence[Exposure]", hosts: Sequence[str]) -> str:
    count = len({one.host for one in exposed})
    return f"{count} of {len(hosts)} host{'s' * (len(hosts) != 1)}"


def _others(found: "Sequence[Exposure]") -> list[str]:
    """How many are fixed, not affected, and of whom nothing is known, with why."""
    lines = []
    for state in ("fixed", "not affected"):
        count = sum(one.state == state for one in found)
        lines += [f"{count} {state}"] if count else []
    reasons: dict[str, list[str]] = {}
    for one in found:
        if one.state == "unknown":
            reasons.setdefault(one.reason, []).append(one.host)
    for reason, hosts in reasons.items():
        names = ", ".join(map(one_line, hosts[:5])) + (f" and {len(hosts) - 5} more" if len(hosts) > 5 else "")
        lines.append(f"{len(hosts)} unknown, {one_line(reason)}: {names}")
    return lines


def _sources(feeds: "Mapping[str, KeptFeed]") -> list[str]:
    now = clock()
    read = [f"{one.name} {ago(one.fetched, now)}" for one in feeds.values() if one.fetched]
    return [f"Feeds: {', '.join(read) or 'none was read; what hosts and changelogs say is all that is known'}"]


def _feeds(feeds: "Mapping[str, KeptFeed]") -> list[dict[str, Any]]:
    return [
        {"feed": one.name, "kind": one.kind, "made": one.made, "fetched": one.fetched, "trouble": one.trouble}
        for one in feeds.values()
    ]
