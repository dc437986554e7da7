"""Rolling back patches on real hosts: packages go back to the recorded versions, what cannot go back is said, and the baseline is pinned."""

import hashlib
import json
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from statectl.store.patch_indexes import KeptFile
from statectl.store.store import Store
from tests.lab import LabHost
from tests.lab.patch_repository import PatchRepository
from tests.lab.project import LabProject
from tests.lab.repositories import Deb

STATES = """\
patch_baselines:
  lab:
    os: debian
    reboot: never
    approve:
      - {{section: ["*"], after: 0 days, compliance: high, include_non_security: true}}
{pins}associations:
  patched:
    targets: all
    patch_baseline: lab
"""


@pytest.fixture
def repository(tmp_path: Path) -> PatchRepository:
    return PatchRepository(tmp_path)


def versions(host: LabHost) -> dict[str, str]:
    shown = host.sh("dpkg-query -W -f '${Package} ${Version} ${db:Status-Status}\\n' 'lab-*' 2>/dev/null || true")
    return {line.split()[0]: line.split()[1] for line in shown.splitlines() if line.endswith(" installed")}


@pytest.fixture
def patched(
    lab_host: LabHost, repository: PatchRepository, project_for: Callable[..., LabProject]
) -> tuple[LabProject, LabHost, str]:
    """(project, host, run): lab-app and the library that it needs were installed at 1.0; the run made them 2.0 and brought lab-fresh."""
    repository.publish(
        "stable", Deb("lab-app", "1.0", {"Depends": "lab-lib (= 1.0)"}), Deb("lab-lib", "1.0"), Deb("lab-other", "1.0")
    )
    repository.give(lab_host)
    lab_host.exec(["apt-get", "install", "-y", "-q", "lab-app", "lab-other"])
    repository.publish(
        "security", Deb("lab-app", "2.0", {"Depends": "lab-lib (= 2.0), lab-fresh"}), Deb("lab-lib", "2.0"), Deb("lab-fresh", "1.0"), Deb("lab-other", "1.1"),
    )  # fmt: skip
    repository.give(lab_host)
    project = project_for([lab_host])
    project.write("states/patches.yml", STATES.format(pins=""))
    said = project.statectl("patch", "install", "--yes", "--json", expect=0)
    assert versions(lab_host) == {"lab-app": "2.0", "lab-lib": "2.0", "lab-fresh": "1.0", "lab-other": "1.1"}, said
    return project, lab_host, said.json["run"]


def test_packages_go_back_and_a_pin_keeps_them(patched: tuple[LabProject, LabHost, str]) -> None:
    """Back together to what was recorded, the new package stays; recorded as a run that takes back another; the pin that is printed holds."""
    project, host, run = patched
    asked = project.statectl("rollback", run, expect=5)
    assert "lab-app:all 2.0 -> 1.0" in asked.out, asked
    assert "--yes" in asked.err and versions(host)["lab-app"] == "2.0"

    said = project.statectl("rollback", run, "--yes", expect=0)

    assert versions(host) == {"lab-app": "1.0", "lab-lib": "1.0", "lab-fresh": "1.0", "lab-other": "1.0"}, said
    assert "lab-fresh 1.0 was new with run" in said.out + said.err, said
    changes = project.statectl("patch", "history", host.name, "--json", expect=0).json["changes"]
    back = {one["package"]: (one["before"], one["after"]) for one in changes if one["rolls_back"] == run}
    assert back == {"lab-app": ("2.0", "1.0"), "lab-lib": ("2.0", "1.0"), "lab-other": ("1.1", "1.0")}
    listed = project.statectl("runs", "list", expect=0).out
    assert f"rolls back {run}" in listed
    entries = project.statectl("compliance", "--json", expect=0).json["entries"]
    assert "unknown" not in [one["status"] for one in entries], "the association that names the baseline was read too"
    (entry,) = [one for one in entries if one["baseline"]]
    assert entry["status"] == "pending", "the baseline still approves what was taken back"

    printed = said.out[said.out.index("    pins:") :]
    pins = yaml.safe_load(printed)["pins"]
    assert pins["lab-app"]["version"] == "1.0"
    project.write("states/patches.yml", STATES.format(pins=printed))
    project.statectl("validate", expect=0)
    again = project.statectl("patch", "install", "--yes", "--json", expect=0)
    assert versions(host)["lab-app"] == "1.0", again
    (entry,) = [one for one in project.statectl("compliance", "--json", expect=0).json["entries"] if one["baseline"]]
    assert entry["status"] == "exempt", entry
    assert {one["address"] for one in entry["deviations"] if one["status"] == "exempt"} == {
        "patch:lab-app",
        "patch:lab-lib",
        "patch:lab-other",
    }


