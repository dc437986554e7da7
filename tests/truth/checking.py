"""One step: plan, apply, and compare every verdict with what happened on the hosts.

verdict     right when
ok          the apply found it as wanted, and what there is of it is as before, unless another change touches the same place
change      the apply changed it, it is not as before, its place is there or gone as the action says, a package has the planned version
refused     nothing at all was written to the host
unknown     counted, and whatever comes of it is reported
any         a second plan finds nothing left to do; the plan itself wrote nothing; restarts came as announced
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import yaml

from tests.lab import LabHost
from tests.lab.project import LabProject, Said
from tests.lab.snapshot import moved, written
from tests.truth.observing import Seen, observe, places


@dataclass
class Tally:
    """All verdicts so far. `wrong`: one text each; `refusals`: how often each reason was given."""

    verdicts: Counter[str] = field(default_factory=Counter)
    by_type: Counter[tuple[str, str]] = field(default_factory=Counter)  # (type, verdict)
    wrong: list[str] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)
    refusals: Counter[str] = field(default_factory=Counter)

    @property
    def total(self) -> int:
        return sum(self.verdicts.values()) - self.verdicts["behind a failure"]

    def __str__(self) -> str:
        share = 100 * self.verdicts["unknown"] / max(self.total, 1)
        return f"{self.total} verdicts, {len(self.wrong)} wrong, {self.verdicts['unknown']} unknown ({share:.1f} %)"


@dataclass
class Step:
    """What one plan and its apply gave. `refused`: {host: addresses}; such a host was not applied to."""

    plan: Said
    apply: Said | None
    refused: dict[str, list[str]]


def declared_in(texts: Sequence[str]) -> dict[str, Mapping[str, Any]]:
    """{address: long form} of the literal resources in files of `states/`; only to know where to look."""
    found = {}
    sections = {"lines": "line", "text_blocks": "text_block", "directories": "directory", "commands": "command"}
    sections |= {"cron_jobs": "cron_job", "sysctls": "sysctl", "authorized_keys": "authorized_key"}
    for text in texts:
        for association in _bodies(yaml.load(text, yaml.BaseLoader)):
            for section, kind in sections.items():
                entries = association.get(section)
                for name, body in entries.items() if isinstance(entries, dict) else ():
                    if isinstance(body, dict):
                        found[f"{kind}:{name}"] = body
    return found


def _bodies(document: Any) -> Iterator[Mapping[str, Any]]:
    tops = document if isinstance(document, dict) else {}
    for top in ("associations", "profiles"):
        for body in (tops.get(top) or {}).values():
            if isinstance(body, dict):
                yield body
                yield from (given for given in body.get("given") or () if isinstance(given, dict))


def step(
    tally: Tally,
    project: LabProject,
    hosts: Mapping[str, LabHost],
    label: str,
    *options: str,
    env: Mapping[str, str] | None = None,
) -> Step:
    """Plan `hosts`, apply to those where nothing is refused, compare. They go by the names of the inventory.

    options: of plan and apply alike, such as --prune.
    """
    before = {name: written(host) for name, host in hosts.items()}
    plan = project.statectl("plan", "--json", "-t", ",".join(hosts), *options, env=env)
    if plan.code not in (0, 1, 5):
        raise AssertionError(f"{label}: no plan\n{plan}")
    for name, host in hosts.items():
        differs = moved(before[name], written(host))
        if differs:
            tally.wrong.append(f"{label}: {name}: the plan wrote {differs[:10]}")
    planned = {name: _verdicts(plan.json["hosts"][name]) for name in hosts}
    refused = {
        name: [address for address, entry in verdicts.items() if entry["verdict"] == "refused" and not entry["audited"]]
        for name, verdicts in planned.items()
        if any(entry["verdict"] == "refused" and not entry["audited"] for entry in verdicts.values())
    }
    for name in list(hosts):
        told = plan.json["hosts"][name]
        if told["outcome"] != "planned" and name not in refused:
            refused[name] = []
            tally.wrong.append(f"{label}: {name}: not planned: {told['outcome']}: {told['reason']}")
    for name, addresses in refused.items():
        for address in addresses:
            _count(tally, label, address, planned[name][address])
    ready = [name for name in hosts if name not in refused]
    if not ready:
        return Step(plan, None, refused)
    states = {path.stem: path.read_text() for path in sorted(project.root.glob("states/**/*.yml"))}
    own = {name: [states[name]] if name in states else list(states.values()) for name in ready}
    looks = {name: _looks(planned[name], declared_in(own[name])) for name in ready}
    seen = {name: observe(hosts[name], looks[name]) for name in ready}
    apply = project.statectl("apply", "--yes", "--json", "-t", ",".join(ready), *options, env=env, timeout=400)
    if apply.code not in (0, 1):
        raise AssertionError(f"{label}: no apply\n{apply}")
    after = {name: observe(hosts[name], looks[name]) for name in ready}
    second = project.statectl("plan", "--json", "-t", ",".join(ready), *options, env=env)
    for name in ready:
        told = apply.json["hosts"][name]
        results = {entry["address"]: entry for entry in told["results"]}
        judge = _Judge(tally, f"{label}: {name}", planned[name], results, seen[name], after[name])
        judge.all()
        judge.restarts(told)
        judge.second(_verdicts(second.json["hosts"][name]))
        for address, entry in _verdicts(apply.json["plan"]["hosts"][name]).items():
            if address not in planned[name] or planned[name][address]["verdict"] != entry["verdict"]:
                tally.wrong.append(f"{label}: {name}: {address}: apply planned {entry['verdict']}, plan did not")
    return Step(plan, apply, refused)


def _verdicts(host: Mapping[str, Any]) -> dict[str, Any]:
    return {entry["address"]: entry for entry in host["verdicts"] if entry["verdict"] != "orphan"}


def _looks(verdicts: Mapping[str, Any], bodies: Mapping[str, Mapping[str, Any]]) -> dict[str, list[tuple[str, str]]]:
    return {address: places(address, bodies.get(address)) for address in {*verdicts, *bodies}}


def _count(tally: Tally, label: str, address: str, entry: Mapping[str, Any]) -> None:
    tally.verdicts[entry["verdict"]] += 1
    tally.by_type[address.partition(":")[0], entry["verdict"]] += 1
    if entry["verdict"] == "unknown":
        tally.unknown.append(f"{label}: {address}: {entry['reason']} until {entry['unknown_until']}")
    if entry["verdict"] == "refused":
        tally.refusals[f"{address}: {entry['reason']}"] += 1


class _Judge:
    """Every verdict on one host. A resource that is not in the plan's list was planned as ok."""

    def __init__(self, tally: Tally, label: str, planned: Any, results: Any, before: Seen, after: Seen) -> None:
        self.tally, self.label = tally, label
        self.planned, self.results, self.before, self.after = planned, results, before, after

    def wrong(self, address: str, why: str) -> None:
        self.tally.wrong.append(f"{self.label}: {address}: {why}")

    def all(self) -> None:
        failed = any(result["outcome"] == "failed" for result in self.results.values())
        for address in {**self.planned, **self.results}:
            entry = self.planned.get(address) or {"verdict": "ok", "reason": "", "unknown_until": [], "audited": False}
            _count(self.tally, self.label, address, entry)
            result = self.results.get(address)
            if result is None:
                self.wrong(address, f"planned {entry['verdict']}, and not spoken of by apply")
            elif failed and result["outcome"] == "skipped":
                self.tally.verdicts["behind a failure"] += 1  # the failure itself is judged, and wrong
            elif entry["audited"]:
                self._audited(address, result)
            elif entry["verdict"] == "ok":
                self._ok(address, result)
            elif entry["verdict"] == "change":
                self._change(address, entry, result)

    def _moved(self, address: str) -> set[str]:
        before, after = self.before.get(address, {}), self.after.get(address, {})
        return {key for key in before if before[key] != after.get(key)}

    def _said(self, result: Mapping[str, Any]) -> str:
        return f"{result['outcome']} ({result['reason']})" if result["reason"] else str(result["outcome"])

    def _audited(self, address: str, result: Mapping[str, Any]) -> None:
        if result["outcome"] not in ("ok", "skipped"):
            self.wrong(address, f"only audited, and {self._said(result)}")

    def _ok(self, address: str, result: Mapping[str, Any]) -> None:
        if result["outcome"] != "ok":
            self.wrong(address, f"planned ok, was {self._said(result)} {result['changes']}")
            return
        others = set()
        for other, told in self.results.items():
            if told["outcome"] != "ok":
                others |= self._moved(other)
        if any(other.startswith("package:") and told["outcome"] == "changed" for other, told in self.results.items()):
            return  # a package brings files of its own
        differs = self._moved(address) - others
        above = {key.partition(" ")[2] for key in others}
        differs = {key for key in differs if not any(key.partition(" ")[2].startswith(path) for path in above)}
        if differs:
            self.wrong(address, f"planned ok, and {sorted(differs)} is not as before")

    def _change(self, address: str, entry: Mapping[str, Any], result: Mapping[str, Any]) -> None:
        if result["outcome"] != "changed":
            self.wrong(address, f"planned {entry['action']} after {entry['predicted_after']}, was {self._said(result)}")
            return
        before, after = self.before.get(address, {}), self.after.get(address, {})
        if before and before == after and not self._restored(address):
            self.wrong(address, f"planned {entry['action']}, said changed, and all is as before: {before}")
        there = any(after.values())
        if after and address.partition(":")[0] not in (
            "service",
            "line",
            "text_block",
            "sysctl",
            "command",
            "directory",
        ):
            if entry["action"] == "add" and not there:
                self.wrong(address, "planned add, and nothing is there")
            if entry["action"] == "remove" and there and not self._replaced(address, after):
                self.wrong(address, f"planned remove, and still there: {after}")
        if address.startswith("package:") and entry["action"] in ("add", "change"):
            wanted = [change["wanted"] for change in entry["changes"] if change["field"] == "version"]
            if wanted and not any(word == wanted[0] for value in after.values() for word in value.split()):
                self.wrong(address, f"planned version {wanted[0]}, and there is {after}")

    def _restored(self, address: str) -> bool:
        """Mode or owner of a link, a setting outside of what is looked at."""
        return address.partition(":")[0] in ("service", "unit")

    def _replaced(self, address: str, after: Mapping[str, str]) -> bool:
        """Gone as what it was: put back as it was before, or another resource stands there now; of a package its configuration."""
        kind = address.partition(":")[0]
        return (
            kind not in ("unix_group", "file", "link")
            or any(other != address and after.items() & self.after.get(other, {}).items() for other in self.results)
            or self.planned[address]["reason"] == "no longer declared"
        )

    def restarts(self, told: Mapping[str, Any]) -> None:
        """No restart that was not announced; every announced one came, or its service was started or needs none."""
        announced = {notice for entry in self.planned.values() if not entry["audited"] for notice in entry["notify"]}
        told_of = {f"{entry['verb']} {entry['address']}": entry for entry in told["notified"]}
        for notice, entry in told_of.items():
            if entry["outcome"] == "changed" and notice not in announced:
                self.tally.wrong.append(f"{self.label}: {notice} was not announced: {entry}")
            if entry["outcome"] == "failed":
                self.tally.wrong.append(f"{self.label}: {notice} failed: {entry}")
        for notice in announced - set(told_of):
            service = notice.partition(" ")[2]
            if self.results.get(service, {}).get("outcome") not in ("changed", "failed", "skipped"):
                self.tally.wrong.append(f"{self.label}: {notice} was announced and not done: {told['notified']}")

    def second(self, verdicts: Mapping[str, Any]) -> None:
        for address, entry in verdicts.items():
            result = self.results.get(address)
            fine = result is not None and result["outcome"] in ("ok", "changed")
            if fine and not entry["audited"]:
                self.wrong(
                    address,
                    f"{result['outcome']}, and the next plan says {entry['verdict']} {entry['changes']} {entry['reason']}",
                )
