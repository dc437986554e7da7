"""Every example is applied, as it is published, to every system of the lab; only addresses, repositories and sizes are the lab's."""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

import pytest
from converging import ROOT, converges, placed

from tests.hosts.example_stages import STAGES, Stage
from tests.lab import LabHost
from tests.lab.project import LabProject


@pytest.mark.parametrize("name", STAGES)
def test_an_example_converges(lab_hosts, inspect, tmp_path, name):
    """Planned, applied, seen by testinfra, and nothing left to do for a second apply."""
    stage = STAGES[name]
    played = []
    wanted = [system for cast in stage.casts for system in cast.values()] + [stage.bastion] * bool(stage.bastion)
    free = {system: lab_hosts(wanted.count(system), system) for system in sorted(set(wanted))}
    bastion = free[stage.bastion].pop() if stage.bastion else None
    for number, cast in enumerate(stage.casts):
        hosts = {one: free[system].pop() for one, system in cast.items()}
        played.append((on_stage(tmp_path / str(number), stage, hosts, bastion), hosts))

    def play(project: LabProject, hosts: Mapping[str, LabHost]) -> None:
        if stage.prepare:
            for host in hosts.values():
                host.sh(stage.prepare)
        converges(project, "-i", stage.inventory, "-t", ",".join(hosts), env=stage.env)

    with ThreadPoolExecutor(len(played)) as stages:
        list(stages.map(lambda one: play(*one), played))
    for _, hosts in played:
        stage.check({one: inspect(host) for one, host in hosts.items()}, hosts)


def on_stage(place, stage: Stage, hosts: Mapping[str, LabHost], bastion: LabHost | None) -> LabProject:
    files = ["statectl.yml", "states", "inventories"]
    project = placed(
        place,
        ROOT / "examples" / stage.example,
        hosts,
        stage.inventory,
        files=files,
        user=stage.user,
        bastion=bastion,
    )
    if stage.vars:
        project.write(f"{stage.inventory}/zz-vars.yml", stage.vars)
        project.commit("what is the lab's own")
    return project
