"""Baselines: what is approved, from when on, and what that makes of the packages of a host."""

import datetime as dt
from dataclasses import replace

import pytest

from statectl.baselines.evaluate import Evaluator, evaluate
from statectl.baselines.model import Baseline, Filter, Named, Pin, Rule
from statectl.baselines.names import OverrideEntry
from statectl.baselines.scan import Advisory, Archive
from tests.unit.baselines import DAY, MAIN, NOW, SECURITY, Memory, T, apt_scan, deb, rpm, rpm_scan

SECURITY_3 = Rule(Filter(section=("security",)), after_days=3, compliance="critical")
ANY = Rule(Filter(), after_days=0, include_non_security=True)


def debian(*rules, **more):
    return Baseline("prod", "debian", rules=rules, **more)


def rhel(*rules, **more):
    return Baseline("prod", "rhel", rules=rules, **more)


def named(*texts):
    return tuple(map(Named, texts))


def states(found):
    return {one.name: (one.state, one.version) for one in found.states}


def wanted(found):
    return {(one.name, one.version, one.cached) for one in found.install}


OPENSSL = deb("openssl", "3.0.1-1", 0)
FIXED = deb("openssl", "3.0.2-1", 1)


def test_an_approval_by_delay_counts_from_the_first_sight():
    """A rule of 3 days approves nothing before the third day since the version was first seen, to the minute."""
    for age, state in ((3 * DAY - dt.timedelta(minutes=1), "AvailableSecurityUpdate"), (3 * DAY, "Missing")):
        ledger = Memory()
        scan = apt_scan([OPENSSL], [FIXED], ledger=ledger, at=NOW - age)
        found = evaluate(debian(SECURITY_3), scan, ledger, NOW)
        assert states(found) == {"openssl": (state, "3.0.2-1")}
        assert wanted(found) == ({("openssl", "3.0.2-1", "")} if state == "Missing" else set())
        assert (found.compliant, found.level) == ((False, "critical") if state == "Missing" else (True, "unspecified"))
        assert found.states[0].approved_at == NOW - age + 3 * DAY


def test_the_archive_that_a_rule_asks_for_is_the_one_that_counts():
    """A version that another archive had long before is new where the rule, or the filters, look for it."""
    ledger = Memory().note(MAIN, "openssl", "3.0.2-1", NOW - 30 * DAY)
    ledger.note(SECURITY, "openssl", "3.0.2-1", NOW - DAY)
    scan = apt_scan([OPENSSL], [deb("openssl", "3.0.2-1", 0, 1)], ledger=ledger)
    rule = Rule(Filter(), after_days=3)
    assert wanted(evaluate(debian(rule), scan, ledger, NOW))
    security = Filter(suite=("*-security",))
    assert not wanted(evaluate(debian(replace(rule, filter=security)), scan, ledger, NOW))
    assert not wanted(evaluate(debian(rule, filters=security), scan, ledger, NOW))


def test_until_is_the_whole_of_a_day_in_utc():
    """What was first seen on the day of `until` is approved at once, what was seen a minute after midnight never."""
    rule = Rule(Filter(), until=dt.date(2026, 11, 20))
    for seen, state in (
        (dt.datetime(2026, 11, 20, 23, 59, tzinfo=dt.UTC), "Missing"),
        (dt.datetime(2026, 11, 21, 0, 0, tzinfo=dt.UTC), "AvailableSecurityUpdate"),
    ):
        ledger = Memory()
        found = evaluate(debian(rule), apt_scan([OPENSSL], [FIXED], ledger=ledger, at=seen), ledger, NOW)
        assert states(found)["openssl"][0] == state
        assert "until" in found.states[0].reason


def test_what_was_never_noted_is_not_approved():
    """Without a first sight there is nothing to count from: not even a rule without delay approves it, nor the approved list."""
    for baseline in (debian(ANY), debian(approved=named("openssl"))):
        found = evaluate(baseline, apt_scan([OPENSSL], [FIXED]), Memory(), NOW)
        assert wanted(found) == set()
        assert "not on record" in found.states[0].reason


