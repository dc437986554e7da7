"""A sample of the long sweeps: the executor cut off at its system calls, and file systems that lose power."""

import subprocess
import sys

import pytest

from tests.lab.places import PROJECT
from tests.sweeps import crash_points, power_cut


def sweep(module: str, *argv: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", module, *argv], cwd=PROJECT, capture_output=True, text=True, check=False, timeout=400
    )


@pytest.mark.parametrize("fault", crash_points.FAULTS)
def test_one_rerun_heals_whatever_call_was_the_last(fault):
    """Killed, or refused the disk, at a system call that writes: files are old or new, and one plain rerun heals."""
    done = sweep("tests.sweeps.crash_points", "--fault", fault, "--stride", "41", "--hosts", "5")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "5 tried, 0 wrong" in done.stdout


def test_a_power_cut_leaves_the_old_file_or_the_new_one():
    """ext4 and xfs, the journal written or not, before any call: never torn, empty or missing; new once it was said to be done."""
    assert power_cut.missing() == ""
    done = sweep("tests.sweeps.power_cut", "--runs", "120")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "120 before each of" in done.stdout


def test_power_cuts_are_seen_to_hurt():
    """The control: who renames without waiting for the disk loses files in the same test."""
    done = sweep("tests.sweeps.power_cut", "--runs", "40", "--writer", "rename")
    assert done.returncode == 1, done.stdout + done.stderr
