"""Problems are shown the same way at every width: the place, the line, a caret that points, and the fix; nothing that steers
a terminal, and no secret."""

import io

import pytest

from statectl.cli.formats.problems import HIDDEN, Sources, all_as_json, as_json, line_of, print_problems, render
from statectl.cli.formats.terminal import Screen
from statectl.problems import Note, Problem, Span

FILE = """\
associations:
  web:
    targets: all
    files:
      /etc/motd:
        templete: nginx.conf.j2
    description: this is a rather long line that goes on and on, so that a narrow screen cannot show all of it at once, key
"""
TYPO = Problem(
    "E101",
    "unknown key `templete` in a file",
    Span("states/web.yml", 6, 9, 6, 17),
    "did you mean `template`?",
    replacement="template",
)
LONG = Problem(
    "E108",
    "`description`: a message that is long enough to be wrapped on a narrow screen, which happens",
    Span("states/web.yml", 7, 121, 7, 124),
    hint="and a hint that is long as well, so that it needs more than one line on a narrow screen",
    notes=(Note("first here", Span("states/web.yml", 3, 5)),),
)
BLIND = Problem("W101", "environment variable STATECTL_STOER is not known", hint="did you mean STATECTL_STORE?")


@pytest.fixture
def root(tmp_path):
    (tmp_path / "states").mkdir()
    (tmp_path / "states" / "web.yml").write_text(FILE)
    return tmp_path


GOLDEN = {
    60: """\
error[E101]: unknown key `templete` in a file
  ┌ states/web.yml:6:9
 6│         templete: nginx.conf.j2
  │         ^^^^^^^^ did you mean `template`?
  = fix: statectl validate --fix
error[E108]: `description`: a message that is long enough to
  be wrapped on a narrow screen, which happens
  ┌ states/web.yml:7:121
 7│ …that a narrow screen cannot show all of it at once, key
  │                                                      ^^^
  = and a hint that is long as well, so that it needs more
    than one line on a narrow screen
  = first here: states/web.yml:3:5
warning[W101]: environment variable STATECTL_STOER is not
  known
  = did you mean STATECTL_STORE?
""",
    80: """\
error[E101]: unknown key `templete` in a file
  ┌ states/web.yml:6:9
 6│         templete: nginx.conf.j2
  │         ^^^^^^^^ did you mean `template`?  fix: statectl validate --fix
error[E108]: `description`: a message that is long enough to be wrapped on a
  narrow screen, which happens
  ┌ states/web.yml:7:121
 7│ … goes on and on, so that a narrow screen cannot show all of it at once, key
  │                                                                          ^^^
  = and a hint that is long as well, so that it needs more than one line on a
    narrow screen
  = first here: states/web.yml:3:5
warning[W101]: environment variable STATECTL_STOER is not known
  = did you mean STATECTL_STORE?
""",
    120: """\
error[E101]: unknown key `templete` in a file
  ┌ states/web.yml:6:9
 6│         templete: nginx.conf.j2
  │         ^^^^^^^^ did you mean `template`?          fix: statectl validate --fix
error[E108]: `description`: a message that is long enough to be wrapped on a narrow screen, which happens
  ┌ states/web.yml:7:121
 7│ …ription: this is a rather long line that goes on and on, so that a narrow screen cannot show all of it at once, key
  │                                                                                                                  ^^^
  = and a hint that is long as well, so that it needs more than one line on a narrow screen
  = first here: states/web.yml:3:5
warning[W101]: environment variable STATECTL_STOER is not known
  = did you mean STATECTL_STORE?
""",
}


@pytest.mark.parametrize("width", GOLDEN)
def test_golden(root, width):
    """The output at 60, 80 and 120 columns, to the character; no line is wider than the screen."""
    text = render([TYPO, LONG, BLIND], root=root, on=Screen(width=width))
    assert text == GOLDEN[width]
    assert max(map(len, text.splitlines())) <= width


def test_ascii(root):
    """Without UTF-8 every character is ASCII."""
    text = render([TYPO, LONG], root=root, on=Screen(width=60, unicode=False))
    assert text.isascii()
    assert "  --> states/web.yml:6:9\n 6|         templete: nginx.conf.j2\n  |         ^^^^^^^^ did you mean" in text


def test_colour_repeats_meaning(root):
    """Without its colours the coloured text is the plain one."""
    import re

    coloured = render([TYPO, LONG, BLIND], root=root, on=Screen(width=80, colour=True))
    assert "\x1b[31merror[E101]\x1b[0m" in coloured
    assert re.sub(r"\x1b\[[0-9]*m", "", coloured) == GOLDEN[80]


def test_nothing_steers_the_terminal(root):
    """Escapes, C1, bidi and zero-width characters of a source line or a key are made visible; the caret stays under its place."""
    (root / "states" / "web.yml").write_text("a\x1b]52;c\x07: \u202e\u200bb\x9b31m: c\tX\n")
    problem = Problem(
        "E101", "unknown key `a\x1b[31m\nerror: x` in a file\r", Span("states/web.yml", 1, 22, 1, 23), "b\x1b[0m"
    )
    text = render([problem], root=root, on=Screen(width=80))
    assert not [character for character in text if character != "\n" and not character.isprintable()]
    lines = text.splitlines()
    assert lines[2].index("X") == lines[3].index("^")
    assert "\n" not in line_of(problem)


