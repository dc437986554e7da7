"""What a run does about patches, wired to the project, the store and the clock."""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from statectl.cli.formats.terminal import one_line
from statectl.cli.patch_standings import named_by_associations
from statectl.cli.scope import Scope
from statectl.errors import UsageError
from statectl.problems import did_you_mean

if TYPE_CHECKING:
    from statectl.baselines.assign import Assigned
    from statectl.baselines.evaluate import Evaluator
    from statectl.baselines.evaluation import Evaluation
    from statectl.baselines.model import Baseline
    from statectl.baselines.names import OverrideEntry
    from statectl.baselines.scan import Scan
    from statectl.catalogue.compile import Compiler
    from statectl.cli.fleet import Opened
    from statectl.patches.cache import PackageCache
    from statectl.patches.ledger import StoredLedger
    from statectl.patches.rollback import Rollback
    from statectl.reconcile.patching import Done, Judged, PatchRun

MOST_CHANGELOGS = 200  # of one host and scan


@dataclass(frozen=True)
class Asked:
    """What somebody typed about patches."""

    operation: str  # reconcile.patching.SCAN or INSTALL
    baseline: str = ""
    snapshot: str = ""
    override: "tuple[OverrideEntry, ...] | None" = None
    override_file: str = ""
    reboot: str = ""
    refresh: bool = False
    changelogs: bool = False
    rollback: "Rollback | None" = None  # in place of what baselines would install

    @classmethod
    def of(cls, opened: "Opened", operation: str, options: Mapping[str, Any]) -> "Asked":
        """Raises UsageError."""
        from statectl.cli.patch_overrides import read_override

        override = options.get("override")
        name = options.get("baseline") or ""
        if name:
            _check_baseline(opened, name)
        return cls(
            operation,
            name,
            options.get("snapshot") or "",
            read_override(override) if override is not None else None,
            override.name if override is not None else "",
            options.get("reboot") or "",
            bool(options.get("refresh")),
            bool(options.get("changelogs")),
        )


def _check_baseline(opened: "Opened", name: str) -> None:
    from statectl.baselines.predefined import predefined

    known = {**predefined(), **opened.project.patch_baselines}
    if name not in known:
        near = did_you_mean(name, known)
        raise UsageError(
            f"no patch baseline {one_line(name)!r}", hint=near or "statectl patch baseline list shows them"
        )


def patch_scope(opened: "Opened", options: Mapping[str, Any], *, rolls_back: str = "") -> Scope:
    """About patches and nothing else; associations that name a baseline are compiled, for their rollouts and windows."""
    named = tuple(name for name, one in opened.project.associations.items() if one.names_baselines)
    return Scope(
        associations=named,
        target=options.get("target"),
        inventory=options.get("inventory"),
        allow_empty=bool(options.get("allow_empty")),
        patches=True,
        rolls_back=rolls_back,
    )


def patch_run(
    opened: "Opened", scope: Scope, compiler: "Compiler", asked: Asked | None, commit: str
) -> "PatchRun | None":
    """None: no host of this run has a baseline that it would be judged by."""
    from statectl.reconcile.patching import APPLY, PatchRun

    named = any(
        one.names_baselines and (not scope.associations or one.name in scope.associations)
        for one in opened.project.associations.values()
    )
    if not scope.patches and not (named and _in_only(scope)):
        return None
    wiring = _Wiring(opened, scope, compiler, asked, commit)
    settings = opened.project.settings.patching
    return PatchRun(
        operation=asked.operation if asked is not None else APPLY,
        assigned=wiring.assigned,
        judge=wiring.judge,
        keep_scan=wiring.keep_scan,
        keep=wiring.keep,
        package=wiring.package,
        fingerprint=_fingerprint,
        now=wiring.now,
        refresh_s=0 if asked is not None and asked.refresh else settings.refresh_s,
        changelogs=wiring.changelogs,
        alone=scope.patches,
        reboot=asked.reboot if asked is not None else "",
        instead=asked.rollback.chosen if asked is not None and asked.rollback is not None else None,
    )


def _in_only(scope: Scope) -> bool:
    return not scope.only or any(address.startswith("patches:") for address in scope.only)


def _fingerprint(catalogue: Mapping[str, Any]) -> str:
    from statectl.catalogue.canonical import fingerprint

    return fingerprint(catalogue)


