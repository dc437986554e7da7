"""The lab keeps its word: what other tests take for granted about their hosts."""

import contextlib
import subprocess
import sys
from pathlib import Path

import pytest

from tests.lab import OPERATOR_PASSWORD, Lab
from tests.lab.lab import states
from tests.lab.looking import look
from tests.lab.places import PROJECT

SUITES = ("bullseye", "bookworm", "trixie", "rpm")


@pytest.mark.parametrize("suite", SUITES)
def test_a_host_of_every_suite_boots_fully_and_answers_ssh(lab_hosts, suite):
    """A test on a half-booted system would prove nothing."""
    (host,) = lab_hosts(1, suite)
    assert host.wait_running() == "running", host.sh("systemctl --failed")
    assert host.ssh(["hostname"]).out.strip() == host.name
    assert host.ssh(["id", "-u"], user="plain").out.strip() != "0"


@pytest.mark.parametrize("suite", SUITES)
def test_apt_installs_lab_and_debian_packages_without_a_network(lab_hosts, suite):
    """Hosts reach no archive: the lab's own repository and the pool of real packages must be enough."""
    (host,) = lab_hosts(1, suite)
    host.exec(["apt-get", "install", "-qq", "-y", "lab-tool-01=1.0", "lab-service-01"])
    host.exec(["systemctl", "start", "lab-service-01"])
    host.exec(["systemctl", "reload", "lab-service-01"])
    seen = look(host)
    assert seen.package("lab-tool-01").version == "1.0"
    assert seen.service("lab-service-01").is_running
    assert host.exec(["apt-get", "install", "-s", "-qq", "-y", "nginx", "chrony"]).code == 0


def test_dnf_and_zypper_see_both_versions(lab_hosts):
    """The rpm host stands in for systems of that family."""
    (host,) = lab_hosts(1, "rpm")
    host.exec(["dnf", "-q", "-y", "install", "lab-alpha-1.0-1"])
    assert host.read("/usr/share/lab-alpha/version") == "1.0-1\n"
    assert "lab-alpha" in host.exec(["dnf", "-q", "check-update"], check=False).out
    host.exec(["zypper", "--non-interactive", "install", "lab-beta"])
    assert "lab-beta-1.1-1" in host.sh("rpm -q lab-beta")
    assert "LAB-2026:1" in host.sh("dnf -q updateinfo list --security")


def test_users_have_the_rights_their_names_say(lab_host):
    """Privilege tests rest on these four accounts."""
    assert lab_host.ssh(["sudo", "-n", "id", "-u"], user="admin").out == "0\n"
    assert lab_host.ssh(["sudo", "-n", "id", "-u"], user="operator", check=False).code != 0
    told = lab_host.exec(["sudo", "-S", "-p", "", "id", "-u"], user="operator", stdin=OPERATOR_PASSWORD + "\n")
    assert told.out == "0\n"
    assert lab_host.exec(["sudo", "-S", "-p", "", "id"], user="plain", stdin="x\n", check=False).code != 0


def test_a_cut_host_is_silent_and_a_healed_one_answers(lab_host):
    """Network faults are injected in the host's own namespace and nowhere else."""
    argv = ["ssh", *lab_host.ssh_options, "-o", "ConnectTimeout=1", f"root@{lab_host.address}", "true"]
    lab_host.cut()
    assert subprocess.run(argv, capture_output=True, check=False).returncode == 255
    lab_host.cut("reject", port=22)
    refused = subprocess.run(argv, capture_output=True, check=False, text=True)
    assert "refused" in refused.stderr
    lab_host.heal()
    assert lab_host.ssh(["true"]).code == 0


def test_reset_takes_everything_back_and_keeps_the_identity(lab_host):
    """Tests share booted hosts: nothing of one may be left for the next."""
    key = lab_host.host_key
    lab_host.write("/etc/left-behind", "x")
    lab_host.exec(["apt-get", "install", "-qq", "-y", "lab-tool-02"])
    lab_host.reset()
    assert not lab_host.exists("/etc/left-behind")
    assert not look(lab_host).package("lab-tool-02").is_installed
    assert lab_host.host_key == key
    lab_host.ssh(["true"])


def test_upper_holds_what_was_written(lab_host):
    """Searching everything a run wrote is one walk over this directory."""
    lab_host.ssh(["sh", "-c", "'echo canary-7 > /var/tmp/where'"])
    assert (lab_host.upper / "var/tmp/where").read_text() == "canary-7\n"


def test_ipv6_and_network_sysctls_belong_to_the_host(lab_host):
    """A host's kernel settings below net. are its own; this machine's stay."""
    ours = Path("/proc/sys/net/ipv4/ip_forward")
    here = ours.read_text()
    lab_host.exec(["sysctl", "-q", "-w", f"net.ipv4.ip_forward={1 - int(here)}"])
    assert ours.read_text() == here
    argv = ["ssh", *lab_host.ssh_options, f"root@{lab_host.address6}", "true"]
    assert subprocess.run(argv, capture_output=True, check=False).returncode == 0


def test_a_lab_leaves_nothing(lab):
    """Processes, mounts, interfaces, namespaces and files of a lab end with it."""
    other = Lab()
    other.start(2)
    mark = f"slab{other.slot}-"
    init, place = other.hosts[0].init, other.place
    other.close()
    assert other.slot != lab.slot
    assert not place.exists()
    assert mark not in subprocess.run(["ip", "netns"], capture_output=True, text=True, check=True).stdout
    assert str(place) not in Path("/proc/self/mountinfo").read_text()
    assert not Path(f"/proc/{init}").exists()
    assert other.slot not in states()


def test_the_next_lab_cleans_up_after_a_killed_one(lab):
    """A killed test run must not cost the machine its address ranges, memory and mounts."""
    script = "import time; from tests.lab import Lab; a = Lab(); a.start(1); print(a.slot, a.hosts[0].init, flush=True); time.sleep(60)"
    owner = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True, cwd=PROJECT)
    slot, init = map(int, owner.stdout.readline().split())
    owner.kill()
    owner.communicate()
    assert Path(f"/proc/{init}").exists()
    with contextlib.ExitStack() as labs:
        # a slot that was freed meanwhile may come first
        taken = next(lab.slot for lab in (labs.enter_context(Lab()) for _ in range(32)) if lab.slot == slot)
        assert taken == slot
        assert not Path(f"/proc/{init}").exists()
        assert states()[slot]["hosts"] == []
