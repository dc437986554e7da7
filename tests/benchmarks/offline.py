"""What needs no host: start-up, validate, compile, fold, each beside its goal.

python -m tests.benchmarks.offline                       all of it; the table goes into docs/benchmarks.md
python -m tests.benchmarks.offline --parts compile --rounds 1 --print
python -m tests.benchmarks.offline --parts compile --profile --print      where the time goes
"""

import argparse
import cProfile
import os
import platform
import pstats
import re
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.benchmarks.tables import verdict, write_on_page
from tests.benchmarks.tools import PEERS, plain_environment
from tests.lab.places import PROJECT

FILES, GROUPS, HOSTS_VALIDATED = 200, 10, 40  # each file is for one group: 100 resources on every host
HOSTS_COMPILED = 1000
CHANGES, HOSTS_FOLDED = 10_000, 1000
UNWANTED = ("asyncssh", "sqlalchemy")
STATE = """\
associations:
  app-NUMBER:
    description: Application NUMBER
    targets: group:GROUP
    vars: {port: 8NUMBER, workers: 4}
    directories:
      /etc/app-NUMBER: {mode: 0755}
    files:
      /etc/app-NUMBER/app.conf:
        content: |
          host = {{ host.name }}
          port = {{ port }}
          workers = {{ workers }}
    packages: [app-NUMBER]
    users:
      app-NUMBER: {shell: /bin/sh}
    services:
      app-NUMBER: {state: running, enabled: true}
"""


@dataclass(frozen=True)
class Line:
    """One line of the table. `cpu`: processor time of the same, with children. `goal` None: for the reader only."""

    what: str
    value: float
    unit: str
    goal: float | None
    cpu: float | None = None

    @property
    def met(self) -> bool | None:
        return None if self.goal is None else self.value < self.goal


class _Times:
    """Wall and processor seconds, this process and its children, of what is done `with times:`; medians."""

    def __init__(self) -> None:
        self._wall: list[float] = []
        self._cpu: list[float] = []

    def __enter__(self) -> None:
        self._began = time.monotonic(), _cpu_s()

    def __exit__(self, *_: object) -> None:
        wall, cpu = self._began
        self._wall.append(time.monotonic() - wall)
        self._cpu.append(_cpu_s() - cpu)

    @property
    def wall(self) -> float:
        return statistics.median(self._wall)

    @property
    def cpu(self) -> float:
        return statistics.median(self._cpu)


def _cpu_s() -> float:
    used = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(one.ru_utime + one.ru_stime for one in used)


def help_text(place: Path, rounds: int) -> Iterator[Line]:
    times = _Times()
    for _ in range(max(5, rounds)):
        with times:
            _statectl("--help", cwd=place)
    yield Line("`--help`, processor time", times.cpu * 1000, "ms", 100, times.cpu * 1000)


def imports(place: Path, _rounds: int) -> Iterator[Line]:
    """How many of the libraries that take long to import each command imports."""
    root = _project_of_many_files(place / "imports", 1)
    asked = {"_STATECTL_COMPLETE": "bash_complete", "COMP_WORDS": "statectl pl", "COMP_CWORD": "1"}
    for shown, argv, more in (
        ("`--help`", ("--help",), {}),
        ("completion", (), asked),
        ("`validate`", ("validate",), {}),
    ):
        said = _statectl(*argv, cwd=root, env=more, python=("-X", "importtime")).stderr
        names = {name.partition(".")[0] for name in re.findall(r"\| +(\S+)$", said, re.MULTILINE)}
        if "statectl" not in names:
            raise RuntimeError(f"no import times: {said[-1000:]}")
        heavy = [name for name in UNWANTED if name in names]
        yield Line(f"{shown} imports {' or '.join(UNWANTED)}: how many of them", len(heavy), "", 1)


def validate(place: Path, rounds: int) -> Iterator[Line]:
    root = _project_of_many_files(place / "validate", FILES)
    times = _Times()
    for _ in range(rounds):
        with times:
            _statectl("validate", cwd=root)
    what = f"`validate` of {FILES} files for {HOSTS_VALIDATED} hosts with 100 resources each, whole process"
    yield Line(what, times.wall, "s", 1, times.cpu)


def compile_fleet(place: Path, rounds: int) -> Iterator[Line]:
    """The workload of the comparison for a thousand hosts: 50 files of each hold its name."""
    from statectl.catalogue.compile import Compiler
    from statectl.catalogue.render import Renderer
    from statectl.cli.offline import read_inventory
    from statectl.project.types import resource_types
    from statectl.sections import load

    root = place / "compile"
    shutil.copytree(PEERS / "statectl" / "states", root / "states")
    _settings_and_hosts(root, HOSTS_COMPILED)
    types = {kind.name: kind for kind in resource_types().values()}
    loading, compiling = _Times(), _Times()
    for _ in range(rounds):
        with loading:
            project = load(root, env={})
            inventory, problems, _path = read_inventory(root, project.settings, None)
        with compiling, Renderer(root) as renderer:
            catalogues, found = Compiler(project, inventory, renderer, types).fleet()
        wrong = [*project.problems, *problems, *found]
        least = min(len(one.catalogue.get("resources", ())) for one in catalogues.values())
        if wrong or len(catalogues) != HOSTS_COMPILED or least < 100:
            raise RuntimeError(f"{len(catalogues)} hosts, {least} resources on the smallest, {wrong[:3]}")
    yield Line(f"reading the files, {HOSTS_COMPILED:,} hosts", loading.wall, "s", None, loading.cpu)
    yield Line(f"compile of {HOSTS_COMPILED:,} hosts x {least} resources", compiling.wall, "s", 10, compiling.cpu)


