"""CI works from nothing: every step in a fresh clone with an empty store, the memory is on the hosts."""

import copy
import json
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.lab import LabHost
from tests.lab.places import run
from tests.lab.project import LabProject

WEB = """\
associations:
  web:
    targets: all
    files:
      /etc/ci-made.conf: {content: "made on {{ host.name }}\\n"}
      /etc/ci-adopted.conf: {content: "ours\\n"}
"""
KEEP = "associations:\n  keep:\n    targets: all\n    files: {/etc/ci-keep.conf: {content: kept}}\n"


class Pipeline:
    """A project in git, and a new clone of it for every job: `clone()` has no store and has never met a host."""

    def __init__(self, origin: LabProject, place: Path) -> None:
        self.origin = origin
        self.place = place
        self.plan = str(place / "plan.json")
        self._clones = 0

    def clone(self, *options: str) -> LabProject:
        self._clones += 1
        fresh = copy.copy(self.origin)
        fresh.root = self.place / f"clone{self._clones}"
        run(["git", "clone", "-q", *options, f"file://{self.origin.root}", fresh.root])
        assert not (fresh.root / ".statectl").exists()
        return fresh

    def commit(self, web: str) -> None:
        self.origin.write("states/web.yml", web)
        self.origin.commit("web")


@pytest.fixture
def pipeline(
    tmp_path: Path, lab_hosts: Callable[..., list[LabHost]], project_for: Callable[..., LabProject]
) -> Pipeline:
    hosts = lab_hosts(2)
    for host in hosts:
        host.write("/etc/ci-adopted.conf", "theirs\n")
    made = Pipeline(project_for(hosts), tmp_path)
    made.origin.write("states/keep.yml", KEEP)
    made.commit(WEB)
    return made


def test_every_job_in_a_clone_of_its_own(pipeline):
    """plan, apply of that file, drift, repair and --prune give the right answers although no two of them share a store."""
    one, two = pipeline.origin.hosts
    planned = pipeline.clone().statectl("plan", "--save", pipeline.plan, expect=0)
    assert "Nothing was changed." in planned.out
    assert f"statectl apply {pipeline.plan}" in planned.out
    assert not one.exists("/etc/ci-made.conf")

    applied = pipeline.clone().statectl("apply", pipeline.plan, expect=0)
    assert "6 changed on 2 hosts" in applied.out
    assert [host.read("/etc/ci-made.conf") for host in (one, two)] == [f"made on {h.name}\n" for h in (one, two)]
    assert one.read("/etc/ci-adopted.conf") == "ours\n"
    again = pipeline.clone().statectl("apply", pipeline.plan, expect=5)  # a clone that knows nothing: the hosts refuse
    assert "was applied here already" in again.out + again.err

    assert "No drift. 2 hosts as last applied." in pipeline.clone().statectl("drift", expect=0).out
    one.write("/etc/ci-made.conf", "by hand\n")
    drifted = pipeline.clone().statectl("drift", expect=2)
    assert "-by hand" in drifted.out
    assert f"+made on {one.name}" in drifted.out
    assert "1 host as last applied" in drifted.out
    healed = pipeline.clone().statectl("apply", "--yes", expect=0)
    assert "Run " in healed.out
    assert one.read("/etc/ci-made.conf") == f"made on {one.name}\n"

    pipeline.origin.remove("states/web.yml")
    pipeline.origin.commit("web is gone")
    kept = pipeline.clone().statectl("plan", expect=0)
    assert "? file:/etc/ci-made.conf" in kept.out
    assert "4 orphans kept" in kept.out
    pipeline.clone().statectl("apply", "--yes", "--prune", expect=0)
    for host in (one, two):
        assert not host.exists("/etc/ci-made.conf")  # made by us: removed
        assert host.read("/etc/ci-adopted.conf") == "theirs\n"  # adopted: what was there before
        assert host.read("/etc/ci-keep.conf") == "kept"
    pipeline.clone().statectl("drift", expect=0)
    last = pipeline.clone().statectl("plan", "--detailed-exitcode", expect=0)
    assert "No changes. 2 hosts already right." in last.out


