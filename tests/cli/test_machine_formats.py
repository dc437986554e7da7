"""What programs read: JSON that its own schema accepts, JSON lines, JUnit; stdout is the result and nothing else."""

import json
from xml.etree import ElementTree as ET

import pytest
from jsonschema import Draft202012Validator

from statectl.cli.formats.junit import plan_junit
from tests.cli.plans import compress, fleet

ADDRESSES = 8  # of the example


@pytest.fixture
def schema(project):
    def of(name: str) -> Draft202012Validator:
        document = project.statectl("schema", name, expect=0).json
        Draft202012Validator.check_schema(document)
        return Draft202012Validator(document)

    return of


def test_json_of_plan_drift_and_compliance(project, schema):
    """-o json on stdout is one document of the published schema, at every stage of a project's life."""
    plans, compliance = schema("plan"), schema("compliance")
    planned = project.statectl("plan", "--json", expect=0).json
    plans.validate(planned)
    assert planned["format"] == "statectl.plan/1.0"
    assert planned["summary"]["add"] == ADDRESSES
    applied = project.statectl("apply", "--yes", "-o", "json", expect=0).json
    assert applied["format"] == "statectl.results/1.0"
    plans.validate(applied["plan"])
    (host,) = applied["hosts"].values()
    assert [entry["outcome"] for entry in host["results"]] == ["changed"] * ADDRESSES
    (project.machine / "etc/app.conf").write_text("by hand\n")
    drifted = project.statectl("drift", "--json", expect=2).json
    plans.validate(drifted)
    assert [entry["kind"] for entry in drifted["hosts"]["localhost"]["verdicts"]] == ["corrective"]
    judged = project.statectl("compliance", "--json", expect=0).json
    compliance.validate(judged)
    assert judged["format"] == "statectl.compliance/1.1"
    assert (judged["hosts_total"], judged["hosts_compliant"]) == (1, 0)


def test_several_formats_at_once(project, tmp_path):
    """-o FORMAT=FILE is repeatable; text still goes to stdout, and two formats for stdout are refused before anything is done."""
    files = {name: tmp_path / f"out.{name}" for name in ("json", "jsonl", "md", "junit")}
    said = project.statectl(
        "plan", *(word for name, path in files.items() for word in ("-o", f"{name}={path}")), expect=0
    )
    assert "8 changes on 1 host" in said.out
    plan = json.loads(files["json"].read_text())
    lines = [json.loads(line) for line in files["jsonl"].read_text().splitlines()]
    assert [line["type"] for line in lines] == ["host", "plan"]
    assert lines[1]["id"] == plan["id"]
    assert files["md"].read_text().startswith("<!-- statectl:plan:demo -->")
    suite = ET.parse(files["junit"]).getroot().find("testsuite[@name='app']")
    assert (suite.get("tests"), suite.get("failures")) == ("8", "8")
    project.statectl("plan", "-o", "json", "-o", "md", expect=64)
    project.statectl("plan", "-o", f"json={tmp_path}/nosuch/x", expect=64)


def test_other_documents_have_names(project):
    """Every JSON document says its format, so that a reader can refuse what it does not know."""
    project.statectl("apply", "--yes", expect=0)
    for argv, name in (
        (("validate", "--json"), "statectl.problems/1.0"),
        (("inventory", "list", "--json"), "statectl.inventory/1.0"),
        (("runs", "list", "--json"), "statectl.runs/1.0"),
        (("config", "show", "--json"), "statectl.config/1.0"),
    ):
        assert project.statectl(*argv, expect=0).json["format"] == name
    run = project.statectl("runs", "list", "--json").json["runs"][0]
    shown = project.statectl("runs", "show", run["id"], "--json", expect=0).json
    assert (shown["format"], shown["id"]) == ("statectl.run/1.0", run["id"])


def test_stdout_is_json_whatever_goes_wrong(project):
    """With --json stdout is a document or empty: errors, progress and warnings go to stderr."""
    project.states(
        'associations: {a: {targets: all, files: {"{{ machine }}/bad": {content: x, validate: "false %s"}}}}\n'
    )
    project.machine.mkdir()
    failed = project.statectl("apply", "--yes", "--json", "-vvv", expect=1)
    assert failed.json["outcome"] == "failed"
    assert "message" in failed.err
    project.write("states/only.yml", "a: b: c\n")
    assert project.statectl("plan", "--json", expect=4).out == ""
    assert project.statectl("validate", "--json", expect=4).json["valid"] is False


def test_junit_of_a_fleet():
    """Suites are associations, cases are addresses, folded hosts stand in the text, and hosts that were not read are errors."""
    root = ET.fromstring(plan_junit(fleet(), compress))
    suites = {suite.get("name"): suite for suite in root}
    assert list(suites) == ["web", "base", "hosts"]
    case = suites["web"].find("testcase[@name='file:/etc/nginx/nginx.conf']/failure")
    assert "web[01-35]: change" in case.text
    assert "web36: change" in case.text
    errors = {
        case.get("name"): case.find("error").get("type") for case in suites["hosts"] if case.find("error") is not None
    }
    assert errors == {"db03": "unreachable", "new1": "refused"}
    assert suites["hosts"].get("errors") == "2"