def test_an_installed_version_that_was_never_noted_is_approved_by_name_alone():
    """Nobody knows since when it is out, so no rule approved it; a name needs no date."""
    scan = apt_scan([deb("openssl", "3.0.1-1", 1)])
    rule = Rule(Filter(), until=NOW.date(), include_non_security=True)
    assert states(evaluate(debian(rule), scan, Memory(), NOW))["openssl"][0] == "InstalledOther"
    assert states(evaluate(debian(approved=named("openssl")), scan, Memory(), NOW))["openssl"][0] == "Installed"


def test_security_only_unless_the_rule_says_otherwise():
    """A rule, and the approved list, take updates of security archives; others only with include_non_security."""
    ledger = Memory()
    plain = deb("openssl", "3.0.2-1", 0)
    scan = apt_scan([OPENSSL], [plain], ledger=ledger)
    rule = Rule(Filter(suite=("bookworm",)), after_days=0)
    assert states(evaluate(debian(rule), scan, ledger, NOW)) == {"openssl": ("InstalledOther", "3.0.1-1")}
    assert wanted(evaluate(debian(replace(rule, include_non_security=True)), scan, ledger, NOW))
    listed = debian(approved=named("openssl"))
    assert not wanted(evaluate(listed, scan, ledger, NOW))
    assert wanted(evaluate(replace(listed, approved_include_non_security=True), scan, ledger, NOW))


def test_filters_of_apt():
    """Section, priority, suite, component, repository and package must all match; several values of one are alternatives."""
    good = {
        "product": ("Debian12",), "suite": ("*-security",), "component": ("main",), "repository": ("debian-security",),
        "section": ("libs", "net"), "priority": ("required", "Optional"), "package": ("open*",),
    }  # fmt: skip
    ledger = Memory()
    scan = apt_scan([OPENSSL], [FIXED], ledger=ledger)
    assert wanted(evaluate(debian(Rule(Filter(**good), after_days=0)), scan, ledger, NOW))
    bad = {
        "product": "Debian11", "suite": "bookworm", "component": "contrib", "repository": "ubuntu",
        "section": "libs", "priority": "required", "package": "openssh*",
    }  # fmt: skip
    for key, value in bad.items():
        found = evaluate(debian(Rule(Filter(**{**good, key: (value,)}), after_days=0)), scan, ledger, NOW)
        assert not wanted(found), key
        assert value in found.states[0].reason, key


@pytest.mark.parametrize(("product", "fits"), [("RedhatEnterpriseLinux9", True), ("RedhatEnterpriseLinux9.4", True),
                                               ("RedhatEnterpriseLinux9.2", False), ("redhat*", True), ("*", True)])  # fmt: skip
def test_products_with_and_without_their_minor_version(product, fits):
    """A host of 9.4 is one of 9 too; case does not matter."""
    told = {"RHSA-2026:1": Advisory("RHSA-2026:1", "Security")}
    ledger = Memory()
    scan = rpm_scan([rpm("bash", "5.1-1")], [rpm("bash", "5.1-2", *told)], ledger=ledger, advisories=told)
    found = evaluate(rhel(Rule(Filter(product=(product,)), after_days=0)), scan, ledger, NOW)
    assert bool(wanted(found)) == fits


def test_an_attribute_that_a_package_lacks_matches_nothing():
    """A package without a priority, or outside of every advisory, is told to be so; `*` does not match it either."""
    ledger = Memory()
    scan = apt_scan([OPENSSL], [replace(FIXED, priority="")], ledger=ledger)
    found = evaluate(debian(Rule(Filter(priority=("*",)), after_days=0)), scan, ledger, NOW)
    assert "rule 1: it has no priority" in found.states[0].reason
    scan = rpm_scan([rpm("bash", "5.1-1")], [rpm("bash", "5.1-2")], ledger=ledger)
    found = evaluate(rhel(Rule(Filter(severity=("Critical",)), after_days=0)), scan, ledger, NOW)
    assert "it is in no advisory" in found.states[0].reason


