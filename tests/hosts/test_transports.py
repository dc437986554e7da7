"""Every way in: logins, sudo, jump hosts, host keys, and the many ways in which a host does not answer. The real command against real sshd."""

import os
import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.lab import HostPool, LabHost
from tests.lab.bases import OPERATOR_PASSWORD
from tests.lab.places import run
from tests.lab.project import LabProject, Said


@pytest.fixture(scope="module")
def pair(host_pool: HostPool) -> Iterator[list[LabHost]]:
    """Shared by this module; a test that breaks a host mends it."""
    hosts = host_pool.take(2)
    yield hosts
    host_pool.give_back(hosts)


@pytest.fixture
def host(pair: list[LabHost]) -> LabHost:
    return pair[0]


@pytest.fixture
def project(pair: list[LabHost], project_for: Callable[..., LabProject]) -> LabProject:
    """Its inventory is what a test writes with `reach`; the home has the lab's key and known_hosts, and no ssh configuration."""
    made = project_for(pair)
    (made.home / ".ssh" / "config").unlink()
    return made


def reach(project: LabProject, *fields: str, name: str = "target") -> None:
    """The inventory: one host, with these fields."""
    project.write("inventories/lab/hosts.yml", f"hosts:\n  {name}:\n" + "".join(f"    {line}\n" for line in fields))


def who(project: LabProject, *options: str, **more: object) -> Said:
    """Ask the host for the user that the command runs as."""
    return project.statectl("run", "-t", "target", *options, "--", "id", "-un", **more)


def no_keys(project: LabProject) -> None:
    for file in (project.home / ".ssh").glob("id_*"):
        file.unlink()


def one_line(said: Said) -> str:
    """The one line of stderr that says why."""
    (line,) = [line for line in said.err.splitlines() if not line.startswith("  hint: ")]
    return line


def test_sudo(project, host):
    """sudo without a password, with one from a file descriptor, to another user, and each refusal in one line."""
    reach(project, f"address: {host.address}", "user: admin", "become: true")
    assert who(project, expect=0).out == "root\n"
    reach(project, f"address: {host.address}", "user: admin", "become: plain")
    assert who(project, expect=0).out == "plain\n"
    reach(project, f"address: {host.address}", "user: operator", "become: true")
    assert who(project, "--become-password-fd", "0", stdin=OPERATOR_PASSWORD + "\n", expect=0).out == "root\n"
    wrong = who(project, "--become-password-fd", "0", stdin="wrong-password-here\n", expect=3)
    assert "sudo did not accept the password" in one_line(wrong)
    assert "wrong-password-here" not in wrong.err
    assert "sudo needs a password here" in one_line(who(project, expect=3))
    reach(project, f"address: {host.address}", "user: plain", "become: true")
    assert "sudo" in one_line(who(project, expect=3))
    no_terminal = who(project, "--ask-become-password", expect=5)
    assert "use --become-password-fd N" in no_terminal.err


def test_an_apply_through_sudo_and_one_without(project, host):
    """Through sudo the machine is managed; without it a user's own files are, with a memory of its own in a 0700 directory."""
    reach(project, f"address: {host.address}", "user: operator", "become: true")
    project.write(
        "states/a.yml", "associations: {a: {targets: all, files: {/etc/by-sudo.conf: {content: x, mode: 0600}}}}\n"
    )
    project.statectl("apply", "--yes", "--become-password-fd", "0", stdin=OPERATOR_PASSWORD, expect=0)
    assert host.sh("stat -c '%U %a' /etc/by-sudo.conf") == "root 600"
    reach(project, f"address: {host.address}", "user: plain")
    project.write("states/a.yml", "associations: {a: {targets: all, files: {/home/plain/own.conf: {content: x}}}}\n")
    project.statectl("apply", "--yes", expect=0)
    project.statectl("plan", "--detailed-exitcode", expect=0)
    assert host.sh("stat -c '%U %a' /home/plain/own.conf ~plain/.local/state/statectl").splitlines() == [
        "plain 644",
        "plain 700",
    ]
    project.write("states/a.yml", "associations: {a: {targets: all, files: {/etc/not-allowed.conf: {content: x}}}}\n")
    denied = project.statectl("apply", "--yes", expect=1)
    assert "permission denied" in denied.out
    assert not host.exists("/etc/not-allowed.conf")


