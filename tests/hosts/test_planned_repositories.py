"""A package behind a repository that the same plan adds is planned exactly, and nothing of the host's is written for it."""

from typing import Any

import pytest

from tests.lab import LabHost
from tests.lab.project import LabProject
from tests.lab.snapshot import moved, written

EXTRA = """\
      extra:
        uris: ["file:/srv/lab/apt/extra"]
        suites: [lab]
        components: [main]
        signed_by: {key}
"""
# a flat repository made on the host: NAME VERSION FIELD... of each package
BUILD = r"""
set -e
mkdir -p /srv/made; cd /srv/made; : > Packages
add() {
    mkdir -p work/DEBIAN "work/usr/share/$1"; echo "$2" > "work/usr/share/$1/version"
    printf 'Package: %s\nVersion: %s\nArchitecture: all\nMaintainer: lab <lab@lab.invalid>\nDescription: made\n' "$1" "$2" > work/DEBIAN/control
    [ -z "$3" ] || echo "$3" >> work/DEBIAN/control
    dpkg-deb -b work "$1_$2.deb" > /dev/null; rm -r work
    dpkg-deb -f "$1_$2.deb" >> Packages
    printf 'Filename: ./%s\nSize: %s\nSHA256: %s\n\n' "$1_$2.deb" "$(stat -c %s "$1_$2.deb")" "$(sha256sum "$1_$2.deb" | cut -d' ' -f1)" >> Packages
}
add lab-tool-01 2.0
add lab-away 1.0 'Conflicts: lab-tool-02'
add lab-needs 1.0 'Depends: lab-extra-01, lab-tool-03'
add lab-many 1.0
add lab-many 1.5
add lab-many 2.0
"""
MADE = '      made: {uris: ["file:/srv/made"], suites: [./], allow_unsigned: true}\n'


def states(repositories: str, body: str) -> str:
    return f"associations:\n  it:\n    targets: all\n    package_repositories:\n{repositories}{body}"


def plan(project: LabProject, host: LabHost, text: str) -> dict[str, Any]:
    """The verdicts by address; fails if the plan wrote anything."""
    project.write("states/it.yml", text)
    project.commit("it")
    before = written(host)
    said = project.statectl("plan", "--json", expect=(0, 1, 5))
    assert moved(before, written(host)) == []
    assert host.sh("ls -d /tmp/statectl-*", check=False) == ""
    return {entry["address"]: entry for entry in said.json["hosts"][host.name]["verdicts"]}


def versions(verdicts: dict[str, Any]) -> dict[str, str]:
    """{package: version that will come}; a verdict that is not a plain change stands for itself."""
    found = {}
    for address, entry in verdicts.items():
        kind, _, name = address.partition(":")
        if kind == "package":
            sure = entry["verdict"] == "change" and not entry["predicted_after"]
            known = [change["wanted"] for change in entry["changes"] if change["field"] == "version"]
            found[name] = known[0] if sure and known else entry["verdict"] if sure else f"{entry['verdict']}?"
    return found


@pytest.mark.parametrize("suite", ["bullseye", "bookworm", "trixie"])
def test_several_packages_of_several_planned_repositories(lab_hosts, project_for, suite):
    """Versions, dependencies across repositories and globs are known before any repository is there; apply does exactly that."""
    (host,) = lab_hosts(1, suite)
    host.sh(BUILD)
    host.sh("apt-get install -qq -y lab-tool-01")
    project = project_for([host])
    text = states(
        EXTRA.format(key="/srv/lab/apt/keys/extra.asc") + MADE,
        "    packages:\n      lab-extra-01: present\n      lab-extra-02: '1.*'\n      lab-tool-01: latest\n"
        "      lab-needs: present\n      lab-many: '1.*'\n      lab-tool-04: present\n",
    )
    expected = {
        "lab-extra-01": "1.0",
        "lab-extra-02": "1.0",
        "lab-tool-01": "2.0",
        "lab-needs": "1.0",
        "lab-many": "1.5",
        "lab-tool-04": "1.1",
    }
    assert versions(plan(project, host, text)) == expected
    project.statectl("apply", "--yes", expect=0)
    there = host.sh("dpkg-query -W -f '${Package} ${Version}\\n' 'lab-*'").splitlines()
    assert {name: version for name, _, version in (line.partition(" ") for line in there) if version} == {
        **expected,
        "lab-tool-03": "1.1",
    }
    project.statectl("plan", "--detailed-exitcode", expect=0)


def test_a_key_that_the_plan_brings_too(lab_host, project_for):
    """As text, as a file of the same plan, or wrong: what is not signed by it is not believed."""
    host, project = lab_host, project_for([lab_host])
    key = host.read("/srv/lab/apt/keys/extra.asc")
    other = host.read("/srv/lab/apt/keys/lab.asc")
    packages = "    packages: [lab-extra-01]\n"
    text = "|\n" + "".join(f"          {line}\n" for line in key.splitlines())
    assert versions(plan(project, host, states(EXTRA.format(key=text), packages))) == {"lab-extra-01": "1.0"}
    for mine, expected in ((other, "unknown"), (key, "1.0")):
        project.write("states/extra.key", mine)
        body = packages + "    files: {/etc/apt/keyrings/company.asc: {source: extra.key}}\n"
        verdicts = plan(project, host, states(EXTRA.format(key="/etc/apt/keyrings/company.asc"), body))
        if expected == "unknown":
            assert verdicts["package:lab-extra-01"]["verdict"] == "unknown"
            assert verdicts["package:lab-extra-01"]["unknown_until"] == [
                "package_repository:extra",
                "file:/etc/apt/keyrings/company.asc",
            ]
            assert "signature not accepted" in verdicts["package:lab-extra-01"]["reason"]
        else:
            assert versions(verdicts) == {"lab-extra-01": expected}
    project.statectl("apply", "--yes", expect=0)
    assert host.sh("lab-extra-01") == "extra"


