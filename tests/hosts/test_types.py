"""Every resource type keeps the same promises on real hosts.

One host per suite lives through the stages below with all cases at once; then each case is judged on its own:

    plan     names every resource, and changes nothing on the host
    apply    testinfra sees what was declared; a second plan is empty
    broken   by hand: drift names it (exit 2); apply heals it
    absent   declared away: gone
    pruned   declaration deleted: an orphan is shown and kept; with --prune the policy holds
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest
from type_cases import CASES, DEBIAN, Case, Check

from statectl.project.types import resource_types
from tests.lab import HostPool, LabHost
from tests.lab.looking import look
from tests.lab.project import LabProject, Said
from tests.lab.snapshot import moved, written

KEEP = "associations:\n  kit-keep:\n    targets: all\n    files: {/etc/kit-keep.conf: {content: kept}}\n"
SUITES = (*DEBIAN, "rpm")


@dataclass
class Story:
    """What happened to one host: what the command said at each stage, and what was wrong with each case."""

    said: dict[str, Said] = field(default_factory=dict)
    wrong: dict[tuple[str, str], str] = field(default_factory=dict)  # (case, stage) -> why
    written_by_plan: list[str] = field(default_factory=list)

    def named(self, stage: str) -> set[str]:
        return addresses(self.said[stage].json)


def addresses(document: Any) -> set[str]:
    """Every address that a JSON document of plan or drift names."""
    if isinstance(document, Mapping):
        here = {document["address"]} if isinstance(document.get("address"), str) else set()
        return here.union(*(addresses(value) for value in document.values()))
    if isinstance(document, list):
        return set().union(*(addresses(item) for item in document))
    return set()


def live(host: LabHost, project: LabProject, cases: list[Case]) -> Story:
    """All stages, in order. A stage that goes wrong is noted and the next one still runs."""
    story = Story()

    def judge(stage: str, check_of: Any) -> None:
        seen = look(host)
        for case in cases:
            check: Check = check_of(case)
            try:
                failed = [what for what, holds in check(seen).items() if not holds]
            except (AssertionError, RuntimeError, IndexError) as error:  # testinfra's answer to what is not there
                failed = [str(error)[:300]]
            if failed:
                story.wrong[case.name, stage] = "not so: " + "; ".join(failed)

    def named(stage: str, wanted: Any) -> None:
        there = story.named(stage) if story.said[stage].code in (0, 2) else set()
        for case in cases:
            lacking = [address for address in wanted(case) if address not in there]
            if lacking:
                story.wrong[case.name, stage] = f"not named: {', '.join(lacking)}"

    def run(stage: str, *argv: str) -> Said:
        story.said[stage] = project.statectl(*argv)
        return story.said[stage]

    def declare(body_of: Any, message: str) -> None:
        for case in cases:
            project.write(f"states/{case.name}.yml", case.yaml(body_of(case)))
        project.commit(message)

    for case in cases:
        if case.prepare:
            host.sh(case.prepare)
        for path, text in case.project.items():
            project.write(f"states/{path}", text)
    project.write("states/keep.yml", KEEP)
    declare(lambda case: case.body, "declare")

    before = written(host)
    run("plan", "plan", "-o", "json")
    after = written(host)
    story.written_by_plan = moved(before, after)
    named("plan", lambda case: case.addresses)

    run("apply", "apply", "--yes")
    judge("apply", lambda case: case.check)
    run("second plan", "plan", "-o", "json")

    for case in cases:
        host.sh(case.breaking, check=False)  # what cannot be broken was not there: noted above
    run("drift", "drift", "-o", "json")
    named("drift", lambda case: case.drifting)
    run("heal", "apply", "--yes")
    judge("heal", lambda case: case.check)
    run("plan after healing", "plan", "-o", "json")

    declare(lambda case: case.absent or case.body, "absent")
    run("absent", "apply", "--yes")
    judge("absent", lambda case: case.gone if case.absent else case.check)
    declare(lambda case: case.body, "again")
    run("again", "apply", "--yes")

    for case in cases:
        project.remove(f"states/{case.name}.yml")
    project.commit("delete")
    run("orphans", "plan", "-o", "json")
    named("orphans", lambda case: case.orphaned)
    judge("orphans", lambda case: case.check)
    run("prune", "apply", "--prune", "--yes")
    judge("prune", lambda case: case.pruned)
    run("plan after prune", "plan", "-o", "json")
    return story


@pytest.fixture(scope="module")
def stories(host_pool: HostPool, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """The story of a suite's host, lived when it is first asked for."""
    lived: dict[str, Story | Exception] = {}
    taken: list[LabHost] = []

    def of(suite: str) -> Story:
        if suite not in lived:
            (host,) = host_pool.take(1, suite)
            taken.append(host)
            project = LabProject(tmp_path_factory.mktemp(f"kit-{suite}"), [host])
            try:
                lived[suite] = live(host, project, [case for case in CASES if suite in case.suites])
            except Exception as error:  # noqa: BLE001  raised again for every test of this suite, not lived again
                lived[suite] = error
        story = lived[suite]
        if isinstance(story, Exception):
            raise story
        return story

    yield of
    host_pool.give_back(taken)


@pytest.mark.parametrize(
    ("suite", "case"),
    [
        pytest.param(suite, case, id=f"{suite}-{case.name}")
        for suite in SUITES
        for case in CASES
        if suite in case.suites
    ],
)
def test_planned_applied_broken_healed_removed(stories, suite, case):
    """One case through all stages: see the head of this file."""
    story = stories(suite)
    wrong = [f"{stage}: {why}" for (name, stage), why in story.wrong.items() if name == case.name]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("suite", SUITES)
def test_a_plan_leaves_the_host_as_it_was(stories, suite):
    """Not one byte, mode, owner or time stamp, no process and no kernel setting."""
    assert stories(suite).written_by_plan == []


@pytest.mark.parametrize("suite", SUITES)
@pytest.mark.parametrize("stage", ["plan", "apply", "heal", "absent", "again", "prune"])
def test_every_run_succeeds(stories, suite, stage):
    """A case that fails is named with its cause here."""
    said = stories(suite).said[stage]
    assert said.code == 0, said


@pytest.mark.parametrize("suite", SUITES)
@pytest.mark.parametrize("stage", ["second plan", "plan after healing", "plan after prune"])
def test_a_plan_after_apply_is_empty(stories, suite, stage):
    """Apply, then plan: nothing left to do, or one of the two lies."""
    said = stories(suite).said[stage]
    assert said.code == 0, said
    assert not said.json["has_changes"], stories(suite).named(stage)


@pytest.mark.parametrize("suite", SUITES)
def test_drift_exits_2(stories, suite):
    """What was broken by hand is a difference, and nothing else is exit 2."""
    said = stories(suite).said["drift"]
    assert said.code == 2, said


def test_every_type_has_a_case():
    """A type without one has never been seen on a real host."""
    covered = {address.partition(":")[0] for case in CASES for address in case.addresses}
    assert {kind.name for kind in resource_types().values()} <= covered
