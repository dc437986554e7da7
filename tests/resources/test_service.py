import pytest
from mistakes import mistake

from statectl.project.scalars import Expression, Plain
from statectl.resources import service
from statectl.resources.model import Edge
from statectl.resources.service import Model, edges, short


def test_short_forms():
    """running means at boot too, stopped means not at boot either."""
    assert short("nginx", Plain("running")) == {"state": "running", "enabled": True}
    assert short("nginx", Plain("stopped")) == {"state": "stopped", "enabled": False}
    assert short("nginx", Plain("restarted")) is None
    assert short("nginx", Expression("{{ a }}")) is None


@pytest.mark.parametrize(
    ("name", "fields", "expected"),
    [
        ("-x", {}, "unit name not valid: letters, digits, : _ . \\ @ - and not starting with -"),
        ("a b", {}, "unit name not valid: letters, digits, : _ . \\ @ - and not starting with -"),
        (
            "x",
            {"masked": True, "state": "running"},
            "a masked service can be neither running nor enabled",
        ),
        ("x", {"masked": True, "enabled": True}, "a masked service can be neither running nor enabled"),
        (
            "getty@",
            {"state": "running"},
            "a template unit cannot run itself; name an instance such as getty@tty1",
        ),
    ],
)
def test_mistakes_say_the_fix(name, fields, expected):
    """Contradictions are told before a host is asked."""
    assert mistake(Model, name=name, **fields) == expected


def test_edges():
    """After the unit of the same name, an instance after its template, and after the packages of the association."""
    assert edges(Model(name="nginx")) == [Edge("unit:nginx.service"), Edge("package:*")]
    assert edges(Model(name="a.timer")) == [Edge("unit:a.timer"), Edge("package:*")]
    assert edges(Model(name="app@1")) == [Edge("unit:app@1.service"), Edge("unit:app@.service"), Edge("package:*")]
    assert edges(Model(name="org.example.App"))[0] == Edge("unit:org.example.App.service")


def test_services_can_be_notified():
    """The verb is on the service, restart unless it says otherwise."""
    assert service.restartable
    assert Model(name="nginx").on_notify == "restart"