def test_one_advisory_must_have_what_a_rule_of_rpm_asks_for():
    """Security and Critical of two advisories are not a critical security advisory. Medium is Moderate."""
    told = {
        "RHSA-2026:1": Advisory("RHSA-2026:1", "Security", "Moderate", cves=("CVE-2026-1111",)),
        "RHBA-2026:2": Advisory("RHBA-2026:2", "Bugfix", "Critical"),
    }
    ledger = Memory()
    scan = rpm_scan([rpm("bash", "5.1-1")], [rpm("bash", "5.1-2", *told)], ledger=ledger, advisories=told)

    def rule(severity):
        return Rule(Filter(classification=("Security",), severity=(severity,)), after_days=0)

    assert not wanted(evaluate(rhel(rule("Critical")), scan, ledger, NOW))
    found = evaluate(rhel(rule("medium")), scan, ledger, NOW)
    assert wanted(found) == {("bash", "5.1-2", "")}
    one = found.states[0]
    assert (one.severity, one.classification, one.cves) == ("Critical", "Bugfix", ("CVE-2026-1111",))


def test_the_newest_approved_version_and_not_the_newest():
    """Where a newer version is not approved yet, the approved one below it is installed, exactly."""
    ledger = Memory()
    ledger.note(SECURITY, "openssl", "3.0.3-1", NOW - DAY)
    scan = apt_scan([OPENSSL], [FIXED, deb("openssl", "3.0.3-1", 1)], ledger=ledger, at=NOW - 9 * DAY)
    assert wanted(evaluate(debian(SECURITY_3), scan, ledger, NOW)) == {("openssl", "3.0.2-1", "")}
    epoch = deb("openssl", "1:0.9-1", 1)
    ledger.note(SECURITY, "openssl", "1:0.9-1", NOW - 9 * DAY)
    scan = apt_scan([OPENSSL], [FIXED, epoch], ledger=ledger)
    assert wanted(evaluate(debian(SECURITY_3), scan, ledger, NOW)) == {("openssl", "1:0.9-1", "")}


def replaced(cached):
    """v2 was seen 8 days ago and is gone, v3 came 5 days later; the rule waits for 7 days."""
    ledger = Memory().note(SECURITY, "openssl", "3.0.2-1", NOW - 8 * DAY, cached=cached)
    ledger.note(SECURITY, "openssl", "3.0.3-1", NOW - 3 * DAY)
    return ledger, apt_scan([OPENSSL], [deb("openssl", "3.0.3-1", 1)], ledger=ledger)


WEEK = Rule(Filter(section=("security",)), after_days=7, compliance="high")


def test_an_approved_version_that_was_replaced_comes_from_the_cache():
    """A kept package file is installed when its delay is over, though the index has only the newer version."""
    ledger, scan = replaced("a" * 64)
    found = evaluate(debian(WEEK), scan, ledger, NOW)
    assert wanted(found) == {("openssl", "3.0.2-1", "a" * 64)}
    assert states(found) == {"openssl": ("Missing", "3.0.2-1")}


def test_superseded_before_approval_is_told():
    """Without the file nothing is installed, the host does not comply, and the report says what happened and what comes."""
    ledger, scan = replaced("")
    found = evaluate(debian(WEEK), scan, ledger, NOW)
    assert (wanted(found), states(found), found.compliant) == (set(), {"openssl": ("Missing", "3.0.2-1")}, False)
    reason = found.states[0].reason
    assert reason.startswith("superseded before approval: 3.0.2-1")
    assert "3.0.3-1 replaced it and will be approved on 2026-11-28 12:00" in reason
    assert any(reason in one for one in found.trouble)


