"""An Ansible inventory says the same here as to Ansible: hosts, groups, and every variable with its type.

The real `ansible-inventory --list` runs on every sample; nothing of its output is kept.
"""

import json
import os
import shutil
import subprocess
import venv
from pathlib import Path

import pytest

from statectl.project import yaml_tree
from statectl.project.scalars import Expression, Plain, untyped
from statectl.targets.inventory import load_inventory
from statectl.targets.values import Vaulted, Yaml

ROOT = Path(__file__).parents[2]
SAMPLES = Path(__file__).parent / "samples"
NAMES = sorted(path.name for path in SAMPLES.iterdir())
YAML = Yaml(yaml_tree.read_yaml, untyped, Expression, Plain, yaml_tree.BROKEN)


@pytest.fixture(scope="session")
def ansible_inventory():
    """The tool, from the package index in an environment of its own; made once and kept under .cache."""
    directory = ROOT / ".cache" / "ansible-venv"
    if not (directory / "bin" / "ansible-inventory").exists():
        fresh = directory.with_name(f"ansible-venv.{os.getpid()}")
        venv.create(fresh, with_pip=True, clear=True)
        command = [fresh / "bin" / "python", "-m", "pip", "install", "--quiet", "ansible-core>=2.16"]
        installed = subprocess.run(command, capture_output=True, text=True, check=False)
        if installed.returncode != 0:
            shutil.rmtree(fresh)
            pytest.skip(f"NOT COMPARED WITH ANSIBLE: ansible-core cannot be installed here: {installed.stderr[-300:]}")
        try:
            fresh.rename(directory)
        except OSError:  # another test process was faster
            shutil.rmtree(fresh)
    # Run as a module: the scripts of an environment that was renamed still name the old path.
    return [directory / "bin" / "python", "-m", "ansible", "inventory"]


@pytest.fixture(scope="session")
def listed(ansible_inventory, tmp_path_factory):
    home = tmp_path_factory.mktemp("ansible-home")
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "LC_ALL": "C.UTF-8",
        "ANSIBLE_CONFIG": str(home / "none.cfg"),
        "ANSIBLE_INVENTORY_ANY_UNPARSED_IS_FAILED": "true",
        "ANSIBLE_NOCOLOR": "1",
    }
    (home / "none.cfg").touch()

    def run(path):
        ran = subprocess.run(
            [*ansible_inventory, "-i", path, "--list"],
            capture_output=True,
            text=True,
            env=environment,
            cwd=home,
            check=False,
        )
        assert ran.returncode == 0, ran.stderr
        return json.loads(ran.stdout)

    return run


def theirs(output):
    """hosts -> variables, and groups -> (hosts, children), of the groups that hold anything."""
    variables = output.pop("_meta")["hostvars"]
    groups = {name: (sorted(g.get("hosts", [])), sorted(g.get("children", []))) for name, g in output.items()}
    hosts = {host for members, _ in groups.values() for host in members} | set(variables)
    return {host: variables.get(host, {}) for host in hosts}, groups


def ours(inventory):
    hosts = {
        host.name: {name: shape(variable.value) for name, variable in host.variables.items()}
        for host in inventory.hosts.values()
    }
    groups = {
        group.name: (sorted(group.hosts), sorted(group.children))
        for group in inventory.groups.values()
        if group.hosts or group.children
    }
    return hosts, groups


def shape(value):
    """A value as ansible-inventory prints it."""
    if isinstance(value, Expression):
        return value.source
    if isinstance(value, Vaulted):
        return {"__ansible_vault": value.text}
    if isinstance(value, dict):
        return {str(key): shape(item) for key, item in value.items()}
    if isinstance(value, list):
        return [shape(item) for item in value]
    return value


def typed(value):
    """The value with the type of every part: 1, 1.0, True and "1" differ."""
    if isinstance(value, dict) and set(value) == {"__ansible_unsafe"}:
        return typed(value["__ansible_unsafe"])
    if isinstance(value, dict):
        return {key: typed(item) for key, item in value.items()}
    if isinstance(value, list):
        return [typed(item) for item in value]
    return type(value).__name__, repr(value)


def test_there_are_enough_samples():
    assert len(NAMES) >= 25


@pytest.mark.parametrize("name", NAMES)
def test_an_inventory_says_the_same_as_to_ansible(name, listed):
    inventory, problems = load_inventory(SAMPLES / name, root=SAMPLES, yaml=YAML, allow_executables=True)
    assert [problem for problem in problems if not problem.is_warning] == []
    hosts, groups = ours(inventory)
    expected_hosts, expected_groups = theirs(listed(SAMPLES / name))
    assert set(hosts) == set(expected_hosts)
    for host, variables in expected_hosts.items():
        assert typed(hosts[host]) == typed(variables), host
    # Ansible leaves out children without members of their own; the groups that hold something must agree.
    full = {group for group, (members, children) in {**groups, **expected_groups}.items() if members or children}
    for group in full:
        members, children = groups.get(group, ([], []))
        expected_members, expected_children = expected_groups.get(group, ([], []))
        assert members == expected_members, group
        assert set(children) >= set(expected_children), group
