"""Three days of the simulated month: `python -m tests.sweeps.month` is the whole of it."""

from tests.sweeps.month import HOSTS, Month


def test_three_days_of_a_fleet(lab_hosts, tmp_path):
    """Edits by hand, a host without power, a failing apply, a restart that waits, kill -9 and an absence: each slot once, nothing lost."""
    month = Month(tmp_path, lab_hosts(HOSTS), days=3, seed=1)
    assert month.run() == []
    assert {"done", "failed", "missed"} <= set(month.counts)
