"""An apply that is told to stop, as a process: what it finishes, what it never begins, what it says, and what the next apply finds."""

import os
import signal
import subprocess
import sys
import time

import pytest

from tests.cli.local_project import environment

# each host needs some seconds for its file; the link would come after it
SLOW = """\
associations:
  slow:
    targets: all
    files:
      "{{ machine }}/slow": {content: x, validate: "sh -c 'touch {{ machine }}.begun; sleep SECONDS' %s"}
    links: {"{{ machine }}/later": slow}
"""
HOSTS = ("a", "b", "c")


@pytest.fixture
def begun(project):
    """`begun(stderr)` -> an apply of three hosts, two at a time, at the moment at which two of them are in the middle of their file."""
    started = []

    def begin(stderr=subprocess.PIPE, seconds=2):
        project.states(SLOW.replace("SECONDS", str(seconds)))
        project.hosts(*HOSTS)
        running = subprocess.Popen(
            [sys.executable, "-m", "statectl", "apply", "--yes", "--max-concurrency", "2"],
            cwd=project.root,
            env=environment(project.home),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
        )
        started.append(running)
        end = time.monotonic() + 60
        while not all((project.machine / f"{name}.begun").exists() for name in "ab"):
            assert time.monotonic() < end, running.poll()
            time.sleep(0.02)
        return running

    yield begin
    for running in started:
        if running.poll() is None:
            running.kill()
            running.communicate()


def there(project, name):
    return sorted(path.name for path in (project.machine / name).iterdir())


def outcomes(project):
    (run,) = [
        run for run in project.statectl("runs", "list", "--json", expect=0).json["runs"] if run["verb"] == "apply"
    ]
    shown = project.statectl("runs", "show", run["id"], "--json", expect=0).json
    return run["outcome"], {name: host["outcome"] for name, host in shown["hosts"].items()}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_once_finishes_what_is_in_hand(project, begun, number):
    """Told once: no new host, no new resource; what is in hand is finished, told and recorded; 130; the next apply does the rest."""
    running = begun()
    running.send_signal(number)
    out, err = running.communicate(timeout=60)
    assert running.returncode == 130, out + err
    assert "Traceback" not in err, err
    assert "running resources finish" in err
    assert [there(project, name) for name in HOSTS] == [["slow"], ["slow"], []]
    assert "2 changed, 2 skipped" in out
    assert "0 done, 3 not done (2 stopped, 1 terminated)." in out
    assert "terminated: c (not started: the run was stopped)" in out
    assert outcomes(project) == ("interrupted", {"a": "stopped", "b": "stopped", "c": "terminated"})
    project.statectl("apply", "--yes", expect=0)
    assert [there(project, name) for name in HOSTS] == [["later", "slow"]] * 3
    assert "No changes." in project.statectl("plan", expect=0).out


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_twice_lets_go_at_once(project, begun, number):
    """Told twice: over at once, running hosts are unknown, every row is there; the hosts stop at their border and the next apply heals."""
    running = begun(seconds=8)
    running.send_signal(number)
    time.sleep(0.2)
    moment = time.monotonic()
    running.send_signal(number)
    out, err = running.communicate(timeout=60)
    took = time.monotonic() - moment
    assert running.returncode == 130, out + err
    assert "Traceback" not in err, err
    assert took < 5, took  # the file alone needs longer
    assert "3 not done (1 terminated, 2 unknown)" in out
    assert outcomes(project) == ("interrupted", {"a": "unknown", "b": "unknown", "c": "terminated"})
    project.statectl("apply", "--yes", "--lock-timeout", "30", expect=0)
    assert [there(project, name) for name in HOSTS] == [["later", "slow"]] * 3
    assert "No changes." in project.statectl("plan", expect=0).out


def test_a_terminal_that_is_gone_loses_no_record(project, begun):
    """The window is closed: HUP comes and nothing can be written to the screen any more; what was in hand is finished and recorded."""
    ours, theirs = os.openpty()
    running = begun(theirs)
    os.close(theirs)
    os.close(ours)
    running.send_signal(signal.SIGHUP)
    out, _ = running.communicate(timeout=60)
    assert running.returncode == 130, out
    assert outcomes(project) == ("interrupted", {"a": "stopped", "b": "stopped", "c": "terminated"})
