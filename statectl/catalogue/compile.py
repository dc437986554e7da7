"""Compile: a project and an inventory to one catalogue per host.

`Compiler` is made once per command. It compiles the whole fleet offline, then each host again with its fresh facts, and keeps
what is equal on many hosts. Several threads may ask; one at a time is served, because they share the rendering child.
"""

import datetime as dt
import threading
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from statectl.catalogue import graph
from statectl.catalogue.canonical import fingerprint
from statectl.catalogue.contents import Files
from statectl.catalogue.doubts import Doubts
from statectl.catalogue.expand import Expansion
from statectl.catalogue.folding import fold, once
from statectl.catalogue.prepare import Preparer
from statectl.catalogue.render import Renderer
from statectl.catalogue.rendered import RESERVED, Failure, HostNames, Job, Scope, SecretParts, Unknown
from statectl.catalogue.requirements import Needed, Requirements
from statectl.catalogue.rollouts import Asked, HostRollout, Rollouts, nobody
from statectl.catalogue.selections import Selections, StoredFacts, host_names
from statectl.catalogue.shapes import Shapes
from statectl.catalogue.skeleton import Bone, Skeletons
from statectl.catalogue.template_errors import Explainer
from statectl.catalogue.trees import Manifest, Trees
from statectl.catalogue.variables import Variables, set_variables
from statectl.errors import ConfigError
from statectl.problems import Note, Problem
from statectl.project.model import Association, Probe, Project, Variant
from statectl.project.scalars import Expression
from statectl.project.types import ResourceType
from statectl.secrets import Secret
from statectl.targets.hosts import Host, Inventory
from statectl.targets.matching import CollectedOf, not_asked

FORMAT = 1
_LOOK: Mapping[str, Any] = {"prune": False, "release": False, "only": None}  # flags of who is only looked at
TOGETHER = 50  # hosts whose expressions are rendered in one exchange


@dataclass(slots=True)
class HostCatalogue:
    """One host compiled. With errors in `problems` the catalogue is empty and must not be used.

    `blobs`: contents by hash, as bytes or as a file of the project. `secrets`: by the ids that the catalogue uses.
    `references`: targets that `hosts()` was asked for, and the hosts found. `waits_for_facts`: steps that were left out because
    this host, or one that it asks about, was never contacted.
    """

    catalogue: dict[str, Any]
    blobs: dict[str, bytes | Path] = field(default_factory=dict)
    secrets: dict[str, Secret] = field(default_factory=dict)
    problems: tuple[Problem, ...] = ()
    references: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    waits_for_facts: int = 0
    rollouts: Mapping[str, HostRollout] = field(default_factory=dict)  # by association, of those that have one
    requires: Mapping[str, tuple[Needed, ...]] = field(default_factory=dict)  # by association: first on other hosts
    parameters: Mapping[str, tuple[str, ...]] = field(
        default_factory=dict
    )  # by association: what param() and secret() were asked for

    @property
    def has_errors(self) -> bool:
        return any(not problem.is_warning for problem in self.problems)


