"""Parameters that the files declare are desired state like any other, and templates see them; through the real command on this machine."""

import json
from contextlib import contextmanager

import pytest

from statectl.cli.opening import open_settings, open_store
from statectl.cli.opening_parameters import parameters_in
from statectl.errors import Refused
from statectl.secrets import Secret
from tests.cli.local_project import LocalProject

STATES = """parameters:
  /app/size: 10
  /app/hosts: [a, b]
associations:
  app:
    targets: all
    parameters:
      /app/motto: {value: hello, description: what it says}
    directories: {"{{ machine }}": {}}
    files:
      "{{ machine }}/app.conf": {content: "{{ param('/app/size') }} {{ param('/app/motto') }} {{ param('/app/hosts') | join('+') }}\\n"}
"""
SECRET = """parameters:
  /app/key: {type: SecureString, value_from: "env:APP_KEY"}
associations:
  app:
    targets: all
    directories: {"{{ machine }}": {}}
    files: {"{{ machine }}/key": {content: "key={{ secret('/app/key') }}\\n", mode: 0600}}
"""


@pytest.fixture
def declared(project) -> LocalProject:
    project.states(STATES)
    return project


@contextmanager
def parameters(project):
    """The project's parameter store, as somebody else uses it."""
    root, settings = open_settings({"directory": str(project.root)})
    store = open_store(root, settings)
    try:
        yield parameters_in(store.database, root, settings)
    finally:
        store.close()


def value_of(project, name: str):
    with parameters(project) as store:
        return store.get(name).value


def addresses(document) -> dict[str, tuple[str, str, str]]:
    """{address: (verdict, action, kind)} of the parameter store in a plan."""
    host = document["hosts"].get("(parameters)", {"verdicts": ()})
    return {one["address"]: (one["verdict"], one["action"], one["kind"]) for one in host["verdicts"]}


def test_a_plan_shows_what_would_be_put_and_apply_puts_it_first(declared):
    """Templates see the planned values; a plan puts nothing; after the apply nothing is left to do."""
    planned = declared.statectl("plan", "--detailed-exitcode", expect=2)
    assert "+ parameter:/app/size" in planned.out and "+10 hello a+b" in planned.out
    assert "only.yml:2" in planned.out
    with parameters(declared) as store, pytest.raises(Refused, match="not found"):
        store.get("/app/size")
    applied = declared.statectl("apply", "--yes", "--json", expect=0).json
    entries = applied["hosts"]["(parameters)"]["results"]
    assert {one["address"]: one["outcome"] for one in entries} == dict.fromkeys(
        ("parameter:/app/size", "parameter:/app/hosts", "parameter:/app/motto"), "changed"
    )
    assert next(iter(applied["hosts"])) == "(parameters)"
    assert (declared.machine / "app.conf").read_text() == "10 hello a+b\n"
    again = declared.statectl("plan", "--detailed-exitcode", expect=0)
    assert "No changes. 1 host already right." in again.out
    with parameters(declared) as store:
        found = store.get("/app/motto")
    assert (found.value, found.description, found.version) == ("hello", "what it says", 1)
    assert found.why.startswith("declared by the project") and "at states/only.yml:8 (run " in found.why


def test_an_edit_is_a_change_and_makes_one_version(declared):
    """A field that the files do not say is left as it is."""
    declared.statectl("apply", "--yes", expect=0)
    with parameters(declared) as store:
        store.put("/app/size", "10", data_type="integer", overwrite=True)
    declared.states(STATES.replace("size: 10", "size: 11"))
    document = declared.statectl("plan", "--json", expect=0).json
    assert addresses(document) == {"parameter:/app/size": ("change", "change", "corrective")}
    declared.statectl("apply", "--yes", expect=0)
    with parameters(declared) as store:
        found = store.get("/app/size")
    assert (found.value, found.version, found.data_type) == ("11", 3, "integer")
    assert (declared.machine / "app.conf").read_text().startswith("11 ")