def test_a_host_that_moved_is_left_alone(pipeline):
    """A host changed between plan and apply is stale: exit 5, its change is kept, and the other host is applied."""
    one, two = pipeline.origin.hosts
    pipeline.clone().statectl("plan", "--save", pipeline.plan, expect=0)
    one.write("/etc/ci-adopted.conf", "a colleague was here\n")
    clone = pipeline.clone()
    applied = clone.statectl("apply", pipeline.plan, expect=5)
    assert "changed since the plan was made: file:/etc/ci-adopted.conf" in applied.out
    assert "1 done, 1 not done (1 refused)" in applied.out
    assert one.read("/etc/ci-adopted.conf") == "a colleague was here\n"
    assert not one.exists("/etc/ci-made.conf")
    assert two.read("/etc/ci-made.conf") == f"made on {two.name}\n"
    again = clone.statectl("apply", pipeline.plan, expect=5)  # this clone's store knows that it was applied
    assert "was applied at" in again.err
    assert "[E512]" in again.err


def test_an_edited_plan_is_refused(pipeline):
    """A plan file that was edited is refused in one line, before a host is contacted."""
    pipeline.clone().statectl("plan", "--save", pipeline.plan, expect=0)
    document = json.loads(Path(pipeline.plan).read_text())
    first = next(iter(document["hosts"].values()))
    first["observed"] = dict.fromkeys(first["observed"], "0" * 64)
    Path(pipeline.plan).write_text(json.dumps(document))
    for host in pipeline.origin.hosts:
        host.cut()
    refused = pipeline.clone().statectl("apply", pipeline.plan, expect=5)
    assert refused.out == ""
    assert "was edited" in refused.err
    assert "[E513]" in refused.err
    assert refused.seconds < 5


def test_the_commit_of_the_plan_is_what_is_applied(pipeline):
    """A clone that has moved on applies the plan's commit, not its own files; one that lacks the commit refuses."""
    one, two = pipeline.origin.hosts
    pipeline.clone().statectl("plan", "--save", pipeline.plan, expect=0)
    pipeline.commit(WEB.replace("made on", "newer on"))
    lacking = pipeline.clone("--depth=1").statectl("apply", pipeline.plan, expect=5)
    assert "[E515]" in lacking.err
    before = set(Path(tempfile.gettempdir()).glob("statectl-*"))
    clone = pipeline.clone()
    clone.statectl("apply", pipeline.plan, expect=0)
    assert [host.read("/etc/ci-made.conf") for host in (one, two)] == [f"made on {h.name}\n" for h in (one, two)]
    assert set(Path(tempfile.gettempdir()).glob("statectl-*")) <= before  # nothing of the other commit is left behind
    recorded = clone.statectl("runs", "list", expect=0)
    assert "apply" in recorded.out  # in this clone's store, although the files came from elsewhere


def test_history_of_an_empty_store(pipeline):
    """History commands on an empty store say that nothing is known; none says that anything is compliant."""
    clone = pipeline.clone()
    listed = clone.statectl("runs", "list", expect=0)
    assert "No runs are recorded in this store." in listed.out
    missing = clone.statectl("runs", "show", "V7KQV7KQ", expect=64)
    assert "no run" in missing.err
    nothing = clone.statectl("compliance", expect=3)
    assert "nothing is known" in nothing.out
    clone.statectl("compliance", "--min", "1%", expect=2)
    for said in (listed, missing, nothing):
        assert "compliant" not in said.out + said.err
    document = clone.statectl("compliance", "--json", expect=3).json
    assert document["hosts_compliant"] == 0
    assert {entry["status"] for entry in document["entries"]} == {"unknown"}