class _Wiring:
    """What a PatchRun is given, as methods. One thread at a time: PatchRun sees to that."""

    def __init__(
        self,
        opened: "Opened",
        scope: Scope,
        compiler: "Compiler",
        asked: Asked | None,
        commit: str,
    ) -> None:
        from statectl.baselines.predefined import predefined

        self._opened = opened
        self._compiler = compiler
        self._asked = asked
        self._commit = commit
        self._evaluators: dict[str, Evaluator] = {}
        self._ledger: StoredLedger | None = None
        self._as_of: dt.datetime | None = None  # of a snapshot
        self._cache: PackageCache | None = None
        baselines: Mapping[str, Baseline] = {**predefined(), **opened.project.patch_baselines}
        if asked is not None and asked.snapshot:
            from statectl.patches.snapshots import Snapshots

            kept = Snapshots(opened.records().patches, opened.project.settings.patching.snapshot_days)
            self._as_of, baselines = kept.snapshot(asked.snapshot, baselines, self.now())
        self._baselines = baselines
        self._associations = [
            one
            for one in opened.project.associations.values()
            if one.names_baselines and (scope.patches or not scope.associations or one.name in scope.associations)
        ]
        self._before: dict[str, list[tuple[str, str]]] | None = None
        self._everybody = scope.patches

    def now(self) -> dt.datetime:
        return self._opened.now() if self._opened.now is not None else dt.datetime.now(dt.UTC)

    def assigned(self, host: str, facts: Mapping[str, Any] | None) -> "list[Assigned]":
        from statectl.baselines.assign import Assigned, assign

        named = self._named(host) if facts is None else self._named_now(host, facts)
        if self._asked is not None and self._asked.rollback is not None:
            known = facts or self._opened.facts_of(host) or {}
            return self._that_installed(self._asked.rollback, host, known, named)
        if not named and not self._everybody:
            return []
        facts = self._opened.facts_of(host) if facts is None else facts
        if facts is None:  # never contacted: nobody knows which system it is
            return [Assigned(self._baselines[name], "", association) for association, name in named]
        known = facts
        return list(
            assign(
                self._baselines,
                facts.get("os") or {},
                {tag: str(value) for tag, value in self._opened.inventory.hosts[host].tags.items()},
                named=named,
                asked=[self._asked.baseline] if self._asked is not None and self._asked.baseline else [],
                matches=lambda targets: self._compiler.selects(targets, host, known),
            ).assigned
        )

    def _that_installed(
        self, rollback: "Rollback", host: str, facts: Mapping[str, Any], named: Sequence[tuple[str, str]]
    ) -> "list[Assigned]":
        """The baselines by which a run installed what is rolled back; of one that is gone nothing but its name is known."""
        from statectl.baselines.assign import Assigned
        from statectl.baselines.model import Baseline
        from statectl.baselines.systems import system_of

        system = system_of(facts.get("os") or {})
        of = {baseline: association for association, baseline in named}
        return [
            Assigned(
                self._baselines.get(name) or Baseline(name, system),
                f"run {rollback.run} installed by it",
                of.get(name, ""),
            )
            for name in rollback.baselines(host)
        ]

    def _named(self, host: str) -> list[tuple[str, str]]:
        """(association, baseline) as far as stored facts tell who concerns the host."""
        if self._before is None:
            self._before = named_by_associations(self._opened)
        wanted = {one.name for one in self._associations}
        return [one for one in self._before.get(host, ()) if one[0] in wanted]

    def _named_now(self, host: str, facts: Mapping[str, Any]) -> list[tuple[str, str]]:
        selects = self._compiler.selects
        found = []
        for one in self._associations:
            if selects(one.targets, host, facts):
                variant = next((each for each in one.where if selects(each.targets, host, facts)), None)
                found += [(one.name, name) for name in one.baselines_on(variant)]
        return found

    def judge(self, host: str, baseline: "Baseline", scan: "Scan") -> "Evaluation":
        from statectl.baselines.evaluate import Evaluator

        evaluator = self._evaluators.get(baseline.name)
        if evaluator is None:
            moment = self._as_of or self.now()
            evaluator = self._evaluators[baseline.name] = Evaluator(baseline, self._known().frozen(self._as_of), moment)
        override = self._asked.override if self._asked is not None else None
        return evaluator.evaluate(scan, override=override, failed=self._failed(host), scanned_at=self.now())

    def keep_scan(self, host: str, scan: "Scan", message: Mapping[str, Any], at: dt.datetime, run_id: str) -> None:
        self._known().note(scan, at, message.get("changelogs") or {})
        self._opened.records().patches.keep_scan(host, message, _text(at), run_id)

    def keep(self, host: str, judged: "Judged", done: "Done | None") -> None:
        from statectl.patches.history import record_patch_operation

        asked = self._asked
        record_patch_operation(
            self._opened.records(),
            judged.evaluation,
            run=judged.run_id,
            host=host,
            baseline=judged.assigned.baseline,
            operation="scan" if done is None else "install",
            started=_text(judged.at),
            ended=_text(judged.at if done is None else done.at),
            scan=judged.scan,
            commit=self._commit,
            moves=() if done is None else done.moves,
            waits_for_reboot=done is not None and done.waits_for_reboot,
            reboot=asked.reboot if asked is not None else "",
            snapshot=asked.snapshot if asked is not None else "",
            override=asked.override_file if asked is not None else "",
            rolls_back=asked.rollback.run if asked is not None and asked.rollback is not None else "",
        )

    def package(self, sha256: str) -> Path | None:
        cache = self._packages()
        return cache.path(sha256) if cache is not None else None

    def changelogs(self, host: str) -> list[str]:
        """Of what the last scan saw, when they were asked for: what they say of vulnerabilities is kept."""
        if self._asked is None or not self._asked.changelogs:
            return []
        kept = self._opened.records().patches.scan(host)
        rows = (kept.message or {}).get("available") or [] if kept is not None else []
        return [" ".join(row[:3]) for row in rows][:MOST_CHANGELOGS]

    def _known(self) -> "StoredLedger":
        if self._ledger is None:
            from statectl.patches.ledger import StoredLedger

            self._ledger = StoredLedger(self._opened.records().patches)
        return self._ledger

    def _packages(self) -> "PackageCache | None":
        settings = self._opened.project.settings.patching
        if self._cache is None and settings.cache:
            from statectl.patches.cache import PackageCache

            directory = self._opened.root / settings.cache
            self._cache = PackageCache(
                self._opened.records().patches, directory, settings.cache_max, settings.cache_days
            )
        return self._cache

    def _failed(self, host: str) -> list[tuple[str, str, str]]:
        """Versions whose last installation failed."""
        last: dict[tuple[str, str], Mapping[str, Any]] = {}
        for move in self._opened.records().patch_history.moves(host=host):
            last[str(move["name"]), str(move["arch"])] = move
        return [
            (name, arch, str(move["version_to"])) for (name, arch), move in last.items() if move["outcome"] == "failed"
        ]


def _text(moment: dt.datetime) -> str:
    return moment.astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