def test_login_by_password(project, host):
    """A login password comes from a file descriptor, is not echoed anywhere, and a wrong one is one line."""
    host.sh("echo 'plain:login-test-password' | chpasswd")
    host.write("/etc/ssh/sshd_config.d/00-password.conf", "PasswordAuthentication yes\n")
    host.sh("systemctl reload ssh")
    no_keys(project)
    reach(project, f"address: {host.address}", "user: plain")
    assert who(project, "--password-fd", "0", stdin="login-test-password", expect=0).out == "plain\n"
    wrong = who(project, "--password-fd", "0", stdin="not-the-password", expect=3)
    assert "login as plain refused" in one_line(wrong)
    assert "password" not in one_line(wrong).replace("Permission denied", "")
    assert "login as plain refused" in one_line(who(project, expect=3))


def test_agent_and_certificate(project, host, tmp_path):
    """Keys of an ssh agent are used, and a certificate that lies beside its key."""
    reach(project, f"address: {host.address}", "user: admin")
    no_keys(project)
    agent = subprocess.Popen(["ssh-agent", "-D", "-a", tmp_path / "agent"], stdout=subprocess.DEVNULL)
    try:
        environment = {"SSH_AUTH_SOCK": str(tmp_path / "agent")}
        while not (tmp_path / "agent").exists():
            pass
        subprocess.run(
            ["ssh-add", "-q", host.key], env={**os.environ, **environment}, check=True, stderr=subprocess.DEVNULL
        )
        assert who(project, env=environment, expect=0).out == "admin\n"
    finally:
        agent.kill()
        agent.wait()
    for name in ("authority", "mine"):
        run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", tmp_path / name])
    run(["ssh-keygen", "-q", "-s", tmp_path / "authority", "-I", "test", "-n", "admin", tmp_path / "mine.pub"])
    host.write("/etc/ssh/authority.pub", (tmp_path / "authority.pub").read_text())
    host.write("/etc/ssh/sshd_config.d/00-authority.conf", "TrustedUserCAKeys /etc/ssh/authority.pub\n")
    host.sh("systemctl reload ssh")
    assert who(project, "--identity", str(tmp_path / "mine"), expect=0).out == "admin\n"


def test_jump_host(project, pair):
    """A host that only a bastion reaches: its key is enrolled and it is managed through the bastion, whose key is checked as well."""
    bastion, inner = pair
    known = project.home / ".ssh" / "known_hosts"
    enrolled = project.root / "inventories/lab/known_hosts"
    rules = (
        "table inet lab_cut {\nchain inward { type filter hook input priority -10;"
        f" tcp dport 22 ip saddr != {bastion.address} drop; }}\n}}\n"
    )
    run(["ip", "netns", "exec", inner.namespace, "nft", "-f", "-"], text=rules)
    try:
        reach(project, f"address: {inner.address}", "user: root", f"jump: admin@{bastion.address}")
        assert who(project, expect=0).out == "root\n"
        known.write_text("")
        unknown = who(project, expect=5)
        assert f"jump host admin@{bastion.address}: host key unknown" in one_line(unknown)
        assert "statectl inventory trust target" in unknown.err
        project.statectl("inventory", "trust", "target", "--yes", expect=0)  # the whole way, the bastion first
        assert enrolled.read_text() == f"{bastion.address} {bastion.host_key}\n{inner.address} {inner.host_key}\n"
        assert who(project, expect=0).out == "root\n"
        bastion.stop_sshd()
        gone = who(project, expect=3)
        assert f"jump host admin@{bastion.address}: connection refused ({bastion.address} tcp 22)" in one_line(gone)
    finally:
        inner.heal()
        if bastion.sh("systemctl is-active ssh.service", check=False) != "active":
            bastion.start_sshd()


def test_ipv6(project, host):
    """An IPv6 literal is an address like any other, in the inventory and in what is enrolled."""
    reach(project, f"address: {host.address6}", "user: root")
    assert who(project, expect=0).out == "root\n"
    (project.home / ".ssh" / "known_hosts").unlink()
    who(project, expect=5)
    project.statectl("inventory", "trust", "target", "--yes", expect=0)
    assert who(project, expect=0).out == "root\n"


