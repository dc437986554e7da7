"""The tools of the benchmark: how each is installed, given its hosts, run, and asked whether it changed anything."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.lab import LabHost
from tests.lab.places import PROJECT, digest_of, locked, run
from tests.lab.project import LabProject

PEERS = Path(__file__).parent / "peers"
ENVIRONMENTS = PROJECT / ".cache" / "peers"


def peer_environment(name: str) -> Path:
    """A virtual environment with the pinned version of a peer, made once. Needs a package registry the first time."""
    requirements = PEERS / name / "requirements.txt"
    place = ENVIRONMENTS / f"{name}-{digest_of(requirements.read_bytes())}"
    with locked(ENVIRONMENTS / f"{name}.lock"):
        if not (place / "ready").exists():
            shutil.rmtree(place, ignore_errors=True)
            run([sys.executable, "-m", "venv", place])
            run([place / "bin" / "pip", "install", "--quiet", "-r", requirements])
            (place / "ready").touch()
    return place


@dataclass
class Tool:
    """A tool set up for some hosts. `command` is the whole process that is timed."""

    name: str
    version: str
    command: Sequence[str]
    cwd: Path
    env: Mapping[str, str]
    nothing_changed: re.Pattern[str]  # found in the output of a run that changed nothing, once or more

    def run(self) -> str:
        """One run to its end; a failure raises with all that it said."""
        done = subprocess.run(
            self.command,
            cwd=self.cwd,
            env=dict(self.env),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            check=False,
        )
        if done.returncode:
            raise RuntimeError(f"{self.name} exited {done.returncode}\n{done.stdout[-5000:]}")
        return done.stdout

    def forget(self) -> None:
        """Drop what is kept between runs on this side: nothing, except where a tool keeps connections open."""


@dataclass
class Ansible(Tool):
    sockets: Path = Path()

    def forget(self) -> None:
        for socket in self.sockets.glob("*"):
            subprocess.run(["ssh", "-O", "exit", "-S", socket, "host"], capture_output=True, check=False)


def _environment(home: Path) -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "HOME": str(home), "LC_ALL": "C.UTF-8", "TERM": "dumb"}


def statectl(place: Path, hosts: Sequence[LabHost]) -> Tool:
    project = LabProject(place / "statectl", hosts)
    shutil.copytree(PEERS / "statectl" / "states", project.root / "states", dirs_exist_ok=True)
    project.commit("the workload")
    version = run([sys.executable, "-m", "statectl", "--version"], cwd=PROJECT).split()[-1]
    return Tool(
        "statectl",
        version,
        [sys.executable, "-m", "statectl", "apply", "--yes"],
        project.root,
        project.environment(),
        re.compile(r"(?i)no changes"),
    )


def ansible(place: Path, hosts: Sequence[LabHost]) -> Tool:
    environment = peer_environment("ansible")
    cwd = place / "ansible"
    shutil.copytree(PEERS / "ansible", cwd)
    sockets = cwd / "cp"
    sockets.mkdir()
    lines = [
        f"{host.name} ansible_host={host.address} ansible_user=root ansible_python_interpreter=/usr/bin/python3\n"
        for host in hosts
    ]
    (cwd / "hosts.ini").write_text("".join(lines))
    known = f"-o UserKnownHostsFile={hosts[0].known_hosts}"
    env = {
        **_environment(cwd),
        "ANSIBLE_CONFIG": str(cwd / "ansible.cfg"),
        "ANSIBLE_PRIVATE_KEY_FILE": str(hosts[0].key),
        "ANSIBLE_SSH_COMMON_ARGS": known,
        "ANSIBLE_SSH_CONTROL_PATH_DIR": str(sockets),
        "ANSIBLE_NOCOLOR": "1",
    }
    version = run([environment / "bin" / "ansible", "--version"]).split("]")[0].split()[-1]
    return Ansible(
        "ansible-core",
        version,
        [str(environment / "bin" / "ansible-playbook"), "-i", "hosts.ini", "playbook.yml"],
        cwd,
        env,
        re.compile(r"changed=0 "),
        sockets=sockets,
    )


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
        _environment(cwd),
        re.compile(r"Grand total\s+(\d+)\s+-\s+-\s+\1\s"),
    )


TOOLS = {"statectl": statectl, "pyinfra": pyinfra, "ansible": ansible}
