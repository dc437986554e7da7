"""Patch baselines for people and for programs: what they say, and what they mean for one package of one host."""

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from statectl.baselines.assign import Assigned
from statectl.baselines.decide import APPROVED, PENDING, REJECTED, Decision
from statectl.baselines.evaluation import PatchState
from statectl.baselines.model import Baseline, Filter, Rule
from statectl.cli.formats.terminal import Screen, one_line
from statectl.project.findings import one_of

_COLOURS = {APPROVED: "ok", PENDING: "warning", REJECTED: "failed"}


@dataclass(frozen=True)
class Explained:
    """A package of one host by one baseline. `installed`: {architecture: version}."""

    assigned: Assigned
    decisions: Sequence[Decision]
    states: Sequence[PatchState]
    installed: Mapping[str, str]
    unknown: str = ""
    trouble: Sequence[str] = ()


# What baselines say


def list_lines(baselines: Sequence[Baseline], used: Mapping[str, Sequence[str]], screen: Screen) -> Iterator[str]:
    """`used`: {baseline: associations that name it}."""
    wide = max(len(one.name) for one in baselines)
    amounts = max(len(_amount(one)) for one in baselines)
    for one in baselines:
        who = "; ".join(_who(one, used.get(one.name, ())))
        line = f"{one.name:{wide}}  {one.os:9}  {_amount(one):{amounts}}  {who}".rstrip()
        yield screen.paint(line, "dim") if one.predefined else line


def show_lines(one: Baseline, used: Sequence[str]) -> Iterator[str]:
    yield one.name + (f"   {one_line(one.description)}" if one.description else "")
    yield f"  os           {one.os}"
    yield f"  place        {one.origin}"
    for who in _who(one, used):
        yield f"  for          {who}"
    if one.filters is not None:
        yield f"  filters      {_filter(one.filters) or 'everything'}"
    for number, rule in enumerate(one.rules, 1):
        place = f"   {rule.span.file}:{rule.span.line}" if rule.span is not None else ""
        yield f"  rule {number:<7} {rule_text(rule)}{place}"
    for word, entries, more in (
        ("approved", one.approved, _approved(one)),
        ("rejected", one.rejected, one.rejected_action),
    ):
        for entry in entries:
            yield f"  {word}     {one_line(entry.text)}{f' ({more})' if more else ''}"
    for pin in one.pins:
        stays = "where it is" if pin.version == "*" else f"at {pin.version}"
        yield f"  pin          {one_line(f'{pin.package} stays {stays} until {pin.until}: {pin.reason}')}"
    for source in one.sources:
        where = " ".join((*source.uris, *source.suites, *source.components, source.baseurl)).strip()
        signed = (
            f"trusted: {source.trusted}" if source.trusted else f"signed by {_key(source.signed_by or source.gpgkey)}"
        )
        kept = "kept on the host" if source.kept else "instead of the host's own"
        yield f"  source       {one_line(f'{source.name}: {where}, {signed}, {kept}')}"
    yield f"  superseded   {one.superseded}"
    yield f"  dependencies {one.dependencies}"
    yield f"  security     updates that are not approved are {one.available_security_updates}"
    yield f"  window       {one.window or 'none: it installs by itself only in the window of an association'}"
    reboots = (
        "" if one.reboot == "never" else f", {one.max_reboots} in a run, back within {_span(one.reboot_timeout_s)}"
    )
    yield f"  reboot       {one.reboot}{reboots}"
    yield f"  restart      {one.restart}"
    for name, argv in _hooks(one).items():
        yield f"  hook         {name}: {one_line(' '.join(argv))}"
    yield f"  index        older than {_span(one.max_index_age_s)} says nothing"


def _who(one: Baseline, used: Sequence[str]) -> list[str]:
    """The ways by which hosts get it."""
    said = [f"association{'s' * (len(used) > 1)} {', '.join(used)}"] if used else []
    said += (
        [f"patch group{'s' * (len(one.patch_groups) > 1)} {', '.join(one.patch_groups)}"] if one.patch_groups else []
    )
    said += [f"targets {one.targets}"] if one.targets else []
    said += [f"default of {one.os}"] if one.default else []
    said += [f"hosts of {one.os} that have no other; comes with statectl"] if one.predefined else []
    return [one_line(text) for text in said]


