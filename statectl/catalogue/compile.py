"""Compile: a project and an inventory to one catalogue per host.

`Compiler` is made once per command and compiles the whole fleet offline, then each host again with its fresh facts. It keeps
what is equal on many hosts. Hosts may be compiled from several threads; one at a time renders.
"""

import datetime as dt
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from statectl.catalogue import graph
from statectl.catalogue.canonical import fingerprint
from statectl.catalogue.contents import Files, deliverable
from statectl.catalogue.edges import Node, Ordered, Possible, put_in_order, rank
from statectl.catalogue.expand import AddressRef, Expansion, Instance, Shapes, template_path
from statectl.catalogue.merge import Agreed, Claim, agree
from statectl.catalogue.prepare import Preparer, below
from statectl.catalogue.render import RESERVED, Failure, FoundHost, HostNames, Job, Renderer, Scope, SecretParts
from statectl.catalogue.template_errors import Explainer
from statectl.catalogue.templates import TemplateRefused
from statectl.catalogue.variables import Variables, set_variables
from statectl.errors import ConfigError
from statectl.problems import Note, Problem, Span
from statectl.project.model import Association, Project, Variant
from statectl.project.types import ResourceType
from statectl.resources.model import PHASES
from statectl.secrets import Secret
from statectl.targets.hosts import Host, Inventory, Variable
from statectl.targets.matching import Selection, evaluate
from statectl.targets.selector import Selector, TargetProblem, parse_selector

FORMAT = 1
TOGETHER = 64  # hosts whose expressions are rendered in one exchange
StoredFacts = Callable[[str], tuple[Mapping[str, Any], str] | None]
"""The facts of a host and when they were gathered (ISO time), None when it was never contacted."""


@dataclass(slots=True)
class HostCatalogue:
    """One host compiled. With errors in `problems` the catalogue must not be used.

    `blobs`: contents by hash, as bytes or as a file of the project. `secrets`: by the ids that the catalogue uses.
    `references`: what else it was made from: hosts that `hosts()` found, for the plan. `waits_for_facts`: steps that were left
    out because this host was never contacted.
    """

    catalogue: dict[str, Any]
    blobs: dict[str, bytes | Path] = field(default_factory=dict)
    secrets: dict[str, Secret] = field(default_factory=dict)
    problems: tuple[Problem, ...] = ()
    references: tuple[dict[str, Any], ...] = ()
    waits_for_facts: int = 0

    @property
    def has_errors(self) -> bool:
        return any(not problem.is_warning for problem in self.problems)


@dataclass(slots=True)
class _Work:
    """One host on its way."""

    host: Host
    facts: Mapping[str, Any] | None
    offline: bool
    associations: list[tuple[Association, Variant | None]]
    scopes: list[Scope] = field(default_factory=list)
    expansions: list[Expansion] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    asked: dict[str, list[str]] = field(default_factory=dict)


