"""The rules of an apply on real hosts: what a failure stops, who may apply at the same time, and what an interruption leaves."""

import re
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.lab import HostPool, LabHost
from tests.lab.project import LabProject
from tests.lab.waiting import wait_for

SLOW = """\
associations:
  slow:
    targets: all
    packages: [lab-slow]
    files: {/etc/rules-after-slow.conf: {content: "after\\n"}}
"""


@pytest.fixture(scope="module")
def three(host_pool: HostPool) -> Iterator[list[LabHost]]:
    """Shared by the tests of this module: each uses paths of its own."""
    hosts = host_pool.take(3)
    yield hosts
    host_pool.give_back(hosts)


@pytest.fixture
def make(three: list[LabHost], project_for: Callable[..., LabProject]) -> Callable[..., LabProject]:
    """`make(text, count)`: a project of the first hosts, with this text as its states."""

    def made(text: str, count: int = 1) -> LabProject:
        project = project_for(three[:count])
        project.write("states/rules.yml", text)
        project.commit("rules")
        return project

    return made


def slow_postinst(host: LabHost) -> str:
    return host.sh("pgrep -f lab-slow[.]postinst", check=False)


def remove_slow(host: LabHost, seconds: int) -> None:
    host.sh(
        f"dpkg --purge lab-slow >/dev/null 2>&1; rm -f /etc/rules-after-slow.conf; echo {seconds} > /etc/lab-slow.seconds"
    )


def test_what_a_failure_stops(make):
    """A failure stops the later phases of its association on that host and what requires it, and nothing else; each skip says why."""
    project = make("""\
associations:
  broken:
    targets: all
    directories: {/etc/rules: {}}
    files:
      /etc/rules/bad.conf: {content: x, validate: "false %s"}
      /etc/rules/good.conf: {content: x}
    links: {/etc/rules/link: good.conf}
  dependent:
    targets: all
    requires: [broken]
    files: {/etc/rules-dependent.conf: {content: x}}
  other:
    targets: all
    files: {/etc/rules-other.conf: {content: x}}
    links: {/etc/rules-other.link: rules-other.conf}
""")
    (host,) = project.hosts
    said = project.statectl("apply", "--yes", "--json", expect=1).json
    results = {entry["address"]: entry for entry in said["hosts"][host.name]["results"]}
    assert {address: entry["outcome"] for address, entry in results.items()} == {
        "directory:/etc/rules": "changed",
        "file:/etc/rules/bad.conf": "failed",
        "file:/etc/rules/good.conf": "changed",  # the rest of its own phase goes on
        "link:/etc/rules/link": "skipped",
        "file:/etc/rules-dependent.conf": "skipped",
        "file:/etc/rules-other.conf": "changed",
        "link:/etc/rules-other.link": "changed",
    }
    assert results["link:/etc/rules/link"]["reason"] == (
        "an earlier phase of association broken failed: file:/etc/rules/bad.conf"
    )
    assert results["file:/etc/rules-dependent.conf"]["reason"] == (
        "association dependent requires broken, of which file:/etc/rules/bad.conf failed"
    )
    there = [host.exists(f"/etc/{name}") for name in ("rules/bad.conf", "rules/link", "rules-dependent.conf")]
    assert there == [False, False, False]
    told = project.statectl("apply", "--yes", expect=1)
    assert "file:/etc/rules/bad.conf" in told.out
    assert "states/rules.yml:6" in told.out
    assert "skipped  " in told.out
    assert "1 not done (1 failed)" in told.out


def test_only_what_was_asked_for(make):
    """--only touches the named resource alone; naming an association leaves the others; audit mode never writes."""
    project = make("""\
associations:
  chosen:
    targets: all
    files:
      /etc/only-one.conf: {content: x}
      /etc/only-two.conf: {content: x}
  left:
    targets: all
    files: {/etc/only-left.conf: {content: x}}
  watched:
    targets: all
    mode: audit
    files: {/etc/only-audited.conf: {content: x}}
""")
    (host,) = project.hosts

    def there() -> list[str]:
        return [name for name in ("one", "two", "left", "audited") if host.exists(f"/etc/only-{name}.conf")]

    project.statectl("apply", "--yes", "--only", "file:/etc/only-one.conf", expect=0)
    assert there() == ["one"]
    project.statectl("apply", "chosen", "--yes", expect=0)
    assert there() == ["one", "two"]
    planned = project.statectl("plan", expect=0)
    assert re.search(r"\+ file:/etc/only-audited.conf .*\(audit only\)", planned.out)
    project.statectl("apply", "--yes", expect=0)
    assert there() == ["one", "two", "left"]
    again = project.statectl("plan", "--detailed-exitcode", expect=0)  # what is only audited is not pending work
    assert "No changes." in again.out
    assert "file:/etc/only-audited.conf" in again.out  # and is still said


