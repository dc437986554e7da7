import pytest
from mistakes import mistake

from statectl.project.scalars import Expression, Plain
from statectl.resources.model import Edge
from statectl.resources.user import Model, edges, short

HASH = "$6$saltsalt$" + "a" * 86


def test_short_forms():
    """The list form, and a state."""
    assert short("app", None) == {}
    assert short("app", Plain("present")) == {"state": "present"}


def test_a_hash_is_never_a_plain_value():
    """Even one that stands openly in the files travels as a secret text: no plan shows it, no store keeps it."""
    assert Model(name="app", password_hash=HASH).password_hash == {"$parts": [HASH]}
    assert Model(name="app", password_hash="!").password_hash == {"$parts": ["!"]}


@pytest.mark.parametrize("value", ["hunter2", "correct horse", "$6$short", "x:0:0\nroot", "", "$6$" + "a" * 20 + ":"])
def test_a_password_is_no_hash(value):
    """The message does not hold it."""
    said = mistake(Model, name="app", password_hash=value)
    assert said.startswith("expected the hash of a password")
    assert value == "" or value not in said


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"append": True}, "`append` needs `groups`"),
        ({"groups": "a,b"}, "expected a list of group names"),
        ({"home": "srv"}, "expected an absolute path"),
        ({"home": "/srv:x"}, "a home directory may not hold a colon"),
        ({"comment": "a:b"}, "a comment may not hold a colon or a line break"),
        ({"shell": "bash"}, "expected the absolute path of a shell"),
        ({"expires": "30.06.2027"}, "expected a date such as 2027-06-30, or never"),
        ({"expires": "2027-02-30"}, "expected a date such as 2027-06-30, or never"),
    ],
)
def test_mistakes_say_the_fix(fields, expected):
    """Nothing reaches /etc/passwd that would make another line or field of it."""
    assert mistake(Model, name="app", **fields) == expected


def test_root_stays():
    """A typo must not cost the machine."""
    assert mistake(Model, name="root", state="absent") == "root cannot be removed"


def test_groups_are_a_set():
    """Twice the same, and another order, are the same groups."""
    assert Model(name="app", groups=["b", "a", "b"]).groups == ["a", "b"]


def test_edges():
    """A user comes after its groups, its namesake too; one that goes after nothing."""
    model = Model(name="app", group="web", groups=["docker"])
    assert edges(model) == [Edge("unix_group:app"), Edge("unix_group:docker"), Edge("unix_group:web")]
    assert edges(Model(name="app", state="absent", group="web")) == []
    assert edges(Model(name="app", groups=Expression("{{ g }}"))) == [Edge("unix_group:app")]