def test_drift_shows_what_somebody_changed_by_hand_and_apply_heals_it(declared):
    """Changed, deleted, and deleted and made anew with the same number of versions; what is the same again is no drift."""
    declared.statectl("apply", "--yes", expect=0)
    assert declared.statectl("drift", expect=0).out.startswith("No drift.")
    with parameters(declared) as store:
        store.put("/app/size", "99", overwrite=True)
        store.delete("/app/motto")
    drifted = declared.statectl("drift", "--json", expect=2).json
    assert addresses(drifted) == {
        "parameter:/app/size": ("change", "change", "corrective"),
        "parameter:/app/motto": ("change", "add", "corrective"),
    }
    assert "value: 99 to 10" in declared.statectl("drift", expect=2).out
    assert "/app/size" in declared.statectl("compliance", "-v").out
    declared.statectl("apply", "--yes", expect=0)
    assert value_of(declared, "/app/size") == "10" and value_of(declared, "/app/motto") == "hello"
    assert declared.statectl("drift", expect=0).out.startswith("No drift.")
    with parameters(declared) as store:
        store.put("/app/size", "10", overwrite=True)
    assert declared.statectl("drift", expect=0).out.startswith("No drift.")


def test_what_is_no_longer_declared_is_kept_until_prune(declared):
    """Prune deletes what the project made, puts back what it took over, and release only forgets."""
    with parameters(declared) as store:
        store.put("/app/size", "before", type="String")
    declared.statectl("apply", "--yes", expect=0)
    declared.states(
        STATES.replace("  /app/size: 10\n  /app/hosts: [a, b]\n", "  /app/other: x\n").replace(
            "{{ param('/app/size') }} {{ param('/app/motto') }} {{ param('/app/hosts') | join('+') }}", "x"
        )
    )
    kept = declared.statectl("plan", "--json", expect=0).json
    assert addresses(kept)["parameter:/app/size"] == ("orphan", "none", "")
    declared.statectl("apply", "--yes", expect=0)
    assert value_of(declared, "/app/hosts") == "a,b"
    declared.statectl("apply", "--yes", "--prune", expect=0)
    assert value_of(declared, "/app/size") == "before"
    with parameters(declared) as store, pytest.raises(Refused, match="not found"):
        store.get("/app/hosts")
    assert addresses(declared.statectl("plan", "--json", expect=0).json) == {}
    declared.states("associations: {}\n")
    declared.statectl("apply", "--yes", "--release")
    assert value_of(declared, "/app/other") == "x"
    assert addresses(declared.statectl("plan", "--json", "--prune").json) == {}


def test_declared_absent_is_deleted(declared):
    """state: absent removes it whoever made it, and drift tells when it is back."""
    with parameters(declared) as store:
        store.put("/app/old", "x", type="String")
    declared.states("parameters: {/app/old: {state: absent}}\nassociations: {}\n")
    assert addresses(declared.statectl("plan", "--json", expect=0).json) == {
        "parameter:/app/old": ("change", "remove", "intended")
    }
    declared.statectl("apply", "--yes", expect=0)
    with parameters(declared) as store, pytest.raises(Refused, match="not found"):
        store.get("/app/old")
    with parameters(declared) as store:
        store.put("/app/old", "x", type="String")
    assert addresses(declared.statectl("drift", "--json", expect=2).json)["parameter:/app/old"][1] == "remove"


def test_removals_stay_within_their_limit(declared):
    """limits.max_removals holds for parameters as well, and refuses the whole."""
    declared.statectl("apply", "--yes", expect=0)
    settings = (declared.root / "statectl.yml").read_text()
    declared.write("statectl.yml", settings.replace("limits:", "limits:\n  max_removals: 1", 1))
    declared.states("associations: {}\n")
    said = declared.statectl("apply", "--yes", "--prune", expect=1)
    assert "limits.max_removals is 1" in said.out + said.err
    assert value_of(declared, "/app/size") == "10"


def test_a_secret_reaches_only_its_file(project):
    """Its value is in no output, no store and no other file of the project; another value is a change that is not shown."""
    project.states(SECRET)
    canary, other = "canary-4711-key", "canary-4712-key"
    shown = [project.statectl("plan", env={"APP_KEY": canary}, expect=0)]
    shown += [project.statectl("apply", "--yes", "-vvv", env={"APP_KEY": canary}, expect=0)]
    key = project.machine / "key"
    assert key.read_text() == f"key={canary}\n" and key.stat().st_mode & 0o777 == 0o600
    assert not project.statectl("plan", "--json", env={"APP_KEY": canary}, expect=0).json["has_changes"]
    changed = project.statectl("plan", "--json", env={"APP_KEY": other}, expect=0)
    assert addresses(changed.json) == {"parameter:/app/key": ("change", "change", "intended")}
    shown += [changed, project.statectl("apply", "--yes", "--json", env={"APP_KEY": other}, expect=0)]
    shown += [project.statectl("drift", "-o", form) for form in ("text", "json", "jsonl", "md", "junit")]
    for said in shown:
        assert "canary" not in said.out + said.err, said
    for path in project.root.rglob("*"):
        if path.is_file() and path != key:
            assert b"canary" not in path.read_bytes(), path


