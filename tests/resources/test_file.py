import pytest
from pydantic import ValidationError

from statectl.project.scalars import Expression, Plain
from statectl.resources import file


def message(**fields):
    with pytest.raises(ValidationError) as caught:
        file.Model(name="/x", **fields)
    return caught.value.errors(include_input=False, include_url=False)[0]["msg"]


def test_short_forms():
    """Only `absent` is a short form; an expression may give it on a host."""
    assert file.short("/x", Plain("absent")) == {"state": "absent"}
    assert file.short("/x", Expression("{{ a }}")) == {"state": Expression("{{ a }}")}
    assert file.short("/x", Plain("present")) is None
    assert file.short("/x", "text") is None


def test_values_get_their_types():
    """Modes are text with four digits, a check is split as a shell would, paths have one spelling."""
    model = file.Model(name="/etc/./x", content=Plain("1.10"), mode=Plain("644"), validate="sh -c 'a b' %s")
    assert (model.name, model.content, model.mode) == ("/etc/x", "1.10", "0644")
    assert model.validate == ["sh", "-c", "a b", "%s"]
    assert model.state == "present"


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"content": "a", "template": "b"}, "content and template exclude each other; give one of them"),
        ({"content": "a", "state": "absent"}, "a file that is absent has no content; remove one of the two"),
        ({"validate": ["visudo", "-c"]}, "validate needs %s where the path of the new file goes, such as `visudo -cf %s`"),
        ({"validate": "a 'b"}, "cannot be split into arguments: no closing quotation"),
        ({"fragments": ["a"]}, "expected fragments by name, such as 20-mine: {content: ...}"),
        ({"fragments": {}}, "expected fragments by name, such as 20-mine: {content: ...}"),
        ({"fragments": {"a": {}}}, "a fragment needs one of content, source and template"),
        ({"fragments": {"a": {"content": "b", "source": "c"}}}, "content and source exclude each other; give one of them"),
        ({"mode": "rw"}, "expected an octal mode such as 0644, in text form"),
        ({"owner": "a b"}, "user or group name not valid: letters, digits, _ . - and not starting with a digit or -"),
        ({"backup": "yes"}, "expected true or false"),
    ],
)  # fmt: skip
def test_mistakes_say_the_fix(fields, expected):
    """Messages are ours and never hold the value."""
    assert message(**fields) == expected


def test_a_wrong_value_is_never_echoed():
    """What stands in a file's content may be a secret."""
    assert "hunter2" not in message(content={"a": "hunter2"})
    assert "hunter2" not in message(content="hunter2", source="b")


def test_values_that_wait_for_a_host_are_accepted():
    """While files are checked, an expression stands for any value."""
    waiting = Expression("{{ a }}")
    model = file.Model(name="/x", template=waiting, mode=waiting, validate=["visudo", waiting], state=waiting)
    assert model.mode == waiting


def test_edges():
    """A file comes after the directories, trees and links above it, its owner and its group; numbers need nobody."""
    model = file.Model(name="/etc/app/x", owner="app", group="1000")
    assert [edge.to for edge in file.edges(model)] == [
        "directory:/etc/app",
        "tree:/etc/app",
        "link:/etc/app",
        "directory:/etc",
        "tree:/etc",
        "link:/etc",
        "user:app",
    ]
