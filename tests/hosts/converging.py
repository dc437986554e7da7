"""A whole project on lab hosts, as its users get it: the files of a directory, an inventory that says where the hosts are."""

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.lab import LabHost
from tests.lab.project import LabProject, Said

ROOT = Path(__file__).resolve().parents[2]
APPLY_S = 900  # an example with max_concurrency 1 installs packages on one host after the other


def addresses_of(
    hosts: Mapping[str, LabHost], users: str | Mapping[str, str] = "root", bastion: LabHost | None = None
) -> str:
    """An inventory that says nothing but how each name is reached: it adds to what the project's own inventory says."""
    lines = ["hosts:"]
    for name, host in hosts.items():
        user = users if isinstance(users, str) else users[name]
        lines += [
            f"  {name}:",
            f"    address: {host.address}",
            f"    user: {user}",
            f"    become: {'false' if user == 'root' else 'true'}",
            f"    identity_files: [{host.key}]",
            f"    host_key: {host.host_key}",
        ]
        if bastion is not None:
            lines.append(f"    jump: plain@{bastion.address}")
    return "\n".join(lines) + "\n"


def placed(
    place: Path,
    source: Path,
    hosts: Mapping[str, LabHost],
    inventory: str,
    *,
    files: Sequence[str],
    user: str | Mapping[str, str] = "root",
    bastion: LabHost | None = None,
) -> LabProject:
    """A copy of `files` of the project in `source`, whose `inventory` (a directory) then leads to lab hosts.

    `user`: who logs in, on all of them or by name. `bastion`: a host that all of them are reached through.
    """
    project = LabProject(place, [*hosts.values(), *([bastion] if bastion is not None else [])])
    for file in files:
        target = project.root / file
        if (source / file).is_dir():
            shutil.copytree(source / file, target, dirs_exist_ok=True)
        else:
            shutil.copy(source / file, target)
    project.write(f"{inventory}/zz-lab.yml", addresses_of(hosts, user, bastion))
    project.commit("as published")
    return project


def converges(project: LabProject, *where: str, env: Mapping[str, str] | None = None) -> Said:
    """Plan has changes; apply makes them; then apply, plan and drift find nothing. Gives what the first apply said.

    `where`: options such as -i and -t.
    """
    project.statectl("plan", "--detailed-exitcode", *where, env=env, expect=2)
    applied = project.statectl("apply", "--yes", *where, env=env, expect=0, timeout=APPLY_S)
    again = project.statectl("apply", "--yes", "--json", *where, env=env, expect=0)
    touched = [
        f"{name}/{entry['address']}"
        for name, host in again.json["hosts"].items()
        for entry in host["results"]
        if entry["outcome"] != "ok" and not (entry["outcome"] == "skipped" and entry["reason"].endswith("only audits"))
    ]
    assert not touched, f"{touched}\n{again}"
    assert not again.json["plan"]["has_changes"], again
    project.statectl("plan", "--detailed-exitcode", *where, env=env, expect=0)
    project.statectl("drift", *where, env=env, expect=0)
    return applied
