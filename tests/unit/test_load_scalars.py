"""What is written is what is loaded: no scalar changes its meaning on the way into the project, and every place is exact."""

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from statectl.project.scalars import Expression, Plain, WrittenFloat, WrittenInt
from statectl.project.yaml_nodes import compose
from statectl.project.yaml_tree import Builder, Tagged, read_yaml


def tree_of(text):
    tree, places, problems = read_yaml(text, "a.yml")
    assert problems == []
    return tree, places


@pytest.mark.parametrize(
    "written",
    ["0644", "1.10", "no", "yes", "off", "22:30", "2027-06-30", "1e3", "0x1F", "null", "~", "true", "1_000", "<<", "="],
)
def test_plain_scalars_stay_text(written):
    """YAML 1.1 would turn each of these into something else; here they are text until a schema says otherwise."""
    value = tree_of(f"x: {written}\n")[0]["x"]
    assert (type(value), value) == (Plain, written)


@pytest.mark.parametrize("written", ["'0644'", '"no"', "|-\n  1.10", ">-\n  true"])
def test_quoted_scalars_are_text_for_ever(written):
    """A quoted or block scalar is never a number or a boolean."""
    assert type(tree_of(f"x: {written}\n")[0]["x"]) is str


def test_expressions():
    """Text with Jinja is an expression that knows its place, quoted or not, in values and in keys."""
    tree, places = tree_of('a: "{{ x }}"\nb: /srv/{{ x }}\n"/etc/{{ item }}": c\nd: {e: "{% if x %}1{% endif %}"}\n')
    assert tree["a"] == Expression("{{ x }}")
    assert (tree["a"].span.line, tree["a"].span.column) == (1, 4)
    assert tree["b"].source == "/srv/{{ x }}"
    assert tree[Expression("/etc/{{ item }}")] == "c"
    assert isinstance(tree["d"]["e"], Expression)
    assert places.key(("/etc/{{ item }}",)).line == 3


def test_places():
    """Every key and value has its line, column and end; a path that is not known gives the nearest value around it."""
    _, places = tree_of("a:\n  bc: [x, 'y z']\n  d: |\n    text\n")
    assert str(places.key(("a", "bc"))) == "a.yml:2:3"
    assert (places.key(("a", "bc")).end_line, places.key(("a", "bc")).end_column) == (2, 5)
    value = places.value(("a", "bc", 1))
    assert (value.line, value.column, value.end_column) == (2, 11, 16)
    assert str(places.value(("a", "bc", 7))) == "a.yml:2:7"
    assert (places.value(("a", "d")).line, places.value(("a", "d")).end_line) == (3, 0)


def test_written_numbers():
    """An untyped number renders as it was written and counts as a number."""
    from statectl.project.scalars import untyped

    assert (untyped("1.10"), str(untyped("1.10")), type(untyped("1.10"))) == (1.10, "1.10", WrittenFloat)
    assert (untyped("0x1F"), str(untyped("0x1F")), type(untyped("0x1F"))) == (31, "0x1F", WrittenInt)


LEAVES = st.sampled_from(["a", "0644", "no", "1.5", "x y", "é", "'q'", '"q"', "~", "true", "/etc/x", "a#b"])
TREES = st.recursive(
    LEAVES,
    lambda below: st.lists(below, max_size=3) | st.dictionaries(st.sampled_from("abcdé"), below, max_size=3),
    max_leaves=12,
)


def flow(tree):
    if isinstance(tree, list):
        return "[" + ", ".join(map(flow, tree)) + "]"
    if isinstance(tree, dict):
        return "{" + ", ".join(f"{key}: {flow(value)}" for key, value in tree.items()) + "}"
    return tree


@settings(max_examples=60, deadline=None)
@given(TREES)
def test_without_libyaml(tree):
    """PyYAML without its C half gives the same values at the same places."""
    text = f"top:\n  {flow(tree)}\nnext: |\n  é {{{{ x }}}}\n"
    built = []
    for libyaml in (True, False):
        root, count = compose(text, ansible=False, libyaml=libyaml)
        builder = Builder(text, text, "a.yml", [], count + 100)
        value = builder.build(root, ())
        built.append(
            (
                value,
                {path: (node.start_mark.line, node.start_mark.column) for path, node in builder.values.items()},
                builder.problems,
            )
        )
    assert built[0] == built[1]


@settings(max_examples=300, deadline=None)
@given(st.text(alphabet=st.sampled_from("ab:{}[],#&*!|>'\"%@`?- \n\t\\0{{}}é\xa0"), max_size=40))
def test_nothing_raises(text):
    """Whatever stands in a file, reading it gives a tree or problems with places, never an exception."""
    for ansible in (False, True):
        tree, _, problems = read_yaml(text, "a.yml", ansible=ansible)
        assert tree is not None or not problems or text.strip()
        for problem in problems:
            assert problem.span is not None
            assert problem.span.line >= 1
            assert problem.span.column >= 1
            assert problem.code != "E105" or "not valid YAML" not in problem.summary or problem.label


ANSIBLE = """\
a: 0644
b: no
c: 1.10
d: 22:30
e: 2027-06-30
f: ~
g: [yes, On, 0x1f, 1_000, .inf, 1e3, "1"]
h: {2: a, true: b, null: c}
i: !!str 5
j: !!int "7"
k: &base {x: 1, y: 2}
l: {<<: *base, y: 3}
m: {<<: [*base, {z: 9, x: 8}], y: 3}
n: =
o: 2001-12-14t21:59:43.10-05:00
p: 0o17
q: 190:20:30
"""


def test_ansible_typing():
    """An Ansible file is typed exactly as PyYAML's SafeLoader types it, merge keys included."""
    tree, _, problems = read_yaml(ANSIBLE.replace("n: =\n", ""), "a.yml", ansible=True)
    assert problems == []
    assert tree == yaml.safe_load(ANSIBLE.replace("n: =\n", ""))


def test_ansible_tags():
    """!vault stays opaque, !unsafe is never an expression, and other tags are refused."""
    tree, _, problems = read_yaml(
        'a: !vault |\n  $ANSIBLE_VAULT;1.1\nb: !unsafe "{{ x }}"\nc: "{{ x }}"\nd: !Ref y\n', "a.yml", ansible=True
    )
    assert isinstance(tree["a"], Tagged)
    assert (tree["a"].tag, tree["a"].value) == ("!vault", "$ANSIBLE_VAULT;1.1\n")
    assert (tree["b"].tag, tree["b"].value) == ("!unsafe", "{{ x }}")
    assert tree["c"] == Expression("{{ x }}")
    assert [(problem.code, problem.span.line) for problem in problems] == [("E111", 5)]


def test_ansible_duplicates():
    """Ansible keeps the last of two equal keys; so do we, with a warning that names both places."""
    tree, _, problems = read_yaml("a: 1\nb: 2\na: 3\n", "a.yml", ansible=True)
    assert tree == {"a": 3, "b": 2}
    assert [(problem.code, problem.span.line, problem.label) for problem in problems] == [("W102", 3, "first at 1:1")]
    assert problems[0].is_warning