def folding(_place: Path, rounds: int) -> Iterator[Line]:
    from statectl.plans.fold import fold
    from statectl.plans.plan import Change, HostPlan, Verdict

    each = CHANGES // HOSTS_FOLDED
    for what, own in (("the same everywhere but for the host's name", ""), ("different on every host", "of {} alone")):
        plans = {}
        for host in range(HOSTS_FOLDED):
            name = f"web{host:04}.example.org"
            text = f"+server {name} {own.format(host)}"
            verdicts = [
                Verdict(
                    address=f"file:/etc/app/{number}.conf",
                    association="web",
                    verdict="change",
                    action="change",
                    changes=[Change(field="content", diff=["@@ -1 +1 @@", "-server", text])],
                    notify=["reload service:app"],
                )
                for number in range(each)
            ]
            plans[name] = HostPlan(outcome="planned", verdicts=verdicts)
        own_names = {
            name: {name: "{{ host.name }}", f"10.0.{number // 250}.{number % 250}": "{{ host.address }}"}
            for number, name in enumerate(plans)
        }
        times = _Times()
        for _ in range(max(5, rounds)):
            with times:
                blocks = fold(plans, own_names)
        if len(blocks) != (HOSTS_FOLDED if own else 1):
            raise RuntimeError(f"{len(blocks)} blocks")
        yield Line(f"folding {CHANGES:,} changes, {what}", times.wall * 1000, "ms", 100, times.cpu * 1000)


PARTS: dict[str, Callable[[Path, int], Iterator[Line]]] = {
    "help": help_text,
    "imports": imports,
    "validate": validate,
    "compile": compile_fleet,
    "fold": folding,
}


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.offline", description=__doc__.splitlines()[0])
    parser.add_argument("--parts", default=",".join(PARTS), help=f"of {', '.join(PARTS)} (default: all)")
    parser.add_argument("--rounds", type=int, default=5, help="medians of so many (default 5)")
    parser.add_argument("--profile", action="store_true", help="say where the time of this process goes; with --print")
    parser.add_argument("--print", action="store_true", help="print it alone; leave the page as it is")
    order = parser.parse_args(argv)
    parts = order.parts.split(",")
    if unknown := [part for part in parts if part not in PARTS]:
        parser.error(f"unknown: {', '.join(unknown)}; known: {', '.join(PARTS)}")
    if not order.print and (set(parts) != set(PARTS) or order.profile):
        parser.error("the page holds all parts, measured without a profiler: measure all of them, or --print")
    busy = os.getloadavg()[0]
    profiler = cProfile.Profile() if order.profile else None
    lines = []
    with tempfile.TemporaryDirectory(prefix="statectl-offline-") as place:
        if profiler:
            profiler.enable()
        for part in parts:
            lines += list(PARTS[part](Path(place), order.rounds))
        if profiler:
            profiler.disable()
            pstats.Stats(profiler, stream=sys.stderr).sort_stats("tottime").print_stats(35)
    machine = f"{os.cpu_count()} cores, Python {platform.python_version()}"
    text = table(lines) + (
        f"\nMedians of {order.rounds}, {time.strftime('%Y-%m-%d')}, load of other work before it {busy:.1f}. {machine}.\n"
    )
    sys.stdout.write(text)
    if not order.print:
        write_on_page("offline", text)
    return 0


def table(lines: Sequence[Line]) -> str:
    rows = ["| what | measured | processor time | goal, under | |", "| --- | ---: | ---: | ---: | --- |"]
    for line in lines:
        cells = [line.what, *(_shown(value, line.unit) for value in (line.value, line.cpu, line.goal))]
        rows.append(f"| {' | '.join(cells)} | {verdict(line.met)} |")
    return "\n".join(rows) + "\n"


def _shown(value: float | None, unit: str) -> str:
    return "" if value is None else f"{value:.{2 if unit == 's' else 0}f} {unit}".rstrip()


def _project_of_many_files(root: Path, files: int) -> Path:
    (root / "states").mkdir(parents=True)
    for number in range(1, files + 1):
        text = STATE.replace("NUMBER", str(number))
        (root / "states" / f"app-{number}.yml").write_text(text.replace("GROUP", f"group{number % GROUPS}"))
    _settings_and_hosts(root, HOSTS_VALIDATED)
    return root


def _settings_and_hosts(root: Path, hosts: int) -> None:
    (root / "inventories" / "fleet").mkdir(parents=True)
    (root / "statectl.yml").write_text("project: fleet\ninventory: inventories/fleet\n")
    lines = [
        f"  web{number:04}: {{address: 10.0.{number // 250}.{number % 250 + 1}, groups: [group{number % GROUPS}]}}\n"
        for number in range(hosts)
    ]
    (root / "inventories" / "fleet" / "hosts.yml").write_text("hosts:\n" + "".join(lines))


def _statectl(
    *argv: str, cwd: Path, env: dict[str, str] | None = None, python: Sequence[str] = ()
) -> subprocess.CompletedProcess[str]:
    """Run it; a failure raises with what it said."""
    done = subprocess.run(
        [sys.executable, *python, "-m", "statectl", *argv],
        cwd=cwd,
        env={**plain_environment(cwd), "PYTHONPATH": str(PROJECT), **(env or {})},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"statectl {' '.join(argv)} exited {done.returncode}\n{done.stdout}{done.stderr[-3000:]}")
    return done


if __name__ == "__main__":
    sys.exit(main())
