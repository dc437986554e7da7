"""`serve` on real hosts: schedule, maintenance window and rollout in one project, over logins that stay open from run to run."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import pytest

from tests.lab import LabHost
from tests.lab.project import LabProject
from tests.sweeps.serving import Serving

START = datetime(2027, 3, 2, 0, 0, 30, tzinfo=UTC)  # a Tuesday
UNIT = """\
[Service]
ExecStart=/bin/sh -c 'echo start >> /var/web.events; exec sleep infinity'
"""
STATES = """\
maintenance_windows:
  night: {schedule: "cron(0 5 ? * WED *)", duration: 2h}
associations:
  base:
    targets: all
    schedule: cron(0 0/6 * * ? *)
    files:
      /etc/base: {content: "declared\\n"}
  web:
    targets: "WEB1 or WEB2"
    schedule: cron(0 0/6 * * ? *)
    disrupt: window:night
    rollout:
      batch: [1]
      before:
        - {run: [/usr/local/bin/balance, drain, "{{ host.name }}"], on: BALANCER}
      after:
        - {run: [/usr/local/bin/balance, enable, "{{ host.name }}"], on: BALANCER}
    files:
      /etc/web: {content: "NUMBER\\n", notify: "service:web"}
    services: {web: running}
"""
BALANCE = """\
#!/bin/sh
echo "$*" >> /var/balance.log
"""
SSHD = """\
associations:
  way_in:
    targets: all
    schedule: cron(0 0/6 * * ? *)
    files:
      /etc/ssh/sshd_config.d/50-lab.conf: {content: "AllowUsers nobody\\n", notify: "service:ssh"}
    services: {ssh: running}
