"""Declared parameters against a store: what a crash leaves, what others write meanwhile, and what is remembered."""

import pytest

from statectl.errors import Refused
from statectl.parameters.declared import DeclaredParameters, Wanted
from statectl.parameters.placed import Ledger
from statectl.secrets import Secret
from tests.unit.parameter_stores import Place


def wanted(value, name="/app/x", kind="String", **more) -> Wanted:
    return Wanted(name, kind, value, more, "", "states/a.yml", 3)


@pytest.fixture
def place(tmp_path):
    return Place(tmp_path)


class Project:
    """What one run of a project sees."""

    def __init__(self, place, *declared, **scope) -> None:
        self.database = place.database()
        self.store = place.store()
        self.ledger = Ledger(self.database, "demo")
        self.declared = DeclaredParameters(self.store, self.ledger, declared, **scope)

    def plan(self) -> list[tuple[str, str, str]]:
        return [(one.name, one.action, one.kind) for one in self.declared.compared().standings]

    def drift(self) -> list[tuple[str, str]]:
        return [(one.name, one.action) for one in self.declared.drifted().standings]

    def apply(self) -> list[str]:
        told = [self.declared.put(one, run_id="R1", why="test") for one in self.declared.compared().standings]
        self.declared.adopt("R1")
        return [entry["outcome"] for entry in told]


def test_killed_between_the_row_and_the_put_is_no_drift(place, monkeypatch):
    """The row says version 1 and nothing is there: the next plan puts it, as intended, and drift blames nobody."""
    project = Project(place, wanted("a"))

    def killed(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(project.store, "put_many", killed)
    with pytest.raises(KeyboardInterrupt):
        project.apply()
    project = Project(place, wanted("a"))
    assert project.plan() == [("/app/x", "add", "intended")]
    assert project.drift() == []
    assert project.apply() == ["changed"]
    assert project.ledger.all()["/app/x"].made
    assert Project(place, wanted("a")).plan() == []


def test_killed_between_the_put_and_the_row_keeps_who_made_it(place, monkeypatch):
    """Right already, made by us: a later prune deletes it."""
    project = Project(place, wanted("a"))
    remember, calls = project.ledger.remember, []

    def once(one):
        calls.append(one)
        if len(calls) > 1:
            raise KeyboardInterrupt
        remember(one)

    monkeypatch.setattr(project.ledger, "remember", once)
    with pytest.raises(KeyboardInterrupt):
        project.apply()
    project = Project(place, wanted("a"))
    assert project.plan() == [] and project.drift() == []
    project = Project(place, prune=True)
    assert project.plan() == [("/app/x", "remove", "")]
    assert project.apply() == ["changed"]
    with pytest.raises(Refused):
        project.store.get("/app/x")


def test_a_write_between_plan_and_put_is_not_overwritten(place):
    """What was planned for one version is not put over another one."""
    project = Project(place, wanted("a"))
    project.apply()
    project = Project(place, wanted("b"))
    (standing,) = project.declared.compared().standings
    project.store.put("/app/x", "by hand", overwrite=True)
    entry = project.declared.put(standing, run_id="R2", why="test")
    assert entry["outcome"] == "failed" and "expected version 1" in entry["error"]["message"]
    assert project.store.get("/app/x").value == "by hand"
    assert project.ledger.all()["/app/x"].version == 1  # what was put last, so that drift can say what it was
    assert Project(place, wanted("b")).plan() == [("/app/x", "change", "corrective")]


def test_deleted_and_made_anew_is_seen_although_the_number_is_the_same(place):
    """Version 1 of another life is not the version 1 that was put."""
    Project(place, wanted("a")).apply()
    place.clock.on(minutes=1)
    other = Project(place)
    other.store.delete("/app/x")
    other.store.put("/app/x", "b", type="String")
    project = Project(place, wanted("a"))
    assert project.drift() == [("/app/x", "change")]
    assert project.plan() == [("/app/x", "change", "corrective")]


def test_what_expired_is_put_anew(place):
    """An expired parameter is not there."""
    soon = [{"Type": "Expiration", "Version": "1.0", "Attributes": {"Timestamp": "2026-06-02T00:00:00.000Z"}}]
    Project(place, wanted("a", policies=soon)).apply()
    place.clock.on(days=2)
    assert Project(place, wanted("a")).plan() == [("/app/x", "add", "corrective")]
    assert Project(place, wanted("a")).apply() == ["changed"]


def test_secrets_are_compared_and_never_shown(place):
    """The same value is no change; another one is told as secret; one that cannot be decrypted is refused."""
    Project(place, wanted(Secret("one"), kind="SecureString")).apply()
    assert Project(place, wanted(Secret("one"), kind="SecureString")).plan() == []
    (standing,) = Project(place, wanted(Secret("two"), kind="SecureString")).declared.compared().standings
    assert standing.changes == [{"field": "value", "secret": True}]
    (place.root / ".statectl/parameters.key").unlink()
    (standing,) = Project(place, wanted(Secret("one"), kind="SecureString")).declared.compared().standings
    assert (standing.verdict, standing.action) == ("refused", "none") and standing.reason


def test_a_text_that_becomes_a_secret_is_not_shown_either(place):
    """Neither the old value nor the new one stands in a change of type."""
    Project(place, wanted("hunter2")).apply()
    (standing,) = Project(place, wanted(Secret("hunter2"), kind="SecureString")).declared.compared().standings
    assert "hunter2" not in str(standing.changes)
    assert [change["field"] for change in standing.changes] == ["type", "value"]
    assert Project(place, wanted(Secret("hunter2"), kind="SecureString")).apply() == ["changed"]
    assert Project(place, wanted(Secret("hunter2"), kind="SecureString")).plan() == []


def test_tags_are_kept_in_order_where_they_are_declared(place):
    """Changed, added and removed tags are changes; without `tags` they are nobody's business."""
    Project(place, wanted("a", tags={"team": "web", "old": "x"})).apply()
    project = Project(place, wanted("a", tags={"team": "db"}))
    assert project.plan() == [("/app/x", "change", "intended")]
    assert project.apply() == ["changed"]
    assert Project(place, wanted("a", tags={"team": "db"})).plan() == []
    assert Project(place, wanted("a")).plan() == []
    described = project.store.describe("/").parameters
    assert [dict(one.tags) for one in described] == [{"team": "db"}]


def test_two_projects_do_not_prune_each_other(place):
    """What another project declared is no orphan here."""
    Project(place, wanted("a")).apply()
    other = Project(place, prune=True)
    other.declared = DeclaredParameters(other.store, Ledger(other.database, "other"), (), prune=True)
    assert other.plan() == []