class Compiler:
    """A project, an inventory and what a command wants of them."""

    def __init__(
        self,
        project: Project,
        inventory: Inventory,
        renderer: Renderer,
        types: Mapping[str, ResourceType],
        *,
        selected: Iterable[str] | None = None,
        variables: Mapping[str, Any] | None = None,
        stored_facts: StoredFacts = lambda _: None,
        only: Sequence[str] | None = None,
        prune: bool = False,
        release: bool = False,
        today: dt.date | None = None,
    ) -> None:
        """`types`: by name of the type. `selected`: associations to act on, None for all. `variables`: those of --set."""
        self.project = project
        self.inventory = inventory
        self._renderer = renderer
        self._types = types
        self._selected = None if selected is None else frozenset(selected)
        self._settings: dict[str, Variable] = set_variables(variables or {})
        self._stored_facts = stored_facts
        self._only = None if only is None else list(only)
        self._prune = prune
        self._release = release
        self._today = today or dt.datetime.now(tz=dt.UTC).date()
        self._lock = threading.Lock()
        self._explainer = Explainer(project.root, renderer)
        self._shapes = Shapes(renderer, template_path)
        self._preparer = Preparer(types, Files(renderer.jail), project.settings.limits, self._label)
        self._merged: dict[Any, Any] = {}
        self._selectors: dict[str, tuple[Selector | None, list[TargetProblem]]] = {}
        self._selections: dict[str, Selection] = {}
        self._facts: dict[str, tuple[Mapping[str, Any], str] | None] = {}
        self._possible: dict[frozenset[str], Possible] = {}
        self._resolved: dict[int, Secret] = {}
        requires = {name: [one for one in item.requires if one in project.associations] for name, item in project.associations.items()}
        places = {name: index for index, name in enumerate(project.associations)}
        # the loader has refused rings of associations
        self._places = {name: index for index, name in enumerate(graph.order(requires, lambda name: places[name]))}
        renderer.answer_hosts(self._find_hosts)

    # Offline: the fleet

    def fleet(self, names: Iterable[str] | None = None) -> tuple[dict[str, HostCatalogue], tuple[Problem, ...]]:
        """Every host from stored facts, and all problems, each with the hosts it holds for."""
        with self._lock:
            chosen = list(self.inventory.hosts if names is None else names)
            catalogues: dict[str, HostCatalogue] = {}
            for start in range(0, len(chosen), TOGETHER):
                work = [self._begin(name, self._stored(name), None, offline=True) for name in chosen[start : start + TOGETHER]]
                self._expand(work)
                for one in work:
                    catalogues[one.host.name] = self._finish(one)
                self._renderer.drop(scope for one in work for scope in one.scopes)
            return catalogues, fold({name: one.problems for name, one in catalogues.items()}, len(self.inventory.hosts), self._of_targets())

    def _of_targets(self) -> list[Problem]:
        """Mistakes in targets, and associations that match nobody: they hold for no host in particular."""
        problems: list[Problem] = []
        for association in self.project.associations.values():
            path = (*association.path, "targets")
            span = association.places.value(path) or association.span
            selection = self._selection(association.targets)
            problems += [one.at(span, association.targets) for one in selection.problems]
            for variant in association.where:
                place = association.places.value((*variant.path, "targets"))
                problems += [one.at(place, variant.targets) for one in self._selection(variant.targets).problems]
            if not selection.hosts and not selection.unknown and not selection.problems:
                problems.append(Problem("W120", f"association {association.name} matches no host", span, hint="`statectl inventory list` shows the hosts"))
        return problems

    # One host with fresh facts

    def host(self, name: str, facts: Mapping[str, Any], probes: Mapping[str, Any]) -> HostCatalogue:
        """One host as it is now. `probes`: name -> {ok, value | reason}, as the executor answers."""
        with self._lock:
            work = self._begin(name, facts, probes, offline=False)
            self._expand([work])
            self._renderer.drop(work.scopes)
            return self._finish(work)

    def probes(self, name: str) -> tuple[list[dict[str, Any]], list[Problem]]:
        """The probes that the executor shall run on a host, before its facts are known: their texts may use variables only."""
        with self._lock:
            work = self._begin(name, None, None, offline=True)
            found: dict[str, dict[str, Any]] = {}
            problems = list(work.problems)
            for (association, _), expansion, scope in zip(work.associations, work.expansions, work.scopes, strict=True):
                del expansion
                for probe in association.probes:
                    argv: list[str] = []
                    place = association.places.value(probe.path)
                    for item in probe.run:
                        value = self._one(scope, item, work, association, problems)
                        if value is None:
                            continue
                        if isinstance(value, SecretParts | list | dict) or value is None:
                            problems.append(Problem("E214" if isinstance(value, SecretParts) else "E211", f"probe `{probe.name}`: arguments are text", place))
                            continue
                        argv.append(str(value))
                    entry = {"name": probe.name, "argv": argv, "type": probe.type, "timeout_s": probe.timeout_s}
                    if found.setdefault(probe.name, entry) != entry:
                        problems.append(Problem("E127", f"probe `{probe.name}` runs different commands in two associations of {name}", place))
            self._renderer.drop(work.scopes)
            return list(found.values()), problems

    def _one(self, scope: Scope, item: Any, work: _Work, association: Association, problems: list[Problem]) -> Any:
        """One text or expression; None after its problem was noted, or when it needs what is not known yet."""
        if not hasattr(item, "source"):
            return item
        job = Job(scope, (self._shapes.source(item),))
        self._renderer.run([job])
        outcome = job.outcomes[0]
        if isinstance(outcome, Failure):
            problems.append(self._explainer.problem(outcome, lambda _: None))
            return None
        if outcome == ():
            problems.append(Problem("E216", "a probe cannot use facts or other probes: it runs together with them", item.span))
            return None
        return outcome

    # Steps

    def _begin(self, name: str, facts: Mapping[str, Any] | None, probes: Mapping[str, Any] | None, *, offline: bool) -> _Work:
        host = self.inventory.hosts[name]
        work = _Work(host, facts, offline, [])
        fresh = None if offline else facts
        for association in sorted(self.project.associations.values(), key=lambda one: self._places[one.name]):
            if name not in self._chosen(association.targets, name, fresh):
                continue
            variant = next((one for one in association.where if name in self._chosen(one.targets, name, fresh)), None)
            work.associations.append((association, variant))
        own = self._renderer.host(_host_names(host), facts)
        for association, variant in work.associations:
            self._enter(work, own, association, variant, probes)
        return work

    def _enter(self, work: _Work, own: HostNames, association: Association, variant: Variant | None, probes: Mapping[str, Any] | None) -> None:
        variables = Variables(association, variant, work.host, self._settings, self._merged)
        work.problems += variables.problems
        values = variables.values
        for name in RESERVED & values.keys():
            layered = variables.layered(name)
            assert layered is not None
            work.problems.append(Problem("E217", f"`{name}` is reserved: expressions use it for something else", layered.layers[0].span))
        known: dict[str, Any] = {}
        for probe in association.probes:
            known[probe.name] = None if probes is None else probes.get(probe.name) or {"ok": False, "reason": "it did not run"}
        scope = self._renderer.scope(own, {name: value for name, value in values.items() if name not in RESERVED}, known)
        work.scopes.append(scope)

        def origin(name: str) -> Note | None:
            for probe in association.probes:
                if probe.name == name:
                    return Note(f"{name} is a probe", association.places.key(probe.path))
            return variables.origin(name)

        work.expansions.append(Expansion(association, scope, self.project.profiles, self._shapes, origin, self._explainer.problem))

    def _expand(self, work: Sequence[_Work]) -> None:
        while True:
            open_steps = [(one, expansion, expansion.take()) for one in work for expansion in one.expansions]
            jobs = [job for _, _, waiting in open_steps for job in waiting]
            if not jobs:
                return
            asked = self._renderer.run(jobs)
            for one, expansion, waiting in open_steps:
                if waiting:
                    for targets in asked:
                        one.asked.setdefault(targets, [])
                    expansion.go_on()

    def _finish(self, work: _Work) -> HostCatalogue:
        problems = work.problems
        waits = sum(expansion.waits_for_facts for expansion in work.expansions)
        for expansion in work.expansions:
            problems += expansion.problems
        if waits and not work.offline:
            problems.append(Problem("E216", f"{waits} expressions use facts of hosts that were never contacted", hint="plan those hosts first: `statectl plan -t HOST`"))
        claims, instances = self._claims(work, problems)
        agreed: dict[str, Agreed] = {}
        for address, group in claims.items():
            one, wrong = agree(group, self._preparer, self._today)
            problems += wrong
            if one is not None:
                agreed[address] = one
        _paths_once(agreed, problems)
        ordered = self._ordered(work, agreed, instances, problems)
        if ordered is None or any(not problem.is_warning for problem in problems):
            return HostCatalogue({}, problems=tuple(dict.fromkeys(problems)), waits_for_facts=waits)
        return self._assemble(work, agreed, instances, ordered, problems, waits)

    def _claims(self, work: _Work, problems: list[Problem]) -> tuple[dict[str, list[Claim]], dict[str, list[tuple[Association, Instance]]]]:
        claims: dict[str, list[Claim]] = {}
        instances: dict[str, list[tuple[Association, Instance]]] = {}
        for (association, _), expansion in zip(work.associations, work.expansions, strict=True):
            for instance in sorted(expansion.instances, key=lambda one: one.order):
                prepared, wrong = self._preparer.prepare(instance)
                problems += wrong
                if prepared is None:
                    continue
                others = claims.setdefault(prepared.address, [])
                twin = next((claim for claim in others if claim.association is association), None)
                if twin is not None:
                    problems.append(
                        Problem("E102", f"{prepared.address} is declared twice in {association.name}", prepared.span, notes=(Note("first here", twin.prepared.span),))
                    )  # fmt: skip
                    continue
                others.append(Claim(association, prepared))
                instances.setdefault(prepared.address, []).append((association, instance))
        return claims, instances

    def _ordered(
        self, work: _Work, agreed: Mapping[str, Agreed], instances: Mapping[str, list[tuple[Association, Instance]]], problems: list[Problem]
    ) -> Ordered | None:
        here = {association.name: index for index, (association, _) in enumerate(work.associations)}
        nodes = []
        for address, one in agreed.items():
            declared = [instance for _, instance in instances[address]]
            first, prepared = instances[address][0][0], one.prepared
            watched = prepared.values.get("when_changed") or ()
            place = prepared.place("when_changed")
            nodes.append(
                Node(
                    address=address,
                    kind=prepared.kind,
                    association=first.name,
                    rank=rank(here[first.name], prepared.kind, declared[0].order),
                    edges=prepared.edges,
                    after=[ref for instance in declared for ref in instance.after],
                    before=[ref for instance in declared for ref in instance.before],
                    notify=[ref for instance in declared for ref in instance.notify],
                    when_changed=[AddressRef(text, place) for text in watched],
                    span=prepared.span,
                )
            )
        ordered, wrong = put_in_order(nodes, work.host.name, self._types, lambda: self._possible_on(work))
        if ordered is None and any(not problem.is_warning for problem in problems):
            # what is missing because it has a mistake itself must not be reported as missing
            wrong = [problem for problem in wrong if problem.code != "E132"]
        problems += wrong
        return ordered

    def _possible_on(self, work: _Work) -> Possible:
        key = frozenset(association.name for association, _ in work.associations)
        if key not in self._possible:
            self._possible[key] = Possible([association for association, _ in work.associations], self.project.profiles)
        return self._possible[key]

    def _assemble(
        self,
        work: _Work,
        agreed: Mapping[str, Agreed],
        instances: Mapping[str, list[tuple[Association, Instance]]],
        ordered: Ordered,
        problems: list[Problem],
        waits: int,
    ) -> HostCatalogue:
        blobs: dict[str, bytes | Path] = {}
        ids: dict[int, str] = {}

        def secret_id(number: int) -> str:
            return ids.setdefault(number, f"s{len(ids) + 1}")

        declared = _declared_below(agreed)
        resources = []
        for address in ordered.order:
            one = agreed[address]
            prepared = one.prepared
            want: dict[str, Any] = {name: _outgoing(value, secret_id) for name, value in prepared.values.items()}
            if prepared.content is not None:
                try:
                    want["content"] = deliverable(prepared.content.pieces(), secret_id, blobs)
                except UnicodeDecodeError:
                    problems.append(Problem("E214", f"{address} joins a secret with a file that is not text", prepared.span))
            if "declared" in prepared.kind.model.model_fields and want.get("exclusive"):
                want["declared"] = sorted(declared.get(str(want["name"]), ()))
            commons = [instance.declaration.common for _, instance in instances[address]]
            resources.append(
                {
                    "address": address,
                    "type": prepared.kind.name,
                    "association": instances[address][0][0].name,
                    "owners": [association.name for association, _ in instances[address]],
                    "phase": PHASES.index(prepared.kind.phase),
                    "after": ordered.after[address],
                    "notify": ordered.notify.get(address, []),
                    "want": want,
                    "sensitive": any(common.sensitive for common in commons),
                    "on_removal": next((common.on_removal for common in commons if common.on_removal), None),
                    "protect": any(common.protect for common in commons),
                    "source": _source(prepared.span),
                    "overrides": list(one.overrides),
                }
            )
        limits = self.project.settings.limits
        catalogue: dict[str, Any] = {
            "type": "catalogue",
            "format": FORMAT,
            "host": work.host.name,
            "associations": [self._association(work, association, variant) for association, variant in work.associations],
            "resources": resources,
            "limits": {"paths": list(limits.paths), "deny": list(limits.deny), "max_removals": limits.max_removals, "become": limits.become},
            "prune": self._prune,
            "release": self._release,
            "only": self._only,
        }
        references = [{"hosts": targets, "found": list(self._selection(targets).hosts)} for targets in sorted(work.asked)]
        catalogue["hash"] = fingerprint({**catalogue, "references": references})
        secrets: dict[str, Secret] = {}
        for number, name in ids.items():
            found = self._secret(number, problems)
            if found is not None:
                secrets[name] = found
        return HostCatalogue(catalogue, blobs, secrets, tuple(dict.fromkeys(problems)), tuple(references), waits)

    def _association(self, work: _Work, association: Association, variant: Variant | None) -> dict[str, Any]:
        here = {one.name for one, _ in work.associations}
        fields = variant.fields if variant is not None else {}
        return {
            "name": association.name,
            "requires": [name for name in association.requires if name in here],
            "mode": str(fields.get("mode", association.mode)),
            "selected": self._selected is None or association.name in self._selected,
            "severity": str(fields.get("severity", association.severity)),
            "source": _source(association.span),
        }

    # What is asked along the way

    def _secret(self, number: int, problems: list[Problem]) -> Secret | None:
        if number not in self._resolved:
            secret = self._renderer.secrets[number]
            try:
                self._resolved[number] = secret if isinstance(secret, Secret) else secret.resolve()
            except ConfigError as error:
                problems += error.problems
                return None
        return self._resolved[number]

    def _label(self, number: int) -> str:
        return self._renderer.secrets[number].label

    def _stored(self, name: str) -> Mapping[str, Any] | None:
        found = self._stored_with_time(name)
        return None if found is None else found[0]

    def _stored_with_time(self, name: str) -> tuple[Mapping[str, Any], str] | None:
        if name not in self._facts:
            self._facts[name] = self._stored_facts(name)
        return self._facts[name]

    def _selection(self, targets: str) -> Selection:
        """From stored facts; the same for the life of the compiler."""
        if targets not in self._selections:
            selector, problems = self._selector(targets)
            self._selections[targets] = Selection((), (), tuple(problems)) if selector is None else evaluate(selector, self.inventory, self._stored)
        return self._selections[targets]

    def _selector(self, targets: str) -> tuple[Selector | None, list[TargetProblem]]:
        if targets not in self._selectors:
            self._selectors[targets] = parse_selector(targets)
        return self._selectors[targets]

    def _chosen(self, targets: str, name: str, fresh: Mapping[str, Any] | None) -> frozenset[str]:
        selector, _ = self._selector(targets)
        if selector is not None and selector.uses_facts and fresh is not None:
            return frozenset(evaluate(selector, self.inventory, lambda one: fresh if one == name else self._stored(one)).hosts)
        key = (targets, "set")
        if key not in self._merged:
            self._merged[key] = frozenset(self._selection(targets).hosts)
        return self._merged[key]  # type: ignore[no-any-return]

    def _find_hosts(self, targets: str) -> list[FoundHost]:
        """What `hosts('group:pg')` gives: inventory order does not matter to a template, so it is sorted by name."""
        selector, problems = self._selector(targets)
        selection = self._selection(targets)
        wrong = [one for one in (problems or selection.problems) if not one.is_warning]
        if selector is None or wrong:
            raise TemplateRefused("E218", f"hosts('{targets}'): {wrong[0].summary}", wrong[0].label or wrong[0].hint)
        found = []
        for name in sorted(selection.hosts):
            host = self.inventory.hosts[name]
            stored = self._stored_with_time(name)
            variables = {key: variable.value for key, variable in host.variables.items() if key not in RESERVED}
            facts, at = stored if stored is not None else (None, "")
            found.append(FoundHost(_host_names(host), variables, facts, at))
        return found


