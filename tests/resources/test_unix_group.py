from mistakes import mistake

from statectl.project.scalars import Plain
from statectl.resources.model import Edge
from statectl.resources.unix_group import Model, edges, short


def test_short_forms():
    """The list form, and a state."""
    assert short("app", None) == {}
    assert short("app", Plain("absent")) == {"state": "absent"}
    assert short("app", ["x"]) is None


def test_mistakes_say_the_fix():
    """Names that groupadd would take for an option, numbers out of range."""
    for name in ("-x", "1a", "a b", "", "a:b"):
        assert mistake(Model, name=name).startswith("group name not valid")
    assert mistake(Model, name="app", gid="x") == "expected a whole number"
    assert "greater than or equal to 0" in mistake(Model, name="app", gid=-1)


def test_a_group_goes_after_the_users():
    """groupdel refuses while a user has it as primary group."""
    assert edges(Model(name="app", state="absent")) == [Edge("user:*")]
    assert edges(Model(name="app")) == []
