"""Rows 7.1: YAML that is broken or says something that must not be guessed. Every answer has its place and its fix, none a
traceback, a Python type name or the value."""

import pytest

from tests.bad_input.loading import association, lines, load_files

# row and variant, text of states/a.yml, then line:column, code and words of the one answer
CASES = [
    ("B001 key twice in a block map", association("files:\n  /etc/x:\n    mode: 0644\n    content: a\n    mode: 0600"), "8:9", "E102", 'key "mode" appears twice'),
    ("B001 key twice in a flow map", association("files:\n  /etc/x: {mode: '0644', mode: '0644'}"), "5:30", "E102", "first at 5:16"),
    ("B001 section twice", "associations: {}\nassociations: {}\n", "2:1", "E102", "first at 1:1"),
    ("B007 integer of 5,000 digits in a variable", association(f"vars:\n  x: {'9' * 5000}"), "5:10", "E104", "number too long (max 18 digits)"),
    ("B007 integer of 5,000 digits in a field", association(f"users:\n  bob:\n    uid: {'9' * 5000}"), "6:14", "E104", "number too long (max 18 digits)"),
    ("B007 integer of 5,000 digits as an input", association(f"use: {{p: {{with: {{n: {'9' * 5000}}}}}}}") + "profiles:\n  p: {inputs: {n: {type: integer}}}\n", "4:25", "E104", "number too long"),
    ("B009 !!int before text", association('vars:\n  x: !!int "x"'), "5:10", "E108", "not a number"),
    ("B009 !!float before text", association('vars:\n  x: !!float "x"'), "5:10", "E108", "not a number"),
    ("B009 !!bool before text", association("vars:\n  x: !!bool maybe"), "5:10", "E108", "not a value of type bool"),
    ("B011 two colons on a line", "a: b: c\n", "1:5", "E105", "second key in one value; quote the value"),
    ("B011 a key below a value", "a: b\n  c: d\n", "2:4", "E105", "check the indentation"),
    ("B013 !vault in a project file", association("vars:\n  x: !vault abc"), "5:10", "E111", 'tag "!vault" not allowed'),
    ("B013 unknown tag", association("vars:\n  x: !Ref y"), "5:10", "E111", 'tag "!Ref" not allowed'),
    ("B013 tag that builds objects", association("vars:\n  x: !!python/object/apply:os.system [id]"), "5:10", "E111", "not allowed"),
    ("B013 tag of a date", association("vars:\n  x: !!timestamp 2020-01-01"), "5:10", "E111", "not allowed"),
    ("B013 tag with an undefined handle", "a: !x!y 1\n", "1:4", "E111", "tag not allowed"),
    ("B015 alias inside its own anchor", "&a [*a]\n", "1:5", "E112", "alias refers to itself"),
    ("B015 alias inside its own map", association("vars:\n  x: &x\n    y: *x"), "6:12", "E112", "alias refers to itself"),
    ("B017 two documents", "associations: {}\n---\nprofiles: {}\n", "2:1", "E115", "second document; one per file here"),
    ("B019 top level is text", "web\n", "1:1", "E115", "expected a map, got text"),
    ("B019 top level is a list", "- web\n", "1:1", "E115", "expected a map, got a list"),
    ("B021 NUL byte", "a: \0\n", "1:4", "E113", "character U+0000 not allowed"),
    ("B021 NUL as an escape", association('vars:\n  x: "a\\0b"'), "5:10", "E113", "character U+0000 not allowed"),
    ("B021 C1 control", "a: \x9b\n", "1:4", "E113", "character U+009B not allowed"),
    ("B021 next line, which YAML 1.1 takes for a line break", "a: b\x85c: d\n", "1:5", "E113", "character U+0085 not allowed"),
    ("B021 escape character", "a: \x1b[31m\n", "1:4", "E113", "character U+001B not allowed"),
    ("B021 lone surrogate as an escape", 'a: "\\ud800"\n', "1:7", "E113", "not allowed"),
    ("B021 lone surrogate in the bytes", b"a: \xed\xa0\x80\n", "1:4", "E113", "not UTF-8"),
    ("B021 Latin-1", "a: caf\xe9\n".encode("latin-1"), "1:7", "E113", "not UTF-8"),
    ("B023 non-breaking space before a key", association("vars:\n\xa0\xa0x: 1"), "5:5", "E113", "non-breaking space in indentation"),
    ("B023 non-breaking space behind spaces", association("vars:\n  b: 1\n \xa0c: 1"), "6:6", "E113", "non-breaking space in indentation"),
    ("B025 list as a key", "? [a]\n: b\n", "1:3", "E115", "keys must be text"),
    ("B025 map as a key", "? {a: b}\n: b\n", "1:3", "E115", "keys must be text"),
    ("B025 boolean as a key", association("vars:\n  true: 1"), "5:7", "E115", "keys must be text; quote it"),
    ("B025 nothing as a key", association("vars:\n  null: 1"), "5:7", "E115", "keys must be text"),
    ("B025 integer as a key", association("vars:\n  80: http"), "5:7", "E115", "keys must be text"),
    ("B025 float as a key", association("vars:\n  1.5: http"), "5:7", "E115", "keys must be text"),
]  # fmt: skip
MORE = [
    ("unquoted expression", association("vars:\n  x: {{ y }}"), "5:10", "E103", "quote it"),
    ("unquoted expression with text behind", association("vars:\n  x: {{ y }}/z # c"), "5:10", "E103", "quote it"),
    ("unquoted expression in a list", association("vars:\n  x: [a, {{ y }}]"), "5:14", "E103", "quote it"),
    ("unquoted expression as a key", "{{ y }}: 1\n", "1:1", "E103", "quote it"),
    ("unquoted statement", association("vars:\n  x: {% if y %}a{% endif %}"), "5:10", "E103", "quote it"),
    ("tab as indentation", "a:\n\tb: c\n", "2:1", "E105", "tab in indentation; use spaces"),
    ("host range in a flow map", "a: {targets: web[01-20], mode: audit}\n", "1:17", "E105", "needs quotes"),
    ("colon in a flow map", "a: {x: b: c}\n", "1:9", "E105", "needs quotes"),
    ("comment in a flow map", "a: {x: a #b}\n", "1:10", "E105", "needs quotes"),
    ("brace not closed", "a: {x: b\nc: d\n", "1:4", "E105", "{ is not closed"),
    ("bracket not closed", "a: [x, b\nc: d\n", "1:4", "E105", "[ is not closed"),
    ("quote not closed", "a: 'x\n", "1:4", "E105", "quote not closed"),
    ("text behind a quoted value", 'a: "x" y\n', "1:8", "E105", "quote the whole value"),
    ("unknown escape", 'a: "\\d"\n', "1:5", "E105", "unknown escape"),
    ("value that begins with @", "a: @x\n", "1:4", "E105", "may not start with @"),
    ("line without a colon", "a: b\nc\n", "2:1", "E105", "expected `key: value`"),
    ("list in a map", "a:\n  - b\n c: 1\n", "3:2", "E105", "expected a key"),
    ("list behind a key on its line", "a: - b\n", "1:4", "E105", "line of its own"),
    ("alias without its anchor", "a: *b\n", "1:4", "E112", "not defined before"),
    ("anchor twice", "a: &x 1\nb: &x 2\n", "2:4", "E112", "anchor defined twice"),
    ("merge key", association("vars:\n  <<: {a: b}"), "5:7", "E115", "merge keys"),
    ("leading zero", association("vars:\n  x: 0123"), "5:10", "E104", "quote it"),
    ("60 levels and more", "a: " + "[" * 200_000, "1:", "E114", "nested too deeply (max 60 levels)"),
    ("150,000 levels of lists", "- " * 150_000 + "x", "1:", "E114", "nested too deeply"),
    ("aliases of aliases", association("vars:\n  a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(f"  {n}: &{n} [{','.join(['*' + p] * 9)}]\n" for p, n in zip("abcdefgh", "bcdefghi", strict=True))), "5:", "E112", "aliases repeat too much"),
    ("YAML version of the future", "%YAML 3.0\n---\na: b\n", "1:", "E105", "directives"),
]  # fmt: skip


def answered(project, place, code, words):
    """The one answer stands at the place and says code and words."""
    found = lines(project)
    assert len(found) == 1, found
    assert found[0].startswith(f"states/a.yml:{place}"), found
    assert f"error[{code}]" in found[0]
    assert words in found[0]
    for leak in ("Traceback", "yaml.", "pydantic", "<class", "NoneType", "dict", "Error("):
        assert leak not in found[0]


@pytest.mark.parametrize(("text", "place", "code", "words"), [pytest.param(*case[1:], id=case[0]) for case in CASES])
def test_answered(tmp_path, text, place, code, words):
    """A row of bad input gets one line with its place, its cause and its fix."""
    answered(load_files(tmp_path, {"states/a.yml": text}), place, code, words)


@pytest.mark.parametrize(("text", "place", "code", "words"), [pytest.param(*case[1:], id=case[0]) for case in MORE])
def test_answered_beyond_the_rows(tmp_path, text, place, code, words):
    """Mistakes that people make in YAML every day are named as what they are."""
    answered(load_files(tmp_path, {"states/a.yml": text}), place, code, words)


@pytest.mark.parametrize(
    "start", [pytest.param("", id="B023 CRLF"), pytest.param("\ufeff", id="B023 byte order mark and CRLF")]
)
def test_windows_files_are_read(tmp_path, start):
    """A file saved on Windows is read like any other, its places included."""
    text = start + association("vars:\n  x: 1\nmode: audit\nseverty: high").replace("\n", "\r\n")
    project = load_files(tmp_path, {"states/a.yml": text})
    assert project.associations["web"].mode == "audit"
    assert [line.partition(": ")[0] for line in lines(project)] == ["states/a.yml:7:5"]


def test_all_mistakes_in_one_go(tmp_path):
    """One run names every mistake of every file, also those behind an unquoted expression."""
    text = association("vars:\n  a: {{ b }}/c\n  d: {{ e }}\n  f: 01\nmode: enforc")
    found = lines(load_files(tmp_path, {"states/a.yml": text, "states/b.yml": "a: b: c\n", "states/sub/c.yml": "x\n"}))
    assert [line.partition(": ")[0] for line in found] == [
        "states/a.yml:5:10",
        "states/a.yml:6:10",
        "states/a.yml:7:10",
        "states/a.yml:8:11",
        "states/b.yml:1:5",
        "states/sub/c.yml:1:1",
    ]
