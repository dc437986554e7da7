"""Rows 7.3: templates that are wrong, want too much, or leave the project. Every answer has its place, its cause and a fix,
nothing of it is a traceback, and no host is contacted."""

import re
import time

import pytest

from statectl.catalogue.compile import Compiler
from statectl.catalogue.render import Renderer
from statectl.cli.formats.problems import line_of
from statectl.project import yaml_tree
from statectl.project.types import resource_types
from statectl.targets.inventory import load_inventory
from tests.bad_input.loading import association, lines, load_files

HOSTS = "hosts: {web1: {vars: {up: {host: a, port: 80}, n: 5, word: text, evil: '{{ up.prot }}', empty_: []}}}\n"
FACTS = {"os": {"id": "debian"}}
PYTHON = re.compile(
    r"Traceback|<class|object at 0x|jinja2|pydantic|\b(Type|Value|Attribute|Key|Index)Error\b|'str'|'int'|'dict'|NoneType"
)


def answers(directory, files):
    """The lines that a command shows: of the loader when it finds mistakes, else of the compiler."""
    project = load_files(directory, {"inventories/prod/hosts.yml": HOSTS, **files})
    if any(not problem.is_warning for problem in project.problems):
        return lines(project)
    inventory, problems = load_inventory(directory / "inventories/prod", root=directory, yaml=yaml_tree)
    assert not problems
    with Renderer(directory, job_s=1.0) as renderer:
        types = {kind.name: kind for kind in resource_types().values()}
        compiler = Compiler(project, inventory, renderer, types, stored_facts=lambda _: (FACTS, ""))
        return [line_of(problem) for problem in compiler.fleet()[1]]


def in_template(text):
    return {"states/a.yml": association("files: {/x: {template: t.j2}}"), "states/t.j2": text}


def in_yaml(text):
    return {"states/a.yml": association(f"files: {{/x: {{content: '{text}'}}}}")}


