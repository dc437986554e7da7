"""On real systemd: an executor killed between a file and its service costs no restart and repeats none; replaced programs are noticed."""

import subprocess
import sys

import pytest

from tests.lab.project import LabProject

CONF = "/etc/debt.conf"
EVENTS = "/run/lab-service-01.events"
DEBT = """\
associations:
  debt:
    targets: all
    packages: [lab-service-01]
    files: {/etc/debt.conf: {content: "NUMBER", notify: "service:lab-service-01"}}
    services: {lab-service-01: {state: running, on_notify: VERB}}
"""
# waits until the file is new, then so long, then kills the executor that holds the lock
KILLER = """
import json, os, signal, sys, time
number, delay = sys.argv[1], float(sys.argv[2])
end = time.time() + 60
while time.time() < end:
    try:
        if open("/etc/debt.conf").read() == number:
            break
    except OSError:
        pass
    time.sleep(0.001)
time.sleep(delay)
try:
    os.kill(json.load(open("/var/lib/statectl/lock"))["pid"], signal.SIGKILL)
except (OSError, ValueError, KeyError):
    print("it was over")
"""
DELAYS = (0.0, 0.02, 0.1, 0.4, 1.2)


def invocation(host) -> str:
    return host.sh("systemctl show --value --property=InvocationID lab-service-01").strip()


@pytest.fixture
def debt(lab_host, project_for) -> LabProject:
    return project_for([lab_host])


@pytest.mark.parametrize("verb", ["restart", "reload"])
def test_killed_between_file_and_service(debt, verb):
    """Killed at any moment after the file: the next apply does what is owed. One restart, not two; of a reload at least one."""
    (host,) = debt.hosts

    def declare(number: int) -> None:
        debt.write("states/debt.yml", DEBT.replace("NUMBER", str(number)).replace("VERB", verb))

    declare(0)
    debt.statectl("apply", "--yes", expect=0)
    host.write("/root/killer.py", KILLER)
    killed = 0
    for number, delay in enumerate(DELAYS, 1):
        declare(number)
        before = invocation(host)
        host.sh(f"true > {EVENTS}")
        host.sh(f"systemd-run --quiet --unit=killer{number} python3 /root/killer.py {number} {delay}")
        cut = subprocess.run(
            [sys.executable, "-m", "statectl", "apply", "--yes"],
            cwd=debt.root,
            env=debt.environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        assert cut.returncode in (0, 3), cut.stdout + cut.stderr
        killed += cut.returncode == 3
        debt.statectl("apply", "--yes", "--lock-timeout", "60", expect=0)
        assert host.read(CONF) == str(number)
        events = host.read(EVENTS).split()
        after = invocation(host)
        if verb == "restart":
            assert after != before, (number, delay, events)
            assert events.count("start") == 1, (number, delay, events)
        else:
            assert after == before, (number, delay, events)
            assert events.count("reload") >= 1, (number, delay, events)
        assert "No changes." in debt.statectl("plan", expect=0).out
        assert host.sh("systemctl is-active lab-service-01").strip() == "active"
    assert killed >= 2, "the executor was never caught in the middle"


APP = """\
associations:
  app:
    targets: all
    packages: [PACKAGES]
    files: {/etc/app.conf: {content: "CONF", notify: "service:app"}}
    units: {app.service: {content: "[Service]\\nExecStart=/usr/local/bin/app infinity\\n"}}
    services: {app: {state: running, needrestart: ASKED}}
"""


def test_a_replaced_program_is_restarted_where_that_is_asked_for(debt):
    """Replaced by rename under a running service: the plan names it, the apply restarts once, the next plan is empty; unasked, nothing."""
    (host,) = debt.hosts

    def declare(asked: str, packages: str = "", conf: str = "one") -> None:
        text = APP.replace("ASKED", asked).replace("PACKAGES", packages).replace("CONF", conf)
        debt.write("states/app.yml", text)

    def replace() -> None:
        host.sh("cp /usr/bin/sleep /usr/local/bin/app.new && mv /usr/local/bin/app.new /usr/local/bin/app")

    def started() -> str:
        return host.sh("systemctl show --value --property=InvocationID app").strip()

    host.sh("cp /usr/bin/sleep /usr/local/bin/app")
    declare("false")
    debt.statectl("apply", "--yes", expect=0)
    replace()
    assert "No changes." in debt.statectl("plan", expect=0).out
    declare("true")
    before = started()
    planned = debt.statectl("plan", "--detailed-exitcode", expect=2)
    assert "service:app" in planned.out
    assert "uses replaced /usr/local/bin/app" in planned.out
    assert started() == before
    debt.statectl("apply", "--yes", expect=0)
    assert started() != before
    assert "No changes." in debt.statectl("plan", expect=0).out
    declare("true", "lab-tool-01")
    doubted = debt.statectl("plan", "--json", expect=0).json
    (verdict,) = [one for one in doubted["hosts"][host.name]["verdicts"] if one["address"] == "service:app"]
    assert (verdict["verdict"], verdict["unknown_until"]) == ("unknown", ["package:lab-tool-01"])
    before = started()
    debt.statectl("apply", "--yes", expect=0)
    assert started() == before  # nothing that it uses was replaced
    replace()
    declare("true", "lab-tool-01", "two")
    both = debt.statectl("apply", "--yes", "--json", expect=0).json["hosts"][host.name]
    assert both["notified"] == []  # the restart for the program has paid for the file as well
    assert {one["address"]: one["outcome"] for one in both["results"]}["service:app"] == "changed"
    assert started() != before
    assert "No changes." in debt.statectl("plan", expect=0).out