def test_a_check_for_drift_needs_no_secret(project):
    """Where values come from is asked by plan and apply alone; what somebody did to a secret is seen without it."""
    project.states(SECRET)
    project.statectl("apply", "--yes", env={"APP_KEY": "canary-one"}, expect=0)
    assert project.statectl("drift", expect=0).out.startswith("No drift.")
    assert project.statectl("plan", expect=4).err.startswith("error[E167]")
    with parameters(project) as store:
        store.put("/app/key", Secret("canary-two"), overwrite=True)
    drifted = project.statectl("drift", "--json", expect=2)
    assert addresses(drifted.json) == {"parameter:/app/key": ("change", "change", "corrective")}
    assert "canary" not in drifted.out


def test_what_cannot_be_had_is_told_with_its_place(project):
    """Nothing is contacted, nothing put: exit 4, the place, and what to do."""
    project.states(
        SECRET.replace("env:APP_KEY", "cmd:/bin/echo x") + "    vars: {size: \"{{ param('/app/size') }}\"}\n"
    )
    said = project.statectl("plan", expect=4)
    assert "E167" in said.err and "only.yml:2:" in said.err and "trusted_projects" in said.err
    project.states(STATES.replace("  /app/size: 10\n", ""))
    said = project.statectl("plan", expect=4)
    assert "E610" in said.err and "parameter /app/size not found (or no permission)" in said.err
    assert "only.yml:10:" in said.err
    project.states(SECRET.replace("secret(", "param("))
    said = project.statectl("plan", env={"APP_KEY": "canary-x"}, expect=4)
    assert "E210" in said.err and "write secret('/app/key')" in said.err and "canary" not in said.err
    project.statectl("validate", expect=0)


def test_a_saved_plan_is_applied_with_the_versions_it_was_made_with(declared):
    """A parameter that templates read moved since: the plan's version is used. One that the plan puts moved: stale, exit 5."""
    with parameters(declared) as store:
        store.put("/read", "one", type="String")
    declared.states(STATES.replace("{{ param('/app/size') }} ", "{{ param('/read') }} "))
    declared.statectl("plan", "--save", str(declared.root / ".statectl/p.json"), expect=0)
    document = json.loads((declared.root / ".statectl/p.json").read_text())
    assert document["parameters"] == {"/app/hosts": "planned", "/app/motto": "planned", "/read": 1}
    assert document["hosts"]["localhost"]["parameters"] == ["/app/hosts", "/app/motto", "/read"]
    with parameters(declared) as store:
        store.put("/read", "two", overwrite=True)
    declared.statectl("apply", str(declared.root / ".statectl/p.json"), expect=0)
    assert (declared.machine / "app.conf").read_text().startswith("one ")
    declared.states(STATES.replace("size: 10", "size: 12"))
    declared.statectl("plan", "--save", str(declared.root / ".statectl/q.json"), expect=0)
    with parameters(declared) as store:
        store.put("/app/size", "13", overwrite=True)
    said = declared.statectl("apply", str(declared.root / ".statectl/q.json"), expect=5)
    assert "stale: parameter:/app/size was written since" in said.out + said.err
    assert value_of(declared, "/app/size") == "13" and (declared.machine / "app.conf").read_text().startswith("one ")


def test_no_host_begins_when_a_parameter_cannot_be_put(project):
    """The key is gone: the secret cannot be written, the hosts are left alone, and the run says so."""
    project.states(SECRET)
    project.statectl("apply", "--yes", env={"APP_KEY": "one"}, expect=0)
    (project.root / ".statectl/parameters.key").unlink()
    project.states(SECRET.replace('/key"', '/key2"'))
    said = project.statectl("apply", "--yes", env={"APP_KEY": "two"})
    assert said.code == 1 and not (project.machine / "key2").exists(), said


