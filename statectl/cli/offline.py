"""What the files say without any host: the inventory, and what compiling the whole fleet finds. Contacts nothing, imports no network."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from statectl.catalogue.folding import fold, once
from statectl.cli.opening import has_store
from statectl.problems import Problem
from statectl.project.model import Project, Settings
from statectl.targets.hosts import Inventory

if TYPE_CHECKING:
    from statectl.catalogue.child_process import ChildProcess
    from statectl.catalogue.compile import Compiler
    from statectl.project.types import ResourceType
    from statectl.targets.sources import Keeping
    from statectl.targets.values import Yaml


def yaml_tools() -> "Yaml":
    from statectl.project.scalars import Expression, Plain, untyped
    from statectl.project.yaml_tree import BROKEN, read_yaml
    from statectl.targets.values import Yaml

    return Yaml(read_yaml, untyped, Expression, Plain, BROKEN)


def types_by_name() -> "dict[str, ResourceType]":
    from statectl.sections import table

    return {kind.name: kind for kind in table().resources.values()}


def keeping(root: Path, settings: Settings, *, anew: bool = False) -> "Keeping":
    """How long answers of sources count, and where they are kept."""
    from statectl.project.source_settings import seconds
    from statectl.targets.sources import Keeping

    cache, failing = (seconds(settings.inventory_sources.get(name, "0s")) for name in ("cache", "if_failing"))
    return Keeping(root / ".statectl" / "sources", cache, failing, anew=anew)


def read_inventory(
    root: Path, settings: Settings, given: str | None, *, kept_at: Path | None = None, anew: bool = False
) -> tuple[Inventory, list[Problem], Path]:
    """The inventory in force, its problems and its path. `given`: -i, relative to here; else the project's own.

    `kept_at`: the project that keeps answers of sources, when these files are a copy. `anew`: sources are asked, whatever is kept.
    """
    from statectl.targets.inventory import load_inventory

    path = Path(given) if given else root / settings.inventory
    inventory, problems = load_inventory(
        path,
        root=root,
        yaml=yaml_tools(),
        allow_executables=settings.trusted,
        keeping=partial(keeping, kept_at or root, settings, anew=anew),
    )
    return inventory, problems, path


def found_in(project: Project, given: str | None, child: "ChildProcess | None" = None) -> tuple[list[Problem], int]:
    """All that is wrong as far as it can be told without a host, and how many hosts there are."""
    problems = list(project.problems)
    if any(not problem.is_warning for problem in problems):
        return problems, 0
    further, hosts = offline_problems(project, given, child)
    return [*problems, *further], hosts


def offline_problems(
    project: Project, given: str | None, child: "ChildProcess | None" = None
) -> tuple[list[Problem], int]:
    """What compiling the whole fleet without a host finds, and how many hosts there are. Runs no executable inventory."""
    from statectl.catalogue.compile import Compiler
    from statectl.catalogue.render import Renderer
    from statectl.cli.values import Declared
    from statectl.targets.group_checks import with_groups
    from statectl.targets.inventory import load_inventory

    path = Path(given) if given else project.root / project.settings.inventory
    inventory, problems = load_inventory(
        path,
        root=project.root,
        yaml=yaml_tools(),
        allow_executables=None,
        keeping=partial(keeping, project.root, project.settings),
    )
    hosts_unknown = any(problem.code == "W157" for problem in problems)
    if not hosts_unknown:
        inventory, beside = with_groups(inventory, project.resource_groups)
        inventory = replace(inventory, more_tags=has_store(project.root, project.settings))
        problems += beside
    if hosts_unknown or any(not problem.is_warning for problem in problems):
        return problems, len(inventory.hosts)
    values = Declared(project.parameters.values())
    with Renderer(project.root, child=child, parameter=values.parameter, secret=values.secret) as renderer:
        compiler = Compiler(project, inventory, renderer, types_by_name())
        _, found = compiler.fleet()
        _, further = probes_of(compiler, project, list(inventory.hosts))
    return [*problems, *once([*found, *further])], len(inventory.hosts)


def parameters_of(
    project: Project, inventory: Inventory, child: "ChildProcess | None" = None, **stored: Any
) -> tuple[dict[tuple[str, str], list[str]], list[Problem]]:
    """{(association, selector): hosts} of what param() and secret() are asked for; and the errors for which that is not known.

    `stored`: what the compiler takes of the store: stored_facts, collected.
    """
    from statectl.catalogue.compile import Compiler
    from statectl.catalogue.render import Renderer
    from statectl.cli.values import Declared

    values = Declared(project.parameters.values())
    found: dict[tuple[str, str], list[str]] = {}
    with Renderer(project.root, child=child, parameter=values.parameter, secret=values.secret) as renderer:
        compiler = Compiler(project, inventory, renderer, types_by_name(), **stored)
        catalogues, problems = compiler.fleet(read_secrets=False)
    for host, catalogue in catalogues.items():
        for association, selectors in catalogue.parameters.items():
            for selector in selectors:
                found.setdefault((association, selector), []).append(host)
    return found, [problem for problem in problems if not problem.is_warning]


def probes_of(
    compiler: "Compiler", project: Project, names: Sequence[str]
) -> tuple[dict[str, list[dict[str, Any]]], tuple[Problem, ...]]:
    """What each host is asked together with its facts, and the mistakes in that, each once."""
    if not any(association.probes for association in project.associations.values()):
        return {}, ()
    found = {name: compiler.probes(name) for name in names}
    problems = fold({name: wrong for name, (_, wrong) in found.items()}, len(names))
    return {name: probes for name, (probes, _) in found.items()}, problems
