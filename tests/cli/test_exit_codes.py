"""One test for each row of the table of exit codes, and for what wins when several apply."""

import os
import signal
import socket
import subprocess
import sys
import time

import pytest

from statectl.cli.deciding import worst
from tests.cli.local_project import environment

FAILING = """\
associations:
  failing:
    targets: all
    files:
      "{{ machine }}/bad": {content: x, validate: "false %s"}
"""
SLOW = """\
associations:
  slow:
    targets: all
    files:
      "{{ machine }}/slow": {content: x, validate: "timeout 4 tail -f %s"}
    links: {"{{ machine }}/later": slow}
"""


def closed_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def unreachable(project) -> str:
    return f"  gone: {{address: 127.0.0.1, port: {closed_port()}, vars: {{machine: {project.machine}/gone}}}}\n"


def test_0_done(project):
    """0: done; a plan with pending changes is done as well."""
    planned = project.statectl("plan", expect=0)
    assert "8 changes on 1 host" in planned.out
    project.statectl("apply", "--yes", expect=0)
    assert "No changes. 1 host already right." in project.statectl("plan", "--detailed-exitcode", expect=0).out


def test_1_failed(project):
    """1: a resource failed."""
    project.states(FAILING)
    project.machine.mkdir()
    failed = project.statectl("apply", "--yes", expect=1)
    assert "states/only.yml:5" in failed.out


def test_2_differences(project):
    """2: differences, for those who asked for them with plan --detailed-exitcode, drift and compliance --min."""
    project.statectl("plan", "--detailed-exitcode", expect=2)
    project.statectl("compliance", "--min", "100%", expect=2)
    project.statectl("apply", "--yes", expect=0)
    project.statectl("compliance", "--min", "100%", expect=0)
    project.statectl("drift", expect=0)
    (project.machine / "etc/app.conf").write_text("by hand\n")
    project.statectl("drift", expect=2)


def test_3_unreachable(project):
    """3: no failure, but a host could not be reached; the others are done."""
    project.hosts("here", more=unreachable(project))
    project.states('associations: {a: {targets: all, files: {"{{ machine }}/x": {content: x}}}}\n')
    said = project.statectl("apply", "--yes", expect=3)
    assert "unreachable: gone (connection refused" in said.out
    assert (project.machine / "here/x").read_text() == "x"
    project.statectl("plan", "--detailed-exitcode", expect=3)


def test_3_compliance_of_hosts_that_nobody_knows(project):
    """3 too: a host that was never read is neither right nor wrong. A gate (--min) counts it as not compliant and says 2 or 0."""
    project.hosts("here", more=unreachable(project))
    project.states('associations: {a: {targets: all, files: {"{{ machine }}/x": {content: x}}}}\n')
    project.statectl("apply", "--yes", "-t", "here", expect=0)
    assert "1 of 2 hosts compliant" in project.statectl("compliance", expect=3).out
    project.statectl("compliance", "--json", expect=3)
    project.statectl("compliance", "-t", "here", expect=0)
    project.statectl("compliance", "--min", "50%", expect=0)
    project.statectl("compliance", "--min", "51%", expect=2)


@pytest.mark.parametrize(
    "argv",
    [("plan",), ("plan", "nosuch"), ("plan", "-t", "nosuch"), ("plan", "-i", "nosuch"), ("-C", "nosuch", "plan")],
    ids=" ".join,
)
def test_4_configuration(project, argv):
    """4: the files are wrong, or the target is nobody; no host was contacted and nothing was stored."""
    if argv == ("plan",):
        project.write("states/app.yml", "associations: {a: {targets: all, fils: {}}}\n")
    said = project.statectl(*argv, expect=4)
    assert said.out == ""
    assert said.err.startswith("error[E")
    assert not (project.root / ".statectl/hosts").exists()


def test_5_refused(project, tmp_path):
    """5: refused, naming the flag where a question could not be asked."""
    refused = project.statectl("apply", expect=5)
    assert "say --yes" in refused.err
    assert not project.machine.exists()
    project.statectl("plan", "--save", str(tmp_path / "plan.json"), expect=0)
    project.statectl("apply", str(tmp_path / "plan.json"), expect=0)
    project.statectl("apply", str(tmp_path / "plan.json"), expect=5)
    project.statectl("apply", "ABCDEFGH", expect=5)
    project.write("statectl.yml", "project: mine\n")
    project.statectl("init", ".", expect=5)
    assert (project.root / "statectl.yml").read_text() == "project: mine\n"


@pytest.mark.parametrize(
    "argv",
    [
        ("aply",),
        ("plan", "--nosuch"),
        ("plan", "--max-concurrency", "0"),
        ("apply", "--batch", "x"),
        ("plan", "-o", "xml"),
        ("plan", "--only", "motd"),
        ("plan", "--prune", "--release"),
        ("apply", "nosuch.json"),
        ("runs", "show", "NOSUCH"),
        ("plan", "--save", "/nosuch/plan.json"),
        ("explain", "nosuch"),
    ],
    ids=" ".join,
)
def test_64_usage(project, argv):
    """64: the command line is wrong (click's own 2 would read as drift); nothing was done."""
    said = project.statectl(*argv, expect=64)
    assert said.err.startswith("error: ")
    assert not (project.root / ".statectl/hosts").exists()


def test_130_interrupted(project):
    """130: interrupted; what was running has finished, nothing new was started, and a rerun heals."""
    project.states(SLOW)
    project.machine.mkdir()
    running = subprocess.Popen(
        [sys.executable, "-m", "statectl", "apply", "--yes"],
        cwd=project.root,
        env=environment(project.home),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    end = time.monotonic() + 30
    while not list(project.machine.iterdir()):  # the temporary file that is being validated
        assert time.monotonic() < end
        time.sleep(0.05)
    running.send_signal(signal.SIGINT)
    out, err = running.communicate(timeout=30)
    assert running.returncode == 130, out + err
    assert "running resources finish" in err
    assert not os.path.lexists(project.machine / "later")


def test_what_wins():
    """Several at once: 130 before 4, 1, 5, 2 and 3."""
    assert [worst([3, 2, 5, 1, 4, 130]), worst([3, 2, 5, 1, 4]), worst([3, 2, 5, 1]), worst([3, 2, 5])] == [
        130,
        4,
        1,
        5,
    ]
    assert [worst([3, 2]), worst([3]), worst([])] == [2, 3, 0]


def test_a_failure_beside_an_unreachable_host(project):
    """1 wins over 3: a host failed and another was not reached."""
    project.hosts("here", more=unreachable(project))
    project.states(FAILING)
    project.statectl("apply", "--yes", expect=1)
