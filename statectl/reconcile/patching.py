"""Patches in a run: which hosts are asked for a scan, what comes of it, and the resource `patches:BASELINE` in their catalogues.

asked(host)                     what the order asks of the host, None: nothing
compiled(host, ...)             the scan is kept, judged by every baseline of the host, and its patches stand in the catalogue
looked(host, verdicts)          what the host keeps back is kept with its reasons
done(host, result)              what was installed is kept
"""

import datetime as dt
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

from statectl.baselines.assign import Assigned
from statectl.baselines.evaluation import Evaluation
from statectl.baselines.model import Baseline
from statectl.baselines.scan import Scan, read_scan
from statectl.errors import ConfigError
from statectl.problems import Problem
from statectl.reconcile.host_result import HostResult
from statectl.reconcile.patch_entries import kept_sources, patches, run_sources

BESIDE = "(patching)"  # the association of patches that no association of the files asks for
SCAN, INSTALL, APPLY = "scan", "install", "apply"


@dataclass(frozen=True)
class Judged:
    """One host by one baseline, of one contact."""

    assigned: Assigned
    evaluation: Evaluation
    scan: Scan
    run_id: str
    at: dt.datetime

    @property
    def address(self) -> str:
        return f"patches:{self.assigned.baseline.name}"


@dataclass(frozen=True)
class Done:
    """What came of an installation. `moves`: [{name, arch, from, to, outcome, reason}]"""

    at: dt.datetime
    moves: Sequence[Mapping[str, Any]]
    waits_for_reboot: bool


class Catalogue(Protocol):
    """What is needed of `catalogue.compile.HostCatalogue`."""

    catalogue: dict[str, Any]
    blobs: dict[str, bytes | Path]


Keep = Callable[[str, Judged, Done | None], None]
"""(host, judged, done; None: it was scanned): kept for good."""


