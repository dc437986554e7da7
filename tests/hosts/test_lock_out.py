"""Changes that lock the controller out of a real host: the host undoes them by itself, and everybody knows afterwards; good ones stay."""

import re
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.lab import HostPool, LabHost
from tests.lab.bases import OPERATOR_PASSWORD
from tests.lab.project import LabProject, Said
from tests.lab.waiting import wait_for

SECONDS = 10  # of `undo_after`
SETTINGS = f"connection: {{undo_after: {SECONDS}s}}\n"
ARMED = f"armed: undone after {SECONDS} s unless a new login succeeds"
SSHD = """\
associations:
  way_in:
    targets: all
    files:
      /etc/lock-out-beside.conf: {content: "it stays\\n"}
      /etc/ssh/sshd_config.d/50-lab.conf: {content: "CONTENT\\n", notify: "service:ssh"}
    services:
      ssh: {state: running}
"""

WAIT = """\
    commands: {wait: {run: "sleep 3; touch /run/lock-out-waited", unless: [test, -e, /run/lock-out-waited]}}
"""


@pytest.fixture(scope="module")
def shared(host_pool: HostPool) -> Iterator[LabHost]:
    """One host for all: every test leaves it as it was, which is what is tested."""
    (host,) = host_pool.take(1)
    host.sh("apt-get install -qq -y nftables >/dev/null 2>&1 || command -v nft", check=False)
    yield host
    host_pool.give_back([host])


@pytest.fixture
def host(shared: LabHost) -> Iterator[LabHost]:
    yield shared
    shared.sh(
        "rm -f /etc/lock-out-beside.conf /etc/ssh/sshd_config.d/50-lab.conf; rm -rf /var/lib/statectl/* /run/lock-out-waited"
    )
    shared.sh("systemctl reset-failed ssh; systemctl restart ssh")
    shared.wait_ssh()


@pytest.fixture
def make(host: LabHost, project_for: Callable[..., LabProject]) -> Callable[..., LabProject]:
    """`make(text, user)`: a project of that host with these states; another user than root becomes root by sudo."""

    def made(text: str, user: str = "root") -> LabProject:
        settings = SETTINGS if user == "root" else SETTINGS.replace("{", "{become: true, ")
        project = project_for([host], user=user, settings=settings)
        project.write("states/way_in.yml", text)
        project.commit("way in")
        return project

    return made


def sshd(content: str) -> str:
    return SSHD.replace("CONTENT", content)


def state_of(host: LabHost) -> str:
    """What an unconfirmed change must leave as it found it."""
    return host.sh(
        "cd /etc; find ssh sudoers sudoers.d passwd shadow group gshadow pam.d nftables.conf /root/.ssh /home/*/.ssh "
        "-printf '%p %m %u %g\\n' -type f -exec sha256sum {} + 2>/dev/null | sort; nft -s list ruleset 2>/dev/null; "
        "systemctl show -p ActiveState -p UnitFileState ssh nftables",
        check=False,
    )


def undone(
    project: LabProject, address: str, *options: str, state: Callable[[LabHost], str] = state_of, **more: str
) -> Said:
    """Apply it: failed, undone by the host, nothing armed any more, and the next plan shows the change again."""
    (host,) = project.hosts
    before = state(host)
    planned = project.statectl("plan", *options, expect=0, **more)
    assert ARMED in planned.out
    said = project.statectl("apply", "--yes", *options, expect=1, **more)
    assert f"locked out: no new login confirmed the change within {SECONDS} s; undone by the host" in said.out
    assert "but not all of it" not in said.out
    assert state(host) == before
    assert not host.exists("/var/lib/statectl/armed/record.json")
    assert not host.exists("/etc/systemd/system/statectl-undo.service")
    again = project.statectl("plan", "--detailed-exitcode", *options, expect=2, **more)
    assert address in again.out
    assert "No drift" in project.statectl("drift", *options, expect=0, **more).out
    return said


def last_run(project: LabProject) -> Said:
    runs = project.statectl("runs", "list", "--json", expect=0).json["runs"]
    applied = next(run for run in runs if run["verb"] == "apply" and run["outcome"] != "refused")
    return project.statectl("runs", "show", applied["id"], expect=0)


def armed(host: LabHost) -> bool:
    return host.exists("/var/lib/statectl/armed/record.json")


