"""Rows 7.6: mistakes about parameters, through the real command. One line with the fix, the right exit code, and nothing written."""

import pytest

from tests.bad_input.loading import HEAD, write
from tests.cli.local_project import statectl
from tests.unit.parameter_stores import Place

EXPIRED = '[{"Type": "Expiration", "Version": "1.0", "Attributes": {"Timestamp": "2026-01-01T00:00:00Z"}}]'
LONG = "/" + "a" * 2047


@pytest.fixture
def ask(tmp_path):
    """`ask("get", "/a")`: the real command in a project with /a in five versions -> what it said. Nothing may have been written."""
    root = write(tmp_path / "project", {})
    (tmp_path / "home").mkdir()

    place = Place(root)
    store = place.store()
    for number in range(1, 6):
        store.put("/a", str(number), type="String", overwrite=True)

    def parameter(*argv: str, expect: int | None = None, stdin: str = ""):
        return statectl("parameter", *argv, cwd=root, home=tmp_path / "home", expect=expect, stdin=stdin)

    def asked(*argv: str, stdin: str = ""):
        before = place.audit()
        said = parameter(*argv, stdin=stdin)
        assert place.audit() == before
        assert said.out == ""
        assert len(said.err.splitlines()) <= 2
        for leak in ("Traceback", "sqlite", "NoneType", "Error(", "hunter2"):
            assert leak not in said.err
        return said

    asked.root = root
    asked.parameter = parameter
    yield asked
    place.close()