def _amount(one: Baseline) -> str:
    counts = {
        "rule": len(one.rules),
        "approved": len(one.approved),
        "rejected": len(one.rejected),
        "pin": len(one.pins),
    }
    plural = ("rule", "pin")
    said = [f"{count} {word}{'s' * (count != 1 and word in plural)}" for word, count in counts.items() if count]
    return ", ".join(said) or "approves nothing"


def rule_text(rule: Rule) -> str:
    """A rule on one line: what it matches, when it approves, and how bad it is to lack that."""
    what = _filter(rule.filter) or "everything"
    what += "" if rule.include_non_security else ", security updates only"
    days = rule.after_days or 0
    when = (
        f"first seen until {rule.until}"
        if rule.until is not None
        else f"{days} day{'s' * (days != 1)} after first seen"
        if days
        else "at once"
    )
    level = "" if rule.compliance == "unspecified" else f", {rule.compliance}"
    return one_line(f"{what}: {when}{level}")


def _filter(filters: Filter) -> str:
    given = {one.name: getattr(filters, one.name) for one in fields(filters)}
    return "; ".join(f"{name} {one_of(values)}" for name, values in given.items() if values)


def _approved(one: Baseline) -> str:
    level = "" if one.approved_compliance == "unspecified" else one.approved_compliance
    return ", ".join(filter(None, (level, "also non-security" if one.approved_include_non_security else "")))


def _key(text: str) -> str:
    return "the key in the project" if text.startswith("-----") else text


def _hooks(one: Baseline) -> dict[str, tuple[str, ...]]:
    hooks = one.hooks
    names = ("before_install", "after_install", "before_reboot", "after_reboot", "on_exit")
    return {name: argv for name in names if (argv := getattr(hooks, name))}


def _span(seconds: int) -> str:
    for unit, size in (("day", 86400), ("hour", 3600), ("minute", 60)):
        if seconds % size == 0:
            count = seconds // size
            return f"{count} {unit}{'s' * (count != 1)}"
    return f"{seconds} seconds"


def baseline_document(one: Baseline, used: Sequence[str]) -> dict[str, Any]:
    """Every field as the file has it, with defaults, and the place."""
    return {
        "os": one.os,
        "description": one.description,
        "place": one.origin,
        "predefined": one.predefined,
        "default": one.default,
        "patch_groups": list(one.patch_groups),
        "targets": one.targets,
        "associations": list(used),
        "filters": _filter_document(one.filters) if one.filters is not None else None,
        "approve": [
            {
                **_filter_document(rule.filter),
                "after_days": rule.after_days,
                "until": rule.until.isoformat() if rule.until is not None else None,
                "compliance": rule.compliance,
                "include_non_security": rule.include_non_security,
                "place": str(rule.span or ""),
            }
            for rule in one.rules
        ],
        "approved": [entry.text for entry in one.approved],
        "approved_compliance": one.approved_compliance,
        "approved_include_non_security": one.approved_include_non_security,
        "rejected": [entry.text for entry in one.rejected],
        "rejected_action": one.rejected_action,
        "pins": {
            pin.package: {"version": pin.version, "until": pin.until.isoformat(), "reason": pin.reason}
            for pin in one.pins
        },
        "sources": {
            source.name: {
                name: list(value) if isinstance(value, tuple) else value
                for name in ("kept", "uris", "suites", "components", "architectures", "signed_by", "baseurl", "gpgkey",
                             "trusted", "products")
                if (value := getattr(source, name)) or name == "kept"
            }
            for source in one.sources
        },
        "superseded": one.superseded,
        "dependencies": one.dependencies,
        "available_security_updates": one.available_security_updates,
        "window": one.window,
        "reboot": one.reboot,
        "max_reboots": one.max_reboots,
        "reboot_timeout_s": one.reboot_timeout_s,
        "restart": one.restart,
        "hooks": {**{name: list(argv) for name, argv in _hooks(one).items()}, "timeout_s": one.hooks.timeout_s},
        "max_index_age_s": one.max_index_age_s,
    }  # fmt: skip


def _filter_document(filters: Filter) -> dict[str, list[str]]:
    return {one.name: list(values) for one in fields(filters) if (values := getattr(filters, one.name))}