@dataclass(slots=True)
class _Work:
    """One host on its way."""

    host: Host
    offline: bool
    associations: list[tuple[Association, Variant | None]] = field(default_factory=list)
    scopes: list[Scope] = field(default_factory=list)
    expansions: list[Expansion] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    asked: set[tuple[str, str, str]] = field(
        default_factory=set
    )  # (association, function, argument): hosts, param, secret
    rollouts: list[Asked] = field(default_factory=list)


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
        collected: CollectedOf = not_asked,
        only: Sequence[str] | None = None,
        prune: bool = False,
        release: bool = False,
        today: dt.date | None = None,
    ) -> None:
        """`types`: by name of the type. `selected`: associations to act on, None for all. `variables`: those of --set."""
        self.project = project
        self.inventory = inventory
        self._renderer = renderer
        self._selected = None if selected is None else frozenset(selected)
        self._settings = set_variables(variables or {})
        self._flags: dict[str, Any] = {"prune": prune, "release": release, "only": None if only is None else list(only)}
        self._lock = threading.Lock()
        self._explainer = Explainer(project.root, renderer)
        self._doubts = Doubts(renderer, self._explainer)
        trees = Trees(renderer.jail)
        self._shapes = Shapes(renderer, trees)
        self._joined: dict[Any, Any] = {}
        self._resolved: dict[int, Secret] = {}
        self._selections = Selections(inventory, stored_facts, collected)
        self._requirements = Requirements(project.associations, self._selections)
        self._rollouts = Rollouts(renderer, self._shapes, self._explainer, self._selections)
        preparer = Preparer(types, Files(renderer.jail), trees, project.settings.limits)
        today = today or dt.datetime.now(tz=dt.UTC).date()
        self._skeletons = Skeletons(types, preparer, project.profiles, today)
        self._associations = _in_order(project.associations)
        renderer.answer_hosts(self._selections.find_hosts)
        renderer.start()

    def fleet(
        self, names: Iterable[str] | None = None, *, read_secrets: bool = True
    ) -> tuple[dict[str, HostCatalogue], tuple[Problem, ...]]:
        """Hosts (None: all) offline from stored facts, and all problems, each with the hosts it holds for.

        `read_secrets` False: where secrets come from is not looked at, as for a check of files by somebody who may not have them.
        """
        chosen = list(self.inventory.hosts if names is None else names)
        catalogues: dict[str, HostCatalogue] = {}
        with self._lock, ThreadPoolExecutor(1) as pool:
            before: list[_Work] = []
            for start in range(0, len(chosen), TOGETHER):
                work = [
                    self._begin(name, self._selections.facts(name), None, offline=True)
                    for name in chosen[start : start + TOGETHER]
                ]
                # the child renders these hosts while the ones before them are put together
                expanding: Future[None] = pool.submit(self._expand, work)
                catalogues |= {one.host.name: self._finish(one, read_secrets=read_secrets) for one in before}
                expanding.result()
                self._renderer.register.drop(scope for one in work for scope in one.scopes)
                before = work
            catalogues |= {one.host.name: self._finish(one, read_secrets=read_secrets) for one in before}
        general = [problem for association in self._associations for problem in self._selections.problems(association)]
        general += [problem for association in self._associations for problem in nobody(association, self._selections)]
        general += self._requirements.problems()
        return catalogues, fold({name: one.problems for name, one in catalogues.items()}, len(chosen), general)

    def host(
        self,
        name: str,
        facts: Mapping[str, Any],
        probes: Mapping[str, Any],
        *,
        about: Collection[str] | None = None,
    ) -> HostCatalogue:
        """One host as it is now. `probes`: name -> {ok, value | reason}, as the executor answers.

        `about`: to be looked at only, and whole: how it stands with these associations, whatever this command is about.
        """
        with self._lock:
            work = self._begin(name, facts, probes, offline=False)
            self._expand([work])
            self._renderer.register.drop(work.scopes)
            return self._finish(work, about=about)

    def selects(self, targets: str, name: str, facts: Mapping[str, Any]) -> bool:
        """Is a host chosen, with the facts that it has now?"""
        with self._lock:
            return self._selections.matches(targets, name, facts)

    def probes(self, name: str) -> tuple[list[dict[str, Any]], list[Problem]]:
        """What the executor shall ask a host together with its facts: {name, argv, type, timeout_s}, as an order has them."""
        with self._lock:
            work = self._begin(name, None, None, offline=True)
            found: dict[str, dict[str, Any]] = {}
            problems = list(work.problems)
            for (association, _), scope in zip(work.associations, work.scopes, strict=True):
                for probe in association.probes:
                    argv = self._probe(probe, scope, association, problems)
                    entry = {"name": probe.name, "argv": argv, "type": probe.type, "timeout_s": probe.timeout_s}
                    if argv and found.setdefault(probe.name, entry) != entry:
                        place = association.places.value(probe.path)
                        text = f"probe `{probe.name}` means different commands in two associations of {name}"
                        problems.append(Problem("E127", text, place, hint="give one of them another name"))
            self._renderer.register.drop(work.scopes)
            return list(found.values()), problems

    def _probe(self, probe: Probe, scope: Scope, association: Association, problems: list[Problem]) -> list[str]:
        """The arguments of a probe; empty after a problem was noted."""
        expressions = [item for item in probe.run if isinstance(item, Expression)]
        job = Job(scope, tuple(self._shapes.source(item) for item in expressions))
        self._renderer.run([job])
        values = iter(job.outcomes)
        argv: list[str] = []
        for item in probe.run:
            value = next(values) if isinstance(item, Expression) else item
            place = item.span if isinstance(item, Expression) else association.places.value(probe.path)
            if isinstance(value, Failure):
                problems.append(self._explainer.problem(value, lambda _: None))
            elif isinstance(value, Unknown):
                text = f"probe `{probe.name}` needs facts or probes, and runs together with them"
                problems.append(
                    Problem("E216", text, place, hint="use variables here, and facts where its result is used")
                )
            elif isinstance(value, SecretParts):
                problems.append(
                    Problem("E214", f"a secret cannot stand in probe `{probe.name}`: arguments are visible", place)
                )
            elif isinstance(value, list | dict | bool) or value is None:
                problems.append(Problem("E211", f"an argument of probe `{probe.name}` must be text", place))
            else:
                argv.append(str(value))
        return argv if len(argv) == len(probe.run) else []

    # Steps of one host

    def _begin(
        self, name: str, facts: Mapping[str, Any] | None, probes: Mapping[str, Any] | None, *, offline: bool
    ) -> _Work:
        host = self.inventory.hosts[name]
        work = _Work(host, offline)
        fresh = None if offline else facts
        matches = self._selections.matches
        for association in self._associations:
            if matches(association.targets, name, fresh):
                variant = next((one for one in association.where if matches(one.targets, name, fresh)), None)
                work.associations.append((association, variant))
        named = {association.name: (association, variant) for association, variant in work.associations}
        work.associations = self._requirements.in_order(work.associations, name, named)
        for association in (association for association, _ in work.associations if offline):
            work.problems += self._requirements.absent_here(association, name, named)
        own = self._renderer.register.host(host_names(host), facts)
        for association, variant in work.associations:
            self._enter(work, own, association, variant, probes)
        return work

    def _enter(
        self,
        work: _Work,
        own: HostNames,
        association: Association,
        variant: Variant | None,
        probes: Mapping[str, Any] | None,
    ) -> None:
        variables = Variables(association, variant, work.host, self._settings, self._joined)
        work.problems += variables.problems
        values = variables.values
        for name in RESERVED & values.keys():
            values = {key: value for key, value in values.items() if key != name}
            if (
                name in self._settings
            ):  # files are refused when they are read; Ansible's inventories are warned about (W153)
                text = f"--set {name}: the name is reserved; expressions use it for something else"
                work.problems.append(Problem("E217", text))
        known: dict[str, Any] = {}
        for probe in association.probes:
            known[probe.name] = (
                None if probes is None else probes.get(probe.name) or {"ok": False, "reason": "it did not run"}
            )
        scope = self._renderer.register.scope(own, values, known)
        work.scopes.append(scope)
        if association.rollout is not None:
            work.rollouts.append(Asked(association, scope, work.offline))

        def origin(name: str) -> Note | None:
            probe = next((one for one in association.probes if one.name == name), None)
            if probe is not None:
                return Note(f"{name} is a probe", association.places.key(probe.path))
            return variables.origin(name)

        explain = self._explainer.problem
        work.expansions.append(Expansion(association, scope, self.project.profiles, self._shapes, origin, explain))

    def _expand(self, work: Sequence[_Work]) -> None:
        self._rollouts.render(asked for one in work for asked in one.rollouts)
        while True:
            waiting = [
                (one, expansion, jobs) for one in work for expansion in one.expansions if (jobs := expansion.take())
            ]
            if not waiting:
                return
            self._renderer.run([job for _, _, jobs in waiting for job in jobs])
            for one, expansion, jobs in waiting:
                one.asked.update((expansion.name, what, argument) for job in jobs for what, argument in job.asked)
                if one.offline:
                    one.problems += self._doubts.of(jobs)
                expansion.go_on()

    def _finish(self, work: _Work, *, read_secrets: bool = True, about: Collection[str] | None = None) -> HostCatalogue:
        problems = work.problems
        waits = [span for expansion in work.expansions for span in expansion.waiting]
        for expansion in work.expansions:
            problems += expansion.problems
        for asked in work.rollouts:
            problems += asked.problems
        for span in waits if not work.offline else ():
            text = "an expression uses facts of another host, which was never contacted"
            problems.append(
                Problem("E216", text, span, hint="`statectl plan -t HOST` contacts it and stores its facts")
            )
        instances = [
            (index, instance)
            for index, expansion in enumerate(work.expansions)
            for instance in sorted(expansion.instances, key=lambda one: one.order)
        ]
        skeleton = self._skeletons.of(work.host.name, [association for association, _ in work.associations], instances)
        problems += skeleton.problems
        blobs: dict[str, bytes | Path] = {}
        ids: dict[int, str] = {}
        resources = []
        for bone in skeleton.bones:
            templates = instances[bone.slot][1].templates if bone.slot >= 0 else None
            try:
                resources.append(
                    _resource(bone, templates, blobs, lambda number: ids.setdefault(number, f"s{len(ids) + 1}"))
                )
            except UnicodeDecodeError:
                text = f"{bone.entry['address']} joins a secret with a file that is not text"
                problems.append(Problem("E214", text, bone.span))
        read = ids.items() if read_secrets else ()
        secrets = {name: secret for number, name in read if (secret := self._secret(number, problems)) is not None}
        found = once(problems)
        if any(not problem.is_warning for problem in found):
            return HostCatalogue({}, problems=found, waits_for_facts=len(waits))
        catalogue = self._catalogue(work, resources, secrets=bool(ids), about=about)
        targets = sorted({argument for _, function, argument in work.asked if function == "hosts"})
        references = {one: tuple(sorted(self._selections.of(one).hosts)) for one in targets}
        parameters: dict[str, tuple[str, ...]] = {}
        for name, function, selector in sorted(work.asked):
            if function != "hosts" and selector not in parameters.get(name, ()):
                parameters[name] = (*parameters.get(name, ()), selector)
        rollouts = {asked.association.name: asked.found for asked in work.rollouts}
        requires = {
            association.name: needed
            for association, _ in work.associations
            if (needed := self._requirements.elsewhere(association, work.host.name))
        }
        return HostCatalogue(catalogue, blobs, secrets, found, references, len(waits), rollouts, requires, parameters)

    def _catalogue(
        self, work: _Work, resources: list[dict[str, Any]], *, secrets: bool, about: Collection[str] | None
    ) -> dict[str, Any]:
        limits = self.project.settings.limits
        here = {association.name for association, _ in work.associations}
        health = {one.association.name: {"health": dict(one.found.health)} for one in work.rollouts if one.found.health}
        catalogue: dict[str, Any] = {
            "type": "catalogue",
            "format": FORMAT,
            "host": work.host.name,
            "project": self.project.settings.project,
            "associations": [
                self._association(
                    association, variant, work.host.name, here, self._selected if about is None else about
                )
                | health.get(association.name, {})
                for association, variant in work.associations
            ],
            "resources": resources,
            "limits": {
                "paths": list(limits.paths),
                "deny": list(limits.deny),
                "max_removals": limits.max_removals,
                "become": limits.become,
            },
            "secrets": secrets,  # they follow
            **(self._flags if about is None else _LOOK),
        }
        catalogue["hash"] = fingerprint(catalogue)
        return catalogue

    def _association(
        self,
        association: Association,
        variant: Variant | None,
        host: str,
        here: set[str],
        selected: Collection[str] | None,
    ) -> dict[str, Any]:
        fields = variant.fields if variant is not None else {}
        span = association.span
        disrupt = str(fields.get("disrupt", association.disrupt))
        return {
            "name": association.name,
            **({"disrupt": disrupt} if disrupt != "always" else {}),
            "requires": self._requirements.here(association, host, here),
            "mode": str(fields.get("mode", association.mode)),
            "selected": selected is None or association.name in selected,
            "severity": str(fields.get("severity", association.severity)),
            "source": None if span is None else {"file": span.file, "line": span.line},
        }

    def _secret(self, number: int, problems: list[Problem]) -> Secret | None:
        if number not in self._resolved:
            secret = self._renderer.register.secrets[number]
            try:
                self._resolved[number] = secret if isinstance(secret, Secret) else secret.resolve()
            except ConfigError as error:
                problems += error.problems
                return None
        return self._resolved[number]


