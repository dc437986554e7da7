import pytest
from mistakes import mistake

from statectl.project.scalars import Expression, Plain
from statectl.resources.model import Edge
from statectl.resources.package import Model, edges, short


def test_short_forms():
    """A list is all present; a word is a state; anything else is a version."""
    assert short("nginx", None) == {}
    assert short("nginx", Plain("1.22.*")) == {"version": "1.22.*"}
    for word in ("present", "latest", "absent", "purged"):
        assert short("nginx", Plain(word)) == {"state": word}
    assert short("nginx", ["a"]) is None


def test_an_expression_may_give_a_word_or_a_version():
    """`nginx: "{{ wanted }}"` is known only on the host; both readings come out right."""
    fields = short("nginx", Expression("{{ wanted }}"))
    assert Model(name="nginx", **fields).version == Expression("{{ wanted }}")
    assert Model(name="nginx", version="absent").state == "absent"
    assert Model(name="nginx", version="absent").version is None
    assert Model(name="nginx", version="1.2").state == "present"


@pytest.mark.parametrize("name", ["nginx", "libstdc++6", "python3.11", "g++", "libc6:i386", "0ad", "NetworkManager"])
def test_names_that_packages_have(name):
    """Every name of a Debian or rpm package that can be met."""
    assert Model(name=name).name == name


@pytest.mark.parametrize("name", ["-oDebug=1", "a b", "a;b", "$(id)", "", "a/b", "nginx=1.2", "@group", "a\nb", "*"])
def test_names_that_would_be_something_else_on_a_command_line(name):
    """No option, no glob, no operand with a version gets through."""
    assert mistake(Model, name=name).startswith("package name not valid")


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"version": "-1"}, "version not valid: a version or a glob such as 1.22.*"),
        ({"version": "1 2"}, "version not valid: a version or a glob such as 1.22.*"),
        ({"version": "1", "state": "latest"}, "`version` and `state: latest` exclude each other; keep one of them"),
        ({"version": "1", "state": "absent"}, "`version` and `state: absent` exclude each other; keep one of them"),
        ({"hold": True, "state": "purged"}, "`hold` means nothing for a package that is removed"),
        ({"recommends": "yes"}, "expected true or false"),
    ],
)
def test_mistakes_say_the_fix(fields, expected):
    """Each in one line."""
    assert mistake(Model, name="nginx", **fields) == expected


def test_packages_come_after_repositories():
    """Those of the same association."""
    assert edges(Model(name="nginx")) == [Edge("package_repository:*")]