def test_unknown_host_key(project, host):
    """An unknown key is refused with its fingerprint and nothing is sent; enrolled once, on purpose, it is known to the whole team."""
    reach(project, f"address: {host.address}", "user: root")
    (project.home / ".ssh" / "known_hosts").unlink()
    project.write("states/a.yml", "associations: {a: {targets: all, files: {/etc/unknown-key.conf: {content: x}}}}\n")
    refused = project.statectl("apply", "--yes", expect=5)
    fingerprint = run(["ssh-keygen", "-l", "-f", host.place / "ssh_host_ed25519_key.pub"]).split()[1]
    assert f"host key unknown: shown {fingerprint}" in refused.out
    assert "[E311]" in refused.out
    assert "statectl inventory trust target" in refused.out
    assert (
        "exit 5" in project.statectl("inventory", "trust", "target", expect=5).__str__()
    )  # nobody there to compare it
    other = project.statectl("inventory", "trust", "target", "--fingerprint", "SHA256:" + "A" * 43, expect=5)
    assert fingerprint in other.err
    project.statectl("inventory", "trust", "target", "--fingerprint", fingerprint, expect=0)
    enrolled = (project.root / "inventories/lab/known_hosts").read_text()
    assert enrolled == f"{host.address} {host.host_key}\n"
    project.statectl("apply", "--yes", expect=0)
    assert host.read("/etc/unknown-key.conf") == "x"


def test_pinned_host_key(project, host):
    """A key that the inventory pins needs no known_hosts; another key than the pinned one is refused."""
    (project.home / ".ssh" / "known_hosts").unlink()
    reach(project, f"address: {host.address}", "user: root", f"host_key: {host.host_key}")
    assert who(project, expect=0).out == "root\n"
    other = run(["ssh-keygen", "-y", "-f", host.key]).split()
    reach(project, f"address: {host.address}", "user: root", f"host_key: {other[0]} {other[1]}")
    assert "host key is not the one the inventory pins" in one_line(who(project, expect=5))


def test_changed_host_key(project, host):
    """N14: a changed key is refused with both fingerprints, before anything is sent; replacing it takes a word of its own."""
    reach(project, f"address: {host.address}", "user: root")
    host.sh("journalctl --rotate -q; journalctl --vacuum-time=1s -q; cp -p /etc/ssh/ssh_host_ed25519_key* /root/")
    host.sh(
        "rm /etc/ssh/ssh_host_ed25519_key*; ssh-keygen -q -t ed25519 -N '' -f /etc/ssh/ssh_host_ed25519_key; systemctl restart ssh"
    )
    host.wait_ssh()
    try:
        new = host.sh("ssh-keygen -l -f /etc/ssh/ssh_host_ed25519_key.pub").split()[1]
        old = host.sh("ssh-keygen -l -f /root/ssh_host_ed25519_key.pub").split()[1]
        refused = who(project, expect=5)
        assert f"host key changed: shown {new}, on file {old}" in one_line(refused)
        log = host.sh("journalctl -o cat -u ssh --no-pager | tail -5")
        assert "Accepted" not in log  # no login, so nothing of ours was sent
        project.write("inventories/lab/known_hosts", f"{host.address} {host.host_key}\n")
        kept = project.statectl("inventory", "trust", "target", "--yes", expect=5)
        assert "--replace" in kept.err
        assert host.host_key in (project.root / "inventories/lab/known_hosts").read_text()
        project.statectl("inventory", "trust", "target", "--yes", "--replace", expect=0)
        assert who(project, expect=0).out == "root\n"  # the inventory's own file is asked first
    finally:
        host.sh("mv /root/ssh_host_ed25519_key* /etc/ssh/; systemctl restart ssh")
        host.wait_ssh()


def test_the_users_own_ssh_configuration(project, host):
    """~/.ssh/config is honoured: alias, HostName, Port, User and IdentityFile; also when the alias is enrolled."""
    host.write("/etc/ssh/sshd_config.d/00-port.conf", "Port 22\nPort 2222\n")
    host.sh("systemctl restart ssh")
    host.wait_ssh()
    ssh = project.home / ".ssh"
    (ssh / "id_ed25519").rename(ssh / "for-the-lab")
    (ssh / "known_hosts").unlink()
    (ssh / "config").write_text(
        f"Host alias-of-lab\n  HostName {host.address}\n  Port 2222\n  User admin\n  IdentityFile {ssh}/for-the-lab\n"
    )
    reach(project, "tags: {env: test}", name="alias-of-lab")
    argv = ("run", "-t", "alias-of-lab", "--", "sh", "-c", 'id -un; ss -tnH state established "sport = 2222" | wc -l')
    assert "host key unknown" in one_line(project.statectl(*argv, expect=5))
    project.statectl("inventory", "trust", "alias-of-lab", "--yes", expect=0)
    assert (project.root / "inventories/lab/known_hosts").read_text() == f"[{host.address}]:2222 {host.host_key}\n"
    user, connections = project.statectl(*argv, expect=0).out.split()
    assert user == "admin"
    assert int(connections) >= 1


