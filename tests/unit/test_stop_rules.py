"""What stops a run stops it exactly: the real apply over simulated hosts, in virtual time."""

from hypothesis import example, given, settings

from tests.sweeps.rollout import CASES, Case, judge, simulate

NEVER_TOLD = Case(hosts=("ok",), delays=(0.1,), signals=(0.5, 0.6), kept=False)
AFTER_THE_LAST_ROW = Case(hosts=("ok", "ok"), delays=(0.1, 0.1), batch="1,100%", signals=(3.1,), kept=False)
KNOWN_BEFORE_IT_IS_WRITTEN = Case(
    hosts=("ok", "ok", "fails", "fails", "fails", "stale", "cut at once", "cut", "cut", "ok", "ok"),
    delays=(0.0,) * 11,
    errors="5",
    batch="1,100%",
    of_association=("2", ""),
)


@settings(max_examples=400, deadline=None)
@given(CASES)
@example(NEVER_TOLD)
@example(AFTER_THE_LAST_ROW)
@example(KNOWN_BEFORE_IT_IS_WRITTEN)
def test_what_a_run_says_is_what_the_hosts_know(case):
    """Every host ends as one true word; starts, errors and hosts in flight are exact; the outcome follows from the rows."""
    judge(simulate(case))
