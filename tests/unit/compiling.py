"""A project in a temporary directory, loaded and compiled as commands do it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from statectl.catalogue.compile import Compiler, HostCatalogue
from statectl.catalogue.render import Renderer
from statectl.problems import Problem
from statectl.project import yaml_tree
from statectl.project.types import resource_types
from statectl.sections import load
from statectl.targets.inventory import load_inventory
from tests.bad_input.loading import write

HOSTS = "hosts:\n  web1: {groups: [web], tags: {env: prod}}\n  web2: {groups: [web]}\n"
TYPES = {kind.name: kind for kind in resource_types().values()}
FACTS = {"os": {"family": "debian", "id": "debian"}, "memory_mb": 2048}


class Compiled:
    """`catalogues` and `problems` of the fleet; `compiler` for more. Close it."""

    def __init__(
        self, directory: Path, files: Mapping[str, str | bytes], *, hosts: str = HOSTS, **options: Any
    ) -> None:
        write(directory, {"inventories/prod/hosts.yml": hosts, **files})
        self.project = load(directory, env={})
        assert not self.project.problems, self.project.problems
        inventory, problems = load_inventory(directory / "inventories/prod", root=directory, yaml=yaml_tree)
        assert not problems, problems
        limits = {name: options.pop(name) for name in ("job_s", "memory", "parameter", "secret") if name in options}
        self.renderer = Renderer(directory, **limits)
        self.inventory = inventory
        self.compiler = Compiler(self.project, inventory, self.renderer, TYPES, **options)

    def fleet(self) -> tuple[dict[str, HostCatalogue], tuple[Problem, ...]]:
        return self.compiler.fleet()

    def host(
        self, name: str = "web1", facts: Mapping[str, Any] | None = None, probes: Mapping[str, Any] | None = None
    ) -> HostCatalogue:
        return self.compiler.host(name, FACTS if facts is None else facts, probes or {})

    def __enter__(self) -> "Compiled":
        return self

    def __exit__(self, *_: object) -> None:
        self.renderer.close()


def one_host(
    directory: Path, body: str, *, files: Mapping[str, str | bytes] | None = None, hosts: str = HOSTS, **options: Any
) -> HostCatalogue:
    """web1 of a project with one association `web` for all hosts, whose body is given unindented."""
    facts, probes = options.pop("facts", None), options.pop("probes", None)
    with Compiled(directory, {"states/a.yml": association(body), **(files or {})}, hosts=hosts, **options) as compiled:
        return compiled.host("web1", facts, probes)


def association(body: str, name: str = "web", targets: str = "all", head: str = "associations:\n") -> str:
    inner = "".join(f"    {line}\n" if line else "\n" for line in body.splitlines())
    return f"{head}  {name}:\n    targets: {targets}\n{inner}"


def resources(found: HostCatalogue) -> dict[str, dict[str, Any]]:
    assert not found.problems, "\n".join(shown(one) for one in found.problems)
    return {entry["address"]: entry for entry in found.catalogue["resources"]}


def text(found: HostCatalogue, address: str) -> str:
    """The content of a file, as the host will get it."""
    content = resources(found)[address]["want"]["content"]
    blob = found.blobs[content["$blob"]]
    return (blob if isinstance(blob, bytes) else blob.read_bytes()).decode()


def shown(problem: Problem) -> str:
    """One line: place, code, summary, label, hint, notes."""
    place = str(problem.span) if problem.span else "-"
    notes = " ".join(f"[{note.text} {note.span or ''}]" for note in problem.notes)
    return f"{place}: {problem.code}: {problem.summary} | {problem.label} | {problem.hint} | {notes}"
