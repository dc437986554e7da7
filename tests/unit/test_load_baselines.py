"""Patch baselines of the files: what is accepted means what it says, and editors are told the same."""

import datetime as dt

import jsonschema
import pytest
import yaml

from statectl.baselines.model import Baseline, Filter, Hooks
from statectl.project.baselines import FIELDS, BaselineReader
from statectl.project.documents import read_document
from statectl.project.explain import explain
from statectl.project.files import ProjectFiles
from statectl.project.findings import Findings
from statectl.project.schema import states_schema
from statectl.sections import table
from tests.bad_input.loading import lines, load_files, write

KEY = "-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nmQ==\n-----END PGP PUBLIC KEY BLOCK-----"
EVERYTHING = """\
patch_baselines:
  debian-prod:
    os: debian
    description: All that matters
    default: true
    patch_groups: [web, db]
    targets: env=prod
    filters: {suite: ["bookworm*"], product: [Debian12]}
    approve:
      - {section: [security], priority: [required, important], after: 3 days, compliance: critical}
      - {suite: ["*-security"], component: [main], repository: [Debian], severity: [high], after: 1 day}
      - {package: [tzdata], until: 2027-01-31, include_non_security: true}
    approved: [ca-certificates, CVE-2026-1234, "openssl=3.0.*"]
    approved_compliance: high
    approved_include_non_security: true
    rejected: ["docker-ce*"]
    rejected_action: block
    pins:
      postgresql-15: {version: 15.8-*, until: 2099-01-31, reason: ticket 4711}
      linux-image-amd64: {until: 2099-02-28, reason: driver}
    sources:
      internal: {uris: ["https://deb.example.org/debian"], suites: [bookworm], components: [main], architectures: [amd64], signed_by: ../keys/internal.asc, products: [Debian12]}
      flat: {uris: ["file:/srv/debs"], suites: [./], trusted: built here, kept: true}
    superseded: latest
    dependencies: any
    available_security_updates: non_compliant
    window: sunday-night
    reboot: always
    max_reboots: 2
    reboot_timeout: 1h30m
    restart: never
    hooks: {before_install: [/usr/local/sbin/drain, --now], on_exit: undrain 'two words', timeout: 2m}
    max_index_age: 36h
maintenance_windows:
  sunday-night: {schedule: cron(0 2 ? * SUN *), duration: 4h}
associations:
  base:
    targets: all
    patch_baseline: [debian-prod, statectl-rhel]
    where: [{targets: db, patch_baseline: statectl-debian}]
"""


@pytest.fixture
def project(tmp_path):
    return load_files(tmp_path, {"states/a.yml": EVERYTHING, "keys/internal.asc": KEY + "\n"})


def test_every_field_arrives(project):
    """Each key of the section is in the value that decides what is approved and done."""
    assert lines(project) == []
    one = project.patch_baselines["debian-prod"]
    assert (one.os, one.description, one.default, one.patch_groups, one.targets) == (
        "debian", "All that matters", True, ("web", "db"), "env=prod",
    )  # fmt: skip
    assert one.filters == Filter(suite=("bookworm*",), product=("Debian12",))
    first, second, third = one.rules
    assert first.filter == Filter(section=("security",), priority=("required", "important"))
    assert (first.after_days, first.until, first.compliance, first.include_non_security) == (3, None, "critical", False)
    assert second.filter == Filter(
        suite=("*-security",), component=("main",), repository=("Debian",), severity=("high",)
    )
    assert (second.after_days, second.compliance) == (1, "unspecified")
    assert (third.after_days, third.until, third.include_non_security) == (None, dt.date(2027, 1, 31), True)
    assert [(rule.span.line, rule.span.column) for rule in one.rules] == [(10, 9), (11, 9), (12, 9)]
    assert [entry.text for entry in one.approved] == ["ca-certificates", "CVE-2026-1234", "openssl=3.0.*"]
    assert (one.approved_compliance, one.approved_include_non_security, one.rejected_action) == ("high", True, "block")
    assert [(entry.text, str(entry.span)) for entry in one.rejected] == [("docker-ce*", "states/a.yml:16:16")]
    pins = [(pin.package, pin.version, pin.until, pin.reason) for pin in one.pins]
    assert pins == [
        ("postgresql-15", "15.8-*", dt.date(2099, 1, 31), "ticket 4711"),
        ("linux-image-amd64", "*", dt.date(2099, 2, 28), "driver"),
    ]
    internal, flat = one.sources
    assert (internal.uris, internal.suites, internal.components) == (
        ("https://deb.example.org/debian",),
        ("bookworm",),
        ("main",),
    )
    assert (internal.architectures, internal.signed_by, internal.products, internal.kept) == (
        ("amd64",),
        KEY,
        ("Debian12",),
        False,
    )
    assert (flat.suites, flat.trusted, flat.kept) == (("./",), "built here", True)
    assert (one.superseded, one.dependencies, one.available_security_updates) == ("latest", "any", "non_compliant")
    assert (one.window, one.reboot, one.max_reboots, one.reboot_timeout_s, one.restart) == (
        "sunday-night",
        "always",
        2,
        5400,
        "never",
    )
    assert one.hooks == Hooks(
        before_install=("/usr/local/sbin/drain", "--now"), on_exit=("undrain", "two words"), timeout_s=120
    )
    assert (one.max_index_age_s, str(one.span), one.origin) == (36 * 3600, "states/a.yml:2:3", "states/a.yml:2")


