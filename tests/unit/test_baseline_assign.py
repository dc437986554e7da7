"""Which baseline a host has: the order of the ways, what is passed over, and what is said of it."""

import pytest

from statectl.baselines.assign import assign
from statectl.baselines.evaluate import evaluate
from statectl.baselines.model import SYSTEMS, Baseline, PatchSource
from statectl.baselines.predefined import predefined
from statectl.baselines.scan import Advisory
from statectl.baselines.systems import product_of, system_of
from tests.unit.baselines import DAY, DEBIAN, NOW, RHEL, Memory, apt_scan, deb, rpm, rpm_scan

OWN = {
    "named": Baseline("named", "debian"),
    "other": Baseline("other", "debian"),
    "grouped": Baseline("grouped", "debian", patch_groups=("web",)),
    "targeted": Baseline("targeted", "debian", targets="env=prod"),
    "usual": Baseline("usual", "debian", default=True),
    "red": Baseline("red", "rhel", default=True, patch_groups=("web",)),
}
ALL = {**predefined(), **OWN}


def found(facts=DEBIAN, tags=None, baselines=ALL, **more):
    said = assign(baselines, facts, tags or {}, **more)
    return [one.baseline.name for one in said.assigned], [one.why for one in said.assigned], said.notes


def test_the_first_way_that_gives_one_decides():
    """Command line, association, patch group, targets, default, predefined: each wins over those behind it, and says why."""
    named, tags, matches = [("web", "named")], {"patch_group": "web"}, lambda targets: targets == "env=prod"
    assert found(tags=tags, named=named, asked=["other"], matches=matches)[:2] == (
        ["other"],
        ["asked for on the command line"],
    )
    assert found(tags=tags, named=named, matches=matches)[:2] == (["named"], ["association web names it"])
    assert found(tags=tags, matches=matches)[:2] == (["grouped"], ["registered for its patch group (patch_group=web)"])
    assert found(matches=matches)[:2] == (["targeted"], ["its targets select the host (env=prod)"])
    assert found()[:2] == (["usual"], ["the default of debian"])
    assert found(baselines=predefined())[:2] == (["statectl-debian"], ["comes with statectl for debian"])


def test_two_associations_with_two_baselines_are_both_kept():
    """Neither hides the other; one baseline named twice is one."""
    names, why, _ = found(named=[("web", "named"), ("base", "other"), ("db", "named")])
    assert names == ["named", "other"]
    assert why[0] == "association web names it, db too"


@pytest.mark.parametrize("tag", ["patch_group", "Patch Group", "PatchGroup"])
def test_patch_groups_are_of_one_system(tag):
    """A group may have a baseline for each system; the tag's three spellings count, others do not."""
    assert found(tags={tag: "web"})[0] == ["grouped"]
    assert found(RHEL, tags={tag: "web"})[0] == ["red"]
    assert found(tags={tag.lower() + "x": "web"})[0] == ["usual"]


def test_what_was_meant_and_does_not_fit_is_said():
    """A group without a baseline, a baseline of another system, one that is not there, targets that nobody can judge: the next way, and a note."""
    names, _, notes = found(tags={"patch_group": "db"}, named=[("web", "red"), ("web", "gone")], matches=lambda _: None)
    assert names == ["usual"]
    assert notes == (
        "red is for rhel, the host is debian (association web names it)",
        "there is no baseline gone (association web names it)",
        "no baseline for debian is registered for its patch group (patch_group=db)",
        "whether the targets of targeted select it is not known (env=prod)",
    )
    assert found(named=[("web", "red"), ("web", "named")]) == (["named"], ["association web names it"], ())
    assert "several patch groups" in found(tags={"patch_group": "web", "PatchGroup": "db"})[2][0]
    assert found({"id": "arch", "name": "Arch Linux"}) == ([], [], ("there are no baselines for Arch Linux",))


