"""The trial project and the converted roles compile on every family of systems they are for, and say there what they should."""

import subprocess
from pathlib import Path

import pytest

from statectl.catalogue.compile import Compiler
from statectl.catalogue.render import Renderer
from statectl.cli.values import Declared
from statectl.project import yaml_tree
from statectl.project.scalars import Expression, Plain, untyped
from statectl.sections import load, table
from statectl.targets.inventory import load_inventory
from statectl.targets.values import Yaml

EXAMPLES = Path(__file__).parents[2] / "examples"
YAML = Yaml(yaml_tree.read_yaml, untyped, Expression, Plain, yaml_tree.BROKEN)
FAMILIES = {
    "debian": {"id": "debian", "family": "debian", "major": 12, "version": "12", "codename": "bookworm"},
    "redhat": {"id": "rocky", "family": "redhat", "major": 9, "version": "9.4", "codename": ""},
    "suse": {"id": "opensuse-leap", "family": "suse", "major": 15, "version": "15.6", "codename": ""},
}


def facts(family):
    return {
        "os": FAMILIES[family],
        "kernel": {"arch": "x86_64", "release": "6.1"},
        "cpu": {"count": 2},
        "mounts": [{"path": "/", "device": "/dev/sda1", "type": "ext4"}],
        "service_manager": "systemd",
        "virtualization": "none",
    }


@pytest.fixture
def catalogues(monkeypatch):
    """hosts -> catalogue of a project, every host of one family, probes answered as given."""
    monkeypatch.setenv("TRIAL_DB_PASSWORD", "not-a-password")
    opened = []

    def compiled(directory, inventory, family, probes=None, only=None):
        project = load(EXAMPLES / directory, env={})
        assert [problem for problem in project.problems if not problem.is_warning] == []
        hosts, problems = load_inventory(EXAMPLES / directory / inventory, root=project.root, yaml=YAML)
        assert problems == []
        values = Declared(project.parameters.values())
        renderer = Renderer(project.root, parameter=values.parameter, secret=values.secret)
        opened.append(renderer)
        renderer.__enter__()
        types = {kind.name: kind for kind in table().resources.values()}
        compiler = Compiler(project, hosts, renderer, types, stored_facts=lambda _: None)
        results = {}
        for name in only or hosts.hosts:
            result = compiler.host(name, facts(family), probes or {})
            assert [problem for problem in result.problems if not problem.is_warning] == [], name
            results[name] = result
        return results

    yield compiled
    for renderer in opened:
        renderer.__exit__(None, None, None)


def resources(result):
    return {one["address"]: one for one in result.catalogue["resources"]}


def content(result, address):
    blob = resources(result)[address]["want"]["content"]
    value = result.blobs[blob["$blob"]]
    return value.decode() if isinstance(value, bytes) else value.read_text()


@pytest.mark.parametrize("inventory", ["dev", "stage", "prod"])
def test_the_trial_project_compiles_in_every_environment(catalogues, inventory):
    results = catalogues("trial", f"inventories/{inventory}", "debian")
    assert all(result.catalogue["resources"] for result in results.values())


def test_upstreams_are_the_application_hosts_of_the_inventory(catalogues):
    results = catalogues("trial", "inventories/prod", "debian")
    upstream = content(results["web01"], "file:/etc/nginx/conf.d/upstream.conf")
    assert [line.split()[1] for line in upstream.splitlines() if "server" in line] == [
        f"app0{i}:8000" for i in range(1, 7)
    ]


def test_secrets_and_sizes_differ_by_host(catalogues):
    results = catalogues("trial", "inventories/prod", "debian")
    for name, workers in (("app01", "8"), ("app06", "16")):
        wanted = resources(results[name])["file:/etc/shop/environment"]["want"]["content"]
        assert f"SHOP_WORKERS={workers}\n" in wanted["$parts"][0]
        assert "not-a-password" not in str(results[name].catalogue)


def test_the_router_forwards_and_says_why(catalogues):
    results = catalogues("trial", "inventories/prod", "debian")
    forward = resources(results["gate1"])["sysctl:net.ipv4.ip_forward"]
    assert forward["want"]["value"] == "1"
    assert forward["overrides"][0]["reason"] == "it is the router"
    assert resources(results["web01"])["sysctl:net.ipv4.ip_forward"]["want"]["value"] == "0"


