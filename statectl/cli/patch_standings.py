"""How hosts stand by their baselines, from the store: what `patch report` and `compliance` say. Contacts nothing."""

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from statectl.patches.standing import Standing, standings

if TYPE_CHECKING:
    from statectl.baselines.model import Baseline
    from statectl.cli.fleet import Opened

Rows = Mapping[str, Sequence[Mapping[str, Any]]]


def patch_standings(
    opened: "Opened",
    hosts: Sequence[str],
    at: dt.datetime,
    *,
    baseline: str = "",
    past: bool = False,
    all_systems: bool = True,
    too_old: Callable[[str, str], tuple[dt.datetime, str] | None] = lambda _host, _baseline: None,
) -> tuple[list[Standing], Rows]:
    """(one of every host and baseline, {listed: rows} of what they are judged by), in the order of `hosts`.

    baseline     only of this one
    past         of a moment before now: by the baselines that had been recorded then, beside those that concern the hosts now
    all_systems  also by the baselines that come with statectl, of hosts that were never scanned by them
    """
    history = opened.records().patch_history
    latest = history.latest(baseline=baseline, until=at.strftime("%Y-%m-%dT%H:%M:%SZ") if past else "~")
    recorded = {(one.host, one.baseline) for one in latest}
    if not (all_systems or recorded or _is_patched(opened)):
        return [], {}  # a project without patches does not pay for them
    pairs = [
        (host, one.name)
        for host, one in expected(opened, hosts)
        if all_systems or not one.predefined or (host, one.name) in recorded
    ]
    if past or baseline:
        wanted = set(hosts)
        pairs = [pair for pair in (*pairs, *recorded) if pair[0] in wanted and baseline in ("", pair[1])]
    place = {host: number for number, host in enumerate(hosts)}
    pairs = sorted(dict.fromkeys(pairs), key=lambda one: (place[one[0]], one[1]))
    known = {(one.host, one.baseline): one.listed for one in latest}
    rows = history.rows(known[pair] for pair in pairs if pair in known)
    return standings(pairs, latest, rows, at, too_old), rows


def _is_patched(opened: "Opened") -> bool:
    return bool(opened.project.patch_baselines) or any(
        one.names_baselines for one in opened.project.associations.values()
    )


def expected(opened: "Opened", hosts: Sequence[str]) -> list[tuple[str, "Baseline"]]:
    """(host, baseline) of every baseline that concerns a host by the files, the inventory and its stored facts."""
    from statectl.baselines.assign import assign
    from statectl.baselines.predefined import predefined

    known = {**predefined(), **opened.project.patch_baselines}
    named = named_by_associations(opened)
    chosen: dict[str, set[str]] = {}

    def matches(host: str, targets: str) -> bool:
        if targets not in chosen:
            chosen[targets] = set(opened.concerned(targets))
        return host in chosen[targets]

    found: list[tuple[str, Baseline]] = []
    for host in hosts:
        facts = (opened.facts_of(host) or {}).get("os") or {}
        assigned = assign(
            known,
            facts,
            opened.inventory.hosts[host].tags,
            named=named.get(host, ()),
            matches=lambda targets, host=host: matches(host, targets),  # type: ignore[misc]
        ).assigned
        if not facts:  # never read: those that are named for it, whatever its system turns out to be
            found += [(host, known[name]) for _, name in named.get(host, ()) if name in known]
        found += [(host, one.baseline) for one in assigned]
    return found


def named_by_associations(opened: "Opened") -> dict[str, list[tuple[str, str]]]:
    """{host: [(association, baseline), ...]}, by the first `where` that selects the host, else by the association itself."""
    named: dict[str, list[tuple[str, str]]] = {}
    for one in opened.project.associations.values():
        if not one.names_baselines:
            continue
        variants = [(variant, set(opened.concerned(variant.targets))) for variant in one.where]
        for host in opened.concerned(one.targets):
            first = next((variant for variant, hosts in variants if host in hosts), None)
            named.setdefault(host, []).extend((one.name, name) for name in one.baselines_on(first))
    return named