def fold(found: Mapping[str, Iterable[Problem]], fleet: int, general: Iterable[Problem] = ()) -> tuple[Problem, ...]:
    """Equal problems of several hosts once, with the hosts; without them when it holds for the whole fleet."""
    hosts: dict[Problem, list[str]] = {problem: [] for problem in general}
    for name, problems in found.items():
        for problem in problems:
            hosts.setdefault(problem, []).append(name)
    return tuple(
        Problem(one.code, one.summary, one.span, one.label, one.hint, one.notes, () if len(names) in (0, fleet) else tuple(names), one.replacement)
        for one, names in hosts.items()
    )


def _host_names(host: Host) -> dict[str, Any]:
    return {"name": host.name, "address": host.address, "groups": list(host.groups), "tags": dict(host.tags)}


def _source(span: Span | None) -> dict[str, Any] | None:
    return None if span is None else {"file": span.file, "line": span.line}


def _outgoing(value: Any, secret_id: Callable[[int], str]) -> Any:
    if isinstance(value, SecretParts):
        return {"$parts": [part if isinstance(part, str) else {"$secret": secret_id(part)} for part in value.parts]}
    if isinstance(value, dict):
        return {name: _outgoing(item, secret_id) for name, item in value.items()}
    return [_outgoing(item, secret_id) for item in value] if isinstance(value, list) else value


