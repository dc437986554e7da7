import pytest
from pydantic import ValidationError

from statectl.project.scalars import Expression, Plain
from statectl.resources import text_block


def message(**fields):
    with pytest.raises(ValidationError) as caught:
        text_block.Model(**{"name": "app", "path": "/etc/x", "content": "a", **fields})
    return caught.value.errors(include_input=False, include_url=False)[0]["msg"]


def test_there_is_no_short_form():
    """A block without its path says nothing."""
    assert text_block.short("app", Plain("absent")) is None


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"content": None}, "a text block needs content or template"),
        ({"template": "b"}, "content and template exclude each other; give one of them"),
        ({"state": "absent"}, "a text block that is absent has no content; remove one of the two"),
        ({"marker": "# mine"}, "a marker needs {mark}, which becomes BEGIN and END, such as `; {mark} mine`"),
        ({"marker": "# {mark}\n"}, "expected one line of text"),
        ({"name": "a\nb"}, "expected one line of text"),
        ({"insert_after": "BOF"}, "insert_after: BOF is the same as insert_before: BOF; write that"),
    ],
)
def test_mistakes_say_the_fix(fields, expected):
    """Messages are ours and never hold the value."""
    assert message(**fields) == expected


def test_values_that_wait_for_a_host_are_accepted():
    """While files are checked, an expression stands for any value."""
    waiting = Expression("{{ a }}")
    assert text_block.Model(name="app", path="/x", template=waiting, marker=waiting).template == waiting


def test_edges():
    """A block comes after its file, what that needs, and the packages of its association, which may bring the file."""
    edges = text_block.edges(text_block.Model(name="app", path="/etc/x", content="a"))
    assert [edge.to for edge in edges] == ["file:/etc/x", "directory:/etc", "tree:/etc", "link:/etc", "package:*"]