def _in_order(associations: Mapping[str, Association]) -> list[Association]:
    """Each after those it requires, else as written. The loader has refused rings."""
    requires = {name: [one for one in item.requires if one in associations] for name, item in associations.items()}
    places = {name: index for index, name in enumerate(associations)}
    return [associations[name] for name in graph.order(requires, lambda name: places[name])]


def _resource(
    bone: Bone,
    templates: Mapping[tuple[str, ...], Any] | None,
    blobs: dict[str, bytes | Path],
    secret_id: Callable[[int], str],
) -> dict[str, Any]:
    """An entry of the catalogue. Raises UnicodeDecodeError (contents.py)."""
    if bone.content is None and not bone.has_secrets:
        return bone.entry
    want = (
        {name: _outgoing(value, secret_id) for name, value in bone.entry["want"].items()}
        if bone.has_secrets
        else dict(bone.entry["want"])
    )
    if bone.content is not None:
        content = bone.content if templates is None else bone.content.filled(templates)
        want["manifest" if isinstance(content, Manifest) else "content"] = content.delivered(secret_id, blobs)
    return {**bone.entry, "want": want}


def _outgoing(value: Any, secret_id: Callable[[int], str]) -> Any:
    if isinstance(value, SecretParts):
        return {"$parts": [part if isinstance(part, str) else {"$secret": secret_id(part)} for part in value.parts]}
    if isinstance(value, dict):
        return {name: _outgoing(item, secret_id) for name, item in value.items()}
    return [_outgoing(item, secret_id) for item in value] if isinstance(value, list) else value


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
