"""Since when: what drift and compliance say of how long something has been as it is."""

import sqlite3


def drifted(project) -> None:
    project.statectl("apply", "--yes", expect=0)
    (project.machine / "etc/app.conf").write_text("by hand\n")


def test_drift_says_since_when(project):
    """The first drift check says that it is new; later ones when it was first seen, how long ago, and in JSON by address."""
    drifted(project)
    first = project.statectl("drift", expect=2)
    assert "(drifted, first seen now)" in first.out
    store = sqlite3.connect(project.root / ".statectl/state.db")
    with store:
        moved = store.execute("UPDATE current_states SET since = '2026-01-02T03:04:05Z' WHERE status = 'drifted'")
        assert moved.rowcount == 1
    store.close()
    again = project.statectl("drift", expect=2)
    assert "days ago: 2026-01-02T03:04:05Z)" in again.out
    document = project.statectl("drift", "--json", expect=2).json
    (address,) = [one["address"] for one in document["hosts"]["localhost"]["verdicts"]]
    assert document["hosts"]["localhost"]["since"] == {address: "2026-01-02T03:04:05Z"}
    judged = project.statectl("compliance", expect=0)
    assert "since 2026-01-02T03:04:05Z, " in judged.out


def test_an_empty_store_knows_no_since(project):
    """A clone without a store still finds the drift, and claims no age for it."""
    drifted(project)
    project.statectl("drift", expect=2)
    (project.root / ".statectl/state.db").unlink()
    for left in project.root.glob(".statectl/state.db-*"):
        left.unlink()
    assert "(drifted, first seen now)" in project.statectl("drift", expect=2).out


def test_compliance_shows_its_history(project):
    """--history: with its denominator after each run that read hosts, newest first, and what had changed; --limit says what it leaves out."""
    drifted(project)
    project.statectl("drift", expect=2)
    project.statectl("apply", "--yes", expect=0)
    lines = project.statectl("compliance", "--history", expect=0).out.splitlines()
    assert lines[0].startswith("1 of 1 host compliant; from stored results, the oldest read ")
    assert lines[1] == "History, newest first, 3 runs that read hosts:"
    assert [line.split("  ")[2] for line in lines[2:] if not line.startswith("      ")] == [
        "1 of 1 host compliant",
        "0 of 1 host compliant, 1 drifted",
        "1 of 1 host compliant",
    ]
    assert lines[3].strip().startswith("✔ compliant app")
    assert lines[3].endswith("localhost  (was drifted)")
    document = project.statectl("compliance", "--history", "--limit", "2", "--json", expect=0).json
    assert [moment["verb"] for moment in document["history"]] == ["apply", "drift"]
    assert [change["after"] for change in document["history"][1]["changes"]] == ["drifted"]
    assert project.statectl("compliance", "--json", expect=0).json["history"] is None
    assert "2 earlier runs" in project.statectl("compliance", "--history", "--limit", "1", expect=0).out