def test_a_version_that_was_withdrawn_is_neither_missing_nor_installed():
    """What an archive no longer has, with nothing newer in its place, was taken back: not even a kept file of it is installed."""
    ledger = Memory().note(SECURITY, "openssl", "3.0.3-1", NOW - 30 * DAY, cached="a" * 64)
    scan = apt_scan([OPENSSL], [FIXED], ledger=ledger, at=NOW - 9 * DAY)
    found = evaluate(debian(WEEK), scan, ledger, NOW)
    assert wanted(found) == {("openssl", "3.0.2-1", "")}
    scan = apt_scan([replace(FIXED, archives=(1,))], ledger=ledger)
    found = evaluate(debian(WEEK), scan, ledger, NOW)
    assert (states(found), found.compliant) == ({"openssl": ("Installed", "3.0.2-1")}, True)


def test_superseded_latest_takes_what_replaced_it():
    """`superseded: latest` approves the version that took the place, with the level of the one that was approved; a rejection still wins."""
    ledger, scan = replaced("")
    baseline = debian(WEEK, superseded="latest")
    found = evaluate(baseline, scan, ledger, NOW)
    assert wanted(found) == {("openssl", "3.0.3-1", "")}
    assert (found.states[0].level, "3.0.2-1" in found.states[0].reason) == ("high", True)
    rejecting = replace(baseline, rejected=named("openssl=3.0.3*"))
    assert not wanted(evaluate(rejecting, scan, ledger, NOW))


def test_lists_win_over_rules_and_filters():
    """The approved list is not asked for filters and delays, the rejected list wins over it; CVE ids work in both."""
    ledger = Memory()
    ledger.feeds[("openssl", "3.0.2-1")] = [Advisory("DSA-6000-1", cves=("CVE-2026-1234",))]
    scan = apt_scan([OPENSSL], [FIXED], ledger=ledger)
    baseline = debian(SECURITY_3, filters=Filter(package=("nginx",)))
    assert "leave it out" in evaluate(baseline, scan, ledger, NOW).states[0].reason
    for text in ("openssl", "open*", "openssl.amd64", "openssl=3.0.2*", "DSA-6000", "CVE-2026-1234"):
        approving = replace(baseline, approved=named(text), approved_compliance="high")
        found = evaluate(approving, scan, ledger, NOW)
        assert (wanted(found), found.level) == ({("openssl", "3.0.2-1", "")}, "high"), text
        both = evaluate(replace(approving, rejected=named(text)), scan, ledger, NOW)
        assert not wanted(both), text


def test_rejected_and_blocked():
    """block: never installed, InstalledRejected when it is there, its name blocked. allow_as_dependency: InstalledOther, may come along."""
    ledger = Memory()
    scan = apt_scan([OPENSSL, deb("curl", "8-1", 0)], [FIXED, deb("wget", "2-1", 0)], ledger=ledger,
                    at=NOW - 9 * DAY, new=frozenset({("wget", "amd64")}))  # fmt: skip
    blocking = debian(SECURITY_3, ANY, rejected=named("openssl", "wget", "telnet*"), rejected_action="block")
    found = evaluate(blocking, scan, ledger, NOW)
    assert states(found) == {"openssl": ("InstalledRejected", "3.0.1-1"), "curl": ("Installed", "8-1")}
    assert (found.blocked, found.allowed, found.compliant) == (("openssl", "telnet*", "wget"), (), False)
    allowing = replace(blocking, rejected_action="allow_as_dependency")
    found = evaluate(allowing, scan, ledger, NOW)
    assert states(found)["openssl"] == ("InstalledOther", "3.0.1-1")
    assert (found.blocked, found.compliant) == ((), True)
    assert {(one.name, one.version) for one in found.allowed} == {("openssl", "3.0.2-1"), ("wget", "2-1")}