ALLOWED = "allowed: letters digits . _ -"
ROWS = [
    ("B083 two slashes", ("get", "a//b"), "", 64, f"segment 2 is empty; {ALLOWED}"),
    ("B083 two slashes when written", ("set", "a//b", "x", "--type", "String"), "", 64, f"segment 2 is empty; {ALLOWED}"),
    ("B083 slash at the end", ("set", "/a/", "x", "--type", "String"), "", 64, f"segment 2 is empty; {ALLOWED}"),
    ("B083 dots", ("set", "/a/../b", "x", "--type", "String"), "", 64, "segment 2 is .."),
    ("B083 no slash at the beginning", ("set", "a/b", "x", "--type", "String"), "", 64, "write /a/b"),
    ("B083 16 levels", ("set", "/a" * 16, "x", "--type", "String"), "", 64, "16 levels; at most 15"),
    ("B083 2,048 characters", ("set", LONG, "x", "--type", "String"), "", 64, "2,048 characters; at most 1,011"),
    ("B083 space", ("set", "/a b", "x", "--type", "String"), "", 64, ALLOWED),
    ("B083 unicode", ("set", "/é", "x", "--type", "String"), "", 64, ALLOWED),
    ("B083 reserved prefix", ("set", "/aws/x", "x", "--type", "String"), "", 64, "aws is a reserved prefix"),
    ("B083 reserved prefix in capitals", ("set", "SSM-x", "x", "--type", "String"), "", 64, "SSM is a reserved prefix"),
    ("B083 public tree", ("set", "/statectl/x", "x", "--type", "String"), "", 64, "comes with statectl"),
    ("B083 empty", ("set", "", "x", "--type", "String"), "", 64, "a name is missing"),
    ("B083 path without a slash", ("list", "a"), "", 64, "a path begins with /"),
    ("B085 to SecureString", ("set", "/a", "--type", "SecureString"), "hunter2", 5, "needs --overwrite --type"),
    ("B085 to StringList", ("set", "/a", "x", "--type", "StringList"), "", 5, "needs --overwrite --type"),
    ("B085 type that is none", ("set", "/a", "x", "--type", "Strong", "--overwrite"), "", 64, "did you mean `String`?"),
    ("B085 no type", ("set", "/new", "x"), "", 64, "is new and needs a type"),
    ("B085 no --overwrite", ("set", "/a", "x"), "", 5, "is there already (version 5): needs --overwrite"),
    ("B085 another version than expected", ("set", "/a", "x", "--expected-version", "4"), "", 5, "it has version 5, written"),
    ("B087 version 7", ("get", "/a:7"), "", 5, "version 7 does not exist (1 to 5)"),
    ("B087 version 0", ("get", "/a:0"), "", 5, "version 0 does not exist (1 to 5)"),
    ("B087 version -1", ("get", "/a:-1"), "", 5, "version -1 does not exist (1 to 5)"),
    ("B087 version 10^18", ("get", "/a:1000000000000000000"), "", 5, "version 1000000000000000000 does not exist (1 to 5)"),
    ("B087 label of version 0", ("label", "/a", "x", "--version", "0"), "", 5, "version 0 does not exist (1 to 5)"),
    ("B087 label like a version", ("label", "/a", "7"), "", 64, "does not begin with a digit: that is a version"),
    ("B087 reserved label", ("label", "/a", "aws-prod"), "", 64, "does not begin with aws or ssm"),
    ("B087 duplicate label", ("label", "/a", "x", "x"), "", 64, "'x' stands twice"),
    ("B087 label that is not there", ("get", "/a:prod"), "", 5, "no version with the label prod"),
    ("B091 policy in the past", ("set", "/b", "x", "--type", "String", "--policies", EXPIRED), "", 64, "expired 2026-01-01"),
    ("B091 expiry in the past", ("set", "/b", "x", "--type", "String", "--expires", "2026-01-01T00:00:00Z"), "", 64, "expired 2026-01-01"),
    ("B091 expiry without zone", ("set", "/b", "x", "--type", "String", "--expires", "2999-01-01T00:00:00"), "", 64, "needs a zone"),
    ("B091 policy that is none", ("set", "/b", "x", "--type", "String", "--policies", "{}"), "", 64, "expected a JSON list"),
    ("B083 empty value", ("set", "/b", "", "--type", "String"), "", 64, "the value is empty"),
    ("B083 value too long", ("set", "/b", "--type", "String"), "x" * 8193, 64, "8,193 bytes; at most 8,192"),
    ("B083 reference in a value", ("set", "/b", "{{ssm:/a}}", "--type", "String"), "", 64, "do not refer to others"),
    ("B083 wrong data type", ("set", "/b", "x1", "--type", "String", "--data-type", "integer"), "", 64, "not of data type integer"),
    ("B083 value beside its pattern", ("set", "/b", "x1", "--type", "String", "--allowed-pattern", "^y"), "", 64, "does not fit"),
    ("B083 pattern that is none", ("set", "/b", "x1", "--type", "String", "--allowed-pattern", "("), "", 64, "not a regular expression"),
    ("B083 pattern that never ends", ("set", "/b", "a" * 40 + "!", "--type", "String", "--allowed-pattern", "^(a+)+$"), "", 64, "takes over 1 s"),
    ("B083 secret as an argument", ("set", "/b", "hunter2", "--type", "SecureString"), "", 64, "everybody on this machine"),
]  # fmt: skip


@pytest.mark.parametrize(("argv", "stdin", "code", "words"), [pytest.param(*row[1:], id=row[0]) for row in ROWS])
def test_one_line(ask, argv, stdin, code, words):
    """What is wrong and what to do, without the value."""
    said = ask(*argv, stdin=stdin)
    assert said.code == code, said
    assert words in said.err, said


@pytest.mark.parametrize("_row", [pytest.param(0, id="B091 expired parameter")])
def test_expired(ask, _row, monkeypatch):
    """From its moment on it is gone, and the line says since when."""
    import datetime as dt

    soon = dt.datetime.now(dt.UTC) + dt.timedelta(seconds=2)
    ask.parameter("set", "/soon", "x", "--type", "String", "--expires", f"{soon:%Y-%m-%dT%H:%M:%SZ}", expect=0)
    while dt.datetime.now(dt.UTC) < soon:
        pass
    said = ask("get", "/soon")
    assert said.code == 5
    assert f"parameter /soon expired {soon:%Y-%m-%dT%H:%M:%SZ}" in said.err


