"""Inventories of a lab: statectl's own format, and Ansible's INI."""

from collections.abc import Sequence
from pathlib import Path

from tests.lab.machine import LabHost


def write_inventories(place: Path, hosts: Sequence[LabHost]) -> None:
    """inventory/hosts.yml (statectl), ansible.ini and ssh_config, all for `root` with the lab's key."""
    directory = place / "inventory"
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "hosts.yml").write_text(statectl_yaml(hosts))
    (place / "ansible.ini").write_text(ansible_ini(hosts))
    (place / "ssh_config").write_text(ssh_config(hosts))


def statectl_yaml(hosts: Sequence[LabHost], user: str = "root") -> str:
    """The language's own inventory. Keys, known_hosts: by the user's ssh config or by the project's `connection`."""
    lines = ["hosts:"]
    for host in hosts:
        lines += [
            f"  {host.name}:",
            f"    address: {host.address}",
            f"    user: {user}",
            f"    groups: [{', '.join(host.groups)}]",
            f"    tags: {{suite: {host.suite}}}",
        ]
    groups = sorted({group for host in hosts for group in host.groups})
    lines += ["groups:", *(f"  {group}: {{}}" for group in groups)]
    return "\n".join(lines) + "\n"


def ansible_ini(hosts: Sequence[LabHost], user: str = "root") -> str:
    lines = []
    for group in sorted({group for host in hosts for group in host.groups}):
        lines.append(f"[{group}]")
        lines += [
            f"{host.name} ansible_host={host.address} ansible_user={user} ansible_python_interpreter=/usr/bin/python3"
            for host in hosts
            if group in host.groups
        ]
        lines.append("")
    if hosts:
        first = hosts[0]
        lines += ["[all:vars]", f"ansible_ssh_private_key_file={first.key}"]
    return "\n".join(lines) + "\n"


def ssh_config(hosts: Sequence[LabHost], user: str = "root") -> str:
    """For `ssh -F`, and for the user's own ~/.ssh/config in tests that set HOME."""
    blocks = [
        f"Host {host.name} {host.address} {host.address6}\n  HostName {host.address}\n  User {user}\n"
        f"  IdentityFile {host.key}\n  IdentitiesOnly yes\n  UserKnownHostsFile {host.known_hosts}\n"
        "  StrictHostKeyChecking yes\n"
        for host in hosts
    ]
    return "\n".join(blocks)