def test_sources_are_those_of_the_host_s_product():
    """A source for other versions of the system is not asked; where none is left the host's own repositories count, and it is said."""
    sources = (
        PatchSource("twelve", products=("Debian12",)),
        PatchSource("all"),
        PatchSource("old", products=("Debian1[01]",)),
    )
    one = assign({"own": Baseline("own", "debian", default=True, sources=sources)}, DEBIAN, {}).assigned[0]
    assert [source.name for source in one.baseline.sources] == ["twelve", "all"]
    said = assign({"own": Baseline("own", "debian", default=True, sources=sources[2:])}, DEBIAN, {})
    assert said.assigned[0].baseline.sources == ()
    assert said.notes == ("no source of own is for Debian12: the host's own repositories count",)


@pytest.mark.parametrize(
    ("facts", "system", "product"),
    [
        (DEBIAN, "debian", "Debian12"),
        ({"id": "ubuntu", "version": "22.04", "id_like": ["debian"]}, "ubuntu", "Ubuntu22.04"),
        (RHEL, "rhel", "RedhatEnterpriseLinux9.4"),
        ({"id": "rocky", "version": "9.3", "id_like": ["rhel", "centos", "fedora"]}, "rocky", "RockyLinux9.3"),
        ({"id": "ol", "version": "8.9", "id_like": ["fedora"]}, "oracle", "OracleLinux8.9"),
        ({"id": "amzn", "version": "2023", "id_like": ["fedora"]}, "amazon", "AmazonLinux2023"),
        ({"id": "sles", "version": "15.6", "id_like": ["suse"]}, "sles", "Suse15.6"),
        ({"id": "opensuse-leap", "version_id": "15.6", "id_like": "suse opensuse"}, "opensuse", "OpenSuse15.6"),
        ({"id": "linuxmint", "version": "21.3", "id_like": ["ubuntu", "debian"]}, "ubuntu", "Ubuntu"),
        ({"id": "arch", "version": ""}, "", ""),
        ({}, "", ""),
    ],
)
def test_systems_and_products(facts, system, product):
    """os-release, as facts or as it stands, gives the system; a derivative is its parent, without a version."""
    assert (system_of(facts), product_of(facts)) == (system, product)


def test_every_system_has_a_baseline_that_comes_with_statectl():
    """One for each, named after it, last in line."""
    assert {one.os for one in predefined().values()} == set(SYSTEMS)
    assert all(name == f"statectl-{one.os}" and one.predefined for name, one in predefined().items())


def test_what_predefined_baselines_approve():
    """As those of Systems Manager: security archives at once on apt; by severity, and bug fixes, after a week on the rest."""
    ledger = Memory()
    scan = apt_scan([deb("a", "1", 0), deb("b", "1", 0)], [deb("a", "2", 1), deb("b", "2", 0)], ledger=ledger)
    found = evaluate(predefined()["statectl-debian"], scan, ledger, NOW)
    assert [one.name for one in found.install] == ["a"]
    told = {
        name: Advisory(name, kind, severity)
        for name, kind, severity in (
            ("critical", "Security", "Critical"), ("important", "Security", "Important"),
            ("moderate", "Security", "Moderate"), ("bug", "Bugfix", ""), ("more", "Enhancement", ""),
        )
    }  # fmt: skip
    packages = [rpm(name, "2-1", name) for name in told]
    scan = rpm_scan([rpm(name, "1-1") for name in (*told, "none")], [*packages, rpm("none", "2-1")], ledger=ledger,
                    at=NOW - 7 * DAY, advisories=told)  # fmt: skip

    def approved(system, now=NOW):
        found = evaluate(predefined()[f"statectl-{system}"], scan, ledger, now)
        return {one.name for one in found.install}

    for system in ("rhel", "rocky", "almalinux", "amazon", "fedora"):
        assert approved(system) == {"critical", "important", "bug"}, system
        assert approved(system, NOW - DAY) == set()
    assert approved("oracle") == {"important", "moderate", "bug"}
    assert approved("sles") == approved("opensuse") == {"critical", "important"}
    assert approved("centos") == {*told, "none"}