def test_one_rejected_version_does_not_block_its_successor():
    """A rejection of one version leaves the package to the rules: an approved later version is installed, the name is not blocked."""
    ledger = Memory()
    newer = deb("openssl", "3.0.3-1", 1)
    scan = apt_scan([OPENSSL], [FIXED, newer], ledger=ledger, at=NOW - 9 * DAY)
    baseline = debian(SECURITY_3, rejected=named("openssl=3.0.2-1"), rejected_action="block")
    found = evaluate(baseline, scan, ledger, NOW)
    assert (wanted(found), found.blocked) == ({("openssl", "3.0.3-1", "")}, ())
    fresh = Memory()
    only = evaluate(baseline, apt_scan([OPENSSL], [FIXED], ledger=fresh, at=NOW - 9 * DAY), fresh, NOW)
    assert (wanted(only), only.blocked) == (set(), ("openssl",))
    assert states(only) == {"openssl": ("AvailableSecurityUpdate", "3.0.2-1")}


def test_new_packages_are_judged_by_the_same_rules():
    """What an upgrade would bring is allowed only when the rules approve it, and is no patch of the host itself."""
    ledger = Memory()
    scan = apt_scan([OPENSSL], [FIXED, deb("libnew", "1-1", 1), deb("libplain", "1-1", 0)], ledger=ledger,
                    at=NOW - 9 * DAY, new=frozenset({("libnew", "amd64"), ("libplain", "amd64")}))  # fmt: skip
    found = evaluate(debian(SECURITY_3), scan, ledger, NOW)
    assert {one.name for one in found.allowed} == {"libnew"}
    assert set(states(found)) == {"openssl"}


def test_pins_keep_a_package_until_their_day_is_over():
    """A pin keeps newer versions away, says why and what it keeps away; a version that it names passes; over, it holds nothing and says so."""
    ledger = Memory()
    scan = apt_scan([OPENSSL], [FIXED], ledger=ledger, at=NOW - 9 * DAY)
    pin = Pin("openssl", "*", NOW.date(), "ticket 4711")
    found = evaluate(debian(SECURITY_3, pins=(pin,)), scan, ledger, NOW)
    one = found.states[0]
    assert (one.state, one.withheld, wanted(found)) == ("AvailableSecurityUpdate", "3.0.2-1", set())
    assert "until the end of 2026-11-24 (ticket 4711)" in one.reason
    for other in (replace(pin, version="3.0.2-*"), replace(pin, until=NOW.date() - DAY), replace(pin, package="curl")):
        found = evaluate(debian(SECURITY_3, pins=(other,)), scan, ledger, NOW)
        assert wanted(found), other
        assert any("is over" in text for text in found.trouble) == (other.until < NOW.date())


def test_what_the_host_holds_back_is_missing_and_not_installed():
    """A hold of the package manager does not make a host comply, and is not overridden; it may not come along either."""
    ledger = Memory()
    scan = apt_scan([OPENSSL], [FIXED], ledger=ledger, at=NOW - 9 * DAY, held=frozenset({"openssl"}))
    found = evaluate(debian(SECURITY_3), scan, ledger, NOW)
    assert states(found) == {"openssl": ("Missing", "3.0.2-1")}
    assert "held back on the host" in found.states[0].reason
    assert (found.install, found.allowed) == ((), ())


def test_states_of_what_is_installed():
    """Installed when it is approved, InstalledOther when not, pending when we installed it since the boot, Failed when the last try did."""
    ledger = Memory()
    mine, other = deb("openssl", "3.0.2-1", 1), deb("curl", "8-1", 0)
    scan = apt_scan([mine, other], ledger=ledger, at=NOW - 9 * DAY)
    baseline = debian(SECURITY_3, approved=named("nginx"))
    assert states(evaluate(baseline, scan, ledger, NOW)) == {
        "openssl": ("Installed", "3.0.2-1"),
        "curl": ("InstalledOther", "8-1"),
        "nginx": ("NotApplicable", ""),
    }
    waiting = replace(scan, pending_reboot=frozenset({(*mine.key, mine.version)}))
    found = evaluate(baseline, waiting, ledger, NOW)
    assert (states(found)["openssl"][0], found.compliant, found.level) == ("InstalledPendingReboot", False, "critical")
    scan = apt_scan([OPENSSL], [FIXED], ledger=ledger)
    found = evaluate(baseline, scan, ledger, NOW, failed={("openssl", "amd64", "3.0.2-1")})
    assert (states(found)["openssl"][0], bool(wanted(found))) == ("Failed", True)


