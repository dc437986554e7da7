"""Patches that want a reboot, on hosts that really reboot: waited for, looked at, gone on with, and never in a circle."""

import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.lab import LabHost
from tests.lab.patch_repository import PatchRepository
from tests.lab.project import LabProject
from tests.lab.repositories import Deb
from tests.lab.waiting import wait_for

MARK = "#!/bin/sh\ntouch /run/reboot-required\necho {name} >> /run/reboot-required.pkgs\necho {name} >> /var/log/lab-installs\n"
AGAIN = (  # asks for a reboot at each boot
    "[Service]\nType=oneshot\nExecStart=/bin/sh -c 'touch /run/reboot-required; echo lab-again > /run/reboot-required.pkgs'\n"
    "[Install]\nWantedBy=multi-user.target\n"
)
HOOK = """\
#!/bin/sh
echo "$STATECTL_HOOK $STATECTL_BASELINE $STATECTL_PATCHES" >> /var/log/lab-hooks
[ "$STATECTL_HOOK" != before_reboot ] || [ ! -e /root/slow ] || { touch /run/lab-in-hook; sleep 4; }
"""
HOOKS = ("before_install", "after_install", "before_reboot", "after_reboot", "on_exit")
OPEN = "schedule: rate(100 days), start_date: START, duration: 24h"
CLOSED = 'schedule: "at(2100-01-03T02:00)", duration: 4h'
STATES = """\
maintenance_windows:
  night: {WINDOW}
patch_baselines:
  lab:
    os: debian
    window: night
    approve:
      - {suite: ["*"], after: 0 days, include_non_security: true}
    reboot_timeout: 2m
    hooks: HOOKS
associations:
  web:
    targets: all
    patch_baseline: lab
    rollout:
      batch: [1]
      health: {command: [/usr/local/bin/lab-well], within: 2s}
    files:
      /usr/local/bin/lab-well: {content: "#!/bin/sh\\nWELL\\n", mode: 0755}
      /etc/lab.conf: {content: "one\\n"}
    commands:
      count: {run: "echo ran >> /var/log/lab-commands; touch /etc/lab-counted", creates: /etc/lab-counted}
"""


def boot_of(host: LabHost) -> str:
    return host.sh("cat /proc/sys/kernel/random/boot_id")


def lines(host: LabHost, path: str) -> list[str]:
    return host.sh(f"cat {path} 2>/dev/null || true").splitlines()


def deb(name: str, version: str) -> Deb:
    again = name == "lab-again"
    script = MARK.format(name=name) + ("systemctl enable --quiet lab-again\n" if again else "")
    script = PROGRAM if name == "lab-app" else script
    return Deb(
        name,
        version,
        files={"lib/systemd/system/lab-again.service": AGAIN} if again else {f"usr/share/{name}": version},
        scripts={"postinst": script} if version != "1.0" else {},
    )


@pytest.fixture
def made(lab_hosts, project_for, tmp_path: Path) -> Callable[..., LabProject]:
    """`made(count, name)`: hosts with version 1.0 of a package of which the repository has 2.0, which wants a reboot."""

    def make(count: int = 1, name: str = "lab-reboot", suite: str = "bookworm", **options: str) -> LabProject:
        repository = PatchRepository(tmp_path)
        repository.publish("stable", deb(name, "1.0"))
        hosts = lab_hosts(count, suite)
        for host in hosts:
            repository.give(host)
            host.exec(["apt-get", "install", "-y", "-q", name])
            host.write("/usr/local/sbin/lab-hook", HOOK, 0o755)
        repository.publish("stable", deb(name, "2.0"))
        for host in hosts:
            repository.give(host)
        return project_for(hosts, **options)

    return make


def declare(project: LabProject, window: str = OPEN, well: str = "exit 0", hooks: bool = True) -> None:
    start = subprocess.run(
        ["date", "-u", "-d", "2 hours ago", "+%Y-%m-%dT%H:%M:00Z"], capture_output=True, text=True, check=True
    ).stdout.strip()
    named = "{" + ", ".join(f"{name}: [/usr/local/sbin/lab-hook]" for name in HOOKS) + "}" if hooks else "{}"
    text = STATES.replace("WINDOW", window.replace("START", start)).replace("WELL", well)
    project.write("states/web.yml", text.replace("hooks: HOOKS", "hooks: " + named))


def told(said, host: LabHost) -> dict:
    return said.json["hosts"][host.name]