def test_wide_characters(root):
    """The caret counts columns of the terminal, not characters."""
    (root / "states" / "web.yml").write_text("漢字: x\n")
    text = render([Problem("E108", "x", Span("states/web.yml", 1, 5, 1, 6))], root=root, on=Screen(width=80))
    assert text.splitlines()[3].index("^") == len(" 1│ ") + 6


@pytest.mark.parametrize(
    ("line", "column"),
    [
        ("password: hunter2", 11),
        ("db_password: 'hunter2' # hunter2x", 14),
        ("x: {api_key: hunter2, uid: abc}", 23),
        ("  tls_token: [hunter2]", 3),
    ],
)
def test_secrets_of_source_lines(root, line, column):
    """The value behind a key that names a secret is not shown, and the caret still points at what it is about."""
    (root / "states" / "web.yml").write_text(line + "\n")
    text = render(
        [Problem("E108", "x", Span("states/web.yml", 1, column, 1, column + 3))], root=root, on=Screen(width=80)
    )
    shown, caret = text.splitlines()[2:4]
    assert "hunter2" not in text.replace("hunter2x", "")
    assert HIDDEN in shown
    if "uid" in line:
        assert shown[caret.index("^") :].startswith("uid")


def test_secret_text_blocks(root):
    """A line of a text block below a key that names a secret is not shown; an expression is no secret."""
    (root / "states" / "web.yml").write_text("private_key: |\n  -----BEGIN\n  hunter2 {{\nsecret: '{{ a b }}'\n")
    problems = [
        Problem("E202", "x", Span("states/web.yml", 3, 11, 3, 13)),
        Problem("E202", "x", Span("states/web.yml", 4, 10, 4, 17)),
    ]
    text = render(problems, root=root, on=Screen(width=80))
    assert "hunter2" not in text
    assert "{{ a b }}" in text


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("files: {/etc/x: {content: 'hunter2 {{ a b }}', sensitive: true}}\n", 1),
        ("/etc/x: {sensitive: true, content: hunter2 {{ a b }}, mode: 0600}\n", 1),
        ("/etc/x:\n  sensitive: true\n  mode: 0600\n  content: hunter2 {{ a b }}\n", 4),
        ("/etc/x:\n  content: |\n    hunter2\n    {{ a b }} hunter2\n  sensitive: true\n", 4),
    ],
)
def test_content_of_what_is_sensitive(root, text, line):
    """A content that stands in the file is not shown when its resource is sensitive, in errors and behind a failure."""
    (root / "states" / "web.yml").write_text(text)
    shown = render([Problem("E202", "x", Span("states/web.yml", line, 8, line, 9))], root=root, on=Screen(width=80))
    assert "hunter2" not in shown
    assert HIDDEN in shown
    assert "hunter2" not in Sources(root).harmless("states/web.yml", line)
    (root / "states" / "web.yml").write_text(text.replace("true", "false"))
    assert "hunter2" in Sources(root).harmless("states/web.yml", line)


def test_a_problem_whose_line_is_hidden(root):
    """Place and words are told, the line is not: a template of something sensitive."""
    (root / "states" / "x.j2").write_text("hunter2 {{ nothing }}\n")
    problem = Problem("E201", "x", Span("states/x.j2", 1, 12, 1, 19), hidden=True)
    shown = render([problem], root=root, on=Screen(width=80))
    assert "states/x.j2:1:12" in shown
    assert "hunter2" not in shown


def test_many_problems_are_counted(root):
    """At most 20 of a file are shown, and how many there are is said."""
    problems = [Problem("E101", f"problem {number}", Span("states/web.yml", 1, 1)) for number in range(50)]
    problems += [Problem("E101", "elsewhere", Span("states/b.yml", 1, 1))]
    text = render(problems, root=root, on=Screen(width=80))
    assert text.count("error[E101]: problem") == 20
    assert "… and 30 more in states/web.yml" in text
    assert "elsewhere" in text


def test_hosts_are_folded(root):
    """A problem of some hosts names them, compressed."""
    problem = Problem(
        "E201", "x", Span("states/web.yml", 6, 9), hosts=tuple(f"web{number:02}" for number in range(1, 37))
    )
    assert "states/web.yml:6:9      for web[01-36]\n" in render([problem], root=root, on=Screen(width=80))


def test_missing_source(tmp_path):
    """A file that is gone costs the line, not the message."""
    assert render([TYPO], root=tmp_path, on=Screen(width=80)).startswith("error[E101]: unknown key")


def test_printed(root):
    """print_problems adds how many there are and what explains them."""
    stream = io.StringIO()
    print_problems([BLIND, TYPO], root=root, stream=stream, shown_on=Screen(width=80))
    assert stream.getvalue().endswith("1 error and 1 warning in 1 file; more about one: statectl explain E101\n")


def test_one_line_and_json():
    """The forms for machines hold the same facts."""
    assert (
        line_of(TYPO) == "states/web.yml:6:9: error[E101]: unknown key `templete` in a file; did you mean `template`?"
    )
    assert as_json(TYPO) == {
        "code": "E101",
        "severity": "error",
        "summary": "unknown key `templete` in a file",
        "file": "states/web.yml",
        "line": 6,
        "column": 9,
        "end_line": 6,
        "end_column": 17,
        "label": "did you mean `template`?",
        "replacement": "template",
    }
    assert all_as_json([LONG])[0]["notes"] == [{"text": "first here", "file": "states/web.yml", "line": 3, "column": 5}]
