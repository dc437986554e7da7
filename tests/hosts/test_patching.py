"""The example of patching on real hosts, over ten days of the controller's clock: from the first scan to a rollback."""

import datetime as dt
import shutil
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from tests.lab import LabHost
from tests.lab.patch_repository import PatchRepository
from tests.lab.repositories import Deb

EXAMPLE = Path(__file__).parents[2] / "examples" / "patching"
REBOOT = "#!/bin/sh\ntouch /run/reboot-required\necho lab-kernel >> /run/reboot-required.pkgs\n"
HOUR, DAY = dt.timedelta(hours=1), dt.timedelta(days=1)


def app(version: str) -> Deb:
    return Deb("lab-app", version, files={"usr/bin/lab-app": f"#!/bin/sh\necho {version}\n"})


def kernel(version: str) -> Deb:
    return Deb(
        "lab-kernel",
        version,
        fields={"Priority": "important"},
        files={"usr/lib/lab-kernel": f"{version}\n"},
        scripts={"postinst": REBOOT} if version != "1.0" else {},
    )


def last_opening() -> dt.datetime:
    """Within the window of the example that was open last: Sunday at half past two in Oslo, a day ago or more."""
    oslo = (dt.datetime.now(dt.UTC) - DAY).astimezone(ZoneInfo("Europe/Oslo"))
    sunday = oslo - dt.timedelta(days=(oslo.weekday() + 1) % 7)
    at = sunday.replace(hour=2, minute=30, second=0, microsecond=0)
    return (at if at <= oslo else at - 7 * DAY).astimezone(dt.UTC)


def installed(host: LabHost, name: str) -> str:
    return host.exec(["dpkg-query", "-W", "-f", "${Version}", name]).out.strip()


@pytest.fixture
def fleet(lab_hosts, project_for, tmp_path):
    """Two web hosts and a database with the first versions, and the repository that they patch from."""
    hosts = lab_hosts(3)
    repository = PatchRepository(tmp_path)
    repository.publish("stable", app("1.0"), kernel("1.0"))
    repository.publish("security", Deb("lab-nothing", "1.0"))
    for host in hosts:
        repository.give(host)
        host.exec(["apt-get", "install", "-y", "-q", "lab-app", "lab-kernel"])
    indexes = (
        "patching:\n  refresh: 1m\n  cache: .statectl/packages\n  indexes:\n    - name: lab\n"
        f"      uri: file://{repository.top}\n      suites: [lab-security]\n      signed_by: keys/lab.asc\n"
    )
    project = project_for(hosts, settings=indexes)
    inventory = project.root / "inventories/lab/hosts.yml"
    head, mark, last = inventory.read_text().rpartition("groups: [bookworm]")
    assert mark, inventory.read_text()
    inventory.write_text(f"{head}groups: [bookworm, db]{last}  db: {{}}\n")
    shutil.copytree(EXAMPLE / "states", project.root / "states", dirs_exist_ok=True)
    (project.root / "keys").mkdir()
    shutil.copy(repository.key, project.root / "keys" / "lab.asc")
    project.commit("the example")
    return project, hosts, repository


def test_from_scan_to_rollback(fleet):
    """Approval by delay on Debian, the exact approved version, a canary, a window, reboots, compliance and the way back."""
    project, (web1, web2, db), repository = fleet
    sunday = (
        last_opening() - 7 * DAY
    )  # hosts keep their own clocks, and the earlier one counts: all of this is in the past
    start = sunday - 12 * DAY

    def statectl(at: dt.datetime, *argv: str, expect: int | tuple[int, ...] = 0, env=None):
        return project.statectl(*argv, expect=expect, at=at.isoformat(), env=env)

    def publish(*debs: Deb) -> None:
        repository.replace("security", *debs)
        for host in (web1, web2, db):
            repository.give(host, update=False)

    # day 0: nothing is missing
    assert "3 of 3 hosts compliant" in statectl(start, "patch", "scan", "--refresh").out

    # day 2: two security updates appear, and are not a week old
    publish(app("1.0+deb12u1"), kernel("1.1"))
    seen = start + 2 * DAY
    statectl(seen, "patch", "poll")
    report = statectl(seen, "patch", "scan", "--refresh", "--json").json
    assert report["format"].startswith("statectl.patch-report/")
    assert not report["by_state"].get("missing")
    assert report["by_state"]["available_security_update"] == 6
    explained = statectl(seen, "patch", "baseline", "explain", web1.name, "lab-app").out
    assert "1.0+deb12u1" in explained
    assert f"{seen + 7 * DAY:%Y-%m-%d}" in explained

    # day 6: the archive replaces one of them before it is approved
    publish(app("1.0+deb12u2"))
    later = start + 6 * DAY
    statectl(later, "patch", "poll")
    statectl(later, "patch", "scan", "--refresh")

    # day 11, Saturday: approved, and the window is closed
    saturday = sunday - DAY
    plan = statectl(saturday, "plan").out
    assert "~lab-app:all 1.0 -> 1.0+deb12u1" in plan
    assert "deb12u2" not in plan
    assert "waits for window sunday-night" in plan
    statectl(saturday, "apply", "--yes")
    assert installed(web1, "lab-app") == "1.0"
    assert "pending" in statectl(saturday, "compliance").out

    # Sunday night: one host, then the other, each back from its reboot before the next begins; the database is only scanned
    boots = {host.name: host.read("/proc/sys/kernel/random/boot_id") for host in (web1, web2, db)}
    with web1.reboots(1), web2.reboots(1):
        done = statectl(sunday, "apply", "--yes").out
    for host in (web1, web2):
        assert installed(host, "lab-app") == "1.0+deb12u1"
        assert installed(host, "lab-kernel") == "1.1"
        assert host.read("/proc/sys/kernel/random/boot_id") != boots[host.name]
    assert installed(db, "lab-app") == "1.0"
    assert db.read("/proc/sys/kernel/random/boot_id") == boots[db.name]
    run = done.partition("Run ")[2][:8]
    assert "No changes" in statectl(sunday + HOUR, "plan").out

    # a week later somebody patches the database, whose baseline reboots nothing
    after = sunday + 7 * DAY
    statectl(after, "patch", "install", "--target", "group:db", "--yes")
    assert installed(db, "lab-kernel") == "1.1"
    assert "InstalledPendingReboot" in statectl(after, "patch", "report", "-t", "group:db").out
    db.kill()
    db.start()
    assert "InstalledPendingReboot" not in statectl(after, "patch", "scan", "--refresh", "-t", "group:db").out

    # the way back
    history = statectl(after, "patch", "history", web1.name, "--json").json
    moved = {(one["package"], one["before"], one["after"]) for one in history["changes"] if one["run"] == run}
    assert moved == {("lab-app", "1.0", "1.0+deb12u1"), ("lab-kernel", "1.0", "1.1")}
    back = statectl(after, "rollback", run, "--yes").out
    assert installed(web1, "lab-app") == "1.0"
    assert installed(web2, "lab-app") == "1.0"
    assert "pin" in back