def test_available_security_updates_comply_unless_the_baseline_says_not():
    """What is not approved yet counts as the baseline says."""
    ledger = Memory()
    scan = apt_scan([OPENSSL], [FIXED], ledger=ledger)
    assert evaluate(debian(SECURITY_3), scan, ledger, NOW).compliant
    assert not evaluate(debian(SECURITY_3, available_security_updates="non_compliant"), scan, ledger, NOW).compliant


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"trouble": "dpkg was interrupted"}, "dpkg was interrupted"),
        ({"archives": ()}, "no repository"),
        ({"archives": (replace(MAIN, fetched=T - 8 * 86400), SECURITY)}, "the data of Debian are 8 days old"),
        ({"archives": (replace(MAIN, fetched=0), SECURITY)}, "not known"),
    ],
)
def test_stale_or_troubled_data_say_nothing(change, words):
    """A host whose data cannot be believed is unknown: no states, nothing to install, never compliant."""
    ledger = Memory()
    scan = replace(apt_scan([OPENSSL], ledger=ledger), **change)
    found = evaluate(debian(SECURITY_3), replace(scan, installed=()), ledger, NOW)
    assert words in found.unknown
    assert (found.states, found.install, found.compliant) == ((), (), False)


def test_clocks_that_differ_by_hours_count_by_the_earlier_one():
    """Nothing is installed before both clocks say so, and it is said; a clock that is behind makes no host comply. An hour is no reason."""
    ledger = Memory()
    scan = apt_scan([OPENSSL], [FIXED], ledger=ledger, at=NOW - 3 * DAY)
    behind = replace(scan, taken=T - 7200, archives=tuple(replace(one, fetched=T - 9000) for one in scan.archives))
    found = evaluate(debian(SECURITY_3), behind, ledger, NOW, scanned_at=NOW)
    assert (wanted(found), "behind the controller's" in found.trouble[0]) == (set(), True)
    assert (states(found), found.compliant) == ({"openssl": ("Missing", "3.0.2-1")}, False)
    ahead = evaluate(debian(SECURITY_3), replace(scan, taken=T + 2 * 86400), ledger, NOW - DAY, scanned_at=NOW - DAY)
    assert (wanted(ahead), "ahead of" in ahead.trouble[0]) == (set(), True)
    near = evaluate(debian(SECURITY_3), replace(scan, taken=T + 3000), ledger, NOW, scanned_at=NOW)
    assert (bool(wanted(near)), near.trouble) == (True, ())


def test_an_override_list_replaces_the_rules_of_an_install_alone():
    """Entries choose what is installed, whatever rules say; states stay those of the baseline; an entry without effect is told."""
    ledger = Memory()
    scan = apt_scan([OPENSSL, deb("curl", "8-1", 0)], [FIXED, deb("curl", "8-2", 1)], ledger=ledger, at=NOW - 9 * DAY)
    entries = [OverrideEntry("open*.amd64", "3.0.*"), OverrideEntry("nothing.amd64")]
    found = evaluate(debian(SECURITY_3), scan, ledger, NOW, override=entries)
    assert wanted(found) == {("openssl", "3.0.2-1", "")}
    assert states(found)["curl"] == ("Missing", "8-2")
    assert [text for text in found.trouble if "`nothing.amd64`" in text]


