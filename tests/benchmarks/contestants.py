"""statectl and its peers: how each is given its hosts. Their declarations stand in peers/."""

import json
import re
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.benchmarks.floors import connections, script
from tests.benchmarks.tools import PEERS, Tool, peer_environment, plain_environment
from tests.lab import LabHost
from tests.lab.places import PROJECT, run
from tests.lab.project import LabProject


def statectl(place: Path, hosts: Sequence[LabHost]) -> Tool:
    project = statectl_project(place, hosts)
    version = run([sys.executable, "-m", "statectl", "--version"], cwd=PROJECT).split()[-1]
    return Tool(
        "statectl",
        version,
        [sys.executable, "-m", "statectl", "apply", "--yes"],
        project.root,
        project.environment(),
        re.compile(r"(?i)no changes"),
    )


def statectl_project(place: Path, hosts: Sequence[LabHost]) -> LabProject:
    """A project that declares the workload."""
    project = LabProject(place / "statectl", hosts)
    shutil.copytree(PEERS / "statectl" / "states", project.root / "states", dirs_exist_ok=True)
    project.commit("the workload")
    return project


def ansible(place: Path, hosts: Sequence[LabHost]) -> Tool:
    environment = peer_environment("ansible")
    cwd = place / "ansible"
    shutil.copytree(PEERS / "ansible", cwd)
    sockets = cwd / "cp"
    sockets.mkdir()
    env = {**_ansible_environment(cwd, hosts), "ANSIBLE_SSH_CONTROL_PATH_DIR": str(sockets)}
    command, version = _ansible_command(environment, cwd, hosts)
    return Tool("ansible-core", version, command, cwd, env, re.compile(r"changed=0 "), len(hosts), sockets=sockets)


def mitogen(place: Path, hosts: Sequence[LabHost]) -> Tool:
    """ansible-core whose modules run in a Python that Mitogen keeps on every host for the length of a run."""
    environment = peer_environment("mitogen")
    cwd = place / "mitogen"
    shutil.copytree(PEERS / "ansible", cwd)
    shutil.copytree(PEERS / "mitogen", cwd, dirs_exist_ok=True)
    asked = "import ansible_mitogen, importlib.metadata as m; print(ansible_mitogen.__path__[0], m.version('mitogen'))"
    package, version = run([environment / "bin" / "python", "-c", asked]).split()
    env = {**_ansible_environment(cwd, hosts), "ANSIBLE_STRATEGY_PLUGINS": f"{package}/plugins/strategy"}
    command, _ = _ansible_command(environment, cwd, hosts)
    return Tool("mitogen", version, command, cwd, env, re.compile(r"changed=0 "), len(hosts))


def _ansible_environment(cwd: Path, hosts: Sequence[LabHost]) -> dict[str, str]:
    return {
        **plain_environment(cwd),
        "ANSIBLE_CONFIG": str(cwd / "ansible.cfg"),
        "ANSIBLE_PRIVATE_KEY_FILE": str(hosts[0].key),
        "ANSIBLE_SSH_COMMON_ARGS": f"-o UserKnownHostsFile={hosts[0].known_hosts}",
        "ANSIBLE_NOCOLOR": "1",
    }


def _ansible_command(environment: Path, cwd: Path, hosts: Sequence[LabHost]) -> tuple[list[str], str]:
    """Its argv and version; writes the inventory."""
    lines = [
        f"{host.name} ansible_host={host.address} ansible_user=root ansible_python_interpreter=/usr/bin/python3\n"
        for host in hosts
    ]
    (cwd / "hosts.ini").write_text("".join(lines))
    version = run([environment / "bin" / "ansible", "--version"]).split("]")[0].split()[-1]
    return [str(environment / "bin" / "ansible-playbook"), "-i", "hosts.ini", "playbook.yml"], version


def pyinfra(place: Path, hosts: Sequence[LabHost]) -> Tool:
    environment = peer_environment("pyinfra")
    cwd = place / "pyinfra"
    shutil.copytree(PEERS / "pyinfra", cwd)
    data = [
        (
            host.name,
            {
                "ssh_hostname": host.address,
                "ssh_user": "root",
                "ssh_key": str(host.key),
                "ssh_known_hosts_file": str(host.known_hosts),
                "ssh_strict_host_key_checking": "yes",
            },
        )
        for host in hosts
    ]
    (cwd / "inventory.py").write_text(f"lab = {data!r}\n")
    version = run([environment / "bin" / "pyinfra", "--version"]).split()[-1].lstrip("v")
    return Tool(
        "pyinfra",
        version,
        [str(environment / "bin" / "pyinfra"), "-y", "inventory.py", "deploy.py"],
        cwd,
        plain_environment(cwd),
        re.compile(r"Grand total\s+(\d+)\s+-\s+-\s+\1\s"),
    )


def salt(place: Path, hosts: Sequence[LabHost]) -> Tool:
    """salt-ssh, which keeps its own copy on every host from run to run, and connections open for 60 s."""
    environment = peer_environment("salt")
    cwd = place / "salt"
    shutil.copytree(PEERS / "salt", cwd)
    sockets = cwd / "cp"
    sockets.mkdir()
    master = {
        "root_dir": str(cwd),
        "pki_dir": str(cwd / "pki"),
        "cachedir": str(cwd / "cache"),
        "sock_dir": str(cwd / "sock"),
        "log_file": str(cwd / "log"),
        "ssh_log_file": str(cwd / "log"),
        "roster_file": str(cwd / "roster"),
        "known_hosts_file": str(hosts[0].known_hosts),
        "file_roots": {"base": [str(cwd / "states")]},
        "pillar_roots": {"base": []},
        # facts that cost time on every run and that the workload does not use
        "ssh_minion_opts": {"enable_fqdns_grains": False, "enable_gpu_grains": False},
    }
    kept = ["ControlMaster=auto", f"ControlPath={sockets}/%C", "ControlPersist=60s"]
    roster = {
        host.name: {"host": host.address, "user": "root", "priv": str(host.key), "ssh_options": kept} for host in hosts
    }
    (cwd / "etc").mkdir()
    (cwd / "etc" / "master").write_text(json.dumps(master))
    (cwd / "roster").write_text(json.dumps(roster))
    thin = "import sys, salt.utils.thin as thin; thin.gen_thin(sys.argv[1])"  # made once, as on any controller in use
    run([environment / "bin" / "python", "-c", thin, cwd / "cache"])
    version = run([environment / "bin" / "salt-ssh", "--version"]).split()[1]
    return Tool(
        "salt-ssh",
        version,
        [
            str(environment / "bin" / "salt-ssh"),
            *("-c", str(cwd / "etc"), "--state-output=changes", "--state-verbose=false", "--no-color"),
            *("*", "state.apply", "bench"),
        ],
        cwd,
        plain_environment(cwd),
        re.compile(r"Succeeded: +\d+\nFailed: +0\n"),
        len(hosts),
        sockets=sockets,
    )


# by the names of --tools, in the order of the columns; `floor` and `script` are no tools but what nothing can be faster than
TOOLS = {
    "statectl": statectl,
    "mitogen": mitogen,
    "salt": salt,
    "pyinfra": pyinfra,
    "ansible": ansible,
    "floor": connections,
    "script": script,
}
