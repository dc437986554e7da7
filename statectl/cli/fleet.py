"""Everything a command needs of the project one stands in, wired together: files, inventory, compiler, transports, store.

Parts are opened when first used, so that a command pays for what it uses and no more.
"""

import asyncio
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from statectl.catalogue.folding import once
from statectl.cli.formats.problems import as_json, line_of
from statectl.cli.formats.terminal import one_line
from statectl.cli.offline import probes_of, read_inventory, types_by_name
from statectl.cli.opening import has_store, open_project, open_settings, open_store, start_directory
from statectl.cli.options import secret_from
from statectl.cli.scope import Scope
from statectl.errors import ConfigError, Refused, UsageError
from statectl.plans.plan import PARAMETERS, HostPlan, Plan
from statectl.problems import Problem, did_you_mean
from statectl.project.model import Project
from statectl.reconcile.commit import Reading, Revision, check_out, moved, revision
from statectl.reconcile.endpoints import Credentials, endpoint
from statectl.store.ids import who
from statectl.targets.hosts import Host, Inventory
from statectl.targets.ranges import compress
from statectl.transport.channel import Become, Endpoint, Transport

if TYPE_CHECKING:
    import tempfile

    from statectl.catalogue.child_process import ChildProcess
    from statectl.catalogue.compile import Compiler
    from statectl.catalogue.render import Renderer
    from statectl.cli.values import Values
    from statectl.collected.questions import Questions
    from statectl.parameters.declared import DeclaredParameters
    from statectl.parameters.store import ParameterStore
    from statectl.reconcile.fleet import Fleet
    from statectl.reconcile.host_run import Order
    from statectl.store.store import Store
    from statectl.targets.groups import ResourceGroup, Stack
    from statectl.targets.matching import Holding, Selection
    from statectl.targets.selector import HasCollected
    from statectl.transport.bundle import Bundle
    from statectl.transport.kept import KeptLogins
    from statectl.transport.session import ExecutorSession


def _read(obj: Mapping[str, Any], reading: Revision | Reading | None) -> Project:
    """The project. A mistake that is gone, or another one, at a second look is none: the files moved, also when they moved back."""
    try:
        return open_project(obj)
    except ConfigError as error:
        if not isinstance(reading, Reading):
            raise
        reading.ended()
        try:
            open_project(obj)
        except ConfigError as again:
            if again.problems == error.problems:
                raise
    raise moved()


