"""What somebody types about patches: snapshots, override lists, one baseline, repositories that stay, on real hosts."""

from email.utils import formatdate

import pytest

from tests.lab.patch_repository import KEY, PLACE, PatchRepository
from tests.lab.repositories import Deb

BASELINE = """patch_baselines:
  at-once:
    os: debian
    default: true
    approve:
      - {section: [security], after: 0 days, compliance: high}
  nothing:
    os: debian
"""


def installed(host, name="lab-app"):
    return host.exec(["dpkg-query", "-W", "-f", "${Version}", name]).out.strip()


@pytest.fixture
def patched(lab_hosts, project_for, tmp_path):
    """`patched(count)`: hosts with version 1 of a package, and a repository of theirs."""

    def make(count=1):
        hosts = lab_hosts(count)
        repository = PatchRepository(tmp_path)
        repository.publish("stable", Deb("lab-app", "1"), Deb("lab-other", "1"))
        repository.publish("security", Deb("lab-nothing", "1"))
        for host in hosts:
            repository.give(host)
            host.exec(["apt-get", "install", "-y", "-q", "lab-app", "lab-other"])
        project = project_for(hosts)
        project.write("states/patching.yml", BASELINE)
        project.commit("baselines")
        return project, hosts, repository

    return make


def test_a_snapshot_freezes_what_is_approved(patched):
    """Who is patched in the second night gets what was approved in the first, though newer versions have come; without it, the newest."""
    project, (first, second), repository = patched(2)
    repository.publish("security", Deb("lab-app", "1.1"))
    for host in (first, second):
        repository.give(host)
    project.statectl("patch", "install", "-t", first.name, "--snapshot", "week-48", "--yes", expect=0)
    assert installed(first) == "1.1"
    today = formatdate(
        usegmt=True
    )  # an index says when it was made, which for a new archive is when its versions were there
    repository.publish("security", Deb("lab-app", "1.2"), release={"Date": today})
    for host in (first, second):
        repository.give(host)
    project.statectl("patch", "install", "-t", second.name, "--snapshot", "week-48", "--yes", expect=0)
    assert installed(second) == "1.1"
    project.statectl("patch", "install", "-t", second.name, "--yes", expect=0)
    assert installed(second) == "1.2"


def test_an_override_list_is_installed_whatever_is_approved(patched):
    """Exactly what the list names, also what no baseline approves; the host is still judged by its baseline; a bad list is told with its line."""
    project, (host,), repository = patched()
    repository.publish("security", Deb("lab-app", "1.1"), Deb("lab-app", "1.2"), Deb("lab-other", "1.1"))
    repository.give(host)
    project.write("override.yml", "patches:\n  - {id: lab-app.all, title: '1.1'}\n")
    said = project.statectl(
        "patch", "install", "--baseline", "nothing", "--override", "override.yml", "--yes", expect=0
    )
    assert "~lab-app:all 1 -> 1.1" in said.out
    assert (installed(host), installed(host, "lab-other")) == ("1.1", "1")
    report = project.statectl("patch", "report", "--baseline", "at-once", "--json").json
    assert report["entries"] == [] or report["entries"][0]["baseline"] == "at-once"
    project.write("override.yml", "patches:\n  - {name: lab-app}\n")
    wrong = project.statectl("patch", "install", "--override", "override.yml", "--yes", expect=4)
    assert "override.yml:2:5" in wrong.err
    assert installed(host) == "1.1"


def test_one_baseline_can_be_asked_for(patched):
    """--baseline judges by that one alone, and one that does not exist is told with the nearest name."""
    project, (host,), repository = patched()
    repository.publish("security", Deb("lab-app", "1.1"))
    repository.give(host)
    assert "AvailableSecurityUpdate" in project.statectl("patch", "scan", "--baseline", "nothing").out
    said = project.statectl("patch", "install", "--baseline", "nothing", "--yes", expect=0)
    assert "No changes" in said.out
    assert "did you mean `at-once`" in project.statectl("patch", "scan", "--baseline", "at-onc", expect=64).err
    project.statectl("patch", "install", "--yes", expect=0)
    assert installed(host) == "1.1"


def test_a_source_that_is_kept_becomes_a_repository_of_the_host(patched):
    """It is planned, applied and shown like any repository; what it has is missing from the next look on."""
    project, (host,), repository = patched()
    repository.publish("extra", Deb("lab-other", "3"), release={"Suite": "extra-security", "Codename": "extra"})
    source = host.read("/etc/apt/sources.list.d/patches.list")
    repository.give(host)
    host.write("/etc/apt/sources.list.d/patches.list", source)
    host.exec(["apt-get", "update", "-q"])
    project.write(
        "states/patching.yml",
        "associations:\n  base: {targets: all, patch_baseline: ours}\n"
        "patch_baselines:\n  ours:\n    os: debian\n"
        f"    sources: {{extra: {{uris: ['file:{PLACE}'], suites: [extra], components: [main], signed_by: {KEY}, kept: true}}}}\n"
        "    approve:\n      - {suite: ['*-security'], after: 0 days}\n",
    )
    plan = project.statectl("plan", expect=0).out
    assert "+ package_repository:extra" in plan
    project.statectl("apply", "--yes", expect=0)
    assert "extra" in host.read("/etc/apt/sources.list.d/extra.sources")
    assert "~lab-other:all 1 -> 3" in project.statectl("plan", expect=0).out
    assert installed(host, "lab-other") == "1"
    project.statectl("patch", "install", "--yes", expect=0)
    assert installed(host, "lab-other") == "3"


def test_what_is_kept_back_is_told_where_nothing_else_moves(patched):
    """A patch that needs what nobody approved stays away: the plan changes nothing, and says so with the reason, as the report does."""
    project, (host,), repository = patched()
    repository.publish("stable", Deb("lab-lib", "2"))
    repository.publish("security", Deb("lab-app", "1.1", fields={"Depends": "lab-lib (>= 2)"}))
    repository.give(host)
    said = project.statectl("patch", "install", "--yes", expect=0)
    assert "No changes" in said.out
    assert "lab-app:all is kept back" in said.err
    assert "lab-lib" in said.err
    assert installed(host) == "1"
    (missing,) = [
        one
        for one in project.statectl("patch", "report", "--all", "--json").json["entries"][0]["patches"]
        if one["package"] == "lab-app"
    ]
    assert missing["state"] == "Missing"
    assert missing["reason"].startswith("kept back: ")
    assert "lab-lib" in missing["reason"]