def test_what_a_planned_repository_makes_impossible_is_refused(lab_host, project_for):
    """A removal, a downgrade and a missing name are refused in the plan, as behind any other repository."""
    host, project = lab_host, project_for([lab_host])
    host.sh(BUILD)
    host.sh("apt-get install -qq -y lab-tool-02 lab-tool-01")
    verdicts = plan(project, host, states(MADE, "    packages: [lab-away]\n"))
    assert verdicts["package:lab-away"]["verdict"] == "refused"
    assert "it would also remove lab-tool-02" in verdicts["package:lab-away"]["reason"]
    assert versions(plan(project, host, states(MADE, "    packages: {lab-away: present, lab-tool-02: absent}\n"))) == {
        "lab-away": "1.0",
        "lab-tool-02": "change",
    }
    verdicts = plan(project, host, states(MADE, "    packages: [lab-nowhere]\n"))
    assert verdicts["package:lab-nowhere"]["verdict"] == "refused"
    verdicts = plan(project, host, states(MADE, '    packages: {lab-many: "3.*"}\n'))
    assert "the repositories have 2.0, 1.5, 1.0" in verdicts["package:lab-many"]["reason"]
    # and one that goes takes its packages with it
    project.write("states/it.yml", states(MADE, "    packages: [lab-many]\n"))
    project.commit("made")
    project.statectl("apply", "--yes", expect=0)
    host.sh("apt-get purge -qq -y lab-many")
    verdicts = plan(project, host, states("      made: absent\n", "    packages: [lab-many]\n"))
    assert verdicts["package:lab-many"]["verdict"] == "refused"


@pytest.mark.parametrize(
    ("uri", "why"),
    [
        ("http://127.0.0.1:9/none", "repository not reachable"),
        ("http://nowhere.invalid/none", "repository name does not resolve"),
        ("file:/srv/nothing", "repository has no such index"),
    ],
)
def test_one_that_does_not_answer_is_unknown(lab_host, project_for, uri, why):
    """Nobody can tell what its packages come to, and the reason is said; what is right already is known all the same."""
    host, project = lab_host, project_for([lab_host])
    host.sh("apt-get install -qq -y lab-tool-05")
    text = states(
        f'      none: {{uris: ["{uri}"], suites: [lab], components: [main]}}\n',
        "    packages: [lab-tool-05, lab-tool-06]\n",
    )
    verdicts = plan(project, host, text)
    assert "package:lab-tool-05" not in verdicts  # ok
    assert verdicts["package:lab-tool-06"]["verdict"] == "unknown"
    assert verdicts["package:lab-tool-06"]["unknown_until"] == ["package_repository:none"]
    assert why in verdicts["package:lab-tool-06"]["reason"]


@pytest.mark.parametrize("manager", ["dnf", "zypper"])
def test_rpm_repositories(lab_hosts, project_for, manager):
    """dnf and zypper look at a planned repository in directories of their own."""
    (host,) = lab_hosts(1, "rpm")
    host.sh("rm -f /etc/yum.repos.d/*.repo /etc/zypp/repos.d/*.repo; mkdir -p /etc/yum.repos.d /etc/zypp/repos.d")
    # zypper gives every machine on which it runs for the first time a random id, in /var/lib/zypp
    host.sh("zypper --non-interactive search --installed-only lab-alpha; ls /var/lib/zypp/AnonymousUniqueId")
    project = project_for([host])
    one = f"allow_unsigned: true, gpgcheck: false, manager: {manager}"
    packages = (
        f'    packages: {{lab-alpha: {{manager: {manager}}}, lab-gamma: {{version: "1.0-1", manager: {manager}}}}}\n'
    )
    none = states(f'      none: {{baseurl: ["file:///srv/none"], {one}}}\n', packages)
    verdicts = plan(project, host, none)
    assert {entry["verdict"] for address, entry in verdicts.items() if address.startswith("package:")} == {"unknown"}
    assert "cannot be looked at: repository none" in verdicts["package:lab-alpha"]["reason"]
    text = states(f'      made: {{baseurl: ["file:///srv/lab/rpm"], {one}}}\n', packages)
    assert versions(plan(project, host, text)) == {"lab-alpha": "1.1-1", "lab-gamma": "1.0-1"}
    project.statectl("apply", "--yes", expect=0)
    assert host.sh("cat /usr/share/lab-alpha/version /usr/share/lab-gamma/version").split() == ["1.1-1", "1.0-1"]
    project.statectl("plan", "--detailed-exitcode", expect=0)