class Opened:
    """The project of one command. `Opened.of` for what is here, `Opened.for_plan` for the files a plan was made from."""

    def __init__(
        self,
        project: Project,
        inventory: Inventory,
        inventory_path: Path,
        problems: Sequence[Problem],
        credentials: Credentials,
        at: Revision | Reading | None = None,
        store_root: Path | None = None,
    ) -> None:
        self.project = project
        self.inventory = inventory
        self.inventory_path = inventory_path
        self.problems = list(problems)
        self.credentials = credentials
        self.root = project.root
        self.become = False
        self.child: ChildProcess | None = None  # that renders, started ahead
        self.now: Callable[[], datetime] | None = (
            None  # the clock of maintenance windows, when it is not this machine's
        )
        self._store_root = store_root or project.root
        self._revision = at
        self._store: Store | None = None
        self._store_is_shared = False
        self._store_lock = threading.Lock()
        self._parameters: ParameterStore | None = None
        self._parameters_lock = threading.Lock()
        self._declared: DeclaredParameters | None = None
        self._values: Values | None = None
        self.pinned: Mapping[str, int | str] = {}  # versions of parameters that a saved plan was made with
        self._renderer: Renderer | None = None
        self._compiler: Compiler | None = None
        self._bundle: Bundle | None = None
        self._transports: dict[str, Transport] = {}
        self._kept: KeptLogins | None = None
        self._stored: dict[str, tuple[dict[str, Any], str]] | None = None
        self._questions: Questions | None = None
        self._told: set[tuple[str, str]] = set()
        self._has_groups = False
        self._has_tags = False
        self._stacks: dict[Stack, frozenset[str]] = {}
        self.checked_out: tempfile.TemporaryDirectory[str] | None = None

    @classmethod
    def of(
        cls,
        obj: Mapping[str, Any],
        inventory: str | None,
        options: Mapping[str, Any] | None = None,
        *,
        states: bool = True,
        at: Revision | None = None,
        store_root: Path | None = None,
        store: "Store | None" = None,
    ) -> "Opened":
        """`states` False: the inventory alone is enough. `store_root`: the project whose store is used, when these files are a copy.

        `store`: one that somebody else opened, and closes.
        """
        reading: Revision | Reading | None = at
        if states:
            from statectl.project.discover import find_project

            top, _ = find_project(start_directory(obj))
            if at is None and top is not None:
                reading = Reading(top)
            project = _read(obj, reading)
        else:
            root, settings = open_settings(obj)
            project = Project(root, settings, {}, {})
        found, problems, path = read_inventory(
            project.root, project.settings, inventory, kept_at=store_root, anew=bool(obj.get("ask_sources"))
        )
        if any(not problem.is_warning for problem in problems):
            raise ConfigError(problems, root=project.root)
        credentials = credentials_of(options or {})
        opened = cls(project, found, path, [*project.problems, *problems], credentials, reading, store_root)
        opened.child = obj.get("child")
        if store is not None:
            opened._store, opened._store_is_shared = store, True
        if states:
            opened._take_groups(project.resource_groups, ())
            opened.read_tags()
        else:
            opened.tell_sources()
        return opened

    @classmethod
    def for_plan(cls, obj: Mapping[str, Any], plan: Plan, options: Mapping[str, Any]) -> "Opened":
        """The files of the plan's commit: those here when they are just that, else checked out beside.

        Raises Refused when the plan was made of files that differ from any commit and are no longer the same; what they
        compile to decides, host by host.
        """
        import tempfile

        root, _ = open_settings(obj)
        here = revision(root)
        inventory = plan.scope.get("inventory")
        if not plan.commit or plan.dirty or (here.commit == plan.commit and not here.dirty):
            return cls.of(obj, inventory, options)
        directory = tempfile.TemporaryDirectory(prefix="statectl-plan-")
        there = check_out(root, plan.commit, Path(directory.name))
        at = Revision(plan.commit)
        opened = cls.of({**obj, "directory": str(there)}, inventory, options, at=at, store_root=root)
        opened.checked_out = directory  # removed with it, or at the end of the process when reading it fails
        return opened

    def close(self) -> None:
        if self._renderer is not None:
            self._renderer.close()
            self._renderer = None
        if self._store is not None and not self._store_is_shared:
            self._store.close()
        self._store = None
        if self.checked_out is not None:
            self.checked_out.cleanup()
            self.checked_out = None

    # hosts

    def host(self, name: str) -> Host:
        if name not in self.inventory.hosts:
            near = did_you_mean(name, self.inventory.hosts)
            raise UsageError(
                f"no host {one_line(name)!r} in the inventory", hint=near or "statectl inventory list shows them"
            )
        return self.inventory.hosts[name]

    def endpoint(self, name: str) -> Endpoint:
        found = endpoint(self.inventory.hosts[name], self.project.settings, self.root, self.credentials)
        if self.become and found.become is None and self.project.settings.limits.become is not False:
            found = replace(found, become=Become("root", self.credentials.become_password))
        return found

    def matching(self, target: str, *, allow_empty: bool) -> list[str]:
        """Hosts of a target expression, in inventory order. Raises ConfigError (exit 4) when it names none."""
        chosen = self.selected(target, allow_empty=allow_empty)
        if chosen.old:
            self._tell("W163", target, f"chooses {compress(chosen.old)} by inventory of {chosen.oldest}")
        return list(dict.fromkeys([*chosen.hosts, *chosen.unknown]))

    def selected(self, target: str, *, allow_empty: bool) -> "Selection":
        """What a target expression chooses, and of which hosts that is not known. Raises ConfigError (exit 4) when it names none."""
        from statectl.targets.matching import select

        if ":" in target or "," in target:  # without one of them it names no group
            self.read_groups()
        if "=" in target or self.inventory.resource_groups.named:
            self.read_tags()
        chosen = select(target, self.inventory, self.facts_of, self.collected, allow_empty=allow_empty)
        if any(not problem.is_warning for problem in chosen.problems):
            raise ConfigError(
                [
                    replace(found, summary=f'target "{one_line(target)}": {found.summary} (at column {problem.column})')
                    for problem, found in ((problem, problem.at(None, target)) for problem in chosen.problems)
                ]
            )
        if chosen.uncollected:
            hosts = compress(chosen.uncollected)
            self._tell("W158", target, f"leaves {hosts} out: what it asks for was never collected there")
        return chosen

    def tell_sources(self) -> None:
        """On stderr, that hosts are those of an earlier answer; for commands that show no warnings of the files."""
        for problem in self.problems:
            if problem.code in ("W160", "W161"):
                click.echo(line_of(problem), err=True)

    def read_tags(self) -> None:
        """Stored tags of the hosts, where they are not there yet."""
        if not self._has_tags:
            from statectl.targets.tags import with_stored

            self._has_tags = True
            if self.has_records():
                self.inventory = with_stored(self.inventory, self.records().tags.all())

    def read_groups(self) -> None:
        """The resource groups, where the states were not read. Raises ConfigError."""
        if not self._has_groups:
            from statectl.sections import load_resource_groups

            self._take_groups(*load_resource_groups(self.root, self.project.settings))

    def _take_groups(self, groups: "Mapping[str, ResourceGroup]", problems: Sequence[Problem]) -> None:
        from statectl.targets.group_checks import with_groups

        self._has_groups = True
        self.inventory, beside = with_groups(self.inventory, groups, self.managed)
        wrong = [problem for problem in (*problems, *beside) if not problem.is_warning]
        if wrong:
            raise ConfigError(wrong, root=self.root)

    def managed(self, stack: "Stack") -> frozenset[str]:
        """The hosts on which an association, a project or a commit manages something, by the records."""
        if stack not in self._stacks:
            project = self.project.settings.project
            found = self.records().managed.hosts(*stack, asking=project) if self.has_records() else ()
            self._stacks[stack] = frozenset(found)
        return self._stacks[stack]

    def _tell(self, code: str, target: str, what: str) -> None:
        """On stderr, once for each target."""
        if (code, target) not in self._told:
            self._told.add((code, target))
            click.echo(f'warning[{code}]: target "{one_line(target)}" {what} (statectl inventory refresh)', err=True)

    def chosen(self, scope: Scope) -> list[str]:
        """The hosts a run is about: those that -t names, else all that some association in scope may concern."""
        return self.matching(
            "all" if scope.target is None else scope.target, allow_empty=scope.allow_empty or scope.target is None
        )

    def planned_hosts(self, scope: Scope) -> list[str]:
        """Hosts to plan. Without -t: those that an association in scope matches, or may match once their facts are known.

        With --prune or --release, all hosts: what no association declares any more may be anywhere.
        """
        names = self.chosen(scope)
        if (scope.target is not None and not scope.associations) or scope.prune or scope.release:
            return names
        from statectl.targets.matching import evaluate
        from statectl.targets.selector import parse_selector

        concerned: set[str] = set()
        for name in scope.associations or self.project.associations:
            selector, _ = parse_selector(self.project.associations[name].targets)
            if selector is not None:
                selection = evaluate(selector, self.inventory, self.facts_of, self.collected)
                concerned.update(selection.hosts, selection.unknown)
        return [name for name in names if name in concerned]

    def concerned(self, targets: str) -> list[str]:
        """Hosts that an expression of the files selects, or may select once their facts are known."""
        from statectl.targets.matching import evaluate
        from statectl.targets.selector import parse_selector

        selector, _ = parse_selector(targets)
        if selector is None:
            return []
        selection = evaluate(selector, self.inventory, self.facts_of, self.collected)
        return [*selection.hosts, *selection.unknown]

    def expected(self, scope: Scope) -> Iterator[tuple[str, str]]:
        """(host, association) pairs that compliance is about; the parameter store is one of them where parameters are declared."""
        names = set(self.chosen(scope))
        for association in self.project.associations.values():
            yield from ((host, association.name) for host in self.concerned(association.targets) if host in names)
        if scope.target is None:
            owners = dict.fromkeys(one.association for one in self.project.parameters.values())
            yield from ((PARAMETERS, owner) for owner in owners)

    # parts

    def keep_logins(self, kept: "KeptLogins") -> None:
        """Reach hosts over logins that stand open, and leave them open. Those that lead elsewhere by now are closed."""
        from statectl.transport.ssh import SshTransport

        self._kept = kept
        if kept.hosts:
            transport = self.transport("ssh")
            assert isinstance(transport, SshTransport)
            ways = {name: transport.way(self.endpoint(name)) for name in kept.hosts if name in self.inventory.hosts}
            kept.only(ways.get)

    def records(self) -> "Store":
        with self._store_lock:
            if self._store is None:
                self._store = open_store(self._store_root, self.project.settings)
            return self._store

    def has_records(self) -> bool:
        """Is there a store already? Whoever only looks does not make one."""
        return self._store is not None or has_store(self._store_root, self.project.settings)

    def questions(self) -> "Questions":
        """Answers from the collected inventory, all of one moment."""
        if self._questions is None:
            from statectl.collected.questions import Questions

            self._questions = Questions(self.records().collected, self.now)
        return self._questions

    def collected(self, node: "HasCollected") -> "Holding":
        """What target expressions ask of the collected inventory."""
        return self.questions().holding(node)

    def facts_of(self, name: str) -> Mapping[str, Any] | None:
        """The stored facts of a host."""
        found = self.stored_facts(name)
        return found[0] if found is not None else None

    def stored_facts(self, name: str) -> tuple[Mapping[str, Any], str] | None:
        if self._stored is None:
            self._stored = self.records().facts()
        return self._stored.get(name)

    def parameter_store(self) -> "ParameterStore":
        with self._parameters_lock:
            if self._parameters is None:
                from statectl.cli.opening_parameters import parameters_in

                self._parameters = parameters_in(self.records().database, self._store_root, self.project.settings)
            return self._parameters

    def declared_parameters(self, scope: Scope) -> "DeclaredParameters | None":
        """None: the files declare none, and no apply of theirs ever put one."""
        if self._declared is None:
            project = self.project
            if not project.parameters and not self.records().has_declared_parameters(project.settings.project):
                return None
            from statectl.cli.opening_parameters import keys_in
            from statectl.cli.values import wanted
            from statectl.parameters.declared import DeclaredParameters, in_scope
            from statectl.parameters.placed import Ledger

            self._declared = DeclaredParameters(
                self.parameter_store(),
                Ledger(self.records().database, project.settings.project),
                wanted(
                    project.parameters.values(),
                    project.associations,
                    self.root,
                    trusted=project.settings.trusted,
                    keys=lambda: keys_in(self._store_root, project.settings),
                    needed=lambda one: in_scope(
                        one.name, one.association, scope.associations or None, scope.only or None
                    ),
                ),
                selected=scope.associations or None,
                only=list(scope.only) or None,
                prune=scope.prune,
                release=scope.release,
                max_removals=project.settings.limits.max_removals,
            )
        return self._declared

    def values(self, scope: Scope) -> "Values":
        """param() and secret() of this command."""
        if self._values is None:
            from statectl.cli.values import Values

            declared = self.declared_parameters(scope) if self.project.parameters else None
            planned, others = (declared.wanted, declared.others) if declared is not None else ({}, {})
            self._values = Values(self.parameter_store, planned, others, self.pinned)
        return self._values

    def compiler(self, scope: Scope) -> "Compiler":
        from statectl.catalogue.compile import Compiler
        from statectl.catalogue.render import Renderer

        if self._compiler is None:
            values = self.values(scope)
            self._renderer = Renderer(self.root, child=self.child, parameter=values.parameter, secret=values.secret)
            self._compiler = Compiler(
                self.project,
                self.inventory,
                self._renderer,
                types_by_name(),
                selected=scope.associations or None,
                variables=dict(scope.variables),
                stored_facts=self.stored_facts,
                collected=self.collected,
                only=list(scope.only) or None,
                prune=scope.prune,
                release=scope.release,
            )
        return self._compiler

    def revision(self) -> Revision:
        """Of which commit the files are, once all have been read. Raises Refused when they moved meanwhile."""
        if self._revision is None:
            self._revision = revision(self.root)
        elif isinstance(self._revision, Reading):
            self._revision = self._revision.ended()
        return self._revision

    def transport(self, kind: str) -> Transport:
        if kind not in self._transports:
            if kind == "local":
                from statectl.transport.local import LocalTransport

                self._transports[kind] = LocalTransport()
            else:
                from statectl.transport.known_hosts import TrustedKeys, standard_files
                from statectl.transport.ssh import SshTransport

                self._transports[kind] = SshTransport(TrustedKeys(standard_files(self.inventory_path)), self._kept)
        return self._transports[kind]

    def note(self, host: str) -> str:
        """What the way to a host could do better, as its last contact showed; '' when nothing."""
        notes: dict[str, str] = getattr(self._transports.get("ssh"), "notes", {})
        return notes.get(host, "")

    async def _start(self, target: Endpoint, order: Mapping[str, Any]) -> "ExecutorSession":
        from statectl.transport import bundle, session

        if self._bundle is None:
            self._bundle = await asyncio.to_thread(bundle.build)
        return await session.start(self.transport(target.connection), target, self._bundle, order)

    async def converse(self, host: str, run_id: str, kind: str, **order: Any) -> "ExecutorSession":
        """Start the executor on one host with an order of another kind than plan and apply; its `ready` is still to come."""
        target = self.endpoint(host)
        message = {
            "type": "order",
            "run": run_id,
            "host": host,
            "kind": kind,
            "controller": who(),
            "state_dir": target.state_dir or None,
            "limits": self._limits(),
            **order,
        }
        return await self._start(target, message)

    async def ask(self, host: str, kind: str) -> dict[str, Any]:
        """The `ready` message of one host: facts and memory."""
        from statectl.store.ids import new_id

        return await self.answer(await self.converse(host, new_id(), kind))

    async def answer(self, conversation: "ExecutorSession") -> dict[str, Any]:
        """The `ready` message of a conversation that asks for nothing else, which is then closed."""
        try:
            ready = await conversation.receive()
            while ready["type"] in ("log", "waiting"):
                ready = await conversation.receive()
            if ready["type"] != "ready":
                raise Refused(str(ready.get("reason") or "the executor refused"), code=str(ready.get("code") or "E501"))
            message = ready
            while message["type"] != "end":
                message = await conversation.receive()
            return ready
        finally:
            await conversation.close()

    def _limits(self) -> dict[str, Any]:
        limits = self.project.settings.limits
        return {
            "paths": list(limits.paths),
            "deny": list(limits.deny),
            "max_removals": limits.max_removals,
            "become": limits.become,
        }

    def fleet(
        self,
        scope: Scope,
        *,
        kind: str,
        saved: Plan | None = None,
        hosts: Sequence[str] | None = None,
        unattended: bool = False,
    ) -> "Fleet":
        """The hosts of a run, all compiled offline first: a mistake is a ConfigError and nothing was contacted.

        `unattended`: a mistake that some hosts only meet fails these hosts when they are contacted, and the others go on.
        """
        from statectl.reconcile.disruption import Windows
        from statectl.reconcile.fleet import Fleet
        from statectl.reconcile.host_run import HostRun
        from statectl.reconcile.parameters import ParameterRun
        from statectl.reconcile.watch import Watch

        self._check_associations(scope)
        names = (
            list(hosts) if hosts is not None else (self.planned_hosts(scope) if kind != "drift" else self.chosen(scope))
        )
        gone = [name for name in names if name not in self.inventory.hosts]
        if gone:
            raise Refused(
                f"stale: {gone[0]} is no longer in the inventory", code="E510", hint="make a new plan: statectl plan"
            )
        self._load_ahead(names)
        warnings = list(self.problems)
        if saved is not None:
            self.pinned = saved.parameters
        declared = self.declared_parameters(scope)
        compiler = None
        probes: dict[str, list[dict[str, Any]]] = {}
        if kind != "drift":
            compiler = self.compiler(scope)
            _, problems = compiler.fleet(names)
            probes, wrong = probes_of(compiler, self.project, names)
            problems = once([*problems, *wrong])
            if any(not problem.is_warning and not (unattended and problem.hosts) for problem in problems):
                self.revision()  # as when they were read: files that moved are not wrong
                raise ConfigError(problems, root=self.root)
            warnings += problems
        at = self.revision()
        rollouts = {name: one.rollout for name, one in self.project.associations.items() if one.rollout is not None}
        beside = None
        if rollouts and kind == "apply":
            from statectl.cli.rolling import Beside

            beside = Beside(self)
        seen = self.records().under_way.seen() if kind == "apply" else {}
        windows = Windows(self.project.maintenance_windows, *([self.now] if self.now is not None else []))

        def start(name: str, order: "Order") -> HostRun:
            compile_with: Callable[[Mapping[str, Any], Mapping[str, Any]], Any] | None = None
            if compiler is not None:
                compile_with = lambda facts, found: compiler.host(name, facts, found)  # noqa: E731 - one line, bound to one host
            return HostRun(
                name,
                self.endpoint(name),
                order,
                open_conversation=self._start,
                compile_with=compile_with,
                probes=probes.get(name, ()),
                limits=self._limits(),
                expected=_expected(saved, name),
                seen=seen.get(name),
                progress=self._progress,
                windows=windows,
            )

        def look(compiler: "Compiler", name: str, order: "Order", associations: Sequence[str]) -> HostRun:
            """Outside of the run; it has its probes and the whole of these associations, whatever this run is about."""
            asked, wrong = compiler.probes(name)
            if any(not problem.is_warning for problem in wrong):
                raise ConfigError(wrong, root=self.root)

            def compiled(facts: Mapping[str, Any], found: Mapping[str, Any]) -> Any:
                return compiler.host(name, facts, found, about=associations)

            return HostRun(
                name,
                self.endpoint(name),
                order,
                open_conversation=self._start,
                compile_with=compiled,
                probes=asked,
                limits=self._limits(),
                windows=windows,
            )

        return Fleet(
            hosts=names,
            start=start,
            records=self.records,
            own_names={name: self._own_names(name) for name in names},
            association_order=list(self.project.associations),
            project=self.project.settings.project,
            commit=at.commit,
            dirty=at.dirty,
            scope=scope.document(),
            problems=[as_json(problem) for problem in warnings],
            selected=list(scope.associations) or None,
            concurrency={name: one.max_concurrency for name, one in self.project.associations.items()},
            errors={name: one.max_errors for name, one in self.project.associations.items()},
            watch=lambda run_id, cancel: Watch(self.records().under_way, run_id, cancel),
            rollouts=rollouts,
            run_step=beside.run_step if beside is not None else None,
            check_health=beside.check_health if beside is not None else None,
            look=partial(look, compiler) if compiler is not None else None,
            selects=compiler.selects if compiler is not None else lambda *_: True,
            parameters=ParameterRun(declared, commit=at.commit) if declared is not None else None,
            versions=lambda: self._values.versions if self._values is not None else {},
        )

    def _load_ahead(self, names: Sequence[str]) -> None:
        """Import what the hosts are reached with while the rendering process works: on one host this decides how long a run takes."""
        if any(self.endpoint(name).connection == "ssh" for name in names):
            from statectl.transport.loading import load_asyncssh

            threading.Thread(target=load_asyncssh, name="import asyncssh", daemon=True).start()

    def _progress(self, run_id: str) -> tuple[int, int]:
        return self.records().under_way.progress(run_id)

    def _check_associations(self, scope: Scope) -> None:
        for name in scope.associations:
            if name not in self.project.associations:
                near = did_you_mean(name, self.project.associations)
                problem = Problem(
                    "E151", f"no association {one_line(name)!r}", hint=near or "statectl validate lists what there is"
                )
                raise ConfigError([problem])

    def _own_names(self, name: str) -> dict[str, str]:
        host = self.inventory.hosts[name]
        names = {host.name: "{{ host.name }}"}
        if host.address and host.address != host.name:
            names[host.address] = "{{ host.address }}"
        return names

    def explain_variable(self, name: str, host: str) -> list[str]:
        """Value, place and every value it hides, for each association that concerns the host."""
        from statectl.catalogue.explain_variable import explain_variable

        self.host(host)
        return explain_variable(self.project, self.inventory, host, name)


def _expected(saved: Plan | None, name: str) -> HostPlan | None:
    """What the host has to be as; None: it is planned afresh."""
    found = saved.hosts.get(name) if saved is not None else None
    return found if found is not None and found.outcome == "planned" else None


def credentials_of(options: Mapping[str, Any]) -> Credentials:
    no_input = bool(options.get("no_input"))
    return Credentials(
        user=str(options.get("user") or ""),
        password=secret_from(
            "login password",
            ask=bool(options.get("ask_password")),
            descriptor=options.get("password_fd"),
            no_input=no_input,
        ),
        become_password=secret_from(
            "sudo password",
            ask=bool(options.get("ask_become_password")),
            descriptor=options.get("become_password_fd"),
            no_input=no_input,
        ),
        identity_files=tuple(options.get("identity") or ()),
    )
