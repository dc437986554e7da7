"""The judge of the race sees what it has to see; and a sample of the race itself."""

import json

import pytest

from tests.sweeps.one_writer import Line, Told, Wrong, judge, main, read_told


def wrote(number, run, resource, before="", after=""):
    return [Line("enter", number, run, resource, before, ""), Line("leave", number, run, resource, before, after)]


def told(*runs, killed=()):
    return Told(acknowledged={(run, resource) for run in runs for resource in ("a", "b")}, killed=set(killed))


FAIR = [*wrote(1, "R1", "a", "", "1"), *wrote(1, "R1", "b", "", "1"), *wrote(2, "R2", "a", "1", "2")]
FAIR += wrote(2, "R2", "b", "1", "2")


def test_a_fair_history_is_fair():
    """Two runs one after the other break no rule; nor does a killed one that left its resource torn."""
    judge(FAIR, told("R1", "R2"))
    torn = [Line("enter", 1, "R1", "a", "", ""), *wrote(2, "R2", "a", "half", "2"), *wrote(2, "R2", "b", "", "2")]
    judge(torn, told("R2", killed=["R1"]))


@pytest.mark.parametrize(
    ("history", "saw", "says"),
    [
        ([*FAIR[:2], *wrote(2, "R2", "a", "1", "2"), *FAIR[2:4]], ("R1", "R2"), "had begun to write before"),
        ([FAIR[0], *wrote(2, "R2", "b", "", "2"), FAIR[1]], ("R1", "R2"), "was still writing"),
        ([*FAIR[:4], *wrote(1, "R2", "a", "1", "2")], ("R1", "R2"), "the number was run R1's"),
        ([*FAIR[:4], *wrote(2, "R2", "a", "another", "2")], ("R1", "R2"), "not found as the last writer left it"),
        (FAIR[:4], ("R1", "R2"), "acknowledged, and not in the history"),
        (FAIR, ("R1",), "no controller ever heard of it"),
    ],
)
def test_every_rule_is_seen_broken(history, saw, says):
    """A number that falls, two writers at once, a number used twice, a foreign write, a lost write and an unheard-of one."""
    with pytest.raises(Wrong, match=says):
        judge(history, told(*saw))


def test_who_was_told_of_as_unknown_counts_as_killed(tmp_path):
    """Whoever ended it: what a host hands over as unknown may or may not have been written, and only what is told as changed was."""
    mine = {"run": "R2", "end": "applied", "changed": ["witness:/c"], "fault": "", "torn": ["R1"]}
    (tmp_path / "told-1").write_text(
        json.dumps({**mine, "taken": [["R1", ["witness:/a"]], ["R0", ["witness:/b"]]]}) + "\n"
    )
    found = read_told(tmp_path)
    assert found.killed == {"R1"}
    assert found.acknowledged == {("R2", "/c"), ("R0", "/b")}


def test_sixty_racing_runs(monkeypatch, capsys):
    """No write of one run stands between two of another, and no number falls, whatever is killed, stopped, cut off or cancelled."""
    monkeypatch.setattr("sys.argv", ["one_writer", "--runs", "60"])
    assert main() == 0, capsys.readouterr().out
