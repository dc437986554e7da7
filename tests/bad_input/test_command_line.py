"""Rows 7.5: mistakes on the command line. One or two lines, the place, the fix, the right exit code; nothing contacted, nothing written."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.bad_input.loading import HEAD, write
from tests.cli.local_project import Said, environment, statectl

ROOT_SEES_ALL = pytest.mark.skipif(os.geteuid() == 0, reason="root reads every file")
STATES = "associations: {web: {targets: all, files: {/x/y: {content: '{{ text }}'}}, vars: {text: x}}}\n"
HOSTS = "hosts: {'web[01-03]': {tags: {env: prod}}, db01: {address: 127.0.0.1, port: 1}}\n"
FILES: dict[str, str | bytes] = {"states/a.yml": STATES, "inventories/prod/hosts.yml": HOSTS}


@pytest.fixture
def ask(tmp_path):
    """`ask("plan", "-t", "x")`: the real command in a small project -> what it said. Nothing may have been written."""
    root = write(tmp_path / "project", FILES)
    (tmp_path / "home").mkdir()

    def asked(*argv: str | bytes, **options) -> Said:
        before = sorted(path for path in root.rglob("*"))
        said = statectl(*argv, cwd=options.pop("cwd", root), home=tmp_path / "home", **options)
        assert [path for path in sorted(root.rglob("*")) if ".statectl" not in path.parts] == before
        assert not (root / ".statectl" / "hosts").exists()
        for leak in ("Traceback", "yaml.", "pydantic", "<class", "NoneType", "Error(", "errno"):
            assert leak not in said.err
        return said

    return asked


def answered(said: Said, code: int, *words: str) -> None:
    """Exit code, an empty stdout, and on stderr every word."""
    assert said.code == code, said
    assert said.out == ""
    for word in words:
        assert word in said.err, said


USAGE = [
    ("B071 unknown command", ("frobnicate",), "no command 'frobnicate'; statectl --help lists them"),
    ("B071 near miss of a command", ("aply",), "did you mean 'apply'?"),
    ("B071 near miss in upper case", ("Plan",), "did you mean 'plan'?"),
    ("B071 prefix of a command", ("val",), "no command 'val'"),
    ("B071 near miss of a subcommand", ("inventory", "lst"), "lst"),
    ("B071 unknown option", ("plan", "--frobnicate"), "no such option '--frobnicate'"),
    ("B071 near miss of an option", ("plan", "--prun"), "--prune"),
    ("B071 unknown short option", ("plan", "-Z"), "-Z"),
    ("B071 option before the command", ("--prune", "plan"), "--prune"),
    ("B071 option without its value", ("plan", "-t"), "requires an argument"),
    ("B071 value of the wrong type", ("plan", "--timeout", "soon"), "--timeout"),
    ("B071 value out of range", ("plan", "--timeout", "0"), "--timeout"),
    ("B071 argument missing", ("inventory", "show"), "HOST"),
    ("B071 one argument too many", ("doctor", "web01", "web02"), "web02"),
    ("B071 unknown output format", ("plan", "-o", "xml"), "one of text, json, jsonl, md, junit"),
    ("B071 batch that is none", ("apply", "--batch", "1,,2"), "for example 1,10%,100%"),
    ("B071 concurrency of none", ("plan", "--max-concurrency", "0"), "a number from 1"),
    ("B071 more than all", ("apply", "--max-errors", "101%"), "0% to 100%"),
    ("B071 floor that is no percentage", ("compliance", "--min", "much"), "0% to 100%"),
    ("B071 file descriptor that is none", ("plan", "--password-fd", "-1"), "--password-fd"),
    ("B071 file descriptor that is not open", ("plan", "--password-fd", "77"), "file descriptor 77"),
    ("B071 prune and release", ("plan", "--prune", "--release"), "give one of them"),
    ("B071 address that is none", ("plan", "--only", "motd"), "an address is type:name"),
    ("B071 run of nothing", ("run", "-t", "web01"), "give a command behind --"),
    ("B071 environment that is none", ("run", "--env", "a", "--", "id"), "expected NAME=VALUE"),
    ("B071 unknown run", ("runs", "show", "NOSUCH"), "no run 'NOSUCH'"),
    ("B071 unknown host", ("inventory", "show", "web1"), "did you mean `web01`?"),
    ("B071 unknown code", ("explain", "E999"), "E999"),
    ("B071 plan file that is not there", ("apply", "nosuch.json"), "no such file"),
    ("B071 plan file that is a directory", ("apply", "states/"), "is a directory"),
    ("B071 plan file that is not JSON", ("apply", "./states/a.yml"), "is not JSON"),
    ("B075 no value", ("plan", "--set", "a"), "expected NAME=VALUE"),
    ("B075 no name", ("plan", "--set", "=a"), "expected NAME=VALUE"),
    ("B075 name that is none", ("plan", "--set", "a-b=1"), "expected NAME=VALUE"),
    ("B075 file that is not there", ("plan", "--set", "@missing.yml"), "missing.yml"),
    ("B075 file that is a list", ("plan", "--set", "@list.yml"), "expected a map"),
    ("B075 broken JSON", ("plan", "--set", "a={bad json"), "column 1"),
    ("B075 broken list", ("plan", "--set", "a=[1, 2"), "column 1"),
    ("B075 leading zero", ("plan", "--set", "a=0123"), "quote it"),
    ("B075 number of 5,000 digits", ("plan", "--set", "a=" + "9" * 5000), "number too long"),
]


@pytest.mark.parametrize(("argv", "words"), [pytest.param(*row[1:], id=row[0]) for row in USAGE])
def test_usage(ask, tmp_path, argv, words):
    """What is wrong, in one line, the fix, and exit 64: never click's 2, which reads as drift."""
    (tmp_path / "project" / "list.yml").write_text("- a\n")
    said = ask(*argv)
    answered(said, 64, words)
    assert said.err.startswith("error: ")
    lines = said.err.splitlines()
    assert len(lines) <= 2
    assert all(line.startswith("  hint: ") for line in lines[1:])