@dataclass
class PatchRun:
    """What is done about patches in one run.

    operation       scan: only look; install: somebody typed it, so it may happen now; apply: when a maintenance window is open
    assigned        (host, facts) -> its baselines; facts None before it was contacted
    judge           (host, baseline, scan) -> Evaluation
    keep_scan       (host, scan, message, moment, run): in the store, with what was seen for the first time
    keep            see Keep
    package         sha256 -> file that we keep of a package, for those that no archive has any more
    fingerprint     of a catalogue
    alone           the run is about patches and nothing else
    """

    operation: str
    assigned: Callable[[str, Mapping[str, Any] | None], Sequence[Assigned]]
    judge: Callable[[str, Baseline, Scan], Evaluation]
    keep_scan: Callable[[str, Scan, Mapping[str, Any], dt.datetime, str], None]
    keep: Keep
    package: Callable[[str], Path | None]
    fingerprint: Callable[[Mapping[str, Any]], str]
    now: Callable[[], dt.datetime]
    refresh_s: int = 3600
    changelogs: Callable[[str], Sequence[str]] = lambda _: ()
    alone: bool = False
    reboot: str = ""  # typed, in place of what baselines say
    instead: Callable[[str, Baseline, Scan, Evaluation], Evaluation] | None = (
        None  # a rollback: what is to be installed
    )
    judged: dict[str, list[Judged]] = field(default_factory=dict)
    _sources: dict[str, list[dict[str, Any]]] = field(default_factory=dict)  # that hosts were asked to look at
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def asked(self, host: str) -> dict[str, Any] | None:
        assigned = self.assigned(host, None)
        if not assigned and not self.alone:
            return None
        sources = {one.baseline.name: run_sources(one.baseline) for one in assigned}
        distinct = [one for place, one in enumerate(sources.values()) if one not in list(sources.values())[:place]]
        if len(distinct) > 1:
            names = " and ".join(f"`{name}`" for name in sources)
            text = f"{names} patch {host} from different sources"
            hint = "give them the same `sources`, or let one baseline alone concern the host"
            raise ConfigError([Problem("E180", text, assigned[0].baseline.span, hint=hint)])
        self._sources[host] = distinct[0] if distinct else []
        return {
            "refresh_s": self.refresh_s,
            "sources": self._sources[host],
            "changelogs": list(self.changelogs(host)),
        }

    def compiled(
        self, host: str, compiled: Catalogue, facts: Mapping[str, Any], message: Mapping[str, Any], run_id: str
    ) -> list[str]:
        """-> what people should know of it. Blocking: the store is written. Raises ValueError for what is no scan."""
        assigned = self.assigned(host, facts)
        scan = read_scan(message, facts.get("os") or {})
        at = self.now()
        with self._lock:  # one ledger for all hosts, which is of one thread at a time
            self.keep_scan(host, scan, message, at, run_id)
            found = [Judged(one, self._judge(host, one.baseline, scan), scan, run_id, at) for one in assigned]
            for judged in found:
                self.keep(host, judged, None)
        self.judged[host] = found
        meant = [self._meant(host, one) for one in found]
        for judged in meant:
            self._add(compiled, judged)
        if self.alone:
            own = {f"package_repository:{one.name}" for judged in found for one in judged.assigned.baseline.sources}
            own |= {judged.address for judged in found}
            compiled.catalogue["only"] = [
                entry["address"] for entry in compiled.catalogue["resources"] if entry["address"] in own
            ]
        if found or self.alone:
            del compiled.catalogue["hash"]
            compiled.catalogue["hash"] = self.fingerprint(compiled.catalogue)
        if self.operation == SCAN:
            return []  # what a scan shows has it, folded
        return [f"{one.address}: {text}" for one in meant for text in _said(one.evaluation)]

    def _meant(self, host: str, judged: Judged) -> Judged:
        """What is put into the catalogue; what is kept is the judgement of the baseline."""
        if self.instead is None:
            return judged
        chosen = self.instead(host, judged.assigned.baseline, judged.scan, judged.evaluation)
        return replace(judged, evaluation=chosen)

    def _judge(self, host: str, baseline: Baseline, scan: Scan) -> Evaluation:
        if run_sources(baseline) != self._sources.get(host, []):
            # the first contact: which system it is, and so which baseline it has, was not known when it was asked
            return Evaluation(
                baseline.name, unknown="it was scanned without the sources of its baseline; scan it again"
            )
        return self.judge(host, baseline, scan)

    def _add(self, compiled: Catalogue, judged: Judged) -> None:
        catalogue, one = compiled.catalogue, judged.assigned
        baseline, evaluation = one.baseline, judged.evaluation
        association = one.association or BESIDE
        entries = catalogue["associations"]
        if all(entry["name"] != association for entry in entries):
            entries.append({"name": association, "requires": [], "mode": "enforce", "selected": True})
        owner = next(entry for entry in entries if entry["name"] == association)
        there = {entry["address"] for entry in catalogue["resources"]}
        kept = [entry for entry in kept_sources(baseline, association) if entry["address"] not in there]
        catalogue["resources"][:0] = kept
        if evaluation.unknown:
            return  # nothing can be said, and nothing is done
        cached = {}
        for wanted in (*evaluation.install, *evaluation.allowed):
            path = self.package(wanted.cached) if wanted.cached else None
            if path is not None:
                compiled.blobs[wanted.cached] = path
                cached[f"{wanted.name} {wanted.arch} {wanted.version}"] = {
                    "$blob": wanted.cached,
                    "size": path.stat().st_size,
                }
        entry = patches(baseline, evaluation, association, judged.scan.manager, cached)
        entry["after"] = [one["address"] for one in kept]
        if self.reboot:
            entry["want"]["reboot"] = self.reboot
        if self.instead is not None:
            entry["want"] |= {"downgrade": True, "dependencies": "approved"}
        if self.operation == INSTALL:  # somebody's own word, and nothing but patches is in scope
            owner["mode"] = "enforce"
            owner.pop("disrupt", None)
        else:
            entry["disrupt"] = _disrupt(str(owner.get("disrupt", "always")), baseline)
        catalogue["resources"].append(entry)

    def looked(self, host: str, verdicts: Iterable[Mapping[str, Any]]) -> list[str]:
        """What the host keeps back of what it should install is kept with its reason. Blocking.

        -> what a plan that changes nothing does not show of it
        """
        said = []
        by_address = {str(one["address"]): one for one in verdicts}
        for place, judged in enumerate(self.judged.get(host, ())):
            told = by_address.get(judged.address)
            kept = _kept_back(told) if told is not None else {}
            if told is None or not kept:
                continue
            if told["verdict"] == "ok" and self.operation != SCAN:
                said += [f"{judged.address}: {name}:{arch} is kept back: {why}" for (name, arch), why in kept.items()]
            if self.instead is None:
                states = tuple(
                    replace(one, reason=f"kept back: {kept[one.name, one.arch]}")
                    if one.state in ("Missing", "Failed") and (one.name, one.arch) in kept
                    else one
                    for one in judged.evaluation.states
                )
                judged = replace(judged, evaluation=replace(judged.evaluation, states=states))  # noqa: PLW2901
                self.judged[host][place] = judged
                with self._lock:
                    self.keep(host, judged, None)
        return said

    def done(self, host: str, result: HostResult) -> None:
        """Blocking: what became of the patches of this host is kept."""
        for judged in self.judged.get(host, ()):
            told = next((entry for entry in result.results if entry.get("address") == judged.address), None)
            if (
                told is None
                or told.get("pending")
                or (told["outcome"] in ("ok", "skipped") and self.operation == APPLY)
            ):
                continue
            moves = [
                {
                    "name": name,
                    "arch": arch,
                    "from": there,
                    "to": to,
                    "outcome": _OUTCOMES.get(told["outcome"], "failed"),
                }
                for change in told.get("changes") or ()
                for name, arch, there, to in change.get("moves") or ()
            ]
            if told["outcome"] == "failed":
                reason = str((told.get("error") or {}).get("message") or told.get("reason") or "")
                moves = [{**move, "reason": reason} for move in moves]
            waits = any(
                one.get("address") == judged.address
                and one.get("verb") == "reboot"
                and one.get("outcome") in ("skipped", "failed")
                for one in result.notified
            )
            with self._lock:
                self.keep(host, judged, Done(self.now(), moves, waits))


def _kept_back(verdict: Mapping[str, Any]) -> dict[tuple[str, str], str]:
    """{(name, arch): why}. A verdict that changes nothing has it in its reason, a line each: `lab-lib amd64: needs lab-base 2.0`."""
    found = {
        (str(name), str(arch)): str(why)
        for one in verdict.get("changes") or ()
        for name, arch, why in one.get("kept") or ()
    }
    for line in str(verdict.get("reason") or "").split("\n") if verdict["verdict"] == "ok" else ():
        package, colon, why = line.partition(": ")
        name, space, arch = package.partition(" ")
        if colon and space:
            found[name, arch] = why
    return found


_OUTCOMES = {"changed": "installed", "ok": "installed"}


def _said(evaluation: Evaluation) -> list[str]:
    return [*([f"unknown: {evaluation.unknown}"] if evaluation.unknown else []), *evaluation.trouble]


def _disrupt(said: str, baseline: Baseline) -> str:
    """When it may install by itself: in a maintenance window that the association or the baseline names, else never by itself."""
    if said.startswith("window:"):
        return said
    return f"window:{baseline.window}" if baseline.window and said != "never" else "typed"
