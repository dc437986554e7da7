import pytest
from pydantic import ValidationError

from statectl.project.scalars import Expression, Plain
from statectl.resources import directory


def message(**fields):
    with pytest.raises(ValidationError) as caught:
        directory.Model(**{"name": "/srv/x", **fields})
    return caught.value.errors(include_input=False, include_url=False)[0]["msg"]


def test_short_forms():
    """Only `absent` is a short form; an expression may give it on a host."""
    assert directory.short("/x", Plain("absent")) == {"state": "absent"}
    assert directory.short("/x", Expression("{{ a }}")) == {"state": Expression("{{ a }}")}
    assert directory.short("/x", Plain("present")) is None


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"declared": ["a"]}, "statectl works this out itself; remove it"),
        ({"state": "absent", "exclusive": True}, "a directory that is absent is neither exclusive nor recursive"),
        ({"recurse": True}, "recurse needs an owner, group or mode to hold for everything below"),
        ({"mode": 755}, "expected an octal mode such as 0644, in text form"),
    ],
)
def test_mistakes_say_the_fix(fields, expected):
    """Messages are ours and never hold the value."""
    assert message(**fields) == expected


@pytest.mark.parametrize("path", ["/", "/etc", "/usr/../var/", "/usr/lib", "/home"])
@pytest.mark.parametrize("fields", [{"state": "absent"}, {"exclusive": True}, {"recurse": True, "mode": "0755"}])
def test_system_directories_are_refused_before_anything_is_contacted(path, fields):
    """No spelling of a system directory can be removed, emptied or handed over as a whole."""
    assert "refused for a system directory" in message(name=path, **fields)


def test_a_system_directory_may_still_have_a_mode():
    """Only what reaches everything below is refused."""
    assert directory.Model(name="/srv", mode=Plain("0755"), exclusive=False).mode == "0755"


def test_edges():
    """A directory comes after those above it, its owner and its group."""
    model = directory.Model(name="/srv/x", owner="app", group="www")
    assert [edge.to for edge in directory.edges(model)] == [
        "directory:/srv",
        "tree:/srv",
        "link:/srv",
        "user:app",
        "unix_group:www",
    ]