def test_second_rollback_has_nothing_to_do_and_the_first_can_be_taken_back(
    patched: tuple[LabProject, LabHost, str],
) -> None:
    """What is back stays back; and the rollback itself is a run that a rollback takes forward again."""
    project, host, run = patched
    first = project.statectl("rollback", run, "--yes", "--json", expect=0).json
    second = project.statectl("rollback", run, "--yes", "--json", expect=0).json
    assert not second["plan"]["has_changes"], json.dumps(second["plan"]["hosts"])
    assert "[E538]" in project.statectl("apply", first["plan"]["id"], expect=5).err
    project.statectl("rollback", first["run"], "--yes", expect=0)
    assert versions(host)["lab-app"] == "2.0"
    moved = project.statectl("rollback", run, "--package", "lab-none", expect=64)
    assert "installed no package 'lab-none'" in moved.err


def test_version_that_is_gone_is_said_and_the_rest_goes_back(
    patched: tuple[LabProject, LabHost, str], repository: PatchRepository
) -> None:
    """Where no archive has an old version any more, the plan says so; what needs it stays with it, the others go back."""
    project, host, run = patched
    repository.replace("stable", Deb("lab-app", "0.9"))
    repository.give(host)
    host.sh("apt-get clean")

    said = project.statectl("rollback", run, "--yes")

    assert versions(host) == {"lab-app": "2.0", "lab-lib": "2.0", "lab-fresh": "1.0", "lab-other": "1.0"}, said
    kept = [line for line in said.out.splitlines() if "kept back" in line]
    assert any("lab-app" in line for line in kept) and any("lab-lib" in line for line in kept), said


def test_version_that_is_gone_comes_from_the_package_cache(
    patched: tuple[LabProject, LabHost, str], repository: PatchRepository
) -> None:
    """A version that no archive has any more and that was kept here is delivered and installed."""
    project, host, run = patched
    (kept,) = repository.top.glob("pool/stable/lab-other_1.0_*.deb")
    content = kept.read_bytes()
    repository.replace("stable", Deb("lab-other", "0.9"))
    repository.give(host)
    host.sh("apt-get clean")
    gone = project.statectl("rollback", run, "--package", "lab-other", "--yes", "--json", expect=0).json
    assert not gone["plan"]["has_changes"] and versions(host)["lab-other"] == "1.1"

    settings = project.root / "statectl.yml"
    index = f"patching: {{cache: kept, indexes: [{{name: lab, uri: 'file:{repository.top}', suites: [lab], components: [main], signed_by: '{repository.key}'}}]}}\n"
    settings.write_text(settings.read_text() + index)
    digest = hashlib.sha256(content).hexdigest()
    project.write(f"kept/{digest[:2]}/.gitkeep", "")
    (project.root / "kept" / digest[:2] / digest).write_bytes(content)
    store = Store.open("sqlite:.statectl/state.db", project.root)
    now = "2026-11-24T00:00:00Z"
    store.patches.files.add(KeptFile(digest, "lab-other", "all", "1.0", "Lab Patches:lab", len(content), now, now))
    store.close()

    said = project.statectl("rollback", run, "--package", "lab-other", "--yes", expect=0)

    assert versions(host) == {"lab-app": "2.0", "lab-lib": "2.0", "lab-fresh": "1.0", "lab-other": "1.0"}, said


def test_upgrade_by_hand_is_found_and_a_scan_without_news_costs_no_list(
    patched: tuple[LabProject, LabHost, str],
) -> None:
    """Two scans alike share one list; what somebody did with apt in between is told as found outside, with the moments around it."""
    project, host, _ = patched
    for _ in range(2):
        project.statectl("patch", "scan", expect=0)
    assert project.statectl("patch", "history", "--package", "lab-other", "--json", expect=0).json["total"] == 1
    with sqlite3.connect(project.root / ".statectl" / "state.db") as store:
        lists = [row[0] for row in store.execute("SELECT list FROM patch_operations ORDER BY sequence DESC LIMIT 2")]
    assert lists[0] == lists[1]

    host.exec(["apt-get", "install", "-y", "-q", "--allow-downgrades", "lab-other=1.0"])
    project.statectl("patch", "scan", expect=0)

    newest = project.statectl("patch", "history", "--json", expect=0).json["changes"][0]
    assert (newest["package"], newest["before"], newest["after"]) == ("lab-other", "1.1", "1.0")
    assert (newest["by"], newest["outcome"]) == ("outside statectl", "found")
    assert newest["since"] <= newest["at"]


def test_what_cannot_be_rolled_back(patched: tuple[LabProject, LabHost, str]) -> None:
    """A run that is not there, one that installed nothing, and hosts that it did not touch: each is told as that."""
    project, _, run = patched
    assert "no run 'NOPE'" in project.statectl("rollback", "NOPE", expect=64).err
    scan = project.statectl("patch", "scan", "--json")
    listed = project.statectl("runs", "list", "--json", expect=0).json["runs"]
    other = next(one["id"] for one in listed if one["id"] != run)
    assert "[E536]" in project.statectl("rollback", other, expect=5).err, scan