def test_noise_of_login_scripts(project, host):
    """E06: what .bashrc and motd print, escapes included, is neither taken for an answer nor shown."""
    host.write("/etc/motd", "\x1b]0;motd\x07 welcome\n" * 50)
    host.write("/home/admin/.bashrc", "echo noise of bashrc; printf '\\033[31mred\\n' >&2; seq 1 5000\n")
    reach(project, f"address: {host.address}", "user: admin")
    said = who(project, expect=0)
    assert (said.out, said.err) == ("admin\n", "")


def test_no_answer(project, host):
    """N02 and N03: a closed port is told at once, a black hole within the announced limit; both exit 3 and name address and port."""
    reach(project, f"address: {host.address}", "user: root")
    project.write("states/a.yml", "associations: {a: {targets: all, files: {/etc/no-answer.conf: {content: x}}}}\n")
    usual = who(project, expect=0).seconds
    host.stop_sshd()
    try:
        refused = who(project, expect=3)
    finally:
        host.start_sshd()
    assert f"connection refused ({host.address} tcp 22)" in one_line(refused)
    assert "[E301]" in one_line(refused)
    assert refused.seconds < 2 * usual + 2
    host.cut()
    try:
        silent = project.statectl("plan", expect=3)
    finally:
        host.heal()
    assert f"no answer in 10 s ({host.address} tcp 22)" in silent.out
    assert "Nothing is known: none of 1 host could be read" in silent.out
    assert 10 < silent.seconds < 10 + 2 * usual + 2


def test_no_python(project, host):
    """E01: a host without Python is one line that says what was looked for, and at once."""
    reach(project, f"address: {host.address}", "user: root")
    usual = who(project, expect=0).seconds
    host.sh("mkdir /root/away; mv /usr/bin/python3* /root/away/")
    try:
        said = who(project, expect=3)
    finally:
        host.sh("mv /root/away/* /usr/bin/")
    assert re.search(r"\[E320\].*no python3 >= 3\.6 found \(.*\)", one_line(said))
    assert "install python3 there" in said.err
    assert said.seconds < 2 * usual + 5


def test_run_on_several_hosts(project, pair):
    """run: one host is bare output and its exit code, several are folded by what they say, nothing is cut, and the worst code counts."""
    lines = "".join(f"  {host.name}: {{address: {host.address}, user: root}}\n" for host in pair)
    project.write("inventories/lab/hosts.yml", f"hosts:\n{lines}")
    one, two = pair
    same = project.statectl("run", "--", "sh", "-c", "echo same; echo mistake >&2", expect=0)
    assert same.out.splitlines() == [f"✔ 2 hosts  {one.name[:-2]}[01-02]  exit 0", "  │ same", "  │ mistake"]
    other = project.statectl("run", "--", "sh", "-c", f"hostname; test $(hostname) = {one.name}", expect=1)
    assert [line for line in other.out.splitlines() if "host " in line] == [
        f"✔ 1 host  {one.name}  exit 0",
        f"✖ 1 host  {two.name}  exit 1",
    ]
    alone = project.statectl("run", "-t", one.name, "--", "sh", "-c", "seq 1 50000; exit 77", expect=77)
    assert alone.out == "".join(f"{number}\n" for number in range(1, 50001))
    stored = project.statectl("runs", "list", "--json", expect=0).json["runs"]
    assert [run["verb"] for run in stored] == ["run"] * 3
    two.stop_sshd()
    try:
        lost = project.statectl("run", "--stream", "--", "printf", "a\\033[31mb\\n", expect=3)
    finally:
        two.start_sshd()
    assert f"{one.name} | a\\x1b[31mb\n" in lost.out


def test_every_name_of_a_host_is_checked_before_it_is_used(project, tmp_path):
    """A host name or user that is an option or a shell line never reaches ssh: exit 4, and nothing runs."""
    mark = tmp_path / "mark"
    for fields in (
        (f'"-oProxyCommand=touch {mark}":', "  user: root"),
        ("target:", f'  user: "-oProxyCommand=touch {mark}"'),
    ):
        project.write("inventories/lab/hosts.yml", "hosts:\n" + "".join(f"  {line}\n" for line in fields))
        project.statectl("run", "--", "id", expect=4)
    assert not Path(mark).exists()