T, Y = "states/t.j2", "states/a.yml"
# row and variant, files, place, code and words of the one answer
SYNTAX = [
    ("B047 two words in a template", in_template("a\n{{ a b }}\n"), f"{T}:2", "E202", "got 'b'"),
    ("B047 two words in YAML", in_yaml("{{ a b }}"), f"{Y}:4", "E202", "got 'b'"),
    ("B047 two words in text", in_yaml("x {{ a b }} y"), f"{Y}:4", "E202", "got 'b'"),
    ("B047 if not closed", in_template("a\n{% if true %}\nb\n"), f"{T}:", "E202", "endif"),
    ("B047 if without a condition", in_template("a\n\n{% if %}{% endif %}"), f"{T}:3", "E202", "expected an expression"),
    ("B047 if not closed in YAML", in_yaml("{% if true %}x"), f"{Y}:4", "E202", "endif"),
    ("B047 unknown tag", in_template("{% iff true %}{% endif %}"), f"{T}:1", "E202", "iff"),
    ("B047 braces not closed", in_template("a {{ n"), f"{T}:1", "E202", ""),
    ("B047 comment not closed", in_template("a {# n"), f"{T}:1", "E202", "comment"),
    ("B047 unknown filter", in_template("a\n{{ n | upperr }}"), f"{T}:2", "E202", "upperr"),
    ("B047 unknown filter in YAML", in_yaml("{{ n | upperr }}"), f"{Y}:4", "E202", "upperr"),
    ("B047 unknown test", in_template("{{ n is nice }}"), f"{T}:1", "E202", "nice"),
    ("B047 in an included template", {**in_template("{% include 'u.j2' %}"), "states/u.j2": "a\nb\n{{ x y }}\n"}, "states/u.j2:3", "E202", "got 'y'"),
    ("B047 condition", {"states/a.yml": association("files: {/x: {content: a, when: n ==}}")}, f"{Y}:4", "E202", ""),
    ("B047 condition of two words", {"states/a.yml": association("files: {/x: {content: a, when: n m}}")}, f"{Y}:4", "E202", "end of the expression"),
    ("B047 template that is not text", {**in_template(""), "states/t.j2": b"\xff\xfe\x00a"}, f"{Y}:4", "E123", "UTF-8"),
]  # fmt: skip
LIMITS = [
    ("B049 times in a template", in_template("a\n{{ 'a' * 500000000 }}"), f"{T}:2", "E205", "16 MiB"),
    ("B049 times in YAML", in_yaml('{{ "a" * 500000000 }}'), f"{Y}:4", "E205", "16 MiB"),
    ("B049 center", in_template("a\n\n{{ 'a'.center(500000000) }}"), f"{T}:3", "E205", "16 MiB"),
    ("B049 center as a filter", in_template("{{ 'a' | center(500000000) }}"), f"{T}:1", "E205", "16 MiB"),
    ("B049 ljust", in_yaml('{{ "a".ljust(500000000) }}'), f"{Y}:4", "E205", "16 MiB"),
    ("B049 a list", in_yaml("{{ [1] * 500000000 }}"), f"{Y}:4", "E205", "16 MiB"),
    ("B049 format with a width", in_yaml('{{ "%0500000000d" % 1 }}'), f"{Y}:4", "E205", "16 MiB"),
    ("B049 join", in_yaml('{{ range(99999) | join("a" * 9999) | length }}'), f"{Y}:4", "E205", "16 MiB"),
    ("B049 output of a loop", in_template("{% for i in range(99999) %}{{ 'a' * 9999 }}{% endfor %}"), f"{T}:", "E205", "16 MiB"),
    ("B049 in a condition", {"states/a.yml": association('files: {/x: {content: a, when: ("a" * 500000000) == "b"}}')}, f"{Y}:4", "E205", "16 MiB"),
    ("B051 power of a power", in_yaml("{{ 9**(9**8) }}"), f"{Y}:4", "E205", "power"),
    ("B051 power in a template", in_template("a\n{{ 9**(9**9) }}"), f"{T}:2", "E205", "power"),
    ("B051 powers in a loop", in_template("{% set ns = namespace(x=9) %}{% for i in range(99) %}{% set ns.x = ns.x * ns.x %}{% endfor %}"), f"{T}:1", "E205", "bits"),
    ("B051 loops without end", in_template("{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}"), f"{T}:", "E205", "took more than"),
    ("B051 range over the limit", in_template("{% for i in range(10**10) %}{% endfor %}"), f"{T}:1", "E209", "range"),
    ("B051 macro that calls itself", in_template("{% macro f() %}{{ f() }}{% endmacro %}\n{{ f() }}"), f"{T}:", "E205", "without end"),
    ("B051 template that includes itself", in_template("{% include 't.j2' %}"), f"{T}:", "E205", "without end"),
    ("B051 regular expression", in_yaml('{{ ("a" * 40) | regex_search("(a+)+$b") }}'), f"{Y}:4", "E205", "took more than"),
]  # fmt: skip
JAIL = [
    ("B053 include by absolute path", in_template("a\n{% include '/etc/passwd' %}"), f"{T}:2:13", "E203", "leaves the repository"),
    ("B053 include upwards", in_template("{% include '../../../../../../etc/passwd' %}"), f"{T}:1:13", "E203", "leaves the repository"),
    ("B053 import outside", in_template("{% import '/etc/passwd' as p %}"), f"{T}:1:12", "E203", "leaves the repository"),
    ("B053 from import outside", in_template("{% from '../../../x' import p %}"), f"{T}:1:10", "E203", "leaves the repository"),
    ("B053 extends outside", in_template("{% extends '/etc/passwd' %}"), f"{T}:1:13", "E203", "leaves the repository"),
    ("B053 by a computed name", in_template("\n{% include '/etc/' ~ 'passwd' %}"), f"{T}:2", "E203", "leaves the repository"),
    ("B053 with ignore missing", in_template("{% include '/etc/passwd' ignore missing %}"), f"{T}:1:13", "E203", "leaves the repository"),
    ("B053 include in YAML", in_yaml('{% include "../../etc/passwd" %}'), f"{Y}:4", "E203", "leaves the repository"),
    ("B053 the project's own memory", {**in_template("{% include '../.statectl/state.db' %}"), ".statectl/state.db": "x"}, f"{T}:1", "E203", "private"),
    ("B053 the repository's own files", {**in_template("{% include '../.git/config' %}"), ".git/config": "x"}, f"{T}:1", "E203", "private"),
    ("B053 include of nothing", in_template("a\n{% include 'nope.j2' %}"), f"{T}:2", "E204", "no template `states/nope.j2`"),
    ("B053 template path rendered outside", {"states/a.yml": association("vars: {p: ../../../../etc/passwd}\nfiles: {/x: {template: '{{ p }}'}}")}, "", "E203", "leaves the repository"),
    ("B053 source rendered outside", {"states/a.yml": association("vars: {p: /etc/passwd}\nfiles: {/x: {source: '{{ p }}'}}")}, f"{Y}:5", "E203", "leaves the repository"),
    ("B053 tree rendered outside", {"states/a.yml": association("vars: {p: ../../..}\ntrees: {/x: {source: '{{ p }}'}}")}, f"{Y}:5", "E203", "leaves the repository"),
]  # fmt: skip
TYPES = [
    ("B055 mode", {"states/a.yml": association("vars: {m: rwx}\nfiles: {/x: {content: a, mode: '{{ m }}'}}")}, f"{Y}:5:36", "E211", "rendered value is not valid: `mode`: expected an octal mode"),
    ("B055 flag", {"states/a.yml": association("services: {s: {enabled: '{{ word }}'}}")}, f"{Y}:4", "E211", "rendered value is not valid: `enabled`: expected true or false"),
    ("B055 list where text belongs", {"states/a.yml": association("files: {/x: {content: a, owner: '{{ [1] }}'}}")}, f"{Y}:4", "E211", "rendered value is not valid"),
    ("B055 path", {"states/a.yml": association("files: {'{{ word }}': {content: a}}")}, f"{Y}:4", "E211", "expected an absolute path"),
    ("B055 key that is a list", {"states/a.yml": association("files: {'{{ empty_ }}': {content: a}}")}, f"{Y}:4", "E211", "text is needed as the name of a file"),
    ("B055 key inside", {"states/a.yml": association("files: {/x: {fragments: {'{{ up }}': {content: a}}}}")}, f"{Y}:4", "E211", "key must be rendered to text"),
    ("B055 number", {"states/a.yml": association("users: {u: {uid: '{{ word }}'}}")}, f"{Y}:4", "E211", "expected a whole number"),
    ("B055 condition that is text", {"states/a.yml": association("files: {/x: {content: a, when: word}}")}, f"{Y}:4", "E207", "neither true nor false"),
    ("B055 condition that is a number", {"states/a.yml": association("given: [{when: n, files: {/x: {content: a}}}]")}, f"{Y}:4", "E207", "neither true nor false"),
    ("B055 loop over text", {"states/a.yml": association("files: {'/x{{ item }}': {content: a, for_each: '{{ word }}'}}")}, f"{Y}:4", "E213", "needs a list or a map"),
    ("B055 loop over a number", {"states/a.yml": association("files: {'/x{{ item }}': {content: a, for_each: '{{ n }}'}}")}, f"{Y}:4", "E213", "needs a list or a map"),
    ("B055 inputs that are a list", {"states/a.yml": association("use: {p: {with: '{{ empty_ }}'}}") + "profiles: {p: {files: {/x: {content: a}}}}\n"}, f"{Y}:4", "E124", "must be a map of inputs"),
    ("B055 a function", in_yaml("{{ range }}"), f"{Y}:4", "E209", "not data"),
    ("B055 text and number", in_yaml("{{ word + n }}"), f"{Y}:4", "E209", ""),
    ("B055 division by zero", in_template("a\n{{ n / 0 }}"), f"{T}:2", "E209", "zero"),
    ("B055 call of text", in_template("{{ word() }}"), f"{T}:1", "E209", ""),
]  # fmt: skip
NAMES = [
    ("B057 undefined in a branch taken", in_template("a\n{% if n %}{{ nn }}{% endif %}"), f"{T}:2:14", "E201", "`nn` is undefined"),
    ("B057 undefined field", in_template("a\n  {{ up.prot }}"), f"{T}:2:6", "E201", "did you mean `port`?"),
    ("B057 undefined through a variable", in_yaml("{{ evil }}"), "inventories/prod/hosts.yml:1", "E201", "`up.prot` is undefined"),
    ("B057 undefined in a condition", {"states/a.yml": association("files: {/x: {content: a, when: nn > 1}}")}, f"{Y}:4", "E201", "`nn` is undefined"),
    ("B057 undefined fact", in_yaml("{{ facts.os.idd }}"), f"{Y}:4", "E201", "did you mean `id`?"),
    ("B057 named in a false branch", in_template("a\n{% if false %}{{ nn }}{% endif %}"), f"{T}:2:18", "W201", "`nn` is defined nowhere"),
    ("B057 named in a false expression", in_yaml("{{ nn if false else 1 }}"), f"{Y}:4", "W201", "`nn` is defined nowhere"),
    ("B057 named in a block", {"states/a.yml": association("files:\n  /x:\n    content: |\n      a\n      {% if false %}{{ nn }}{% endif %}\n")}, f"{Y}:8:28", "W201", "`nn` is defined nowhere"),
    ("B057 undefined in a block", {"states/a.yml": association("files:\n  /x:\n    content: |\n      a\n\n      b {{ up.prot }}\n")}, f"{Y}:9:16", "E201", "`up.prot` is undefined"),
]  # fmt: skip
CASES = [*SYNTAX, *LIMITS, *JAIL, *TYPES, *NAMES]