TARGETS = [
    ("B073 bracket not closed", "web[01", 'pattern "[01" is not closed (at column 4)'),
    ("B073 class not closed in a pattern", "[a", 'pattern "[a" is not closed (at column 1)'),
    ("B073 range backwards", "web[09-01]", "a range begins with its smaller end (at column 5)"),
    ("B073 range of too many", "web[1-999999999]", "100,000"),
    ("B073 parenthesis not closed", "(web01 or db01", "( is not closed (at column 1)"),
    ("B073 operator without a right side", "web01 and", "(at column "),
    ("B073 two words", "web01 db01", "expected `and`, `or` or `,` here (at column 7)"),
    ("B073 unknown group", "group:wbe", "unknown group"),
    ("B073 unknown host, near one", "web1", "did you mean `web01`?"),
    ("B073 nobody has this tag", "env=nosuch", "no host"),
    ("B073 nothing, as of an empty variable", "", "target"),
    ("B073 blanks", "  ", "target"),
    ("B073 regular expression", "~web.*", "regular expressions are not read in targets (at column 1)"),
    ("B073 shell", "$(id)", "(at column 1)"),
]


@pytest.mark.parametrize(("target", "words"), [pytest.param(*row[1:], id=row[0]) for row in TARGETS])
def test_target(ask, target, words):
    """A target that cannot be read, or is nobody, is exit 4 with its place; --allow-empty is only for the latter."""
    said = ask("plan", "-t", target)
    answered(said, 4, words)
    assert said.err.startswith("error[E15")
    assert ask("plan", "-t", target, "--allow-empty").code == (0 if target == "env=nosuch" else 4)


@pytest.mark.parametrize("near", [pytest.param("aply", id="B071 answer within 0.3 s")])
def test_at_once(tmp_path, near):
    """A typing mistake is answered before one has looked up: the processor needs less than 0.3 s for it."""
    best = 9.0
    for _ in range(3):
        before = os.times()
        subprocess.run(
            [sys.executable, "-m", "statectl", near], env=environment(tmp_path), capture_output=True, check=False
        )
        after = os.times()
        best = min(best, after.children_user + after.children_system - before.children_user - before.children_system)
    assert best < 0.3


@pytest.mark.parametrize(
    ("argv", "code", "words"),
    [
        pytest.param(("plan",), "E107", "no statectl.yml here", id="B077 no project"),
        pytest.param(
            ("-C", "nosuch", "plan"), "E107", "no such directory: nosuch", id="B077 directory that is not there"
        ),
        pytest.param(("-C", "file", "plan"), "E107", "no such directory: file", id="B077 directory that is a file"),
        pytest.param(("runs", "list"), "E107", "no statectl.yml here", id="B077 history outside of a project"),
        pytest.param(("inventory", "list"), "E107", "no statectl.yml here", id="B077 inventory outside of a project"),
        pytest.param(("config", "show"), "E107", "no statectl.yml here", id="B077 settings outside of a project"),
    ],
)
def test_no_project(tmp_path, argv, code, words):
    """Outside of a project: one error that says what was looked for and how to make one; exit 4."""
    (tmp_path / "work" / ".git").mkdir(parents=True)
    (tmp_path / "work" / "file").touch()
    said = statectl(*argv, cwd=tmp_path / "work", home=tmp_path)
    answered(said, 4, f"error[{code}]", words)
    if "no such" not in words:
        assert "statectl init" in said.err


@pytest.mark.parametrize(
    "argv",
    [
        pytest.param(("plan",), id="B077 plan in a world-writable project"),
        pytest.param(("validate",), id="B077 validate in a world-writable project"),
        pytest.param(("run", "--", "id"), id="B077 run in a world-writable project"),
        pytest.param(("inventory", "list"), id="B077 inventory of a world-writable project"),
        pytest.param(("runs", "list"), id="B077 history of a world-writable project"),
    ],
)
def test_world_writable(ask, tmp_path, argv):
    """What everybody can write decides nothing: refused, with the command that mends it."""
    (tmp_path / "project").chmod(0o777)
    said = ask(*argv)
    assert said.code == 4
    text = said.out + said.err
    assert "error[E107]" in text
    assert "writable for everybody; refused" in text
    assert "chmod o-w" in text