def _declared_below(agreed: Mapping[str, Agreed]) -> dict[str, set[str]]:
    """Directory -> names directly in it that some resource of the host stands for."""
    found: dict[str, set[str]] = {}
    for one in agreed.values():
        values = one.prepared.values
        if values.get("state") == "absent":
            continue
        for path in one.prepared.paths:
            directory, _, name = path.rpartition("/")
            while name:
                found.setdefault(directory or "/", set()).add(name)
                directory, _, name = directory.rpartition("/")
    return found


def _paths_once(agreed: Mapping[str, Agreed], problems: list[Problem]) -> None:
    """Two types of resources must not stand for one path."""
    seen: dict[str, tuple[str, Span | None]] = {}
    for address, one in agreed.items():
        if not one.prepared.kind.key_is_path:
            continue
        path = str(one.prepared.values.get("name"))
        if path in seen:
            other, span = seen[path]
            problems.append(Problem("E102", f"{address} and {other} are both {path}", one.prepared.span, notes=(Note(f"{other} is declared here", span),)))
        else:
            seen[path] = (address, one.prepared.span)


def compile_host(
    project: Project,
    inventory: Inventory,
    host_name: str,
    facts: Mapping[str, Any],
    probes: Mapping[str, Any],
    *,
    render: Renderer,
    types: Mapping[str, ResourceType],
    **options: Any,
) -> HostCatalogue:
    """One host once. A command that compiles several makes a Compiler and keeps it."""
    return Compiler(project, inventory, render, types, **options).host(host_name, facts, probes)


def compile_fleet(
    project: Project, inventory: Inventory, *, render: Renderer, types: Mapping[str, ResourceType], **options: Any
) -> tuple[dict[str, HostCatalogue], tuple[Problem, ...]]:
    """All hosts offline, from stored facts."""
    return Compiler(project, inventory, render, types, **options).fleet()


__all__ = ["Compiler", "HostCatalogue", "below", "compile_fleet", "compile_host", "fold"]
