"""Where each example is played: which of its hosts is which system of the lab.

Every association of every example meets every system that it can mean; tests/unit/test_example_stages.py holds that.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.hosts import example_checks as checks
from tests.lab import LabHost

SYSTEMS = ("bullseye", "bookworm", "trixie", "rpm")  # rpm: Debian 12 with dnf, zypper and rpm beside apt
# What is not meant for every system: who says so is the example itself, by its targets.
ONLY_ON = {("fleet-baseline", "team-build"): ("rpm",)}  # tag packages=dnf


def cast(**systems: str) -> Mapping[str, str]:
    """`cast(trixie="lb1 app3")`: lab systems by the example's own host names."""
    return {host: system for system, hosts in systems.items() for host in hosts.split()}


@dataclass(frozen=True)
class Stage:
    """`casts`: each is a project of its own, one run for all its systems; the casts are played at once."""

    example: str
    inventory: str
    casts: tuple[Mapping[str, str], ...]
    check: Callable[[Mapping[str, Any], Mapping[str, LabHost]], None]
    env: Mapping[str, str] = field(default_factory=dict)
    vars: str = ""  # YAML of an inventory beside the example's own
    user: str = "root"
    prepare: str = ""  # shell, on every host
    bastion: str = ""  # system of a host that the others are reached through


LAB_REPOSITORIES = """groups:
  all:
    vars:
      company_apt:
        uris: ["file:/srv/lab/apt/extra"]
        suites: [lab]
        components: [main]
        signed_by: /srv/lab/apt/keys/extra.asc
      company_tools: [lab-extra-01]
      company_rpm: {baseurl: ["file:///srv/lab/rpm"], key: ""}
      build_tools: [lab-alpha]
"""
# no host of the lab reaches the internet: a stand-in that says the right version, as the installed binary would
NODE_EXPORTER = """cat > /usr/local/bin/node_exporter <<'END'
#!/bin/sh
[ "$1" != --version ] || { echo 'node_exporter, version 1.8.2 (branch: HEAD)'; exit; }
exec sleep infinity
END
chmod 755 /usr/local/bin/node_exporter"""
# a container has no clock of its own, and chrony knows: here it runs without touching one
CHRONY = """mkdir -p /etc/systemd/system/chrony.service.d
printf '%s\\n' '[Unit]' 'ConditionCapability=' '[Service]' 'Type=simple' 'PIDFile=' 'ExecStart=' \\
  'ExecStart=!/usr/sbin/chronyd -d -x' > /etc/systemd/system/chrony.service.d/lab.conf
systemctl daemon-reload"""
TRIAL = {"TRIAL_DB_PASSWORD": "lab-password"}
STAGES = {
    "load-balanced": Stage(
        "load-balanced",
        "inventories/prod",
        (cast(bullseye="lb2 app2", bookworm="lb3 app1", trixie="lb1 app3", rpm="lb4 app4"),),
        checks.load_balanced,
        env={"STATUS_PASSWORD": "lab-password"},
        vars='hosts: {"lb[2-4]": {groups: [lb]}, "app[3-4]": {groups: [app]}}\n',
        user="admin",
        prepare="useradd -m mallory",
    ),
    "fleet-baseline": Stage(
        "fleet-baseline",
        "inventories/fleet",
        (cast(bullseye="shop2 data2 legacy1", bookworm="shop1 data3", trixie="shop3 data1", rpm="shop4 data4 build1"),),
        checks.fleet_baseline,
        vars=LAB_REPOSITORIES + 'hosts: {"shop[2-4]": {groups: [team_shop]}, "data[2-4]": {groups: [team_data]}}\n',
    ),
    "trial-dev": Stage(  # one machine that does everything
        "trial",
        "inventories/dev",
        (cast(bullseye="dev1"), cast(bookworm="dev1"), cast(trixie="dev1"), cast(rpm="dev1")),
        checks.trial,
        env=TRIAL,
    ),
    "trial-stage": Stage(
        "trial",
        "inventories/stage",
        (cast(bullseye="web1", bookworm="app1 pg1", trixie="web2 pg2", rpm="app2"),),
        checks.trial,
        env=TRIAL,
    ),
    "trial-prod": Stage(  # what prod has further: routers, a team's exception, a bastion
        "trial",
        "inventories/prod",
        (cast(bullseye="gate2 etl1", bookworm="gate3", trixie="gate1", rpm="gate4"),),
        checks.trial_prod,
        env=TRIAL,
        vars='hosts: {"gate[2-4]": {groups: [routers]}}\n',
        bastion="bookworm",
    ),
    "patching": Stage(
        "patching",
        "inventories/prod",
        (cast(bullseye="web02", bookworm="web01", trixie="web03", rpm="db01"),),
        checks.patching,
    ),
    "role-nginx": Stage(
        "roles/nginx",
        "inventories",
        (cast(bookworm="web1", bullseye="web2"), cast(rpm="web1", trixie="web2")),
        checks.nginx,
    ),
    "role-ntp": Stage(
        "roles/ntp",
        "inventories",
        (cast(bullseye="node1", bookworm="node2", trixie="node3"), cast(rpm="node1")),
        checks.ntp,
        prepare=CHRONY,
    ),
    "role-security": Stage(
        "roles/security",
        "inventories",
        (cast(bullseye="node1", bookworm="node2", trixie="node3"), cast(rpm="node1")),
        checks.security,
        user="admin",
        vars='hosts: {"node[1-3]": {vars: {security_ssh_allow_groups: [admin]}}}\n',  # who logs in here
    ),
    "role-ssh-hardening": Stage(
        "roles/ssh-hardening",
        "inventories",
        (
            cast(rpm="node1", bookworm="node2", trixie="node3", bullseye="bastion"),
            cast(bullseye="node1", trixie="bastion"),
        ),
        checks.ssh_hardening,
        user="admin",
    ),
    "role-node-exporter": Stage(
        "roles/node-exporter",
        "inventories",
        (cast(bullseye="node1", bookworm="node2", trixie="node3", rpm="edge"),),
        checks.node_exporter,
        prepare=NODE_EXPORTER,
    ),
}
