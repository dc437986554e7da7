import pytest
from pydantic import ValidationError

from statectl.project.scalars import Expression, Plain
from statectl.resources import link
from statectl.resources.model import Edge


def message(**fields):
    with pytest.raises(ValidationError) as caught:
        link.Model(**fields)
    return caught.value.errors(include_input=False, include_url=False)[0]["msg"]


def test_short_forms():
    """The target as text, or absent; an expression gives the target; nothing else is a short form."""
    assert link.short("/x", Plain("../y")) == {"to": "../y"}
    assert link.short("/x", Plain("absent")) == {"state": "absent"}
    assert link.short("/x", Expression("{{ a }}")) == {"to": Expression("{{ a }}")}
    assert link.short("/x", ["a"]) is None


def test_one_path_has_one_spelling():
    """Two spellings of a path are one resource."""
    assert link.Model(name=Plain("/etc//a/../x/"), to=Plain("y")).name == "/etc/x"


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"name": "/x"}, "a link needs `to`, what it points to"),
        ({"name": "x", "to": "y"}, "expected an absolute path"),
        ({"name": "/x", "to": ""}, "what a link points to may not be empty or hold a newline"),
        ({"name": "/x", "to": "y", "force": "yes"}, "expected true or false"),
        ({"name": "/x", "to": "y", "state": "gone"}, "expected present or absent"),
    ],
)
def test_mistakes_say_the_fix(fields, expected):
    """Messages are ours and never hold the value."""
    assert message(**fields) == expected


def test_a_value_that_waits_for_a_host_is_accepted():
    """While files are checked, an expression stands for any value."""
    assert link.Model(name="/x", to=Expression("{{ a }}")).to == Expression("{{ a }}")


def test_edges():
    """A link comes after the directories, trees and links above it."""
    assert link.edges(link.Model(name="/a/b/c", to="d")) == [
        Edge(f"{kind}:{path}") for path in ("/a/b", "/a") for kind in ("directory", "tree", "link")
    ]
