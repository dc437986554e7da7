"""The newest Pythons are tested where they are: inside lab hosts. Older ones run beside, in tests/unit/test_python_floor.py."""

import shutil
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(("suite", "version"), [("trixie", (3, 13)), ("forky", (3, 14))])
def test_host_half_passes_its_tests_in_a_host(lab_hosts, suite, version):
    """The host half's own tests pass on the Python that the system brings, with every warning as an error."""
    (host,) = lab_hosts(1, suite)
    said = host.exec(["python3", "-c", "import sys; print(*sys.version_info[:2])"]).out
    assert tuple(map(int, said.split())) >= version
    place = host.root / "srv" / "statectl-tests"
    shutil.copytree(
        ROOT / "statectl" / "onhost", place / "statectl" / "onhost", ignore=shutil.ignore_patterns("__pycache__")
    )
    shutil.copy(ROOT / "statectl" / "__init__.py", place / "statectl")
    shutil.copytree(ROOT / "tests" / "onhost", place / "tests" / "onhost", ignore=shutil.ignore_patterns("__pycache__"))
    script = (
        "cd /srv/statectl-tests && PYTHONPATH=/srv/statectl-tests"
        " python3 -B -W error -m unittest discover -s tests/onhost -t tests/onhost 2>&1 | tail -60; exit ${PIPESTATUS[0]}"
    )
    done = host.exec(["bash", "-c", script], check=False, timeout=600)
    assert done.code == 0, done.out[-6000:]
    assert "Ran 0 tests" not in done.out