def test_a_good_change_is_confirmed_and_stays(make, host):
    """A change of sshd that lets us in again is confirmed by a new login: it stays, and nothing of the guard is left."""
    project = make(sshd("ClientAliveInterval 77"))
    assert ARMED in project.statectl("plan", expect=0).out
    said = project.statectl("apply", "--yes", expect=0)
    assert said.seconds < SECONDS
    time.sleep(SECONDS + 1)
    assert host.read("/etc/ssh/sshd_config.d/50-lab.conf") == "ClientAliveInterval 77\n"
    assert "clientaliveinterval 77" in host.sh("sshd -T")
    assert not armed(host)
    assert not host.exists("/etc/systemd/system/statectl-undo.service")
    assert host.sh("systemctl list-units --all --no-legend 'statectl-undo*'") == ""
    assert host.sh("ls /var/lib/statectl/undelivered") == ""
    assert "No changes." in project.statectl("plan", expect=0).out


@pytest.mark.parametrize("content", ["Port 2222", "AllowUsers nobody"])
def test_sshd_that_does_not_let_us_in(make, host, content):
    """Another port, and AllowUsers without us: sshd is as before when the time is over, and only that is undone."""
    project = make(sshd(content))
    said = undone(project, "file:/etc/ssh/sshd_config.d/50-lab.conf")
    assert "1 changed, 1 failed" in said.out  # the file beside it counts as changed
    assert host.read("/etc/lock-out-beside.conf") == "it stays\n"
    assert "undone by the host" in last_run(project).out


def test_our_own_key_is_taken_away(make, host):
    """The connecting user's keys replaced by another one: the key is back, with its owner and mode."""
    project = make(
        """\
associations:
  way_in:
    targets: all
    authorized_keys:
      admin:
        exclusive: true
        keys: ["ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGq1rMPmqGvGRJCZ2fnnmwXv1Ju1Tg4tTVXJZ4ZyyB1L other@place"]
""",
        "admin",
    )
    undone(project, "authorized_key:admin")


def test_the_connecting_user_is_locked_away(make, host):
    """A shell that lets nobody in and a home that others may write to: the user's line and the home are as before."""
    project = make(
        """\
associations:
  way_in:
    targets: all
    users:
      admin: {shell: /usr/sbin/nologin}
      lockoutother: present
    directories:
      /home/admin: {mode: 0777}
""",
        "admin",
    )
    lines = (
        "grep admin /etc/passwd /etc/shadow /etc/group /etc/gshadow; stat -c '%a %U %G' /home/admin /home/admin/.ssh/*"
    )
    said = undone(project, "user:admin", state=lambda host: host.sh(lines))
    assert "directory:/home/admin" in said.out
    assert host.sh("getent passwd lockoutother") != ""  # another user, made in the same run, stays
    host.sh("userdel lockoutother")


@pytest.mark.parametrize("user", ["admin", "operator"])
def test_sudo_that_does_not_let_us_become_root(make, host, user):
    """A sudoers file that takes our right away: logging in works, becoming root does not, and the host undoes it."""
    project = make(
        f"""\
associations:
  way_in:
    targets: all
    files:
      /etc/sudoers.d/zz-lock-out: {{content: "{user} ALL=(ALL) !ALL\\n", mode: 0440}}
""",
        user,
    )
    if user == "admin":
        undone(project, "file:/etc/sudoers.d/zz-lock-out")
    else:
        undone(project, "file:/etc/sudoers.d/zz-lock-out", "--become-password-fd", "0", stdin=OPERATOR_PASSWORD + "\n")
    # root does not need sudo, and its apply of the same file is not armed
    inventory = Path(project.root, "inventories/lab/hosts.yml")
    inventory.write_text(inventory.read_text().replace(f"user: {user}", "user: root"))
    project.write("statectl.yml", "project: lab\ninventory: inventories/lab\n" + SETTINGS)
    assert "armed" not in project.statectl("plan", expect=0).out


def test_a_packet_filter_that_drops_us(make, host):
    """Rules that drop ssh, loaded by their service: the live rules, the file and the service are as before, within the time."""
    if not host.sh("command -v nft", check=False):
        pytest.skip("NO NFT in the base root")
    project = make(
        """\
associations:
  way_in:
    targets: all
    files:
      /etc/nftables.conf:
        content: |
          flush ruleset
          table inet filter {
            chain input {
              type filter hook input priority 0; policy accept;
              tcp dport 22 drop
            }
          }
        notify: service:nftables
    services:
      nftables: {state: running, enabled: true}
"""
    )
    undone(project, "service:nftables")


