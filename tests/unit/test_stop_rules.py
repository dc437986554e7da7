"""What stops a run stops it exactly: the real apply over simulated hosts, in virtual time."""

from hypothesis import example, given, settings

from tests.sweeps.rollout import CASES, Case, Rollout, judge, simulate

NEVER_TOLD = Case(hosts=("ok",), delays=(0.1,), signals=(0.5, 0.6), kept=False)
AFTER_THE_LAST_ROW = Case(hosts=("ok", "ok"), delays=(0.1, 0.1), batch="1,100%", signals=(3.1,), kept=False)
KNOWN_BEFORE_IT_IS_WRITTEN = Case(
    hosts=("ok", "ok", "fails", "fails", "fails", "stale", "cut at once", "cut", "cut", "ok", "ok"),
    delays=(0.0,) * 11,
    errors="5",
    batch="1,100%",
    of_association=("2", ""),
)

FAILS_AND_STAYS_OUT = Case(hosts=("fails", "ok"), delays=(0.0, 0.0), batch="", rollout=Rollout(("1",)))
BAD_VERSION = Case(hosts=("unwell", "ok", "ok"), delays=(0.0,) * 3, batch="", rollout=Rollout(("1", "100%")))
SICK_AFTER_THE_BAKE = Case(hosts=("ok", "sickens", "ok"), delays=(0.0,) * 3, batch="", rollout=Rollout(("2",)))
GOES_ON = Case(
    hosts=("unwell", "stuck", "sickens", "ok"),
    delays=(0.0,) * 4,
    batch="",
    rollout=Rollout(("1",), on_failure="continue"),
)
STOPPED_WHILE_IT_BAKES = Case(hosts=("ok", "ok"), delays=(0.0, 0.0), batch="", rollout=Rollout(("1",)), signals=(20.0,))
STOPPED_BEHIND_BEFORE = Case(
    hosts=("ok",), delays=(0.1,), batch="", rollout=Rollout(("1",)), signals=(0.25,), kept=False
)


@settings(max_examples=400, deadline=None)
@given(CASES)
@example(NEVER_TOLD)
@example(AFTER_THE_LAST_ROW)
@example(KNOWN_BEFORE_IT_IS_WRITTEN)
@example(FAILS_AND_STAYS_OUT)
@example(BAD_VERSION)
@example(SICK_AFTER_THE_BAKE)
@example(GOES_ON)
@example(STOPPED_WHILE_IT_BAKES)
@example(STOPPED_BEHIND_BEFORE)
def test_what_a_run_says_is_what_the_hosts_know(case):
    """Every host ends as one true word; starts, errors and hosts in flight are exact; the outcome follows from the rows."""
    judge(simulate(case))
