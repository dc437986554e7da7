"""Collected inventory of real hosts: what dpkg, rpm, systemd and the kernel say is what is told, and a change is found."""

import json

import pytest

RACK = json.dumps({"SchemaVersion": "1.0", "TypeName": "Custom:Rack", "Content": {"Name": "r4", "Unit": "12"}})
SETTINGS = """collect:
  files: [{path: /etc/ssh, pattern: ["sshd_config"], hash: true}]
  certificates: [/etc/lab-tls/*.pem]
  custom:
    Uptime: {run: [sh, -c, 'echo "{\\"Name\\": \\"x\\", \\"Days\\": 3}"']}
    Hangs: {run: [sleep, "60"], timeout: 1s}
"""


@pytest.fixture(scope="module")
def collected(host_pool, tmp_path_factory):
    """Debian hosts and one with rpm, collected once as root. -> (project, {suite: host})"""
    from tests.lab.project import LabProject

    hosts = {suite: host_pool.take(1, suite)[0] for suite in ("bookworm", "trixie", "rpm")}
    for host in hosts.values():
        host.exec(["mkdir", "-p", "/etc/statectl/inventory.d"])
        host.write("/etc/statectl/inventory.d/rack.json", RACK)
        host.write("/etc/statectl/inventory.d/broken.json", "{")
    hosts["rpm"].sh(
        "rpm -i --nodeps /srv/lab/rpm/lab-alpha-1.0-*.rpm || rpm -i --nodeps $(find /srv/lab/rpm -name 'lab-alpha-1.0*.rpm' | head -1)"
    )
    project = LabProject(tmp_path_factory.mktemp("collected"), list(hosts.values()), settings=SETTINGS)
    said = project.statectl("inventory", "refresh", "--json", expect=0)
    yield project, hosts, {row["host"]: row for row in said.json["refreshed"]}
    host_pool.give_back(list(hosts.values()))


def entries(project, host, kind):
    found = project.statectl("inventory", "show", host.name, "--type", kind, "--json", expect=0).json["entries"]
    return {entry.get("Name", ""): entry for entry in found}


@pytest.mark.parametrize("suite", ["bookworm", "trixie", "rpm"])
def test_it_is_as_the_system_itself_says(collected, suite):
    """Packages by dpkg-query, the SSH server by systemd and by its port, accounts, files, the kernel; what hangs costs itself."""
    project, hosts, rows = collected
    host = hosts[suite]
    told = rows[host.name]
    assert told["outcome"] == "ok"
    assert sorted(told["missing"]) == ["Custom", "Custom:Hangs"], told
    assert "broken.json" in told["missing"]["Custom"]
    packages = entries(project, host, "Application")
    asked = host.sh("dpkg-query -W -f '${Package} ${Version} ${db:Status-Status}\\n'")
    theirs = {line.split()[0]: line.split()[1] for line in asked.splitlines() if line.endswith(" installed")}
    ours = {name: entry["Version"] for name, entry in packages.items() if entry["ApplicationType"] == "deb"}
    assert ours == theirs
    assert all(packages[name].get("InstalledTime", "").startswith("20") for name in theirs)
    services = entries(project, host, "Service")
    assert (services["ssh"]["Status"], services["ssh"]["StartType"]) == ("running", "enabled")
    listeners = project.statectl("inventory", "show", host.name, "--type", "Listener", "--json", expect=0).json[
        "entries"
    ]
    assert any(one["Port"] == 22 and one["Process"] in ("sshd", "systemd") for one in listeners), listeners
    assert entries(project, host, "User")["admin"]["Shell"] == "/bin/bash"
    digest = host.sh("sha256sum /etc/ssh/sshd_config").split()[0]
    assert entries(project, host, "File")["sshd_config"]["Sha256"] == digest
    assert entries(project, host, "Custom:Rack") == {"r4": {"Name": "r4", "Unit": "12"}}
    assert entries(project, host, "Custom:Uptime")["x"]["Days"] == 3
    kernel = project.statectl("inventory", "show", host.name, "--type", "Kernel", "--json", expect=0).json["entries"][0]
    assert kernel["Running"] == host.sh("uname -r").strip()


def test_packages_of_rpm_beside_those_of_dpkg(collected):
    """A host with both has both, each compared by its own rules."""
    project, hosts, _ = collected
    host = hosts["rpm"]
    release = host.sh("rpm -q --qf '%{VERSION}-%{RELEASE}' lab-alpha").strip()
    found = entries(project, host, "Application")["lab-alpha"]
    assert (found["ApplicationType"], found["Version"]) == ("rpm", release)
    asked = project.statectl(
        "inventory", "query", "package.lab-alpha < 1.1 and package.lab-alpha >= 1.0", "-o", "name", expect=0
    )
    assert asked.out.split() == [host.name]


def test_an_upgrade_is_found_by_target_history_and_difference(collected):
    """Who has it below a version, before and after; the rest of the host is not told again."""
    project, hosts, _ = collected
    host = hosts["bookworm"]
    target = "package.bash < 999 and package.hostname=3.*"
    assert host.name in project.statectl("inventory", "query", target, "-o", "name", expect=0).out.split()
    status = host.sh("cat /var/lib/dpkg/status")
    old = next(block for block in status.split("\n\n") if block.startswith("Package: hostname\n"))
    version = next(line for line in old.splitlines() if line.startswith("Version: "))
    host.write("/var/lib/dpkg/status", status.replace(old, old.replace(version, "Version: 9.9-1")))
    said = project.statectl("inventory", "refresh", "-t", host.name, "--type", "Application", expect=0)
    assert "1 with something new" in said.out
    assert host.name not in project.statectl("inventory", "query", target, "-o", "name").out.split()
    newest = project.statectl("inventory", "history", host.name, "--type", "Application", "--json").json["history"][0]
    assert newest["changed"] == {"hostname": {"Version": [version[9:], "9.9-1"]}}
    assert (newest["added"], newest["removed"]) == ({}, {})


def test_a_login_without_rights_collects_what_it_may_see(collected, tmp_path_factory):
    """No sudo: packages and services are there all the same, and what is not for this user is told or left empty."""
    from tests.lab.project import LabProject

    _, hosts, _ = collected
    host = hosts["trixie"]
    project = LabProject(tmp_path_factory.mktemp("plain"), [host], user="plain")
    said = project.statectl("inventory", "refresh", "--json", expect=0).json["refreshed"][0]
    assert said["outcome"] == "ok"
    assert "bash" in entries(project, host, "Application")
    assert entries(project, host, "Service")["ssh"]["Status"] == "running"
