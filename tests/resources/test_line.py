import pytest
from pydantic import ValidationError

from statectl.project.scalars import Expression, Plain
from statectl.resources import line


def message(**fields):
    with pytest.raises(ValidationError) as caught:
        line.Model(**{"name": "port", "path": "/etc/x", "line": "a", **fields})
    return caught.value.errors(include_input=False, include_url=False)[0]["msg"]


def test_there_is_no_short_form():
    """A line without its path says nothing."""
    assert line.short("port", Plain("absent")) is None


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"line": None}, "a line needs `line`, its text"),
        ({"line": None, "state": "absent"}, "a line that is absent needs `line` or `match` to say which"),
        ({"line": "a\nb"}, "a line may not hold a line break; use text_blocks for several lines"),
        ({"match": "a("}, "not a regular expression: missing ), unterminated subpattern at character 2"),
        ({"match": "a\nb"}, "a regular expression is matched against one line and may not hold a newline"),
        ({"insert_after": "a", "insert_before": "b"}, "insert_after and insert_before exclude each other; give one of them"),
        ({"insert_after": "BOF"}, "insert_after: BOF is the same as insert_before: BOF; write that"),
        ({"insert_before": "EOF"}, "insert_before: EOF is the same as insert_after: EOF; write that"),
        ({"create": True, "state": "absent"}, "create means nothing for a line that is absent; remove it"),
        ({"validate": "sshd -t"}, "validate needs %s where the path of the new file goes, such as `visudo -cf %s`"),
    ],
)  # fmt: skip
def test_mistakes_say_the_fix(fields, expected):
    """Messages are ours and never hold the value."""
    assert message(**fields) == expected


def test_values_that_wait_for_a_host_are_accepted():
    """While files are checked, an expression stands for any value."""
    waiting = Expression("{{ a }}")
    assert line.Model(name="port", path=waiting, line=waiting, match=waiting).match == waiting


def test_edges():
    """A line comes after its file, what that needs, and the packages of its association, which may bring the file."""
    edges = line.edges(line.Model(name="port", path="/etc/x", line="a"))
    assert [edge.to for edge in edges] == ["file:/etc/x", "directory:/etc", "tree:/etc", "link:/etc", "package:*"]
