"""What a command imports is what its start costs; and validate talks to nobody."""

import json
import re
import resource
import shutil
import subprocess
import sys

import pytest

from tests.cli.local_project import environment

HEAVY = {"asyncssh", "cryptography", "sqlalchemy", "alembic", "deepdiff", "jinja2", "rich"}
LIBRARIES = HEAVY | {"pydantic", "yaml", "asyncio", "sqlite3"}
HELP_CPU_S = 0.1
# measured on one quiet machine, the budget is 0.1 s; a machine shared with other tests may take this much longer
SLACK = 2.5


def imported(*argv: str, cwd, home, **environ: str) -> set[str]:
    """Top-level modules that the command imports."""
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "statectl", *argv],
        cwd=cwd,
        env=environment(home, environ),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=True,
    )
    names = re.findall(r"^import time:\s+\d+ \|\s+\d+ \| +(\S+)$", done.stderr, re.MULTILINE)
    assert "statectl.cli.main" in names
    return {name.partition(".")[0] for name in names}


@pytest.mark.parametrize(
    "argv", [("--help",), ("plan", "--help"), ("apply", "-h"), ("--version",), ("completion", "bash")], ids=" ".join
)
def test_help_imports_no_library_but_click(tmp_path, argv):
    """Help, version and the completion script import click and nothing that takes time."""
    assert imported(*argv, cwd=tmp_path, home=tmp_path) & LIBRARIES == set()


def test_completion_imports_no_library_but_click(tmp_path):
    """The shell asks at every press of a key."""
    asked = {"_STATECTL_COMPLETE": "bash_complete", "COMP_WORDS": "statectl pl", "COMP_CWORD": "1"}
    assert imported(cwd=tmp_path, home=tmp_path, **asked) & LIBRARIES == set()


def test_help_takes_little_time(tmp_path):
    """--help costs less than 100 ms of processor time."""
    best = None
    for _ in range(5):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(
            [sys.executable, "-m", "statectl", "--help"],
            env=environment(tmp_path),
            stdout=subprocess.DEVNULL,
            check=True,
        )
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        took = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        best = min(best or took, took)
    assert best < HELP_CPU_S * SLACK


def test_validate_imports_nothing_that_talks(project):
    """validate needs neither the SSH library nor a database, nor what only those who talk to hosts need."""
    unwanted = (HEAVY - {"jinja2"}) | {"asyncio", "sqlite3"}
    assert imported("validate", cwd=project.root, home=project.home) & unwanted == set()


HOOK = """\
import os, sys
def tell(event, arguments):
    if event in ("socket.connect", "socket.bind", "socket.getaddrinfo", "socket.sendto", "socket.gethostbyname"):
        with open(os.environ["EVENTS"], "a") as file:
            file.write(f"{event} {arguments[1:]}\\n")
sys.addaudithook(tell)
"""


def test_validate_opens_no_connection(project, tmp_path):
    """validate contacts nobody: no connect, bind or name look-up, whatever the inventory names; plan is the counter-example."""
    (tmp_path / "hook").mkdir()
    (tmp_path / "hook" / "sitecustomize.py").write_text(HOOK)
    events = tmp_path / "events"
    project.write(
        "inventories/local/hosts.yml", "hosts:\n  web01: {address: 127.0.0.1, port: 1, vars: {machine: /x}}\n"
    )
    project.states("associations: {a: {targets: all, files: {/x/y: {content: '{{ host.address }}'}}}}\n")
    settings = (project.root / "statectl.yml").read_text().partition("limits:")[0]
    project.write("statectl.yml", settings)
    environ = {"EVENTS": str(events), "PYTHONPATH": f"{tmp_path / 'hook'}:{environment(tmp_path)['PYTHONPATH']}"}
    said = project.statectl("validate", env=environ, expect=0)
    assert "1 host" in said.out
    assert not events.exists()
    project.statectl("plan", env=environ, expect=3)
    assert "connect" in events.read_text()


@pytest.mark.skipif(not shutil.which("strace"), reason="NO STRACE: the kernel's view of validate is not checked")
def test_validate_asks_the_kernel_for_no_network(project, tmp_path):
    """The same as the kernel sees it, children included: no socket of a network family is ever made."""
    trace = tmp_path / "trace"
    done = subprocess.run(
        [
            *("strace", "-f", "-qq", "-e", "trace=socket,connect,bind,sendto", "-o", trace),
            *(sys.executable, "-m", "statectl", "validate", "--json"),
        ],
        cwd=project.root,
        env=environment(project.home),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
        text=True,
    )
    if done.returncode != 0 and not done.stdout:
        pytest.skip(f"NO STRACE: it may not trace here ({done.stderr.strip()[:100]})")
    assert json.loads(done.stdout)["valid"] is True
    assert not re.findall(r".*AF_(?:INET6?|NETLINK|PACKET).*", trace.read_text())
