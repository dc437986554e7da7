"""On real systemd: what disrupts waits for its maintenance window, and everything else does not."""

import subprocess
import sys

import pytest

from tests.lab.project import LabProject

EVENTS = "/run/lab-service-01.events"
# a schedule that fired two hours ago and is open for a day, and one that opens in many years
OPEN = "schedule: rate(100 days), start_date: START, duration: 24h"
CLOSED = 'schedule: "at(2100-01-03T02:00)", timezone: Europe/Oslo, duration: 4h'
STATES = """\
maintenance_windows:
  sunday-night: {WINDOW}
associations:
  web:
    targets: all
    disrupt: DISRUPT
    packages: {lab-service-01: {version: "VERSION"}}
    files: {/etc/web.conf: {content: "NUMBER", notify: "service:lab-service-01"}}
    services: {lab-service-01: {state: STATE}}
"""
WAITS = "waits for window sunday-night, opens 2100-01-03 02:00 Europe/Oslo"
SERVICE = "service:lab-service-01"


@pytest.fixture
def web(lab_host, project_for) -> LabProject:
    return project_for([lab_host])


def invocation(host) -> str:
    return host.sh("systemctl show --value --property=InvocationID lab-service-01").strip()


def declare(
    project: LabProject, number: int, window: str, disrupt="window:sunday-night", state="running", version="1.0"
) -> None:
    start = subprocess.run(
        ["date", "-u", "-d", "2 hours ago", "+%Y-%m-%dT%H:%M:00Z"], capture_output=True, text=True, check=True
    ).stdout.strip()
    text = STATES.replace("WINDOW", window.replace("START", start)).replace("DISRUPT", disrupt)
    project.write(
        "states/web.yml", text.replace("NUMBER", str(number)).replace("STATE", state).replace("VERSION", version)
    )


def test_a_restart_waits_for_the_window_and_is_paid_once(web, tmp_path):
    """The window closed: new file, old service, and plan, apply, compliance say what waits for what. Open: one restart, also from a fresh clone."""
    (host,) = web.hosts
    declare(web, 0, CLOSED)
    web.statectl("apply", "--yes", expect=0)  # what is not there yet disrupts nothing
    assert host.sh("systemctl is-active lab-service-01").strip() == "active"
    assert "No changes. 1 host already right." in web.statectl("plan", expect=0).out
    before = invocation(host)
    host.sh(f"true > {EVENTS}")

    declare(web, 1, CLOSED)
    planned = web.statectl("plan", expect=0).out
    assert f"pending: restart {SERVICE}, {WAITS}" in planned
    assert "1 pending" in planned
    applied = web.statectl("apply", "--yes", expect=0)
    assert f"pending: restart {SERVICE}, {WAITS}" in applied.out
    assert host.read("/etc/web.conf") == "1"
    assert invocation(host) == before

    again = web.statectl("plan", "--json", expect=0).json
    (owed,) = again["hosts"][host.name]["pending"]
    assert owed == {"what": f"restart {SERVICE}", "address": SERVICE, "reason": WAITS}
    assert not again["has_changes"]
    web.statectl("plan", "--detailed-exitcode", expect=2)
    assert f"pending: restart {SERVICE}, {WAITS}" in web.statectl("plan", expect=0).out
    (entry,) = web.statectl("compliance", "--json").json["entries"]
    assert entry["status"] == "pending"
    assert entry["deviations"][0]["address"] == SERVICE
    assert WAITS in entry["deviations"][0]["reason"]
    told = web.statectl("apply", "--yes", "--json", expect=0).json["hosts"][host.name]
    assert [(one["outcome"], one["pending"], one["reason"]) for one in told["notified"]] == [("skipped", True, WAITS)]
    assert told["outcome"] == "ok"
    assert invocation(host) == before

    clone = LabProject(tmp_path / "clone", [host])
    declare(clone, 1, CLOSED, disrupt="never")
    assert "pending: restart service:lab-service-01, disrupt: never" in clone.statectl("plan", expect=0).out
    clone.statectl("apply", "--yes", expect=0)
    assert invocation(host) == before
    declare(clone, 1, OPEN)
    payable = clone.statectl("plan", expect=0).out
    assert f"owed from an earlier run: restart {SERVICE}" in payable
    assert "1 restart" in payable
    paid = clone.statectl("apply", "--yes", expect=0).out
    assert "1 restart or reload on 1 host." in paid
    after = invocation(host)
    assert after != before
    clone.statectl("apply", "--yes", expect=0)
    assert invocation(host) == after
    assert host.read(EVENTS).split() == ["start"]
    assert "No changes. 1 host already right." in clone.statectl("plan", expect=0).out
    (entry,) = clone.statectl("compliance", "--json").json["entries"]
    assert entry["status"] == "compliant"