def test_an_association_names_its_baselines(project):
    """One name or a list of them, also in a variant."""
    base = project.associations["base"]
    assert base.patch_baseline == ("debian-prod", "statectl-rhel")
    assert base.where[0].fields["patch_baseline"] == ("statectl-debian",)


def test_the_least_that_is_needed(tmp_path):
    """A system and a rule are enough; all else is as the model has it."""
    text = "patch_baselines: {b: {os: rocky, approve: [{classification: [Security], severity: [Critical], after: 0 days}]}}\n"
    project = load_files(tmp_path, {"states/a.yml": text})
    assert lines(project) == []
    one = project.patch_baselines["b"]
    plain = Baseline("b", "rocky", rules=one.rules, span=one.span)
    assert one == plain


def test_rpm_sources_and_names(tmp_path):
    """The forms of rpm: a repository with its key, a whole name, an advisory, the number of a bug."""
    text = """\
patch_baselines:
  b:
    os: sles
    approved: [SUSE-SLE-Example-Package-12-2018-123, example-pkg-2018.11.4-46.17.1.x86_64.rpm, 1234567]
    sources: {ours: {baseurl: https://rpm.example.org/sle, gpgkey: file:/etc/pki/ours.asc}}
"""
    project = load_files(tmp_path, {"states/a.yml": text})
    assert lines(project) == []
    one = project.patch_baselines["b"]
    assert [entry.text for entry in one.approved][2] == "1234567"
    assert (one.sources[0].baseurl, one.sources[0].gpgkey) == ("https://rpm.example.org/sle", "file:/etc/pki/ours.asc")


def test_a_key_file_must_hold_a_public_key(tmp_path):
    """A private key, or anything else, is refused where it is named, and never quoted."""
    text = EVERYTHING.replace("targets: env=prod", "targets: all")
    for content, words in (("x", "no armored public key"), (KEY.replace("PUBLIC", "PRIVATE"), "holds a private key")):
        project = load_files(tmp_path, {"states/a.yml": text, "keys/internal.asc": content})
        assert [line for line in lines(project) if "E174" in line and words in line], lines(project)
        assert "mQ==" not in "".join(lines(project))


def test_a_pin_is_over_on_the_day_after_its_last(tmp_path):
    """The last day is part of it."""
    root = write(tmp_path, {"states/a.yml": EVERYTHING.replace("2099-01-31", "2026-11-24"), "keys/internal.asc": KEY})
    document = read_document(root / "states/a.yml", "states/a.yml")
    found = {}
    for day in (24, 25):
        findings = Findings(document.places)
        reader = BaselineReader(findings, lambda *_: (), ProjectFiles(root), dt.date(2026, 11, day))
        reader.read("debian-prod", document.tree["patch_baselines"]["debian-prod"], ("patch_baselines", "debian-prod"))
        found[day] = [problem.code for problem in findings.problems]
    assert found == {24: [], 25: ["W172"]}


def test_a_broken_baseline_is_reported_once(tmp_path):
    """A baseline that could not be read is not missing as well for the association that names it."""
    text = "patch_baselines: {b: {os: debain}}\nassociations: {a: {targets: all, patch_baseline: b}}\n"
    found = lines(load_files(tmp_path, {"states/a.yml": text}))
    assert len(found) == 1
    assert "did you mean `debian`?" in found[0]


def test_the_schema_takes_what_is_read_and_no_other_keys():
    """Editors complete every key, accept the whole example, and mark what the loader refuses."""
    validator = jsonschema.Draft7Validator(states_schema(table()))
    tree = yaml.load(EVERYTHING, _Dateless)
    assert list(validator.iter_errors(tree)) == []
    for key, value in (("aprove", []), ("os", "windows"), ("max_reboots", 11), ("approve", [{"section": ["x"]}]),
                       ("pins", {"x": {"reason": "why"}}), ("reboot", "maybe")):  # fmt: skip
        wrong = {"patch_baselines": {"b": {**tree["patch_baselines"]["debian-prod"], key: value}}}
        assert list(validator.iter_errors(wrong)), key
    known = states_schema(table())["properties"]["patch_baselines"]["additionalProperties"]["properties"]
    assert set(known) == set(FIELDS)


def test_explain_knows_the_keys():
    """`statectl explain` says what a key means, from the same texts."""
    assert "first seen" in explain("patch_rule.after", table())
    assert "pins" in explain("patch_baseline", table())
    assert explain("patch_baselines.rejected", table()).startswith("patch_baselines.rejected")


class _Dateless(yaml.CSafeLoader):
    """As an editor's reader: YAML 1.2 has no dates."""


_Dateless.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in rows if not tag.endswith("timestamp")]
    for first, rows in yaml.CSafeLoader.yaml_implicit_resolvers.items()
}