def test_a_reboot_in_the_middle(made):
    """Another boot, every step done once, hooks in their order, told while it goes on; then nothing is left, and a plan is empty."""
    project = made()
    (host,) = project.hosts
    declare(project)
    before = boot_of(host)
    with host.reboots() as boots:
        said = project.statectl("apply", "--yes", expect=0)
    assert len(boots) == 1, str(said)
    assert boot_of(host) != before
    assert host.sh("dpkg-query -W -f '${Version}' lab-reboot") == "2.0"
    assert lines(host, "/var/log/lab-installs") == ["lab-reboot"]
    assert lines(host, "/var/log/lab-commands") == ["ran"]
    assert lines(host, "/var/log/lab-hooks") == [f"{name} lab 1" for name in HOOKS]
    assert "rebooting: lab-reboot asks for a reboot" in said.err
    assert "back after" in said.err
    assert "4 changed, 1 reboot on 1 host." in said.out
    shown = project.statectl("plan", "--detailed-exitcode", expect=0)
    assert "No changes." in shown.out
    with host.reboots() as boots:
        again = project.statectl("apply", "--yes", "--json", expect=0)
    assert not boots
    assert not again.json["plan"]["has_changes"], str(again)
    assert len(lines(host, "/var/log/lab-hooks")) == len(HOOKS)


def test_a_typed_install_over_sudo(made):
    """Out of every window, by a user who becomes root with sudo: patched, rebooted, found again, and compliant."""
    project = made(suite="trixie", user="admin", settings="connection: {become: true}\n")
    (host,) = project.hosts
    declare(project, CLOSED)
    text = (project.root / "states/web.yml").read_text()
    project.write(
        "states/web.yml", text.replace("patch_baseline: lab", "patch_baseline: lab\n    disrupt: window:night")
    )
    host.write("/usr/local/bin/lab-well", "#!/bin/sh\n", 0o755)
    with host.reboots() as boots:
        said = project.statectl("patch", "install", "--yes", expect=0)
    assert len(boots) == 1, str(said)
    assert "1 changed, 1 reboot on 1 host." in said.out
    assert lines(host, "/var/log/lab-hooks") == [f"{name} lab 1" for name in HOOKS]
    assert not host.exists("/etc/lab.conf"), "an install of patches is about patches"
    assert "1 of 1 host compliant" in project.statectl("patch", "scan", expect=0).out


def test_a_host_that_wants_one_reboot_after_the_other(made):
    """One reboot, then failed with what asks for more; the reboot stays owed, and the next run reboots once again and no more."""
    project = made(name="lab-again")
    (host,) = project.hosts
    declare(project, hooks=False)
    for _ in range(2):
        with host.reboots() as boots:
            said = project.statectl("apply", "--yes", "--json", expect=1)
        assert len(boots) == 1, str(said)
        (failed,) = [one for one in told(said, host)["notified"] if one["outcome"] == "failed"]
        assert failed["error"]["message"] == "still wants a reboot after 1 reboot (lab-again)"
        assert told(said, host)["code"] == "E531"
        assert "owed from an earlier run: reboot patches:lab" in project.statectl("plan", expect=0).out
    assert lines(host, "/var/log/lab-installs") == ["lab-again"]


def test_the_controller_dies_before_the_reboot_and_the_window_closes(made):
    """Without its word the host stays up and owes the reboot; out of the window that waits and is told; in the next one it is done."""
    project = made()
    (host,) = project.hosts
    declare(project)
    host.sh("touch /root/slow")
    before = boot_of(host)
    with host.reboots() as boots:
        running = project.begin("apply", "--yes")
        wait_for(lambda: host.exists("/run/lab-in-hook"), "the hook before the reboot", 120)
        running.kill()
        running.communicate()
        declare(project, CLOSED)
        planned = project.statectl("plan", "--lock-timeout", "60", expect=0)
        assert boot_of(host) == before
        assert not boots
        assert "pending: reboot patches:lab" in planned.out
        assert lines(host, "/var/log/lab-hooks")[-1] == "on_exit lab 1"
        applied = project.statectl("apply", "--yes", expect=0)
        assert "pending: reboot patches:lab" in applied.out
        entries = project.statectl("compliance", "--json").json["entries"]
        deviations = {one["baseline"]: one["deviations"][0] for one in entries}
        assert deviations[""]["status"] == "pending"
        assert deviations["lab"]["state"] == "InstalledPendingReboot"
        assert not boots
        host.sh("rm /root/slow")
        declare(project, OPEN)
        planned = project.statectl("plan", expect=0)
        assert "owed from an earlier run: reboot patches:lab" in planned.out
        assert "; 1 reboot." in planned.out
        project.statectl("apply", "--yes", expect=0)
    assert len(boots) == 1
    assert lines(host, "/var/log/lab-installs") == ["lab-reboot"]
    assert "No changes." in project.statectl("plan", expect=0).out


