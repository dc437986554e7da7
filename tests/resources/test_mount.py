import pytest
from mistakes import mistake

from statectl.project.scalars import Expression, Plain
from statectl.resources.model import Edge
from statectl.resources.mount import Model, edges, short


def model(**fields):
    return Model(**{"name": "/srv/data", "device": "tmpfs", "fstype": "tmpfs", **fields})


def test_short_form():
    """A mount without its device says nothing; absent needs none."""
    assert short("/srv/data", Plain("absent")) == {"state": "absent"}
    assert short("/srv/data", Plain("mounted")) is None
    assert Model(name="/srv/data", state="absent").state == "absent"


def test_options_are_one_text():
    """As they stand in fstab, however they were written."""
    assert model().options == "defaults"
    assert model(options=["noexec", Plain("size=1m")]).options == "noexec,size=1m"
    assert model(options="noexec,size=1m").options == "noexec,size=1m"
    assert model(options=[]).options == "defaults"


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"name": "/"}, "this mount point belongs to the system and is not managed; name a directory below it"),
        ({"name": "/proc/"}, "this mount point belongs to the system and is not managed; name a directory below it"),
        ({"name": "data"}, "expected an absolute path"),
        ({"device": None}, "a mount needs `device` and `fstype`"),
        ({"fstype": None}, "a mount needs `device` and `fstype`"),
        ({"fstype": "swap"}, "swap space has no mount point and is no mount"),
        ({"state": "unmounted"}, "expected mounted, present or absent"),
        ({"options": ["a", ""]}, "expected text that is not empty and holds no line break"),
        ({"device": "a\nb"}, "expected text that is not empty and holds no line break"),
        ({"passno": 12}, "expected a whole number from 0 to 9"),
        ({"dump": "x"}, "expected a whole number"),
    ],
)
def test_mistakes_say_the_fix(fields, expected):
    """No line of fstab becomes two, and the system's own mounts are no target."""
    assert mistake(model, **fields) == expected


def test_values_that_wait_for_a_host_are_accepted():
    """While files are checked, an expression stands for any value."""
    waiting = Expression("{{ a }}")
    waited = Model(name=waiting, device=waiting, fstype=waiting, options=[waiting], state=waiting)
    assert edges(waited) == [Edge("package:*")]


def test_edges():
    """After its directory, mounts above it, the files it names, and the packages with its tools."""
    tos = [edge.to for edge in edges(model(name="/srv/a/b", device="server:/x", options="credentials=/etc/key"))]
    assert {"directory:/srv/a/b", "directory:/srv", "mount:/srv/a", "file:/etc/key", "package:*"} <= set(tos)
    assert "mount:/srv/a/b" not in tos
    tos = [edge.to for edge in edges(model(device="/srv/real", fstype="none", options="bind"))]
    assert {"directory:/srv/real", "mount:/srv/real"} <= set(tos)
    assert not any(to.startswith("file:/dev") for to in [e.to for e in edges(model(device="/dev/sdb1"))])


def test_what_goes_does_not_wait_for_what_is_above():
    """A mount below another has to go first."""
    assert "mount:/srv" not in [edge.to for edge in edges(Model(name="/srv/data", state="absent"))]