SETTINGS = [
    ("B081 key of the parameter store", "parameters: {key: hunter2}\n", "3:19", "E108", "expected file:PATH"),
    ("B081 wrong key of the parameter store", "parameters: {acess: x}\n", "3:14", "E101", "did you mean `access`?"),
    ("B081 bound of the parameter store", "parameters: {max_versions: 1}\n", "3:28", "E108", "from 2 to 10000"),
    ("B081 vault without a key", 'parameters: {key: "vault:https://v/transit"}\n', "3:19", "E108", "MOUNT/KEY"),
]


@pytest.mark.parametrize(("text", "place", "code", "words"), [pytest.param(*row[1:], id=row[0]) for row in SETTINGS])
def test_settings(ask, text, place, code, words):
    """statectl.yml is checked as ever: place, cause, fix."""
    (ask.root / "statectl.yml").write_text(HEAD + text)
    said = ask.parameter("list")
    assert said.code == 4
    assert f"error[{code}]" in said.err
    assert f"statectl.yml:{place}" in said.err
    assert words in said.err


POLICY = [
    ("B081 policy file with a wrong key", "rulez: []\n", "1:1", "E101", "did you mean `rules`?"),
    ("B081 policy file without rules", "{}\n", "1:1", "E109", "needs `rules`"),
    ("B081 rule with a wrong key", "rules:\n  - {who: [a], may: [read], path: [/a]}\n", "2:29", "E101", "did you mean `paths`?"),
    ("B081 rule for nobody", "rules:\n  - {who: ['a b'], may: [read], paths: [/a]}\n", "2:12", "E108", "name of a user"),
    ("B081 rule without paths", "rules:\n  - {who: [a], may: [read]}\n", "2:5", "E109", "needs `paths`"),
    ("B081 rule for no path", "rules:\n  - {who: [a], may: [read], paths: ['/a//b']}\n", "2:37", "E108", "such as /web/**"),
    ("B081 policy file that is empty", "", "1:1", "E109", "needs `rules`"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "place", "code", "words"), [pytest.param(*row[1:], id=row[0]) for row in POLICY])
def test_policy_file(ask, text, place, code, words):
    """Who may do what is decided by no file that has a mistake in it."""
    (ask.root / "statectl.yml").write_text(HEAD + "parameters: {access: access.yml}\n")
    (ask.root / "access.yml").write_text(text)
    said = ask.parameter("list")
    assert said.code == 4
    assert f"error[{code}]" in said.err
    assert f"access.yml:{place}" in said.err, said
    assert words in said.err


REFERENCE = """associations:
  web:
    targets: all
    files:
      "{{ machine }}/x": {content: "{{ param('/app/db') }}"}
"""
NOBODY_READS = "rules:\n  - {who: ['*'], may: [list], paths: [/**]}\n"


@pytest.mark.parametrize("row", ["B089 reference to what is missing", "B089 reference to what may not be read"])
def test_a_reference_that_leads_nowhere(tmp_path, row):
    """Its place in the file, and the same text for both; nothing is contacted."""
    root = write(
        tmp_path / "project",
        {
            "states/web.yml": REFERENCE,
            "inventories/prod/hosts.yml": f"hosts: {{a: {{connection: local, vars: {{machine: {tmp_path}/machine}}}}}}\n",
            "access.yml": NOBODY_READS,
            **({"statectl.yml": f"{HEAD}parameters: {{access: access.yml}}\n"} if "may not" in row else {}),
        },
    )
    (tmp_path / "home").mkdir()
    if "may not" in row:
        place = Place(root)
        place.store().put("/app/db", "hunter2", type="String")
        place.close()
    said = statectl("plan", cwd=root, home=tmp_path / "home", expect=4)
    assert "states/web.yml:5:" in said.err and "parameter /app/db not found (or no permission)" in said.err
    assert said.out == "" and "hunter2" not in said.err
