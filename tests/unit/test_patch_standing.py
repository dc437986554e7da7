"""How hosts stand by their baselines: unknown is a state of its own, and every number has its denominator."""

import datetime as dt
import json
from dataclasses import replace

from statectl.baselines.model import Baseline, Pin
from statectl.baselines.scan import Archive, Scan
from statectl.patches.report import csv_rows, report
from tests.cli.patch_reports import (
    BASELINE,
    BASH,
    CURL,
    DOCKER,
    FAILED,
    KERNEL,
    NGINX,
    NOW,
    OPENSSL,
    ago,
    judged,
    made,
    operation,
    stamp,
)


def status(*states, **options):
    (one,) = judged([operation("h", states, **options)])
    return one.status


def test_states_become_words_of_compliance():
    """Each state of SSM has one word: missing and rebooting wait, rejected is drift, failed is failed, installed is right."""
    assert status(BASH) == "compliant"
    assert status(OPENSSL, BASH) == "pending"
    assert status(KERNEL) == "pending"
    assert status(DOCKER, OPENSSL) == "drifted"
    assert status(FAILED, DOCKER, OPENSSL) == "failed"
    assert status(NGINX) == "exempt"


def test_security_update_that_is_not_approved_counts_as_the_baseline_says():
    """AvailableSecurityUpdate is compliant, or not, as `available_security_updates` of the baseline has it."""
    waiting = replace(OPENSSL, state="AvailableSecurityUpdate")
    assert [one.status for one in judged([_as_told(waiting, BASELINE)])] == ["compliant"]
    strict = replace(BASELINE, available_security_updates="non_compliant")
    assert [one.status for one in judged([_as_told(waiting, strict)])] == ["pending"]


def _as_told(state, baseline):
    one = operation("h", [state], baseline=baseline)
    return replace(one, compliant=baseline.available_security_updates == "compliant")


def test_never_scanned_is_unknown_and_counts_in_the_denominator():
    """A host that was never scanned is one of the total and none of the compliant."""
    found = judged([operation("a", [BASH])], expected=[("a", "debian-prod"), ("b", "debian-prod")])
    assert [(one.host, one.status, one.reason) for one in found] == [
        ("a", "compliant", ""),
        ("b", "unknown", "never scanned"),
    ]
    whole = report(found, NOW)
    assert (whole.hosts_compliant, whole.hosts_total, whole.by_status) == (1, 2, {"unknown": 1, "compliant": 1})


def test_scan_that_is_too_old_is_unknown():
    """What was right two intervals ago is not known to be right now; a failed install stays failed."""
    old = {"too_old": lambda _host, _baseline: (ago(hours=2), "more than two intervals ago")}
    (one,) = judged([operation("h", [BASH])], **old)
    assert (one.status, one.reason) == ("unknown", "last scanned at 2026-11-24T09:00:00Z, more than two intervals ago")
    assert judged([operation("h", [FAILED])], **old)[0].status == "failed"


def test_package_data_that_have_become_too_old_are_unknown():
    """A scan of package data that the baseline no longer counts says nothing, though it did when it was made."""
    scan = Scan("apt", 0, archives=(Archive("a", fetched=int(ago(days=8).timestamp())),))
    (one,) = judged([operation("h", [BASH], scan=scan)])
    assert one.status == "unknown" and one.reason.endswith("the baseline counts what is at most 7 days old")
    young = Scan("apt", 0, archives=(Archive("a", fetched=int(ago(days=6).timestamp())),))
    assert judged([operation("h", [BASH], scan=young)])[0].status == "compliant"


def test_host_that_could_not_say_is_unknown_with_its_reason():
    """An evaluation that says nothing makes the host unknown, never compliant."""
    (one,) = judged([operation("h", [], unknown="the index of security.debian.org is not signed")])
    assert (one.status, one.reason) == ("unknown", "the index of security.debian.org is not signed")


def test_scan_that_says_it_is_not_compliant_is_believed():
    """Rows that show nothing wrong do not outvote the evaluation."""
    one = replace(operation("h", [BASH]), compliant=False)
    assert judged([one])[0].status == "pending"


def test_pin_excuses_until_its_day_ends_with_its_reason():
    """A pin is an exemption with reason and end; the day after, the patch is pending again, without another scan."""
    (one,) = judged([operation("h", [NGINX])])
    assert one.deviations[0].reason == "vendor module is not built yet (pinned until 2026-12-31)"
    (later,) = judged([operation("h", [NGINX])], at=dt.datetime(2027, 1, 1, tzinfo=dt.UTC))
    assert later.deviations[0].status == "pending" and later.deviations[0].reason == "its pin ended on 2026-12-31"


