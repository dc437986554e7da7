"""What stops a run stops it exactly: the real apply over simulated hosts, in virtual time."""

from hypothesis import given, settings

from tests.sweeps.rollout import CASES, judge, simulate


@settings(max_examples=400, deadline=None)
@given(CASES)
def test_what_a_run_says_is_what_the_hosts_know(case):
    """Every host ends as one true word; starts, errors and hosts in flight are exact; the outcome follows from the rows."""
    judge(simulate(case))
