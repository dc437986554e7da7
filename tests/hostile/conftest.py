"""Counts the attacks. Each test here is one, and its docstring begins with its threat (T04); it passes when the attack fails."""

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # `tests.hostile`, however pytest was started

from tests.cli.local_project import LocalProject
from tests.hostile.servers import Servers

HERE = Path(__file__).parent
HERE_ID = "tests/hostile/test_"
THREAT = re.compile(r"T\d\d\b")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents and not THREAT.match(getattr(item.obj, "__doc__", None) or ""):
            raise pytest.UsageError(f"{item.nodeid}: the docstring must begin with the threat, such as T04")


def pytest_terminal_summary(terminalreporter) -> None:
    stats = terminalreporter.stats
    attacks: dict[str, bool] = {}
    for outcome in ("passed", "failed", "error"):
        for report in stats.get(outcome, []):
            name = getattr(report, "nodeid", "")
            if HERE_ID in name and (outcome != "passed" or report.when == "call"):
                attacks[name] = attacks.get(name, True) and outcome == "passed"
    skipped = sum(HERE_ID in getattr(report, "nodeid", "") for report in stats.get("skipped", []))
    if attacks:
        worked = sum(not failed for failed in attacks.values())
        left = f", {skipped} not tried" if skipped else ""
        terminalreporter.write_line(f"attacks that worked: {worked}/{len(attacks)}{left}")


@pytest.fixture(scope="session")
def servers() -> Iterator[Servers]:
    """SSH servers on loopback that mean no good."""
    with Servers() as running:
        yield running


@pytest.fixture
def project(tmp_path: Path) -> LocalProject:
    """A project of this machine alone; `machine` is the only directory that it manages."""
    return LocalProject(tmp_path)