"""


@pytest.fixture
def serve() -> Iterator[Callable[[LabProject], Serving]]:
    made: list[Serving] = []

    def begin(project: LabProject) -> Serving:
        made.append(Serving(project, START))
        made[-1].begin()
        return made[-1]

    yield begin
    for one in made:
        assert one.end() == "", one.log.read_text()


def slot(serving: Serving, *associations: str, hours: int) -> list[dict]:
    """Let the slots of that hour come, and end -> their rows."""
    moment = START.replace(second=0) + timedelta(hours=hours)
    names = [f"{name}@{moment:%Y-%m-%dT%H:%M:%SZ}" for name in associations]
    serving.tell(moment + timedelta(seconds=1))
    serving.until(lambda: all(map(serving.ended, names)), f"{names} end")
    return [serving.slots()[name] for name in names]


def run_of(project: LabProject, row: dict) -> dict[str, dict]:
    return project.statectl("runs", "show", row["run_ids"], "--json", expect=0).json["hosts"]


def logins(host: LabHost) -> int:
    return int(host.sh("journalctl -u ssh --output=cat | grep -c 'Accepted publickey' || true"))


def starts(host: LabHost) -> int:
    return len(host.read("/var/web.events").split())


def test_schedule_window_and_rollout_in_one_project(lab_hosts, project_for, serve):
    """What is due together is one run; a restart waits for its window and is rolled out in it, one host after the other, each once."""
    one, two, balancer = hosts = lab_hosts(3)
    for host in (one, two):
        host.write("/etc/systemd/system/web.service", UNIT)
        host.sh("systemctl daemon-reload")
    balancer.write("/usr/local/bin/balance", BALANCE, 0o755)
    project = project_for(hosts)

    def declare(number: int) -> None:
        text = STATES
        for word, value in {
            "WEB1": one.name,
            "WEB2": two.name,
            "BALANCER": balancer.name,
            "NUMBER": str(number),
        }.items():
            text = text.replace(word, value)
        project.write("states/web.yml", text)

    def balanced() -> list[str]:
        found = balancer.sh("cat /var/balance.log; rm -f /var/balance.log").splitlines()
        assert found in (in_turn(one, two), in_turn(two, one)), found  # never both of them out
        return found

    def in_turn(*out: LabHost) -> list[str]:
        return [f"{what} {host.name}" for host in out for what in ("drain", "enable")]

    declare(0)
    serving = serve(project)
    base, web = slot(serving, "base", "web", hours=6)
    assert base["state"] == web["state"] == "done", (base, web)
    assert base["run_ids"] == web["run_ids"], "one run for both"
    assert {entry["outcome"] for entry in run_of(project, web).values()} == {"changed"}
    assert (starts(one), starts(two)) == (1, 1)
    balanced()

    declare(1)
    serving.until(
        lambda: any(row["cause"] == "edit" and row["state"] == "done" for row in serving.slots().values()), "the edit"
    )
    assert one.read("/etc/web") == two.read("/etc/web") == "1\n"
    balancer.sh("rm -f /var/balance.log")  # of the file that was changed
    for hours in (12, 18, 24):
        base, web = slot(serving, "base", "web", hours=hours)
        assert base["state"] == web["state"] == "done"
    assert (starts(one), starts(two)) == (1, 1), "the window is closed"
    assert balancer.sh("cat /var/balance.log 2>/dev/null || true") == "", "what waits drains nobody"

    base, web = slot(serving, "base", "web", hours=30)  # Wednesday, six o'clock
    assert web["state"] == "done", web
    assert (starts(one), starts(two)) == (2, 2)
    balanced()
    slot(serving, "base", "web", hours=36)
    assert (starts(one), starts(two)) == (2, 2), "paid once"


def test_logins_between_runs(lab_hosts, project_for, serve):
    """Unchanged runs share a login; one that died is replaced and nobody notices; behind a change, or without trust, none is used."""
    one, two = lab_hosts(2)
    project = project_for([one, two], user="admin", settings="connection: {become: true}\n")
    project.write("states/base.yml", STATES[STATES.index("associations") : STATES.index("  web:")])
    serving = serve(project)
    slot(serving, "base", hours=6)  # writes: it keeps no login
    slot(serving, "base", hours=12)
    before = logins(one), logins(two)
    for hours in (18, 24):
        (row,) = slot(serving, "base", hours=hours)
        assert (row["state"], row["reason"]) == ("done", "2 ok")
    assert (logins(one), logins(two)) == before

    one.sh("pkill -KILL -u admin")  # inside the host: all its sessions, as at a restart
    (row,) = slot(serving, "base", hours=30)
    assert (row["state"], row["reason"]) == ("done", "2 ok")
    assert (logins(one), logins(two)) == (before[0] + 1, before[1])

    two.sh("echo by hand > /etc/base")
    (row,) = slot(serving, "base", hours=36)
    assert row["reason"] == "1 changed, 1 ok"
    assert logins(two) == before[1]
    slot(serving, "base", hours=42)
    assert logins(two) == before[1] + 1

    one.write("/etc/sudoers.d/admin", "")
    one.sh("grep -l '^%sudo\\|^admin' /etc/sudoers /etc/sudoers.d/* | xargs sed -i '/^admin\\|^%sudo/d'")
    known = project.home / ".ssh" / "known_hosts"
    known.write_text("".join(line for line in known.read_text().splitlines(True) if two.name not in line))
    (row,) = slot(serving, "base", hours=48)
    hosts = run_of(project, row)
    assert row["state"] == "failed"
    assert hosts[one.name]["outcome"] == "unreachable" and "sudo" in hosts[one.name]["reason"], hosts
    assert hosts[two.name]["outcome"] == "refused" and "host key" in hosts[two.name]["reason"], hosts
    assert serving.end() == ""
    assert one.sh("pgrep -c -u admin sshd || true") == "0", "all logins are closed with the process"


def test_a_login_that_stands_open_confirms_nothing(lab_hosts, project_for, serve):
    """A change that locks us out is undone, though a login was open all the time: only a new one counts."""
    (host,) = lab_hosts(1)
    project = project_for([host], settings="connection: {undo_after: 10s}\n")
    project.write("states/base.yml", STATES[STATES.index("associations") : STATES.index("  web:")])
    serving = serve(project)
    slot(serving, "base", hours=6)
    slot(serving, "base", hours=12)
    project.write("states/base.yml", SSHD)
    serving.until(lambda: any(row["cause"] == "edit" and row["ended"] for row in serving.slots().values()), "the edit")
    (row,) = (row for row in serving.slots().values() if row["cause"] == "edit")
    assert row["state"] == "failed", row
    assert "locked out" in row["reason"], row
    assert not host.exists("/etc/ssh/sshd_config.d/50-lab.conf")