def test_pin_that_keeps_nothing_away_is_no_exemption():
    """A pinned package of which nothing newer is approved is compliant, not exempt."""
    pinned = Baseline("b", "debian", pins=(Pin("bash", "*", dt.date(2026, 12, 31), "why"),))
    assert [one.status for one in judged([operation("h", [BASH], baseline=pinned)])] == ["compliant"]


def test_worst_level_and_since_of_a_host():
    """The worst level among what is not compliant, and since when the first of it was approved."""
    (one,) = judged([operation("h", [OPENSSL, CURL, NGINX])])
    assert one.level == "critical"
    assert one.since == stamp(ago(days=45))


def test_severity_by_age_counts_hosts_by_their_oldest_missing_patch():
    """Of each severity: every host once, in the age of the oldest patch that it misses; patches and packages beside."""
    rows = {row.severity: row for row in made().severity_by_age}
    assert list(rows) == ["critical", "medium", "low"]
    ages = {name: {age: n for age, n in row.ages.items() if n} for name, row in rows.items()}
    assert ages == {"critical": {"7 to 29 days": 9}, "medium": {"30 to 89 days": 9}, "low": {"under 7 days": 1}}
    assert (rows["critical"].patches, rows["critical"].packages) == (9, 1)
    older = replace(CURL, name="wget", severity="", level="critical")
    (one,) = report(judged([operation("h", [OPENSSL, older])]), NOW).severity_by_age
    assert (one.ages["30 to 89 days"], one.ages["7 to 29 days"], one.patches) == (1, 0, 2)


def test_age_that_is_not_known_hides_no_other():
    """A patch without a first-seen moment is `age not known`, and does not replace the known age of another."""
    dateless = replace(CURL, name="wget", severity="", level="critical", first_seen=None, approved_at=None)
    for states in ([OPENSSL, dateless], [dateless, OPENSSL]):
        (one,) = report(judged([operation("h", states)]), NOW).severity_by_age
        assert one.ages["7 to 29 days"] == 1 and one.ages["age not known"] == 0
    (one,) = report(judged([operation("h", [dateless])]), NOW).severity_by_age
    assert one.ages["age not known"] == 1


def test_vendor_severity_counts_where_the_baseline_gives_no_level():
    """Important is high and Moderate medium; a level of the baseline goes before it."""
    patches = {one.package: one for one in made().entries[0].patches}
    assert (patches["curl"].severity, patches["curl"].level) == ("medium", "unspecified")
    assert patches["openssl"].severity == "critical"


def test_hosts_count_once_by_their_worst_baseline():
    """A host with two baselines is one host, compliant only when both say so."""
    other = replace(BASELINE, name="debian-test")
    found = judged([operation("h", [BASH]), operation("h", [OPENSSL], baseline=other)])
    whole = report(found, NOW)
    assert (whole.hosts_total, whole.hosts_compliant, whole.by_status) == (1, 0, {"pending": 1})


def test_states_of_unknown_hosts_are_not_counted():
    """Numbers of patches are of hosts whose state is known, else old numbers would stand among new ones."""
    old = {"too_old": lambda host, _baseline: (ago(hours=2), "old") if host == "b" else None}
    whole = report(judged([operation("a", [OPENSSL]), operation("b", [OPENSSL])], **old), NOW)
    assert whole.by_state == {"missing": 1}


def test_installed_at_comes_from_the_run_that_installed_it():
    """An installed patch says when, and by which run; one that no run of this store moved says nothing."""
    installed = replace(OPENSSL, state="Installed", installed=OPENSSL.version)
    one = operation("h", [installed, BASH])
    found = judged([one])
    move = {
        "host": "h", "name": "openssl", "arch": "amd64", "version_to": OPENSSL.version, "outcome": "installed",
        "at": "2026-11-20T02:00:00Z", "run_id": "N8",
    }  # fmt: skip
    everything = {found[0].last.listed: [json.loads(row) for row in one.rows]}
    patches = {
        patch.package: patch for patch in report(found, NOW, everything=everything, installed=[move]).entries[0].patches
    }
    assert (patches["openssl"].installed_at, patches["openssl"].installed_by_run) == ("2026-11-20T02:00:00Z", "N8")
    assert patches["bash"].installed_at == ""


def test_every_host_has_a_row_for_auditors():
    """A host without a patch to show, or of which nothing is known, has one row that says so."""
    rows = csv_rows(made())
    assert {row["host"] for row in rows} == {one.host for one in made().entries}
    (never,) = [row for row in rows if row["host"] == "db02"]
    assert (never["host_status"], never["host_reason"]) == ("unknown", "never scanned")