def test_what_runs_is_stopped_and_upgraded_in_the_window_only(web):
    """A stop and another version of a package wait, and say so; a service that was stopped by hand is started at once."""
    (host,) = web.hosts
    declare(web, 0, CLOSED)
    web.statectl("apply", "--yes", expect=0)
    host.sh("systemctl stop lab-service-01")
    web.statectl("apply", "--yes", expect=0)
    assert host.sh("systemctl is-active lab-service-01").strip() == "active"

    declare(web, 0, CLOSED, version="1.1")
    assert f"pending: {WAITS}" in web.statectl("plan", expect=0).out
    host.sh("systemctl stop lab-service-01")
    web.statectl("apply", "--yes", expect=0)
    version = "dpkg-query --show --showformat='${Version}' lab-service-01"
    assert host.sh(version) == "1.0"
    assert host.sh("systemctl is-active lab-service-01").strip() == "active", "what comes after the package waited"
    declare(web, 0, OPEN, version="1.1")
    web.statectl("apply", "--yes", expect=0)
    assert host.sh(version) == "1.1"

    declare(web, 0, CLOSED, state="stopped", version="1.1")
    planned = web.statectl("plan", "--json", expect=0).json
    (verdict,) = planned["hosts"][host.name]["verdicts"]
    assert (verdict["address"], verdict["waits"]) == (SERVICE, WAITS)
    assert not planned["has_changes"]
    assert f"pending: {WAITS}" in web.statectl("plan", expect=0).out
    web.statectl("apply", "--yes", expect=0)
    assert host.sh("systemctl is-active lab-service-01").strip() == "active"
    (entry,) = web.statectl("compliance", "--json").json["entries"]
    assert (entry["status"], entry["deviations"][0]["reason"]) == ("pending", WAITS)
    declare(web, 0, OPEN, state="stopped", version="1.1")
    web.statectl("apply", "--yes", expect=0)
    assert host.sh("systemctl is-active lab-service-01 || true").strip() == "inactive"
    assert "No changes." in web.statectl("plan", expect=0).out


def test_the_executor_goes_on_alone_and_keeps_the_word(web):
    """The controller dies right after go: what had to wait still waits, and its result says why."""
    (host,) = web.hosts
    declare(web, 0, CLOSED)
    web.statectl("apply", "--yes", expect=0)
    before = invocation(host)
    declare(web, 1, CLOSED)
    text = (web.root / "states/web.yml").read_text()
    web.write(
        "states/web.yml", text + '    commands: {slow: {run: "sleep 4; touch /root/slow", creates: /root/slow}}\n'
    )
    running = subprocess.Popen(
        [sys.executable, "-m", "statectl", "apply", "--yes"],
        cwd=web.root,
        env=web.environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    host.sh('for i in $(seq 400); do [ "$(cat /etc/web.conf)" = 1 ] && exit 0; sleep 0.05; done; exit 1')
    running.kill()
    running.wait()
    plan = web.statectl("plan", "--lock-timeout", "60", "--json", expect=0).json
    assert plan["hosts"][host.name]["pending"][0]["reason"] == WAITS
    assert host.sh("test -e /root/slow && echo done").strip() == "done"
    assert invocation(host) == before
