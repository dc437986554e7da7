"""Unknown is never compliant, every figure has its denominator, and age counts."""

from datetime import UTC, datetime

from statectl.cli.compliance_command import too_old
from statectl.cli.formats.compliance_text import compliance_lines
from statectl.cli.formats.terminal import Screen
from statectl.compliance.judge import judge
from statectl.targets.ranges import compress

NOW = datetime(2026, 5, 1, 12, 0, 0, tzinfo=UTC)


def row(host, address="file:/a", status="compliant", association="web", checked="2026-05-01T11:50:00Z"):
    return {
        "host": host,
        "association": association,
        "address": address,
        "status": status,
        "since": "2026-04-01T00:00:00Z",
        "checked": checked,
        "run_id": "R",
        "reason": "",
    }


def state(outcome="planned"):
    return {"last_outcome": outcome, "last_reason": "no answer", "memory": None}


def judged(expected, rows, hosts=None, intervals=None):
    return judge(expected, rows, hosts or {}, lambda _, name: too_old((intervals or {}).get(name, ""), NOW), NOW)


def test_never_checked_is_unknown_and_counts_in_the_denominator():
    """A host nobody ever read is one of the total and none of the compliant."""
    result = judged([("a", "web"), ("b", "web")], [row("a")])
    assert (result.hosts_compliant, result.hosts_total) == (1, 2)
    assert result.by_status == {"unknown": 1, "compliant": 1}
    assert result.percent == 50


def test_the_worst_association_decides_for_the_host():
    """One drifted file makes the host drifted, whatever else is right."""
    result = judged([("a", "web"), ("a", "base")], [row("a"), row("a", "file:/b", "drifted", "base")])
    assert result.by_status == {"drifted": 1}


def test_exempt_counts_as_compliant():
    """An override with reason and date is an agreed exception."""
    assert judged([("a", "web")], [row("a", status="exempt")]).hosts_compliant == 1


def test_older_than_two_intervals_is_unknown():
    """What was right two intervals ago is not known to be right now."""
    rows = [row("a", checked="2026-05-01T10:00:00Z")]
    assert judged([("a", "web")], rows, intervals={"web": "rate(2 hours)"}).by_status == {"compliant": 1}
    old = judged([("a", "web")], rows, intervals={"web": "rate(30 minutes)"})
    assert old.by_status == {"unknown": 1}
    assert "two intervals" in old.entries[0].reason


def test_older_than_two_times_of_a_cron_is_unknown():
    """A nightly check that did not happen twice leaves unknown what it was to check; once is no reason yet, and one time never is."""
    nightly = {"web": "cron(0 2 * * ? *)"}  # it is noon: the last two were at 02:00 today and yesterday
    seen = [row("a", checked="2026-04-30T02:00:00Z")]
    assert judged([("a", "web")], seen, intervals=nightly).by_status == {"compliant": 1}
    old = judged([("a", "web")], [row("a", checked="2026-04-30T01:59:59Z")], intervals=nightly)
    assert old.by_status == {"unknown": 1}
    assert "two times" in old.entries[0].reason
    weekdays = {"web": "cron(0 18 ? * MON-FRI *)"}  # Friday at noon: Thursday and Wednesday at 18:00
    assert judged([("a", "web")], [row("a", checked="2026-04-29T18:00:00Z")], intervals=weekdays).by_status == {
        "compliant": 1
    }
    for once in ("at(2026-04-01T00:00)", "cron(0 0 1 4 ? 2026)", "cron(0 0 ? * MON 2030)", ""):
        ancient = [row("a", checked="2020-01-01T00:00:00Z")]
        assert judged([("a", "web")], ancient, intervals={"web": once}).by_status == {"compliant": 1}, once


def test_a_host_that_did_not_answer_last_time_is_unknown():
    """Old results of an unreachable host are not shown as its state."""
    result = judged([("a", "web")], [row("a")], {"a": state("unreachable")})
    assert result.by_status == {"unknown": 1}
    assert "unreachable" in result.entries[0].reason


def test_an_empty_store_never_says_compliant():
    """Without any reading the sentence says that nothing is known."""
    text = "\n".join(compliance_lines(judged([("a", "web")], []), Screen(), compress))
    assert "nothing is known" in text
    assert "0 of 1" not in text.split("nothing is known")[0] or "compliant" not in text


def test_the_sentence_has_denominator_and_age():
    """How many, of how many, and how old."""
    first = next(
        iter(
            compliance_lines(
                judged([("a", "web"), ("b", "web")], [row("a"), row("b", status="failed")]), Screen(), compress
            )
        )
    )
    assert first == "1 of 2 hosts compliant (50 %), 1 failed; from stored results, the oldest read 10 minutes ago"


def test_the_more_severe_comes_first_and_says_so():
    """What a deviation means decides the order in which it is read."""
    rows = [row("a", "file:/low", "drifted", "zoo"), row("a", "file:/high", "drifted", "web")]
    severity = {"zoo": "critical", "web": "low"}
    result = judge(
        [("a", "web"), ("a", "zoo")], rows, {}, lambda _host, _name: None, NOW, lambda _host, name: severity[name]
    )
    lines = list(compliance_lines(result, Screen(), compress))
    assert "zoo (critical)" in lines[1]
    assert "web (low)" in lines[2]
