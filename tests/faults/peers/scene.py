"""A scene in which another tool does the work."""

import json
import os
import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.benchmarks.tools import peer_environment
from tests.faults.scene import Scene
from tests.lab.machine import LabHost
from tests.lab.places import run
from tests.lab.project import Said

HERE = Path(__file__).parent
NAMES = ("ansible", "pyinfra")
ANSIBLE_CFG = """\
[defaults]
forks = 50
retry_files_enabled = false
host_key_checking = true
[ssh_connection]
pipelining = true
"""
NOTHING_CHANGED = {
    "ansible": re.compile(r"\bchanged=0 .*\bfailed=0 "),
    "pyinfra": re.compile(r"Grand total\s+(\d+)\s+-\s+-\s+\1\s"),
}
HOSTS_THAT_SAY_SO = {"ansible": 2, "pyinfra": 1}  # pyinfra says it once for all


def version(name: str) -> str:
    """`ansible-core 2.19.4`: what is installed for the comparison."""
    if name == "ansible":
        said = run([peer_environment(name) / "bin" / "ansible", "--version"])
        return "ansible-core " + said.split("]")[0].split()[-1]
    return "pyinfra " + run([peer_environment(name) / "bin" / "pyinfra", "--version"]).split()[-1].lstrip("v")


class PeerScene(Scene):
    """`extra`: what the row declares beyond the common workload: small (files on a small disk), work (a command), or nothing."""

    def __init__(self, place: Path, hosts: Sequence[LabHost], name: str, *, extra: str) -> None:
        super().__init__(place, hosts)
        self.name = name
        self.extra = extra
        self.place = place / name
        self.place.mkdir()
        for file in ("playbook.yml", "deploy.py"):
            shutil.copy(HERE / file, self.place)
        (self.place / "ansible.cfg").write_text(ANSIBLE_CFG)
        (self.place / "vars.json").write_text(json.dumps({"canary": self.canary, "extra": extra}))
        self.reach()

    def reach(self, more: Mapping[str, Mapping[str, Any]] | None = None, **fields: Any) -> None:
        """The inventories of both tools: the victim at this `address` and `port`, with this `host_key`."""
        unknown = set(fields) - {"address", "port", "host_key"}
        if more or unknown:
            raise ValueError(f"not translated for other tools: {more or unknown}")
        addresses = {host.name: (host.address, 22) for host in (self.victim, self.witness)}
        if fields:
            at = fields.get("address", self.victim.address), fields.get("port", 22)
            addresses[self.victim.name] = at
            with (self.project.home / ".ssh" / "known_hosts").open("a") as known:
                known.write(f"[{at[0]}]:{at[1]} {fields.get('host_key', self.victim.host_key)}\n")
        key = self.project.home / ".ssh" / "id_ed25519"
        known_hosts = self.project.home / ".ssh" / "known_hosts"
        (self.place / "hosts.ini").write_text(
            "".join(
                f"{name} ansible_host={address} ansible_port={port} ansible_user=root "
                f"ansible_ssh_common_args='-o UserKnownHostsFile={known_hosts}' ansible_ssh_private_key_file={key}\n"
                for name, (address, port) in addresses.items()
            )
        )
        data = [
            (
                name,
                {
                    "ssh_hostname": address,
                    "ssh_port": port,
                    "ssh_user": "root",
                    "ssh_key": str(key),
                    "ssh_known_hosts_file": str(known_hosts),
                    "ssh_strict_host_key_checking": "yes",
                    "canary": self.canary,
                    "extra": self.extra,
                },
            )
            for name, (address, port) in addresses.items()
        ]
        (self.place / "inventory.py").write_text(f"lab = {data!r}\n")

    def command(self, argv: Sequence[str]) -> tuple[list[str], Path, dict[str, str]]:
        """The one thing the tool is asked for, whatever statectl would have been."""
        del argv
        binary = peer_environment(self.name) / "bin"
        environment = {
            "PATH": f"{binary}:{os.environ['PATH']}",
            "HOME": str(self.project.home),
            "LC_ALL": "C.UTF-8",
            "TERM": "dumb",
            "ANSIBLE_NOCOLOR": "1",
            "ANSIBLE_CONFIG": str(self.place / "ansible.cfg"),
        }
        if self.name == "ansible":
            words = [str(binary / "ansible-playbook"), "-i", "hosts.ini", "-e", "@vars.json", "playbook.yml"]
        else:
            words = [str(binary / "pyinfra"), "-y", "inventory.py", "deploy.py"]
        return words, self.place, environment

    def nothing_changed(self, said: Said) -> bool:
        return len(NOTHING_CHANGED[self.name].findall(said.out + said.err)) == HOSTS_THAT_SAY_SO[self.name]

    def close(self) -> None:
        """End the shared connections that ansible keeps, or their processes would count as somebody else's."""
        for socket in (self.project.home / ".ansible" / "cp").glob("*"):
            subprocess.run(["ssh", "-O", "exit", "-S", socket, "host"], capture_output=True, check=False)
