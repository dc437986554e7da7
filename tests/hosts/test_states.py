"""The repository's own states on every system of the lab, and its default inventory, which must harm nobody."""

import re

import pytest
from converging import ROOT, converges, placed

from tests.hosts.example_stages import SYSTEMS

LIMITED = ("statectl.yml", "states", "inventories")
INVENTORY = """groups:
  servers: {children: [web]}
  web: {}
  all:
    vars:
      base_packages: [acl]
      ssh_max_auth_tries: 5
      web_sites:
        - {domain: www.example.org, port: 8080}
        - {domain: docs.example.org, port: 8081}
hosts:
"""
# the login that later applies go through is what the SSH server's state could spoil: root's, and sudo's with use_pty
USERS = {"bullseye": "root", "bookworm": "admin", "trixie": "root", "rpm": "admin"}


@pytest.fixture(scope="module")
def web_servers(host_pool, tmp_path_factory):
    """One project, a server of each system of the lab, by system; the states have converged there."""
    hosts = {system: host_pool.take(1, system)[0] for system in SYSTEMS}
    place = tmp_path_factory.mktemp("states")
    project = placed(place, ROOT, hosts, "inventories/lab", files=["states", "inventories"], user=USERS)
    members = "".join(f"  {name}: {{groups: [web]}}\n" for name in hosts)
    project.write("inventories/lab/hosts.yml", INVENTORY + members)
    converges(project, "-i", "inventories/lab")
    yield project, hosts
    host_pool.give_back(list(hosts.values()))


@pytest.mark.parametrize("system", SYSTEMS)
def test_states_make_a_hardened_web_server(web_servers, inspect, system):
    """All states converge on fresh hosts of every system in one run, a second apply finds nothing to do, testinfra agrees."""
    host = web_servers[1][system]
    seen = inspect(host)
    # base
    assert seen.file("/etc/issue.net").content_string == "Authorised use only. Activity is recorded.\n"
    assert seen.file("/etc/sudoers.d/60-hardening").mode == 0o440
    assert seen.file("/etc/crontab").mode == 0o600
    assert seen.file("/root").mode == 0o700
    unused = seen.file("/etc/modprobe.d/60-unused-filesystems.conf").content_string.splitlines()
    assert unused[0] == "install cramfs /bin/false"
    assert len(unused) == 6
    settings = seen.file("/etc/sysctl.d/60-statectl.conf").content_string
    assert re.search(r"^net\.ipv4\.ip_forward *= *0$", settings, re.MULTILINE)
    assert seen.package("sudo").is_installed
    assert seen.package("acl").is_installed
    assert "umask 027" in seen.file("/etc/profile.d/60-umask.sh").content_string
    assert seen.run("bash -lc umask").stdout.strip() == "0027"
    # SSH server
    effective = dict(line.split(" ", 1) for line in seen.run("/usr/sbin/sshd -T").stdout.splitlines() if " " in line)
    wanted = {
        "port": "22",
        "passwordauthentication": "no",
        "kbdinteractiveauthentication": "no",
        "permitrootlogin": "without-password",
        "x11forwarding": "no",
        "maxauthtries": "5",
        "banner": "/etc/issue.net",
    }
    if system == "bullseye":  # its OpenSSH has the older name of it
        wanted["challengeresponseauthentication"] = wanted.pop("kbdinteractiveauthentication")
    assert {key: effective.get(key) for key in wanted} == wanted
    assert "Authorised use only" in host.ssh(["true"]).err
    # time: the configuration alone, this is a container
    assert "NTP=0.debian.pool.ntp.org" in seen.file("/etc/systemd/timesyncd.conf.d/60-statectl.conf").content_string
    assert not seen.package("systemd-timesyncd").is_installed
    # web server
    assert seen.service("nginx").is_running
    assert seen.service("nginx").is_enabled
    assert seen.file("/etc/nginx/sites-enabled").listdir() == ["docs.example.org.conf", "www.example.org.conf"]
    assert f"docs.example.org is served by {system}." in fetched(seen, 8081)
    assert "www.example.org is served" in fetched(seen, 8080)
    assert not seen.socket("tcp://0.0.0.0:80").is_listening  # Debian's default site went with the exclusive directory


def fetched(seen, port):
    script = "import sys,urllib.request as u; print(u.urlopen('http://127.0.0.1:%s/' % sys.argv[1]).read().decode())"
    return seen.run("python3 -c %s %s", script, str(port)).stdout


def test_a_hand_on_the_server_is_found_and_put_right(web_servers, inspect):
    """A password login that somebody let in, a stray site and a stopped service are drift; apply heals all three, everywhere."""
    project, hosts = web_servers
    where = ("-i", "inventories/lab")
    for host in hosts.values():
        host.sh(
            "echo 'PasswordAuthentication yes' > /etc/ssh/sshd_config.d/60-statectl.conf && systemctl stop nginx"
            " && echo 'server { listen 9999; }' > /etc/nginx/sites-enabled/mine.conf"
        )
    found = project.statectl("drift", "--json", *where, expect=2).json
    for name in hosts:
        drifted = {entry["address"] for entry in found["hosts"][name]["verdicts"]}
        assert drifted == {
            "file:/etc/ssh/sshd_config.d/60-statectl.conf",
            "directory:/etc/nginx/sites-enabled",
            "service:nginx",
        }
    project.statectl("apply", "--yes", *where, expect=0)
    for host in hosts.values():
        seen = inspect(host)
        assert "passwordauthentication no" in seen.run("/usr/sbin/sshd -T").stdout
        assert seen.service("nginx").is_running
        assert not seen.file("/etc/nginx/sites-enabled/mine.conf").exists
    project.statectl("drift", *where, expect=0)


def test_a_careless_apply_at_the_root_touches_the_playground_only(lab_host, tmp_path):
    """The checkout with its own inventory and limit: an apply makes two things below one directory, and can make no other."""
    project = placed(tmp_path, ROOT, {lab_host.name: lab_host}, "inventories/lab", files=LIMITED)
    playground = tmp_path / "playground"
    for path in ("statectl.yml", "states/playground.yml"):
        text = (project.root / path).read_text()
        assert "/tmp/statectl-playground" in text
        project.write(path, text.replace("/tmp/statectl-playground", str(playground)))
    project.commit("the same, in a directory of this test")
    document = project.statectl("apply", "--yes", "--json", expect=0).json
    assert set(document["hosts"]) == {"localhost"}
    made = [entry["address"] for entry in document["hosts"]["localhost"]["results"]]
    assert made == [f"directory:{playground}", f"file:{playground}/motd"]
    assert [path.name for path in playground.iterdir()] == ["motd"]
    project.statectl("drift", expect=0)

    project.write("inventories/lab/hosts.yml", INVENTORY + f"  {lab_host.name}: {{groups: [web]}}\n")
    lab_host.cut()  # whoever contacts it waits
    refused = project.statectl("apply", "--yes", "-i", "inventories/lab", expect=4)
    assert refused.seconds < 10
    assert "limits.paths" in refused.err
    project.write(
        "states/elsewhere.yml",
        "associations:\n  elsewhere:\n    targets: all\n    files: {/etc/statectl-elsewhere: {content: x}}\n",
    )
    assert "limits.paths" in project.statectl("apply", "--yes", expect=4).err
