import pytest
from pydantic import ValidationError

from statectl.project.scalars import Expression, Plain
from statectl.resources import tree


def message(**fields):
    with pytest.raises(ValidationError) as caught:
        tree.Model(**{"name": "/srv/www", "source": "www", **fields})
    return caught.value.errors(include_input=False, include_url=False)[0]["msg"]


def test_there_is_no_short_form():
    """A tree without its source says nothing."""
    assert tree.short("/srv/www", Plain("absent")) is None


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"manifest": []}, "statectl works this out itself; remove it"),
        ({"declared": []}, "statectl works this out itself; remove it"),
        ({"templates": "*.j2"}, "expected a list"),
        ({"name": "/usr/lib", "exclusive": True},
         "exclusive is refused for a system directory; name the directories below it that you mean"),
    ],
)  # fmt: skip
def test_mistakes_say_the_fix(fields, expected):
    """Messages are ours and never hold the value."""
    assert message(**fields) == expected


def test_values_that_wait_for_a_host_are_accepted():
    """While files are checked, an expression stands for any value."""
    assert tree.Model(name="/srv/www", source=Expression("{{ a }}")).source == Expression("{{ a }}")


def test_edges():
    """A tree comes after the directories above it, its owner and its group."""
    edges = tree.edges(tree.Model(name="/srv/www", source="www", owner="app", group="www"))
    assert [edge.to for edge in edges] == ["directory:/srv", "tree:/srv", "link:/srv", "user:app", "unix_group:www"]