def test_batches_and_the_error_budget(make):
    """Waves follow each other; once there are more errors than allowed nothing new starts, and those hosts are untouched."""
    project = make(
        """\
associations:
  waves:
    targets: all
    files:
      /etc/waves-1.conf: {content: x, validate: "test ! -e /etc/waves-refuse -o -z %s"}
      /etc/waves-2.conf: {content: x}
""",
        3,
    )
    one, two, three = project.hosts
    one.write("/etc/waves-refuse", "")
    stopped = project.statectl("apply", "--yes", "--batch", "1,100%", "--max-errors", "0", expect=1)
    assert "Stopped: more than 0 errors (--max-errors); nothing new was started." in stopped.out
    assert "2 terminated" in stopped.out
    assert [host.exists("/etc/waves-2.conf") for host in (one, two, three)] == [True, False, False]
    one.sh("rm /etc/waves-refuse /etc/waves-2.conf")
    project.statectl("apply", "--yes", "--batch", "1,100%", "--max-errors", "0", expect=0)

    def at(host: LabHost, name: str) -> float:
        return float(host.sh(f"stat -c %.9Y /etc/waves-{name}.conf"))

    assert at(one, "2") < min(at(two, "1"), at(three, "1"))  # the first wave had ended before the second began


def test_one_apply_at_a_time_and_ctrl_c(make):
    """A second apply is refused and told who, where and since when; Ctrl-C ends at the resource border with exit 130; a rerun heals."""
    project = make(SLOW)
    (host,) = project.hosts
    remove_slow(host, 6)
    first = project.begin("apply", "--yes")
    wait_for(lambda: slow_postinst(host), "the slow package's postinst runs")
    second = project.statectl("apply", "--yes", expect=5)
    assert re.search(
        r"another apply holds this host: \w+@[\w.-]+, run [A-Z0-9]{8}, process \d+, since \d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC",
        second.out,
    )
    first.send_signal(signal.SIGINT)
    out, err = first.communicate(timeout=30)
    assert first.returncode == 130, out + err
    assert "running resources finish" in err
    assert "package:lab-slow" in err  # what was in hand was finished and told
    assert "1 changed, 1 skipped" in out
    assert host.sh("dpkg-query -W -f '${db:Status-Abbrev}' lab-slow").strip() == "ii"
    assert not host.exists("/etc/rules-after-slow.conf")
    project.statectl("apply", "--yes", expect=0)
    assert host.read("/etc/rules-after-slow.conf") == "after\n"
    assert "No changes." in project.statectl("plan", expect=0).out


def test_the_controller_dies(make):
    """kill -9 of the controller: the executor finishes, and the next contact takes its result over, visible in `runs show`."""
    project = make(SLOW)
    (host,) = project.hosts
    remove_slow(host, 3)
    first = project.begin("apply", "--yes")
    wait_for(lambda: slow_postinst(host), "the slow package's postinst runs")
    first.kill()
    first.communicate()
    waited = project.statectl("apply", "--yes", "--lock-timeout", "60", expect=0)
    assert "waiting for " in waited.err
    assert "No changes." in waited.out  # the executor that nobody listened to had done it all
    assert host.read("/etc/rules-after-slow.conf") == "after\n"
    runs = project.statectl("runs", "list", "--json", expect=0).json["runs"]
    (cut,) = [run for run in runs if run["outcome"] == "interrupted"]
    assert cut["counts"] == {"changed": 1}  # what was unknown is known now
    shown = project.statectl("runs", "show", cut["id"], expect=0)
    assert "package:lab-slow  added" in shown.out
    assert "file:/etc/rules-after-slow.conf  added" in shown.out
    assert host.sh("ls /var/lib/statectl/undelivered") == ""  # acknowledged, and only then forgotten


def test_a_restart_that_is_owed_is_paid(make):
    """An executor killed between a file and its service's reload owes the reload: the plan says so, the next apply pays it once."""
    project = make("""\
associations:
  debt:
    targets: all
    packages: [lab-service-01]
    files: {/etc/debt.conf: {content: "{{ text }}", notify: "service:lab-service-01"}}
    vars: {text: one}
    services: {lab-service-01: {state: running, on_notify: reload}}
    commands: {block: {run: [sleep, "60"], unless: [test, "!", "-e", /run/debt-block]}}
""")
    (host,) = project.hosts
    project.statectl("apply", "--yes", expect=0)
    host.sh("true > /run/lab-service-01.events; touch /run/debt-block")
    project.write("states/rules.yml", Path(project.root, "states/rules.yml").read_text().replace("one}", "two}"))
    running = project.begin("apply", "--yes")
    wait_for(lambda: host.sh("pgrep -x sleep -a | grep 'sleep 60'", check=False), "the command blocks")
    assert host.read("/etc/debt.conf") == "two"
    assert host.read("/run/lab-service-01.events") == ""
    host.sh(
        """kill -9 $(python3 -c 'import json; print(json.load(open("/var/lib/statectl/lock"))["pid"])'); pkill -9 -f "slee[p] 60" """
    )
    out, err = running.communicate(timeout=30)
    assert running.returncode == 3, out + err  # lost: unknown, neither failed nor done
    assert "unknown" in out
    host.sh("rm /run/debt-block")
    planned = project.statectl("plan", "--detailed-exitcode", expect=2)
    assert "owed from an earlier run: reload service:lab-service-01" in planned.out
    paid = project.statectl("apply", "--yes", expect=0)
    assert "reload service:lab-service-01" in paid.err
    assert host.read("/run/lab-service-01.events").split() == ["reload"]
    assert "No changes." in project.statectl("plan", expect=0).out
