"""What the check is fed with: generated catalogues on fresh and half-converged hosts, the cases of every type, the examples."""

import shutil
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.lab import LabHost
from tests.lab.project import LabProject
from tests.truth.catalogues import Generated
from tests.truth.checking import Tally, step
from tests.truth.universe import TREES

STORY = 3  # catalogues on top of each other before a host is as new again
TURNS = 2  # a host on which something is refused gets its catalogue without that
Say = Callable[[str], None]


def feed_generated(tally: Tally, hosts: Sequence[LabHost], place: Path, given: Sequence[Generated], say: Say) -> None:
    """A round gives every host one catalogue. The first of a story meets a fresh host, the others what is left, broken by hand."""
    rounds = [given[start : start + len(hosts)] for start in range(0, len(given), len(hosts))]
    project = None
    for number, catalogues in enumerate(rounds):
        fresh = number % STORY == 0
        if fresh or project is None:
            if number:
                reset(hosts)
            shutil.rmtree(place / f"round{number - STORY}", ignore_errors=True)
            project = LabProject(place / f"round{number}", hosts)
            for path, text in TREES.items():
                project.write(f"states/{path}", text)
        used = dict(zip((host.name for host in hosts), catalogues, strict=False))
        one_round(tally, project, {host.name: host for host in hosts if host.name in used}, used, number, fresh=fresh)
        say(f"{(number + 1) * len(hosts)} of {len(given)} catalogues: {tally}")


def reset(hosts: Sequence[LabHost]) -> None:
    with ThreadPoolExecutor(len(hosts)) as pool:
        list(pool.map(lambda host: host.reset(), hosts))
    for host in hosts:
        host.wait_running()  # a unit that starts while a plan is made is none of the plan's work


def one_round(
    tally: Tally,
    project: LabProject,
    hosts: Mapping[str, LabHost],
    used: dict[str, Generated],
    number: int,
    *,
    fresh: bool,
) -> None:
    """What is refused is taken out and the rest planned again; what is then refused too stays unapplied."""
    if not fresh:
        for name, host in hosts.items():
            host.sh("\n".join(f"{line} >/dev/null 2>&1" for line in used[name].breaking), check=False)
    prune = ["--prune"] if not fresh and any(one.prune for one in used.values()) else []
    todo = dict(hosts)
    for turn in range(TURNS):
        for name in todo:
            project.write(f"states/{name}.yml", used[name].states(name))
        project.commit(f"round {number}.{turn}")
        label = f"round {number}.{turn}{' fresh' if fresh else ' broken'}{' prune' if prune else ''}"
        known = len(tally.wrong)
        done = step(tally, project, todo, label, *prune)
        for text in tally.wrong[known:]:
            name = next((name for name in todo if name in text), "")
            print(f"WRONG {text}\n{used[name].states(name) if name else ''}", flush=True)
        todo = {name: hosts[name] for name in done.refused}
        if not todo:
            return
        for name, addresses in done.refused.items():
            used[name] = used[name].without(set(addresses))
            if not addresses:
                del todo[name]
