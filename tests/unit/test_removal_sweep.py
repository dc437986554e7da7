"""A sample of the sweep over generated histories of git states: nothing goes that must stay."""

from collections import Counter

from tests.sweeps.removal import one_history

HISTORIES = 40


def test_no_wrong_removal_in_a_sample_of_histories() -> None:
    """Renames, moved files, empty renders, lost ledgers, two owners, links in the way: only what is ours alone goes, and some does."""
    counts: Counter[str] = Counter()
    for seed in range(HISTORIES):
        counts += one_history(seed)
    assert counts["removals"] >= 5
    assert counts["applied"] > counts["steps"] / 2
