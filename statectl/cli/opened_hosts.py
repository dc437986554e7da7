"""Which hosts a target expression, an association or a command is about: inventory, groups, tags, facts, collected inventory."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click

from statectl.cli.formats.problems import line_of
from statectl.cli.formats.terminal import one_line
from statectl.cli.opened_store import OpenedStore
from statectl.cli.scope import Scope
from statectl.errors import ConfigError, UsageError
from statectl.plans.plan import PARAMETERS
from statectl.problems import Problem, did_you_mean
from statectl.targets.hosts import Host
from statectl.targets.ranges import compress

if TYPE_CHECKING:
    from statectl.collected.questions import Questions
    from statectl.targets.groups import ResourceGroup, Stack
    from statectl.targets.matching import Holding, Selection
    from statectl.targets.selector import HasCollected


class OpenedHosts(OpenedStore):
    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._stored: dict[str, tuple[dict[str, Any], str]] | None = None
        self._questions: Questions | None = None
        self._told: set[tuple[str, str]] = set()
        self._has_groups = False
        self._has_tags = False
        self._stacks: dict[Stack, frozenset[str]] = {}

    def host(self, name: str) -> Host:
        if name not in self.inventory.hosts:
            near = did_you_mean(name, self.inventory.hosts)
            raise UsageError(
                f"no host {one_line(name)!r} in the inventory", hint=near or "statectl inventory list shows them"
            )
        return self.inventory.hosts[name]

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
        if (scope.target is not None and not scope.associations) or scope.prune or scope.release or scope.patches:
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

    def forget_facts(self) -> None:
        """Hosts were contacted since they were read."""
        self._stored = None

    def stored_facts(self, name: str) -> tuple[Mapping[str, Any], str] | None:
        if self._stored is None:
            self._stored = self.records().facts()
        return self._stored.get(name)