def test_the_controller_dies_while_the_host_reboots(made):
    """The host boots all the same; the next apply looks at what came of it, with the hooks that were owed."""
    project = made()
    (host,) = project.hosts
    declare(project)
    with host.reboots() as boots:
        running = project.begin("apply", "--yes")
        wait_for(lambda: boots, "the reboot", 120)
        running.kill()
        running.communicate()
    host.wait_ssh()
    assert "owed from an earlier run: after_reboot patches:lab" in project.statectl("plan", expect=0).out
    project.statectl("apply", "--yes", expect=0)
    assert lines(host, "/var/log/lab-hooks") == [f"{name} lab 1" for name in HOOKS]
    assert lines(host, "/var/log/lab-installs") == ["lab-reboot"]


def test_the_run_is_stopped_while_the_host_is_away(made):
    """Ctrl-C does not wait: the host is unknown, the run says how to go on, and going on finds it booted and does the rest."""
    project = made()
    (host,) = project.hosts
    declare(project)
    with host.reboots(limit=0):
        running = project.begin("apply", "--yes")
        wait_for(lambda: host.process is not None and host.process.poll() is not None, "the host to go down", 120)
        time.sleep(1)
        began = time.monotonic()
        running.send_signal(signal.SIGINT)
        out, err = running.communicate(timeout=60)
        assert time.monotonic() - began < 20, out + err
    assert running.returncode == 130, out + err
    assert "E534" in out
    assert "statectl apply --resume" in out
    host.init = 0
    host.start()
    host.wait_ssh()
    run = out.rsplit("--resume", 1)[1].split()[0]
    project.statectl("apply", "--yes", "--resume", run, expect=0)
    assert lines(host, "/var/log/lab-hooks") == [f"{name} lab 1" for name in HOOKS]
    assert "No changes." in project.statectl("plan", expect=0).out


PROGRAM = """\
#!/bin/sh
cp /usr/bin/sleep /usr/local/bin/lab-app.new
mv /usr/local/bin/lab-app.new /usr/local/bin/lab-app
cp -p /usr/sbin/sshd /usr/sbin/sshd.new
mv /usr/sbin/sshd.new /usr/sbin/sshd
"""


def test_services_that_use_replaced_code_are_restarted(made):
    """In the window only, and with the patches: a service whose program was replaced, a template's instance, sshd under the run's own session; a console is left alone and named."""
    project = made(name="lab-app")
    (host,) = project.hosts
    units = ("lab-app", "lab-app@blue", "getty@tty9")
    host.sh("cp /usr/bin/sleep /usr/local/bin/lab-app")
    for unit in ("lab-app.service", "lab-app@.service", "getty@tty9.service"):
        host.write(f"/etc/systemd/system/{unit}", "[Service]\nExecStart=/usr/local/bin/lab-app infinity\n")
    host.sh("systemctl daemon-reload; systemctl start " + " ".join(units))
    invocation = "systemctl show --value --property=InvocationID "
    before = {unit: host.sh(invocation + unit) for unit in units}
    declare(project, CLOSED, hooks=False)
    project.statectl("apply", "--yes", expect=0)
    assert host.sh("dpkg-query -W -f '${Version}' lab-app") == "1.0"
    declare(project, OPEN, hooks=False)
    said = project.statectl("apply", "--yes", "--json", expect=0)
    restarted = [one for one in told(said, host)["notified"] if one["outcome"] == "changed"]
    assert {(one["address"], one["verb"], *one["because"]) for one in restarted} == {
        ("service:lab-app", "restart", "patches:lab"),
        ("service:lab-app@blue", "restart", "patches:lab"),
        ("service:ssh", "restart", "patches:lab"),
    }
    after = {unit: host.sh(invocation + unit) for unit in units}
    assert [unit for unit in units if after[unit] == before[unit]] == ["getty@tty9"]
    (warned,) = told(said, host)["warnings"]
    assert "getty@tty9.service still uses replaced /usr/local/bin/lab-app; it is not restarted blindly" in warned
    assert "No changes." in project.statectl("plan", expect=0).out


def test_a_batch_that_is_not_well_after_its_reboot_is_the_last(made):
    """The first host's health holds before the reboot and not after it: it has failed, and the second host is never touched."""
    project = made(2)
    first, second = project.hosts
    declare(project, well="test -e /run/lab-up", hooks=False)
    for host in project.hosts:
        host.sh("touch /run/lab-up")  # gone with the boot
    before = boot_of(second)
    with first.reboots() as boots, second.reboots() as others:
        said = project.statectl("apply", "--yes", "--json", expect=1)
    assert (len(boots), len(others)) == (1, 0), str(said)
    assert told(said, first)["outcome"] == "failed"
    assert "health of association web" in told(said, first)["reason"]
    assert told(said, second)["outcome"] == "terminated"
    assert boot_of(second) == before
    assert lines(second, "/var/log/lab-installs") == []
    assert not second.exists("/etc/lab.conf")
