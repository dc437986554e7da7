"""Tests that share something dear stay on one worker: an upgrade of pytest or xdist once ended that without a word."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from sharing_out import BY_SYSTEM, SECONDS, TOGETHER, unit_of

TESTS = Path(__file__).resolve().parents[1]
FLOOR = "tests/unit/test_python_floor.py::test_host_half_passes_its_tests"
SOURCE = """\
import os
import pytest

@pytest.fixture(scope="module")
def dear():
    with open("made", "a") as file:
        file.write(os.environ["PYTEST_XDIST_WORKER"] + "\\n")

@pytest.mark.parametrize("number", range(8))
def test_first(number):
    pass

@pytest.mark.parametrize("number", range(8))
def test_host_half_passes_its_tests(dear, number):
    with open("order", "a") as file:
        file.write("dear\\n")

@pytest.mark.parametrize("number", range(8))
def test_last(number):
    with open("order", "a") as file:
        file.write("other\\n")
"""


def test_a_dear_fixture_is_made_once_and_its_tests_begin_first(tmp_path):
    """Two real workers: a module's fixture is made by one of them, before the tests that nothing is known of."""
    path = tmp_path / "tests" / "unit" / "test_python_floor.py"
    path.parent.mkdir(parents=True)
    path.write_text(SOURCE)
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "sharing_out", "-p", "no:cacheprovider", "-n", "2"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(TESTS), "PYTEST_ADDOPTS": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "24 passed" in done.stdout, done.stdout + done.stderr
    assert len((tmp_path / "made").read_text().split()) == 1
    assert (tmp_path / "order").read_text().split()[0] == "dear"


@pytest.mark.parametrize(
    ("test", "unit"),
    [
        (f"{FLOOR}[3.6]", FLOOR),
        (f"{FLOOR}_too[3.6]", f"{FLOOR}_too[3.6]"),
        ("tests/hosts/test_types.py::test_every_run_succeeds[plan-rpm]", "tests/hosts/test_types.py: rpm"),
        ("tests/hosts/test_types.py::test_x[rpm-repository-dnf]", "tests/hosts/test_types.py: rpm"),
        ("tests/hosts/test_types.py::test_x[trixie-rpm]", "tests/hosts/test_types.py: trixie"),
        ("tests/hosts/test_start.py::test_x[trixie]", "tests/hosts/test_start.py::test_x[trixie]"),
        ("tests/hosts/test_faults.py::test_x[N02]", "tests/hosts/test_faults.py"),
    ],
)
def test_unit_of(test, unit):
    """A unit is a module, a test with its parameters, or a system's part of a module; anything else is by itself."""
    assert unit_of(test) == unit


def test_lab_modules_with_a_fixture_of_their_own_are_units():
    """A fixture of module scope on lab hosts would be made by every worker."""
    units = {unit.partition("::")[0] for unit in (*TOGETHER, *BY_SYSTEM)}
    modules = {
        f"tests/hosts/{path.name}"
        for path in (TESTS / "hosts").glob("test_*.py")
        if 'fixture(scope="module")' in path.read_text()
    }
    assert modules
    assert modules <= units


@pytest.mark.parametrize("unit", [*TOGETHER, *BY_SYSTEM, *SECONDS])
def test_what_is_named_is_there(unit):
    """A renamed module or test would silently lose its place."""
    module, _, test = unit.partition(": ")[0].partition("::")
    text = (TESTS.parent / module).read_text()
    assert re.search(rf"def {test.partition('[')[0] or 'test_'}", text)