def test_a_team_adds_its_exception_with_variables_alone(catalogues):
    results = catalogues("trial", "inventories/prod", "debian")
    sshd = content(results["etl1"], "file:/etc/ssh/sshd_config.d/50-hardening.conf")
    assert "AllowTcpForwarding local\n" in sshd
    assert "AllowGroups root admins data\n" in sshd
    assert "AllowTcpForwarding no\n" in content(results["web01"], "file:/etc/ssh/sshd_config.d/50-hardening.conf")


@pytest.mark.parametrize(
    ("family", "service", "updates"),
    [
        ("debian", "ssh", "package:unattended-upgrades"),
        ("redhat", "sshd", "service:dnf-automatic-install.timer"),
        ("suse", "sshd", "package:zypper-lifecycle-plugin"),
    ],
)
def test_the_baseline_fits_each_family(catalogues, family, service, updates):
    found = resources(catalogues("trial", "inventories/prod", family, only=["etl1"])["etl1"])
    assert f"service:{service}" in found
    assert updates in found
    assert found["file:/etc/ssh/sshd_config.d/50-hardening.conf"]["notify"] == [f"service:{service}"]


def test_after_a_failover_the_probe_says_who_the_primary_is(catalogues):
    tagged = catalogues("trial", "inventories/prod", "debian")
    assert "command:replication-role" in resources(tagged["pg1"])
    assert "command:replication-role" not in resources(tagged["pg2"])
    moved = catalogues("trial", "inventories/prod", "debian", {"in_recovery": {"ok": True, "value": False}})
    assert "command:replication-role" in resources(moved["pg2"])


@pytest.mark.parametrize(
    ("server", "code", "says"),
    [("t|1", 0, "true\n"), ("t|2", 0, "true\n"), ("f|2", 0, "false\n"), ("f|1", 2, ""), ("", 2, "")],
    ids=["replica", "replica after a failover", "promoted", "never replicated", "no server"],
)
def test_the_probe_of_the_primary_knows_who_was_promoted(tmp_path, server, code, says):
    """A replica that has no data of its primary yet is not taken for a promoted one: there the tag decides, at every apply."""
    (tmp_path / "runuser").write_text(f"#!/bin/sh\necho '{server}'\n")
    (tmp_path / "runuser").chmod(0o755)
    script = EXAMPLES / "trial/states/files/pg-in-recovery"
    said = subprocess.run(["/bin/sh", script], env={"PATH": str(tmp_path)}, capture_output=True, text=True, check=False)
    assert (said.returncode, said.stdout) == (code, says)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("role", ["nginx", "ntp", "security", "ssh-hardening", "node-exporter"])
def test_a_converted_role_compiles_on_every_family(catalogues, role, family):
    probes = {"openssh": {"ok": True, "value": "9.2"}, "timesyncd": {"ok": True, "value": "loaded"}}
    results = catalogues(f"roles/{role}", "inventories/hosts.yml", family, probes)
    assert all(result.catalogue["resources"] for result in results.values())


def test_virtual_hosts_come_and_go_with_the_list(catalogues):
    first = next(iter(catalogues("roles/nginx", "inventories/hosts.yml", "debian").values()))
    found = resources(first)
    assert found["file:/etc/nginx/sites-enabled/old.example.org.conf"]["want"]["state"] == "absent"
    assert "server_name api.example.org;" in content(first, "file:/etc/nginx/sites-enabled/api.example.org.conf")


def test_the_time_service_that_is_there_is_stopped(catalogues):
    loaded = catalogues("roles/ntp", "inventories/hosts.yml", "debian", {"timesyncd": {"ok": True, "value": "loaded"}})
    assert "service:systemd-timesyncd" in resources(loaded["node1"])
    none = catalogues("roles/ntp", "inventories/hosts.yml", "debian", {"timesyncd": {"ok": False, "reason": "x"}})
    assert "service:systemd-timesyncd" not in resources(none["node1"])
    assert "server 0.no.pool.ntp.org iburst" in content(none["node1"], "file:/etc/chrony/chrony.conf")


def test_the_binary_is_there_before_its_service(catalogues):
    one = catalogues("roles/node-exporter", "inventories/hosts.yml", "debian")["node1"]
    order = [resource["address"] for resource in one.catalogue["resources"]]
    assert order.index("command:install") < order.index("service:node_exporter")
