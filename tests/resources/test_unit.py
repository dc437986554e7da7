import pytest
from pydantic import ValidationError

from statectl.project.scalars import Expression, Plain
from statectl.resources import unit


def message(**fields):
    with pytest.raises(ValidationError) as caught:
        unit.Model(**{"name": "app.service", "content": "x", **fields})
    return caught.value.errors(include_input=False, include_url=False)[0]["msg"]


def test_short_forms():
    """Only `absent` is a short form; an expression may give it on a host."""
    assert unit.short("app.service", Plain("absent")) == {"state": "absent"}
    assert unit.short("app.service", Expression("{{ a }}")) == {"state": Expression("{{ a }}")}
    assert unit.short("app.service", Plain("[Unit]")) is None


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"name": "app"}, "unit name not valid: it needs its suffix, as nginx.service or backup@.timer"),
        ({"name": "../app.service"}, "unit name not valid: it needs its suffix, as nginx.service or backup@.timer"),
        ({"drop_in": "a/b"}, "name of a drop-in not valid: letters, digits and : _ . @ -"),
        ({"drop_in": "../b"}, "name of a drop-in not valid: letters, digits and : _ . @ -"),
        ({"content": None}, "a unit needs one of content, source and template"),
        ({"source": "y"}, "content and source exclude each other; give one of them"),
        ({"state": "absent"}, "a unit that is absent has no content; remove one of the two"),
    ],
)
def test_mistakes_say_the_fix(fields, expected):
    """Messages are ours and never hold the value."""
    assert message(**fields) == expected


def test_where_it_stands():
    """The unit's file, or the drop-in's; the ending of a drop-in may be written or not."""
    assert unit.paths(unit.Model(name="a@.timer", content="x")) == ["/etc/systemd/system/a@.timer"]
    for drop_in in ("limits", "limits.conf"):
        model = unit.Model(name="a.service", content="x", drop_in=drop_in)
        assert unit.paths(model) == ["/etc/systemd/system/a.service.d/limits.conf"]


def test_edges():
    """A drop-in comes after a directory somebody declared for it."""
    model = unit.Model(name="a.service", content="x", drop_in="b")
    assert unit.edges(model)[0].to == "directory:/etc/systemd/system/a.service.d"
