"""The newest Pythons are tested where they are: inside lab hosts. Older ones run beside, in tests/unit/test_python_floor.py."""

import os
import shutil
from pathlib import Path

import pytest

from tests.unit.stand_in import interpreters

ROOT = Path(__file__).resolve().parents[2]


STEP = 4


def modules(version: tuple[int, int]) -> list[str]:
    """Of tests/onhost: all, or every fourth where this is also the newest Python of this machine, which runs all on it.

    With STATECTL_EVERY_PYTHON=1 in the environment, as `make floor` sets it, all.
    """
    found = sorted(path.stem for path in (ROOT / "tests" / "onhost").glob("test_*.py"))
    newest = [os.path.basename(os.path.realpath(python)) for python in interpreters()[-1:]]
    beside = newest == [f"python{version[0]}.{version[1]}"]
    return found[::STEP] if beside and not os.environ.get("STATECTL_EVERY_PYTHON") else found


@pytest.mark.parametrize(("suite", "version"), [("trixie", (3, 13)), ("forky", (3, 14))])
def test_host_half_passes_its_tests_in_a_host(lab_hosts, suite, version):
    """The host half's own tests, or a sample of them, pass on the Python that the system brings, every warning being an error."""
    (host,) = lab_hosts(1, suite)
    said = host.exec(["python3", "-c", "import sys; print(*sys.version_info[:2])"]).out
    major, minor = map(int, said.split())
    assert (major, minor) >= version
    place = host.root / "srv" / "statectl-tests"
    shutil.copytree(
        ROOT / "statectl" / "onhost", place / "statectl" / "onhost", ignore=shutil.ignore_patterns("__pycache__")
    )
    shutil.copy(ROOT / "statectl" / "__init__.py", place / "statectl")
    shutil.copytree(ROOT / "tests" / "onhost", place / "tests" / "onhost", ignore=shutil.ignore_patterns("__pycache__"))
    script = (
        "cd /srv/statectl-tests && PYTHONPATH=/srv/statectl-tests:/srv/statectl-tests/tests/onhost"
        f" python3 -B -W error -m unittest {' '.join(modules((major, minor)))} 2>&1 | tail -60; exit ${{PIPESTATUS[0]}}"
    )
    done = host.exec(["bash", "-c", script], check=False, timeout=600)
    assert done.code == 0, done.out[-6000:]
    assert "Ran 0 tests" not in done.out
