"""What holds for every baseline, scan and ledger: nothing is installed that is not approved, above what is there, and to be had."""

import datetime as dt

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from statectl.baselines.evaluate import COMPLIANT, STATES, Evaluator
from statectl.baselines.model import LEVELS, Baseline, Filter, Named, Pin, Rule
from statectl.baselines.names import parse_name
from statectl.onhost.versions import compare_versions
from tests.unit.baselines import DAY, MAIN, NOW, SECURITY, Memory, apt_scan, deb

VERSIONS = ("1.0-1", "1.0-2", "1.1~rc1-1", "1.1-1", "1:0.9-1", "2.0-1")
NAMES = ("alpha", "beta", "lib32stdc++6")
texts = st.sampled_from([*NAMES, "*", "al*", "alpha=1.*", "beta=2.0-1", "CVE-2026-1111", "DSA-1", "alpha:amd64"])
filters = st.builds(
    Filter,
    suite=st.sampled_from([(), ("*-security",), ("bookworm",)]),
    section=st.sampled_from([(), ("security",), ("net",)]),
    package=st.sampled_from([(), ("al*",), ("beta",)]),
)
rules = st.one_of(
    st.builds(Rule, filters, after_days=st.integers(0, 20), compliance=st.sampled_from(LEVELS), include_non_security=st.booleans()),
    st.builds(Rule, filters, until=st.integers(-20, 20).map(lambda days: (NOW + days * DAY).date())),
)  # fmt: skip
baselines = st.builds(
    Baseline,
    name=st.just("b"),
    os=st.just("debian"),
    filters=st.none() | filters,
    rules=st.lists(rules, max_size=3).map(tuple),
    approved=st.lists(texts.map(Named), max_size=2).map(tuple),
    approved_include_non_security=st.booleans(),
    rejected=st.lists(texts.map(Named), max_size=2).map(tuple),
    rejected_action=st.sampled_from(["block", "allow_as_dependency"]),
    pins=st.lists(
        st.builds(Pin, st.sampled_from(NAMES), st.sampled_from(["*", "1.*"]), st.just(dt.date(2099, 1, 1)), st.just("why")), max_size=1
    ).map(tuple),
    superseded=st.sampled_from(["report", "latest"]),
    available_security_updates=st.sampled_from(["compliant", "non_compliant"]),
)  # fmt: skip


@st.composite
def worlds(draw):
    """(scan, ledger): packages in several versions in two archives, some of them gone, some kept, some never noted."""
    ledger, installed, available = Memory(), [], []
    for name in NAMES:
        here = draw(st.none() | st.sampled_from(VERSIONS))
        if here is not None:
            installed.append(deb(name, here, *draw(st.sampled_from([(), (0,), (1,), (0, 1)]))))
        for version in draw(st.sets(st.sampled_from(VERSIONS))):
            if here is not None and compare_versions(version, here, "deb") <= 0:
                continue
            archives = draw(st.sampled_from([(), (0,), (1,), (0, 1)]))
            if archives:
                available.append(deb(name, version, *archives))
            for archive in draw(st.sets(st.sampled_from([MAIN.key, SECURITY.key]))):
                age = draw(st.integers(0, 40))
                of = MAIN if archive == MAIN.key else SECURITY
                ledger.note(of, name, version, NOW - age * DAY, cached="c" * 64 if draw(st.booleans()) else "")
    held = frozenset(draw(st.sets(st.sampled_from(NAMES), max_size=1)))
    there = {one.key for one in installed}
    new = frozenset(one.key for one in available if one.key not in there)
    return apt_scan(installed, available, held=held, new=new), ledger


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(baselines, worlds())
def test_what_always_holds(baseline, world):
    """Installs are approved, newer, obtainable or kept, the newest such, never held or blocked; states add up to compliance and level."""
    scan, ledger = world
    evaluator = Evaluator(baseline, ledger, NOW)
    found = evaluator.evaluate(scan)
    assert not found.unknown
    installed = {one.key: one.version for one in scan.installed}
    listed = {(one.name, one.version) for one in scan.available}
    decisions = {(one.name, one.version): one for name in NAMES for one in evaluator.decisions(scan, name)}
    for one in found.install:
        decision = decisions[one.name, one.version]
        assert decision.status == "approved"
        assert compare_versions(one.version, installed[one.name, one.arch], "deb") > 0
        assert ((one.name, one.version) in listed) == (not one.cached)
        assert one.name not in scan.held
        better = [
            other.version
            for other in decisions.values()
            if other.name == one.name and other.status == "approved" and (other.obtainable or other.cached)
        ]
        assert all(compare_versions(one.version, other, "deb") >= 0 for other in better)
    assert not {one.name for one in found.install} & set(found.blocked)
    assert not set(found.install) & set(found.allowed)
    for one in found.allowed:
        decision = decisions[one.name, one.version]
        assert decision.obtainable or decision.cached
        status = decision.status
        assert status == "approved" or (status == "rejected" and baseline.rejected_action == "allow_as_dependency")
    named = [one for one in found.states if one.state != "NotApplicable"]
    assert sorted((one.name, one.arch) for one in named) == sorted(installed)
    bad = set(STATES) - set(COMPLIANT)
    if baseline.available_security_updates == "compliant":
        bad -= {"AvailableSecurityUpdate"}
    levels = [LEVELS.index(one.level) for one in found.states if one.state in bad]
    assert found.compliant == (not levels)
    assert found.level == (LEVELS[min(levels)] if levels else "unspecified")
    assert all(one.reason for one in decisions.values())


@given(baselines, worlds())
@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_time_alone_takes_no_approval_back(baseline, world):
    """With the same scan and ledger what is approved today is approved tomorrow, but for pins that end."""
    scan, ledger = world
    today, later = (
        {
            (one.name, one.version)
            for name in NAMES
            for one in Evaluator(baseline, ledger, now).decisions(scan, name)
            if one.status == "approved" and not one.by.startswith("superseded")
        }
        for now in (NOW, NOW + 30 * DAY)
    )
    assert today <= later


@given(st.text(max_size=60), st.sampled_from(["apt", "rpm"]))
@settings(max_examples=300, deadline=None)
def test_every_text_is_a_name_or_said_to_be_none(text, packages):
    """Whatever stands in a list is understood or refused with a reason, never an exception."""
    found = parse_name(text, packages)
    assert getattr(found, "why", "") or found.kind in ("package", "version", "build", "advisory", "cve", "bug")
