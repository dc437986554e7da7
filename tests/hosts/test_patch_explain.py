"""Why a package is approved on a real host, or is not: what `patch baseline explain` says is what a scan and an install then do."""

from email.utils import formatdate

import pytest

from tests.lab.patch_repository import PatchRepository
from tests.lab.repositories import Deb

BASELINE = """patch_baselines:
  prod:
    os: debian
    default: true
    approve:
      - {{section: [security], after: 7 days, compliance: high}}
    {more}
"""


@pytest.fixture
def host_and_project(lab_hosts, project_for, tmp_path):
    """One host with version 1 of a package, whose security archive has 1.1 since now."""
    (host,) = lab_hosts(1)
    repository = PatchRepository(tmp_path)
    repository.publish("stable", Deb("lab-app", "1"))
    repository.publish("security", Deb("lab-app", "1.1"), release={"Date": formatdate(usegmt=True)})
    repository.give(host)
    host.exec(["apt-get", "install", "-y", "-q", "lab-app=1"])
    return host, project_for([host])


def test_what_is_explained_is_what_happens(host_and_project):
    """Pending by the delay, kept by a pin, rejected by its version, approved by name: told without a new look, and installed just so."""
    host, project = host_and_project

    def explained(more, expect=0):
        project.write("states/patching.yml", BASELINE.format(more=more))
        said = project.statectl("patch", "baseline", "explain", host.name, "lab-app", "--json", expect=expect).json
        (one,) = said["baselines"]
        newest = one["versions"][0]
        return newest["version"], newest["status"], newest["by"], one["states"][0]["state"]

    project.write("states/patching.yml", BASELINE.format(more=""))
    project.statectl("patch", "scan", expect=0)
    assert explained("description: x") == ("1.1", "pending", "rule 1", "AvailableSecurityUpdate")
    pin = "pins: {lab-app: {until: 2099-01-31, reason: why}}\n    approved: [lab-app]"
    assert explained(pin) == ("1.1", "pinned", "pin", "AvailableSecurityUpdate")
    rejected = "approved: [lab-app]\n    rejected: [lab-app=1.1]"
    assert explained(rejected) == ("1.1", "rejected", "rejected: lab-app=1.1", "AvailableSecurityUpdate")
    project.statectl("patch", "install", "--yes", expect=0)
    assert host.exec(["dpkg-query", "-W", "-f", "${Version}", "lab-app"]).out.strip() == "1"
    assert explained('approved: ["lab-app=1.*"]') == ("1.1", "approved", "approved: lab-app=1.*", "Missing")
    project.statectl("patch", "install", "--yes", expect=0)
    assert host.exec(["dpkg-query", "-W", "-f", "${Version}", "lab-app"]).out.strip() == "1.1"
    project.statectl("patch", "scan", expect=0)
    assert explained('approved: ["lab-app=1.*"]')[3] == "Installed"
    text = project.statectl("patch", "baseline", "explain", host.name, "lab-app", expect=0).out
    assert "states/patching.yml:7" in text
    assert "installed" in text