STRANGE = [
    ("newline", "a\nb", "\\n"),
    ("escape", "\x1b[31mred\x1b]0;x\x07", "\\x1b"),
    ("C1", "\x9b31m", "\\x9b"),
    ("bidi override", "\u202egnp", "\\u202e"),
    ("invalid UTF-8", b"a\xff\xfeb", "\\udcff"),
    ("128 KiB", "x" * 131_000, "..."),
]
PLACES = [
    ("command", lambda word: (word,)),
    ("option", lambda word: (b"--" + word if isinstance(word, bytes) else "--" + word, "plan")),
    ("association", lambda word: ("plan", word)),
    ("target", lambda word: ("plan", "-t", word)),
    ("address", lambda word: ("plan", "--only", word)),
    ("variable", lambda word: ("plan", "--set", word)),
    ("inventory", lambda word: ("plan", "-i", word)),
    ("directory", lambda word: ("-C", word, "plan")),
    ("plan file", lambda word: ("apply", b"./" + word if isinstance(word, bytes) else "./" + word)),
    ("format", lambda word: ("plan", "-o", word)),
    ("host", lambda word: ("inventory", "show", word)),
    ("run", lambda word: ("runs", "show", word)),
    ("explanation", lambda word: ("explain", word)),
    ("number", lambda word: ("plan", "--max-concurrency", word)),
    ("percentage", lambda word: ("compliance", "--min", word)),
]


@pytest.mark.parametrize(
    ("argv_of", "word", "escaped"),
    [
        pytest.param(argv_of, word, escaped, id=f"B079 {name} as {place}")
        for place, argv_of in PLACES
        for name, word, escaped in STRANGE
    ],
)
def test_strange_arguments(ask, argv_of, word, escaped):
    """Whatever an argument is, the answer is short, printable and not a crash; the argument is shown escaped."""
    said = ask(*argv_of(word))
    assert said.code in (4, 64), said
    assert said.out == ""
    assert len(said.err) < 2000
    assert said.err.replace("\n", "").isprintable()
    assert escaped in said.err


def broken_settings(root: Path, kind: str) -> str:
    """Break statectl.yml -> what the answer must say."""
    file = root / "statectl.yml"
    if kind == "no permission":
        file.chmod(0)
        return "E123"
    if kind == "a directory":
        file.unlink()
        file.mkdir()
        return "E123"
    texts = {
        "wrong key": (HEAD + "inventry: x\n", "statectl.yml:3:1"),
        "wrong type": (HEAD + "connection: ssh\n", "statectl.yml:3:13"),
        "not YAML": ("a: b: c\n", "statectl.yml:1:5"),
        "empty": ("", "statectl.yml:1:1"),
    }
    text, place = texts[kind]
    file.write_text(text)
    return place


@pytest.mark.parametrize(
    "argv", [("plan",), ("validate",), ("config", "show"), ("runs", "list"), ("inventory", "list")], ids=" ".join
)
@pytest.mark.parametrize(
    "kind",
    [
        pytest.param("wrong key", id="B081 wrong key"),
        pytest.param("wrong type", id="B081 wrong type"),
        pytest.param("not YAML", id="B081 not YAML"),
        pytest.param("empty", id="B081 empty"),
        pytest.param("a directory", id="B081 unreadable"),
        pytest.param("no permission", id="no permission", marks=ROOT_SEES_ALL),
    ],
)
def test_settings(tmp_path, kind, argv):
    """Broken settings are told as states are, by every command that reads them: file, line, column, exit 4."""
    root = write(tmp_path / "project", FILES)
    words = broken_settings(root, kind)
    said = statectl(*argv, cwd=root, home=tmp_path)
    assert said.code == 4, said
    assert words in said.out + said.err
    assert not (root / ".statectl").exists()


@pytest.mark.parametrize("json_too", [pytest.param(True, id="B081 as JSON")])
def test_settings_as_json(tmp_path, json_too):
    """validate --json names the place of broken settings in fields of their own."""
    root = write(tmp_path / "project", FILES)
    broken_settings(root, "wrong key")
    said = statectl("validate", "--json", cwd=root, home=tmp_path, expect=4)
    (problem,) = json.loads(said.out)["problems"]
    assert (problem["code"], problem["file"], problem["line"], problem["column"]) == ("E101", "statectl.yml", 3, 1)


def test_a_whole_command_line_of_mistakes_is_quick(ask):
    """The first mistake of a command line is told without reading the project: the time of --help."""
    began = time.process_time()
    answered(ask("plan", "-t", "((((", "-o", "xml"), 64, "output format not known")
    assert time.process_time() - began < 5
