"""Every example is applied, as it is published, to lab hosts of several suites; only addresses and repositories are the lab's."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest
from converging import ROOT, converges, placed

from tests.lab import LabHost

EXAMPLES = sorted(str(path.parent.relative_to(ROOT / "examples")) for path in ROOT.glob("examples/**/statectl.yml"))
FETCH = """
import base64, sys, urllib.request as u
request = u.Request(sys.argv[1])
if sys.argv[2:]:
    request.add_header("Authorization", "Basic " + base64.b64encode(("numbers:" + sys.argv[2]).encode()).decode())
answer = u.urlopen(request, timeout=10)
print(answer.headers.get("X-Served-By"))
print(answer.read().decode())
"""
APPS = {"app1", "app2"}


@dataclass(frozen=True)
class Stage:
    """Where an example is played: lab suites by its own host names, and what testinfra must see afterwards."""

    example: str
    inventory: str
    hosts: Mapping[str, str]
    check: Callable[[Mapping[str, Any], Mapping[str, LabHost]], None]
    env: Mapping[str, str] = field(default_factory=dict)
    vars: str = ""  # YAML of an inventory beside the example's own
    user: str = "root"
    where: tuple[str, ...] = ()
    prepare: str = ""  # shell, on every host


def fetched(seen: Any, url: str, password: str = "") -> tuple[str, str]:
    """X-Served-By and body of a page, as the host itself gets it."""
    arguments = [url, password] if password else [url]
    served, _, body = seen.check_output(f"python3 -c %s {'%s ' * len(arguments)}", FETCH, *arguments).partition("\n")
    return served, body


def check_load_balanced(seen: Mapping[str, Any], hosts: Mapping[str, LabHost]) -> None:
    lb = seen["lb1"]
    assert lb.service("haproxy").is_running
    pages = [fetched(lb, "http://127.0.0.1/") for _ in range(6)]
    assert {served for served, _ in pages} == APPS  # both take their share
    assert "Served by one of app1, app2." in pages[0][1]
    config = lb.file("/etc/haproxy/haproxy.cfg")
    assert (config.mode, config.group) == (0o640, "haproxy")
    assert f"server app2 {hosts['app2'].address}:8080 weight 2" in config.content_string
    assert lb.sysctl("net.core.somaxconn") == 4096
    for name in APPS:
        app = seen[name]
        assert app.service("nginx").is_running
        assert app.file("/srv/shop").listdir() == ["404.html", "assets", "index.html"]
        assert app.file("/srv/shop/assets/style.css").mode == 0o644
        assert app.file("/etc/nginx/status.htpasswd").mode == 0o640
        address = f"http://{hosts[name].address}"
        assert "401" in lb.run("python3 -c %s %s", FETCH, f"{address}:8081/").stderr
        assert fetched(lb, f"{address}:8081/", "lab-password")[1].strip() == f"{name} in prod"
        assert fetched(lb, f"{address}:8080/")[0] == name
        assert "403" in app.run("python3 -c %s %s", FETCH, f"{address}:8080/").stderr  # only balancers may ask
        assert app.sysctl("net.core.somaxconn") == 1024
        assert "/var/tmp/uploads" in app.file("/etc/cron.d/statectl-old-uploads").content_string
        assert app.file("/etc/nginx/conf.d/cache.conf").user == "root"
    for one in seen.values():
        assert "operators" in one.user("ada").groups
        assert "operators" not in one.user("grace").groups
        assert one.file("/home/ada/.ssh/authorized_keys").content_string.endswith("ada@example.org\n")
        assert not one.user("mallory").exists
        assert one.run("runuser -u ada -- sudo -n true").rc == 0


def check_fleet_baseline(seen: Mapping[str, Any], hosts: Mapping[str, LabHost]) -> None:
    for name in ("shop1", "data1", "build1"):
        one = seen[name]
        assert one.file("/etc/apt/sources.list.d/company.sources").contains("/srv/lab/apt/extra")
        assert one.package("lab-extra-01").is_installed
        assert one.sysctl("net.ipv4.conf.all.accept_redirects") == 0
    notice = "{} belongs to the company. Questions: {}\n"
    assert seen["shop1"].file("/etc/motd").content_string == (
        notice.format("shop1", "operations@example.org") + "The shop team deploys on Tuesdays.\n"
    )
    assert seen["data1"].file("/etc/motd").content_string == (
        notice.format("data1", "data@example.org") + "The data team's jobs run from 01:00 to 05:00.\n"
    )
    assert seen["build1"].file("/etc/motd").content_string == notice.format("build1", "build@example.org")
    assert seen["shop1"].sysctl("net.ipv4.tcp_keepalive_time") == 7200
    assert seen["data1"].sysctl("net.ipv4.tcp_keepalive_time") == 240  # the override
    assert seen["data1"].file("/etc/baseline/watched").content_string == "/etc\n/usr/local\n/srv/lake\n"
    forwarding = {name: "allowtcpforwarding {}\n".format("local" if name == "data1" else "no") for name in seen}
    for name in ("shop1", "data1", "build1"):
        effective = seen[name].run("/usr/sbin/sshd -T").stdout
        assert forwarding[name] in effective
        assert "maxauthtries 4\n" in effective
    assert seen["build1"].file("/etc/security/limits.d/40-admins.conf").content_string == (
        "linus hard nofile 65536\ndennis hard nofile 4096\nmargaret hard nofile 8192\n"
    )
    assert seen["build1"].run("rpm -q lab-alpha").rc == 0
    # audit: nothing of it
    legacy = seen["legacy1"]
    assert not legacy.file("/etc/baseline").exists
    assert not legacy.file("/etc/apt/sources.list.d/company.sources").exists
    assert "belongs to the company" not in legacy.file("/etc/motd").content_string


def check_trial(seen: Mapping[str, Any], hosts: Mapping[str, LabHost]) -> None:
    """The same checks for one machine that is everything, and for two of six."""
    web, app = (seen.get(name) or seen["dev1"] for name in ("web1", "app1"))
    assert "shop," in fetched(web, "http://127.0.0.1:8080/")[1]  # nginx asks the application, on another host or here
    assert "shop," in fetched(web, "http://127.0.0.1:8081/")[1]
    assert "requests.html?host=" in fetched(web, "http://127.0.0.1:8080/dashboards/index.html")[1]
    environment = app.file("/etc/shop/environment")
    assert (environment.mode, environment.group) == (0o640, "shop")
    assert "DATABASE_PASSWORD=lab-password\n" in environment.content_string
    database = hosts["dev1"].address if "dev1" in hosts else "192.0.2.21"
    assert f"DATABASE_HOST={database}\n" in environment.content_string
    assert app.service("shop").is_enabled
    if "dev1" in seen:
        assert app.service("postgresql").is_running
        broken = "SELECT count(*) FROM pg_hba_file_rules WHERE error IS NOT NULL"
        assert app.check_output("runuser -u postgres -- psql -Atc %s", broken) == "0"
        roles = "SELECT rolreplication FROM pg_roles WHERE rolname = 'replication'"
        assert app.check_output("runuser -u postgres -- psql -Atc %s", roles) == "t"
    for one in seen.values():
        assert "x11forwarding no\n" in one.run("/usr/sbin/sshd -T").stdout
        assert one.package("unattended-upgrades").is_installed
        assert one.sysctl("net.ipv4.conf.all.rp_filter") == 1


def check_nginx(seen: Mapping[str, Any], hosts: Mapping[str, LabHost]) -> None:
    for one in seen.values():
        assert one.service("nginx").is_running
        assert one.run("nginx -t").rc == 0
        assert one.file("/etc/nginx/sites-enabled").listdir() == ["api.example.org.conf", "www.example.org.conf"]


def check_ntp(seen: Mapping[str, Any], hosts: Mapping[str, LabHost]) -> None:
    for one in seen.values():
        assert "server 0.no.pool.ntp.org iburst" in one.file("/etc/chrony/chrony.conf").content_string
        assert one.file("/etc/localtime").linked_to == "/usr/share/zoneinfo/Europe/Oslo"
        assert not one.service("chrony").is_running  # a container has no clock of its own


def check_security(seen: Mapping[str, Any], hosts: Mapping[str, LabHost]) -> None:
    for name, one in seen.items():
        effective = one.run("/usr/sbin/sshd -T").stdout
        assert "permitrootlogin no\n" in effective
        assert "passwordauthentication no\n" in effective
        assert one.service("fail2ban").is_running
        assert one.file("/etc/sudoers.d/deploy").mode == 0o440
        assert one.run("visudo -c").rc == 0
        assert hosts[name].ssh(["true"], user="root", check=False).code == 255
        assert hosts[name].ssh(["true"], user="admin").code == 0


def check_ssh_hardening(seen: Mapping[str, Any], hosts: Mapping[str, LabHost]) -> None:
    for one in seen.values():
        effective = one.run("/usr/sbin/sshd -T").stdout
        assert "permitrootlogin no\n" in effective
        assert "maxauthtries 2\n" in effective
        assert one.run("awk '$5 < 2047' /etc/ssh/moduli").stdout == ""
    assert "allowtcpforwarding yes\n" in seen["bastion"].run("/usr/sbin/sshd -T").stdout
    assert "allowtcpforwarding no\n" in seen["node1"].run("/usr/sbin/sshd -T").stdout


def check_node_exporter(seen: Mapping[str, Any], hosts: Mapping[str, LabHost]) -> None:
    for one in seen.values():
        assert one.service("node_exporter").is_running
        assert one.service("node_exporter").is_enabled
        assert one.file("/var/lib/node_exporter").user == "node-exp"


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
NODE_EXPORTER = """cat > /usr/local/bin/node_exporter <<'EOF'
#!/bin/sh
[ "$1" != --version ] || { echo 'node_exporter, version 1.8.2 (branch: HEAD)'; exit; }
exec sleep infinity
EOF
chmod 755 /usr/local/bin/node_exporter"""
STAGES = {
    "load-balanced": Stage(
        "load-balanced",
        "inventories/prod",
        {"lb1": "trixie", "app1": "bookworm", "app2": "bullseye"},
        check_load_balanced,
        env={"STATUS_PASSWORD": "lab-password"},
        user="admin",
        prepare="useradd -m mallory",
    ),
    "fleet-baseline": Stage(
        "fleet-baseline",
        "inventories/fleet",
        {"shop1": "bookworm", "data1": "trixie", "legacy1": "bullseye", "build1": "rpm"},
        check_fleet_baseline,
        vars=LAB_REPOSITORIES,
    ),
    "trial-dev": Stage(
        "trial", "inventories/dev", {"dev1": "trixie"}, check_trial, env={"TRIAL_DB_PASSWORD": "lab-password"}
    ),
    "trial-stage": Stage(
        "trial",
        "inventories/stage",
        {"web1": "bullseye", "app1": "bookworm"},
        check_trial,
        env={"TRIAL_DB_PASSWORD": "lab-password"},
        vars="hosts: {app2: {address: 192.0.2.12}}\n",  # nginx refuses a configuration with a name that does not resolve
        where=("-i", "inventories/stage", "-t", "web1,app1"),
    ),
    "role-nginx": Stage(
        "roles/nginx", "inventories", {"web1": "bookworm", "web2": "bullseye"}, check_nginx, where=("-i", "inventories")
    ),
    "role-ntp": Stage(
        "roles/ntp",
        "inventories",
        {"node1": "bookworm"},
        check_ntp,
        vars="hosts: {node1: {vars: {ntp_enabled: false}}}\n",
        where=("-i", "inventories", "-t", "node1"),
    ),
    "role-security": Stage(
        "roles/security",
        "inventories",
        {"node1": "trixie"},
        check_security,
        user="admin",
        vars="hosts: {node1: {vars: {security_ssh_allow_groups: [admin]}}}\n",
        where=("-i", "inventories", "-t", "node1"),
    ),
    "role-ssh-hardening": Stage(
        "roles/ssh-hardening",
        "inventories",
        {"node1": "bullseye", "bastion": "trixie"},
        check_ssh_hardening,
        user="admin",
        where=("-i", "inventories", "-t", "node1,bastion"),
    ),
    "role-node-exporter": Stage(
        "roles/node-exporter",
        "inventories",
        {"node1": "bookworm"},
        check_node_exporter,
        prepare=NODE_EXPORTER,
        where=("-i", "inventories", "-t", "node1"),
    ),
}


def test_every_example_has_a_stage():
    """An example that nobody applies stops working one day; a new directory needs an entry here."""
    assert {stage.example for stage in STAGES.values()} == set(EXAMPLES)


@pytest.mark.parametrize("name", STAGES)
def test_an_example_converges(lab_hosts, inspect, tmp_path, name):
    """Planned, applied, seen by testinfra, and nothing left to do for a second apply."""
    stage = STAGES[name]
    taken = {suite: lab_hosts(list(stage.hosts.values()).count(suite), suite) for suite in set(stage.hosts.values())}
    hosts = {name: taken[suite].pop() for name, suite in stage.hosts.items()}
    for host in hosts.values():
        if stage.prepare:
            host.sh(stage.prepare)
    source = ROOT / "examples" / stage.example
    project = placed(
        tmp_path, source, hosts, stage.inventory, files=["statectl.yml", "states", "inventories"], user=stage.user
    )
    if stage.vars:
        project.write(f"{stage.inventory}/zz-vars.yml", stage.vars)
        project.commit("the lab's repositories")
    converges(project, *stage.where, env=stage.env)
    stage.check({name: inspect(host) for name, host in hosts.items()}, hosts)