@pytest.mark.parametrize(
    ("files", "place", "code", "words"), [case[1:] for case in CASES], ids=[case[0] for case in CASES]
)
def test_one_mistake_one_line(tmp_path, files, place, code, words):
    """One line with place, code and cause in our words, within seconds; the library's own words and values stay inside."""
    started = time.monotonic()
    found = answers(tmp_path, files)
    assert len(found) == 1, found
    assert found[0].startswith(place) and code in found[0] and words in found[0]
    assert not PYTHON.search(found[0])
    assert "\n" not in found[0] and len(found[0]) < 500
    assert time.monotonic() - started < 15


@pytest.mark.parametrize("target", ["/etc/passwd", "../../../../../../../../etc/passwd", "elsewhere/passwd"])
def test_a_link_in_the_project_leads_nowhere_else(tmp_path, target):
    """A committed link to a file of this machine is refused by where it leads, as a template and as an include."""
    root = tmp_path / "project"
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/passwd").write_text("root:x")
    load_files(root, in_template("{% include 'u.j2' %}"))
    (root / "states/elsewhere").symlink_to(tmp_path / "outside")
    (root / "states/u.j2").symlink_to(target)
    found = answers(root, {})
    assert len(found) == 1
    assert "states/t.j2:1:13: error[E203]" in found[0]
    (root / "states/t.j2").unlink()
    (root / "states/t.j2").symlink_to(target)
    found = answers(root, {})
    assert len(found) == 1
    assert "E122" in found[0]


def test_all_mistakes_come_in_one_go(tmp_path):
    """Five files with five mistakes give five lines."""
    body = "files:\n" + "".join(f"  /x{n}: {{template: t{n}.j2}}\n" for n in range(5))
    texts = ["{{ a }}", "{{ up.b }}", "{{ n + word }}", "{{ 'a' * 999999999 }}", "{% include '/etc/passwd' %}"]
    found = answers(
        tmp_path, {"states/a.yml": association(body), **{f"states/t{n}.j2": text for n, text in enumerate(texts)}}
    )
    assert sorted(re.findall(r"E2\d\d", " ".join(found))) == ["E201", "E201", "E203", "E205", "E209"]