def test_decisions_are_not_shared_by_hosts_that_tell_differently():
    """What one host says of an archive or an advisory never decides for another host."""
    ledger = Memory()
    honest = apt_scan([OPENSSL], [deb("openssl", "3.0.2-1", 0)], ledger=ledger, at=NOW - 9 * DAY)
    lying = replace(honest, archives=(replace(MAIN, security=True), SECURITY))
    evaluator = Evaluator(debian(SECURITY_3), ledger, NOW)
    assert wanted(evaluator.evaluate(lying))
    assert not wanted(evaluator.evaluate(honest))
    told = {"RHSA-2026:1": Advisory("RHSA-2026:1", "Security", "Critical")}
    rule = Rule(Filter(severity=("Critical",)), after_days=0)
    scan = rpm_scan([rpm("bash", "5.1-1")], [rpm("bash", "5.1-2", *told)], ledger=ledger, advisories=told)
    evaluator = Evaluator(rhel(rule), ledger, NOW)
    assert wanted(evaluator.evaluate(scan))
    low = {"RHSA-2026:1": replace(told["RHSA-2026:1"], severity="Low")}
    assert not wanted(evaluator.evaluate(replace(scan, advisories=low)))


def test_decisions_on_every_version():
    """For explaining: every version, the installed one too, newest first, with what decided it and whether it can be had."""
    ledger, scan = replaced("")
    told = Evaluator(debian(WEEK), ledger, NOW).decisions(scan, "openssl")
    assert [(one.version, one.status, one.by, one.obtainable) for one in told] == [
        ("3.0.3-1", "pending", "rule 1", True),
        ("3.0.2-1", "approved", "rule 1", False),
        ("3.0.1-1", "unmatched", "", True),
    ]
    assert Evaluator(debian(WEEK), ledger, NOW).decisions(scan, "nothing") == []


def test_the_first_rule_that_approves_gives_the_level():
    """Rules are alternatives: of those that approve a version the first written one says how bad it is to lack it."""
    ledger = Memory()
    scan = apt_scan([OPENSSL], [FIXED], ledger=ledger, at=NOW - 5 * DAY)
    first = Rule(Filter(section=("security",)), after_days=7, compliance="critical")
    second = Rule(Filter(section=("security",)), after_days=1, compliance="low")
    assert evaluate(debian(first, second), scan, ledger, NOW).level == "low"
    assert evaluate(debian(first, second), scan, ledger, NOW + 3 * DAY).level == "critical"


def test_of_a_kernel_in_several_versions_the_newest_counts():
    """rpm keeps old kernels installed: they are no patches that are missing."""
    told = {"RHSA-2026:9": Advisory("RHSA-2026:9", "Security", "Important")}
    ledger = Memory()
    kernels = [rpm("kernel", "5.14.0-2", *told), rpm("kernel", "5.14.0-1")]
    scan = rpm_scan(kernels, ledger=ledger, advisories=told)
    rule = Rule(Filter(classification=("Security",)), after_days=0)
    assert states(evaluate(rhel(rule), scan, ledger, NOW)) == {"kernel": ("Installed", "5.14.0-2")}


def test_an_archive_is_named_by_what_it_says():
    """Two components of one archive are told apart, so that a rule for one of them does not approve from the other."""
    ledger = Memory()
    contrib = replace(SECURITY, component="contrib")
    scan = apt_scan([OPENSSL], [deb("openssl", "3.0.2-1", 2)])
    scan = replace(scan, archives=(*scan.archives, contrib))
    ledger.note(contrib, "openssl", "3.0.2-1", NOW - 9 * DAY)
    rule = Rule(Filter(component=("main",)), after_days=0)
    assert not wanted(evaluate(debian(rule), scan, ledger, NOW))
    assert wanted(evaluate(debian(replace(rule, filter=Filter(component=("contrib",)))), scan, ledger, NOW))
    assert isinstance(contrib, Archive)