def test_scope_chooses_parameters_too(declared):
    """Named associations put their own and the project's; --only names addresses."""
    declared.states(STATES + "  other:\n    targets: all\n    parameters: {/other: x}\n")
    only = declared.statectl("plan", "--json", "--only", "parameter:/app/size", expect=0).json
    assert addresses(only) == {"parameter:/app/size": ("change", "add", "intended")}
    named = declared.statectl("plan", "other", "--json", expect=0).json
    assert sorted(addresses(named)) == ["parameter:/app/hosts", "parameter:/app/size", "parameter:/other"]


def test_values_out_of_scope_need_not_be_there(project):
    """A run of one association does not fail for the secret of another, which its own run asks for."""
    owned = "  other:\n    targets: all\n    parameters: {/x: {type: SecureString, value_from: 'env:NOT_SET'}}\n"
    project.states(STATES + owned)
    project.statectl("apply", "app", "--yes", expect=0)
    assert "NOT_SET is not set" in project.statectl("plan", "other", expect=4).err


def test_an_association_that_audits_puts_nothing(declared):
    """Its parameters are shown and left alone; templates see what is stored."""
    with parameters(declared) as store:
        store.put("/app/motto", "stored", type="String")
    declared.states(STATES.replace("    targets: all\n", "    targets: all\n    mode: audit\n"))
    declared.statectl("apply", "--yes", expect=0)
    assert value_of(declared, "/app/motto") == "stored"
    document = declared.statectl("plan", "--json", expect=0).json
    assert addresses(document)["parameter:/app/motto"] == ("change", "change", "intended")


def test_what_was_put_is_in_the_history_in_every_form(declared):
    """runs show, results in JSON lines, JUnit and Markdown name each parameter."""
    said = declared.statectl(
        "apply",
        "--yes",
        "-o",
        "jsonl",
        "-o",
        f"junit={declared.root}/j.xml",
        "-o",
        f"md={declared.root}/m.md",
        expect=0,
    )
    for text in (said.out, (declared.root / "j.xml").read_text()):
        assert "parameter:/app/size" in text
    runs = declared.statectl("runs", "list", "--json", expect=0).json["runs"]
    run = next(one["id"] for one in runs if one["verb"] == "apply")
    assert "parameter:/app/size" in declared.statectl("runs", "show", run, expect=0).out
    followed = declared.statectl("runs", "follow", run)
    assert "parameter:/app/size" in followed.out + followed.err


def test_users_of_a_parameter_and_what_is_deployed(declared):
    """Which associations need it where, and with which version each host's files were made; behind when it moved since."""
    with parameters(declared) as store:
        store.put("/read", "one", type="String")
    states = STATES.replace("{{ param('/app/size') }} ", "{{ param('/app/size') }} {{ param('/read') }} ")
    declared.states(
        states.replace("targets: all", "targets: not facts.os.family=nothing")
    )  # chosen by facts of the last contact
    declared.statectl("apply", "--yes", expect=0)
    with parameters(declared) as store:
        store.put("/read", "two", overwrite=True)
    told = declared.statectl("parameter", "users", "/read", "--json", expect=0).json
    assert (told["latest"], told["users"]) == (2, [{"association": "app", "selector": "/read", "hosts": ["localhost"]}])
    assert [(one["host"], one["version"]) for one in told["deployed"]] == [("localhost", 1)]
    said = declared.statectl("parameter", "users", "/read", expect=0).out
    assert "needed by  app  on 1 host  localhost" in said and "deployed   v1 (behind)  localhost" in said
    declared.statectl("apply", "--yes", expect=0)
    assert "(behind)" not in declared.statectl("parameter", "users", "/read", expect=0).out
    own = declared.statectl("parameter", "users", "/app/size", "--json", expect=0).json
    assert [(one["host"], one["version"]) for one in own["deployed"]] == [("localhost", 1)]
    page = declared.statectl("inventory", "show", "localhost", "--json", expect=0).json["hosts"]["localhost"]
    assert page["parameters"] == {"/app/hosts": 1, "/app/motto": 1, "/app/size": 1, "/read": 2}
    assert "no association needs it" in declared.statectl("parameter", "users", "/other", expect=0).out