# What they mean for a package


def explain_lines(host: str, explained: Sequence[Explained], screen: Screen) -> Iterator[str]:
    for one in explained:
        baseline = one.assigned.baseline
        yield screen.paint(f"{baseline.name}   {one_line(one.assigned.why)}   {baseline.origin}", "bold")
        if one.unknown:
            yield f"  {screen.mark('warning')} not known: {one_line(one.unknown)}"
        wide = max((len(decision.version) for decision in one.decisions), default=0)
        several = len({decision.arch for decision in one.decisions}) > 1
        for decision in one.decisions:
            yield from _decision_lines(one, decision, screen, min(wide, 40), several=several)
        for state in one.states:
            yield f"  {screen.mark('then')} {host}: {_outcome(state, several=several)}"
        if not one.states and not one.unknown:
            yield f"  {screen.mark('then')} {host}: not installed; it may come where another package needs it, when it is approved"
        for text in one.trouble:
            yield f"  {screen.mark('warning')} {one_line(text)}"


def _decision_lines(one: Explained, decision: Decision, screen: Screen, wide: int, *, several: bool) -> Iterator[str]:
    version = one_line(decision.version) + (f" {one_line(decision.arch)}" if several else "")
    status = screen.paint(f"{decision.status:9}", _COLOURS.get(decision.status, "dim"))
    yield f"  {version:{wide + 6 * several}}  {status}  {one_line(decision.reason)}"
    more = [str(decision.span.file) + f":{decision.span.line}"] if decision.span is not None else []
    more += ["installed"] if one.installed.get(decision.arch) == decision.version else []
    more += [one_line(decision.archive)] if decision.archive else []
    more += ["security update"] if decision.security else []
    more += [f"first seen {_moment(decision.first_seen)}"] if decision.first_seen is not None else []
    if not decision.obtainable:
        more += ["no archive has it any more" + (", kept here" if decision.cached else "")]
    if more:
        yield f"  {'':{wide + 6 * several}}  {'':9}  {screen.paint(', '.join(more), 'dim')}"


def _outcome(state: PatchState, *, several: bool) -> str:
    version = f" {one_line(state.version)}" if state.version else ""
    level = "" if state.level == "unspecified" else f" ({state.level})"
    arch = f"{one_line(state.arch)} " if several else ""
    said = f": {one_line(state.reason)}" if state.state not in ("Installed", "Missing") or _unusual(state) else ""
    return f"{arch}{state.state}{version}{level}{said}"


def _unusual(state: PatchState) -> bool:
    """Its reason is more than that of the decision on the version."""
    return state.reason.startswith(("superseded", "held back"))


def explained_document(one: Explained) -> dict[str, Any]:
    return {
        "baseline": one.assigned.baseline.name,
        "place": one.assigned.baseline.origin,
        "why": one.assigned.why,
        "association": one.assigned.association,
        "unknown": one.unknown,
        "trouble": list(one.trouble),
        "versions": [
            {
                "version": decision.version,
                "arch": decision.arch,
                "status": decision.status,
                "by": decision.by,
                "reason": decision.reason,
                "level": decision.level,
                "place": str(decision.span or ""),
                "first_seen": _utc(decision.first_seen),
                "approved_at": _utc(decision.approved_at),
                "archive": decision.archive,
                "security": decision.security,
                "installed": one.installed.get(decision.arch) == decision.version,
                "obtainable": decision.obtainable,
                "kept": bool(decision.cached),
            }
            for decision in one.decisions
        ],
        "states": [
            {
                "arch": state.arch,
                "state": state.state,
                "installed": state.installed,
                "version": state.version,
                "level": state.level,
                "classification": state.classification,
                "severity": state.severity,
                "advisories": list(state.advisories),
                "cves": list(state.cves),
                "reason": state.reason,
            }
            for state in one.states
        ],
    }


def _moment(moment: dt.datetime) -> str:
    return f"{moment.astimezone(dt.UTC):%Y-%m-%d %H:%M}"


def _utc(moment: dt.datetime | None) -> str | None:
    return f"{moment.astimezone(dt.UTC):%Y-%m-%dT%H:%M:%SZ}" if moment is not None else None
