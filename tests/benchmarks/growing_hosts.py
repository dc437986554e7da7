"""Growth on one host: with its resources, with the size of a file, with the files of a directory."""

import argparse
import os
from collections.abc import Iterator
from pathlib import Path

from tests.benchmarks.growing_fleets import STATECTL, unchanged
from tests.benchmarks.grown import Grown
from tests.benchmarks.simulated import states
from tests.benchmarks.spent import Spent, run_and_account
from tests.lab import LabHost
from tests.lab.project import LabProject

PIECE = 1 << 20
A_DIRECTORY_HOLDS = 1000  # files
LITTLE = "associations:\n  little:\n    targets: all\n    files:\n      /srv/little: {content: little}\n"
BIG = "associations:\n  big:\n    targets: all\n    files:\n      /srv/big: {source: big.bin, mode: 0644}\n"
TREES_HOLD = 19_000  # files of one tree, that has at most 20,000 entries with its directories


def resources(order: argparse.Namespace, place: Path, host: LabHost) -> Iterator[Grown]:
    """So many resources, brought to the host and then unchanged."""
    yield from little(place / "0", host)
    for count in order.resources:
        project = project_of(place / str(count), host, states(count))
        host.sh("rm -rf /srv/fleet /var/lib/statectl; mkdir /srv/fleet")
        yield Grown.of("cold apply", count, cold(project, host))
        for run in ("apply", "drift"):
            yield Grown.of(run, count, unchanged(run, project, host, executors=True))


def file(order: argparse.Namespace, place: Path, host: LabHost) -> Iterator[Grown]:
    """A file of so many MiB, from the project to the host, and then unchanged."""
    yield from little(place / "0", host)
    for count in order.mib:
        project = project_of(place / str(count), host, LITTLE)
        project.write(".gitignore", "big.bin\n")
        big = project.root / "states" / "big.bin"
        with big.open("wb") as stream:
            for _ in range(count):
                stream.write(os.urandom(PIECE))
        project.write("states/states.yml", BIG)
        project.commit("a big one")
        host.sh("rm -rf /srv/big /var/lib/statectl")
        yield Grown.of("cold apply", count, cold(project, host))
        yield Grown.of("apply", count, unchanged("apply", project, host, executors=True))
        big.unlink()


def directory(order: argparse.Namespace, place: Path, host: LabHost) -> Iterator[Grown]:
    """A directory with so many small files: owned and of one mode; emptied by `exclusive`; placed as trees, then unchanged."""
    yield from little(place / "0", host)
    for count in order.entries:
        project = project_of(place / f"{count}-on-the-host", host, "")
        host.sh(
            "rm -rf /srv/many /var/lib/statectl; mkdir -p /srv/many && cd /srv/many && seq -f file-%.0f.txt COUNT | xargs touch".replace(
                "COUNT", str(count)
            )
        )
        declare(project, "mode: 0750, owner: root, group: root, recurse: true")
        cold(project, host)
        yield Grown.of("recurse, apply", count, unchanged("apply", project, host, executors=True))
        declare(project, "exclusive: true")
        yield Grown.of("exclusive, emptied", count, cold(project, host))
    for count in order.entries:
        project = project_of(place / f"{count}-in-trees", host, "")
        trees = []
        for first in range(0, count, TREES_HOLD):
            fill(project.root / "states" / f"tree-{first}", min(count - first, TREES_HOLD))
            trees.append(f"      /srv/many/{first}: {{source: tree-{first}}}\n")
        project.write(".gitignore", "tree-*\n")
        declare(project, "mode: 0755", "    trees:\n" + "".join(trees))
        host.sh("rm -rf /srv/many /var/lib/statectl")
        yield Grown.of("tree, cold apply", count, cold(project, host))
        yield Grown.of("tree, apply", count, unchanged("apply", project, host, executors=True))


def declare(project: LabProject, options: str, more: str = "") -> None:
    """The directory, and what else there is."""
    top = f"associations:\n  many:\n    targets: all\n    directories:\n      /srv/many: {{{options}}}\n"
    project.write("states/states.yml", top + more)
    project.commit("a directory")


def little(place: Path, host: LabHost) -> Iterator[Grown]:
    """Row 0: one small file, what any run costs."""
    project = project_of(place, host, LITTLE)
    yield Grown.of("cold apply", 0, cold(project, host))
    yield Grown.of("apply", 0, unchanged("apply", project, host, executors=True))


def project_of(place: Path, host: LabHost, text: str) -> LabProject:
    project = LabProject(place, [host])
    project.write("states/states.yml", text)
    project.commit("states")
    return project


def cold(project: LabProject, host: LabHost) -> Spent:
    """An apply that has everything to do."""
    spent = run_and_account([*STATECTL, "apply", "--yes", "--timeout", "3600"], project, [host], executors=True)
    if "no changes" in spent.said.lower():
        raise RuntimeError(f"a run that should have changed something did not\n{spent.said[-3000:]}")
    return spent


def fill(top: Path, count: int) -> None:
    """Files of some bytes each, all of them different, a thousand in a directory."""
    for number in range(count):
        directory, name = divmod(number, A_DIRECTORY_HOLDS)
        if name == 0:
            (top / f"{directory:03}").mkdir(parents=True)
        (top / f"{directory:03}" / f"file-{name:04}.txt").write_text(f"{top.name} {number}\n")
