import pytest
from mistakes import mistake

from statectl.project.scalars import Expression, Plain, WrittenInt
from statectl.resources.model import Edge
from statectl.resources.sysctl import Model, edges, short


def test_short_forms():
    """The value, written or computed, or absent."""
    assert short("a.b", Plain("1")) == {"value": "1"}
    assert short("a.b", Expression("{{ v }}")) == {"value": Expression("{{ v }}")}
    assert short("a.b", Plain("absent")) == {"state": "absent"}
    assert short("a.b", ["1"]) is None


def test_values_are_text_with_one_space():
    """As the kernel shows them."""
    assert Model(name="net.ipv4.tcp_rmem", value=Plain("4096  131072\t6291456")).value == "4096 131072 6291456"
    assert Model(name="a.b", value=WrittenInt(1, "1")).value == "1"


@pytest.mark.parametrize("name", ["net.ipv4.ip_forward", "net/ipv4/conf/eth0.1/forwarding", "fs.binfmt_misc.x-y"])
def test_keys(name):
    """Dots or slashes, as sysctl.d(5)."""
    assert Model(name=name, value="1").name == name


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"name": "a..b", "value": "1"}, "sysctl key not valid: words joined by dots, such as net.ipv4.ip_forward"),
        ({"name": "../x", "value": "1"}, "sysctl key not valid: words joined by dots, such as net.ipv4.ip_forward"),
        ({"name": "x/../y", "value": "1"}, "sysctl key not valid: words joined by dots, such as net.ipv4.ip_forward"),
        ({"name": "single", "value": "1"}, "sysctl key not valid: words joined by dots, such as net.ipv4.ip_forward"),
        ({"name": "a.b"}, "sysctl needs `value`"),
        ({"name": "a.b", "value": True}, "expected the value as text or number, such as 1"),
        ({"name": "a.b", "value": "1\nc.d = 2"}, "a value may not be empty or hold a line break"),
        ({"name": "a.b", "value": "1", "file": "x"}, "expected an absolute path"),
    ],
)
def test_mistakes_say_the_fix(fields, expected):
    """No key leaves /proc/sys, no value becomes a second line."""
    assert mistake(Model, **fields) == expected


def test_edges():
    """After the directory of its file."""
    assert edges(Model(name="a.b", value="1")) == [Edge("directory:/etc/sysctl.d")]
