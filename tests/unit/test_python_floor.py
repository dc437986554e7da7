"""Promise E02: what travels to hosts runs on every Python from 3.6 up, and its tests pass there without pytest."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest
from stand_in import interpreters

ROOT = Path(__file__).resolve().parents[2]
FLOOR = (3, 6)
AT_ONCE = 3


def version(python: str) -> tuple[int, int]:
    said = subprocess.run(
        [python, "-c", "import sys; print(*sys.version_info[:2])"], capture_output=True, text=True, check=True
    ).stdout
    major, minor = map(int, said.split())
    return major, minor


MODULES = sorted(path.stem for path in (ROOT / "tests" / "onhost").glob("test_*.py"))


FOUND = {version(python): python for python in interpreters()}
WANTED = [(3, minor) for minor in range(FLOOR[1], 15)]


HERE = [pair for pair in WANTED if pair in FOUND]
BETWEEN = HERE[1:-1]
Done = subprocess.CompletedProcess[str]


def share(pair: tuple[int, int]) -> list[str]:
    """Modules of tests that a version runs: all on the oldest and the newest, and on those between each module once.

    With STATECTL_EVERY_PYTHON=1 in the environment, as `make floor` sets it, all on all.
    """
    if pair not in BETWEEN or os.environ.get("STATECTL_EVERY_PYTHON"):
        return MODULES
    return MODULES[BETWEEN.index(pair) :: len(BETWEEN)]


def run_tests(pair: tuple[int, int]) -> Done:
    return subprocess.run(
        [FOUND[pair], "-B", "-W", "error", "-m", "unittest", *share(pair)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "tests" / "onhost")])},
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )


def test_every_module_is_shared_out():
    """No module of tests is left out between the oldest and the newest Python."""
    assert len(MODULES) > 30
    if BETWEEN:
        assert sorted(name for pair in BETWEEN for name in share(pair)) >= MODULES


@pytest.fixture(scope="module")
def under_way() -> Iterator[dict[tuple[int, int], "Future[Done]"]]:
    """Some versions at once: their tests wait more than they work."""
    with ThreadPoolExecutor(AT_ONCE) as pool:
        longest_first = sorted(HERE, key=lambda pair: -len(share(pair)))
        yield {pair: pool.submit(run_tests, pair) for pair in longest_first}


def not_here(pair: tuple[int, int]) -> pytest.MarkDecorator:
    """A mark, for it skips before the fixture starts all the others."""
    return pytest.mark.skip(reason=f"NO PYTHON {pair[0]}.{pair[1]} HERE: the host half was not tested on it")


@pytest.mark.parametrize(
    "wanted",
    [pytest.param(pair, marks=pytest.mark.slow if pair in FOUND else not_here(pair)) for pair in WANTED],
    ids=lambda pair: f"{pair[0]}.{pair[1]}",
)
def test_host_half_passes_its_tests(wanted, under_way):
    """Each version that this machine has runs its share of tests/onhost with its own unittest and every warning as an error."""
    done = under_way[wanted].result()
    assert done.returncode == 0, done.stderr[-6000:]
    assert "Ran 0 tests" not in done.stderr, done.stderr


@pytest.mark.parametrize("wanted", WANTED, ids=lambda pair: f"{pair[0]}.{pair[1]}")
def test_every_module_imports(wanted):
    """Syntax and names of every module of the host half, tested or not, are there in each version."""
    if wanted not in FOUND:
        pytest.skip(f"NO PYTHON {wanted[0]}.{wanted[1]} HERE: the host half was not imported on it")
    modules = [
        ".".join(path.relative_to(ROOT).with_suffix("").parts)
        for path in (ROOT / "statectl" / "onhost").rglob("*.py")
        if path.name not in ("stub.py", "__init__.py")
    ]
    code = "import importlib, sys\nfor name in sys.argv[1:]: importlib.import_module(name)"
    command = [FOUND[wanted], "-B", "-W", "error", "-c", code, *modules]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr[-3000:]


def test_nothing_newer_than_the_floor_is_used():
    """vermin reads what no test happens to run."""
    vermin = Path(sys.executable).with_name("vermin")
    if not vermin.exists() and not shutil.which("vermin"):
        pytest.skip("NO VERMIN HERE: install the dev requirements")
    program = str(vermin) if vermin.exists() else "vermin"
    done = subprocess.run(
        [program, "--no-tips", "-t=3.6-", "--violations", "statectl/onhost"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("name", ["stub.py", "__main__.py"])
def test_what_must_refuse_politely_parses_on_python_2(name):
    """An old interpreter gets far enough to say in words that it is too old."""
    python = next(Path.home().glob(".pyenv/versions/2.7.*/bin/python"), None)
    if python is None:
        pytest.skip("NO PYTHON 2.7 HERE: the refusal was not tested on it")
    code = "import sys; compile(open(sys.argv[1]).read(), sys.argv[1], 'exec')"
    subprocess.run([python, "-c", code, ROOT / "statectl" / "onhost" / name], check=True)
    if name == "__main__.py":
        done = subprocess.run(
            [python, "-B", "statectl/onhost/__main__.py"], cwd=ROOT, capture_output=True, text=True, check=False
        )
        assert done.returncode == 3
        assert '"statectl needs 3.6 or later"' in done.stdout.replace("is Python 2.7; ", '"')
