"""Everything a command needs of the project one stands in, wired together: files, inventory, compiler, transports, store.

Parts are opened when first used, so that a command pays for what it uses and no more.
"""

import threading
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from statectl.catalogue.folding import once
from statectl.cli.formats.problems import as_json
from statectl.cli.formats.terminal import one_line
from statectl.cli.offline import probes_of, read_inventory, types_by_name
from statectl.cli.opened_hosts import OpenedHosts
from statectl.cli.opened_values import OpenedValues
from statectl.cli.opened_ways import OpenedWays
from statectl.cli.opening import open_project, open_settings, start_directory
from statectl.cli.options import secret_from
from statectl.cli.scope import Scope
from statectl.errors import ConfigError, Refused
from statectl.plans.plan import HostPlan, Plan
from statectl.problems import Problem, did_you_mean
from statectl.project.model import Project
from statectl.reconcile.commit import Reading, Revision, check_out, moved, revision
from statectl.reconcile.endpoints import Credentials
from statectl.targets.hosts import Inventory

if TYPE_CHECKING:
    import tempfile

    from statectl.catalogue.child_process import ChildProcess
    from statectl.catalogue.compile import Compiler
    from statectl.catalogue.render import Renderer
    from statectl.cli.patching import Asked
    from statectl.reconcile.fleet import Fleet
    from statectl.reconcile.host_run import Order
    from statectl.store.store import Store


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


class Opened(OpenedHosts, OpenedWays, OpenedValues):
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
        super().__init__(project, inventory, inventory_path, problems, credentials, store_root)
        self.child: ChildProcess | None = None  # that renders, started ahead
        self._revision = at
        self._renderer: Renderer | None = None
        self._compiler: Compiler | None = None
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
                selected=scope.associations if scope.patches else scope.associations or None,
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

    def fleet(
        self,
        scope: Scope,
        *,
        kind: str,
        saved: Plan | None = None,
        hosts: Sequence[str] | None = None,
        unattended: bool = False,
        patches: "Asked | None" = None,
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
        patching = None
        judged = any(one.names_baselines for one in self.project.associations.values())
        if compiler is not None and (judged or scope.patches):
            from statectl.cli.patching import patch_run

            patching = patch_run(self, scope, compiler, patches, at.commit)
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
                patching=patching,
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

        selected = list(scope.associations) or None
        if scope.patches:
            from statectl.reconcile.patching import BESIDE

            selected = [*scope.associations, BESIDE]
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
            selected=selected,
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