def test_the_watchdog_is_killed(make, host):
    """kill -9 of the process that waits: systemd starts it again, and the change is undone all the same."""
    project = make(sshd("AllowUsers nobody"))
    before = state_of(host)
    running = project.begin("apply", "--yes")
    wait_for(lambda: armed(host) and host.exists("/etc/ssh/sshd_config.d/50-lab.conf"), "the change is made", 40)
    find = "pgrep -f 'armed/program.py[z]'"
    first = host.sh(find)
    host.sh(f"kill -9 {first}")
    wait_for(lambda: host.sh(find, check=False) not in ("", first), "another watchdog runs", 40)
    out, err = running.communicate(timeout=120)
    assert running.returncode == 1, out + err
    assert "undone by the host" in out
    assert state_of(host) == before


def test_no_systemd_to_start_the_watchdog(make, host):
    """Where systemd-run does not work, a detached process waits, and outlives the login that started it."""
    host.sh("mv /usr/bin/systemd-run /usr/bin/systemd-run.away")
    try:
        project = make(sshd("AllowUsers nobody"))
        undone(project, "file:/etc/ssh/sshd_config.d/50-lab.conf")
    finally:
        host.sh("mv /usr/bin/systemd-run.away /usr/bin/systemd-run")


def test_the_controller_is_killed_before_it_confirms(make, host):
    """kill -9 of the controller: nobody confirms a change that would have been good, the host undoes it, and the next contact tells."""
    project = make(sshd("ClientAliveInterval 78") + WAIT)
    before = state_of(host)
    running = project.begin("apply", "--yes")
    wait_for(lambda: host.exists("/etc/ssh/sshd_config.d/50-lab.conf"), "the change is made", 40)
    running.kill()
    running.communicate()
    second = project.statectl("apply", "--yes", expect=5)  # nobody else writes meanwhile
    assert re.search(r"another apply holds this host|waits for a new login to confirm it", second.out)
    wait_for(lambda: not armed(host), "the host has undone it", SECONDS + 30)
    assert state_of(host) == before
    assert "file:/etc/ssh/sshd_config.d/50-lab.conf" in project.statectl("plan", expect=0).out
    shown = last_run(project)
    assert "undone by the host" in shown.out
    project.statectl("apply", "--yes", expect=0)  # and one plain rerun heals
    assert host.exists("/etc/ssh/sshd_config.d/50-lab.conf")


def test_a_reboot_before_the_time_is_over(make, host):
    """Power off while nobody can log in: the host undoes the change when it boots, without any contact."""
    project = make(sshd("AllowUsers nobody"))
    before = host.sh("sha256sum /etc/ssh/* /etc/ssh/*/* 2>/dev/null", check=False)
    project.write("statectl.yml", "project: lab\ninventory: inventories/lab\nconnection: {undo_after: 1h}\n")
    running = project.begin("apply", "--yes")
    told = "grep -q '\"deadline\": *[0-9]' /var/lib/statectl/armed/record.json && echo yes"
    wait_for(lambda: host.sh(told, check=False), "the time begins", 40)
    running.send_signal(signal.SIGKILL)
    running.communicate()
    assert host.exists("/etc/systemd/system/multi-user.target.wants/statectl-undo.service")
    host.kill()
    host.start()
    wait_for(lambda: not armed(host), "the host has undone it after its boot", 60)
    assert host.sh("sha256sum /etc/ssh/* /etc/ssh/*/* 2>/dev/null", check=False) == before
    assert not host.exists("/etc/systemd/system/statectl-undo.service")
    host.wait_ssh()
    assert "file:/etc/ssh/sshd_config.d/50-lab.conf" in project.statectl("plan", expect=0).out
    assert "undone by the host" in last_run(project).out


def test_never(make, host):
    """`undo_after: never` arms nothing; and what has nothing to do with the way in is never armed."""
    project = make(sshd("ClientAliveInterval 79"))
    project.write("statectl.yml", "project: lab\ninventory: inventories/lab\nconnection: {undo_after: never}\n")
    assert "armed" not in project.statectl("plan", expect=0).out
    project.statectl("apply", "--yes", expect=0)
    assert not host.exists("/var/lib/statectl/armed")
    host.sh("rm /etc/ssh/sshd_config.d/50-lab.conf /etc/lock-out-beside.conf; rm -r /var/lib/statectl")
    project.write("statectl.yml", "project: lab\ninventory: inventories/lab\n" + SETTINGS)
    project.write(
        "states/way_in.yml",
        "associations: {beside: {targets: all, files: {/etc/lock-out-beside.conf: {content: x}}, services: {cron: running}}}\n",
    )
    assert "armed" not in project.statectl("plan", expect=0).out
    project.statectl("apply", "--yes", expect=0)
    assert not host.exists("/var/lib/statectl/armed")
