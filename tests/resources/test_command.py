import pytest
from mistakes import mistake
from pydantic import ValidationError

from statectl.project.scalars import Expression, Plain
from statectl.resources.command import Model, edges, short
from statectl.resources.model import Edge

RUN = {"name": "make", "run": ["/usr/bin/make", "install"]}


def test_no_short_form():
    """A command without its guard says too little."""
    assert short("make", Plain("make install")) is None


def test_a_command_without_a_guard_is_e140():
    """It would run in every apply, and no plan could tell whether it has to."""
    with pytest.raises(ValidationError) as caught:
        Model(**RUN)
    (error,) = caught.value.errors(include_url=False)
    assert error["ctx"]["code"] == "E140"
    assert Model(**RUN, creates=Expression("{{ path }}"))


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"creates": "/a", "unless": ["x"]}, "`unless` and `creates` exclude each other; keep one of them"),
        ({"creates": "a"}, "expected an absolute path"),
        ({"creates": "/a", "run": []}, "expected a list of arguments, or text for a shell"),
        ({"creates": "/a", "run": [""]}, "the program to run is empty"),
        ({"creates": "/a", "run": ["a", ["b"]]}, "expected a list of arguments, or text for a shell"),
        ({"creates": "/a", "run": ["a", "b\0"]}, "a command may not hold a NUL"),
        ({"when_changed": "nginx"}, "expected an address such as file:/etc/app.conf, or a list of them"),
        (
            {"creates": "/a", "env": {"1A": "x"}},
            "environment names are letters, digits and _, and do not start with a digit",
        ),
        ({"creates": "/a", "timeout": "soon"}, "expected a duration such as 30s, 5m or 2h"),
    ],
)
def test_mistakes_say_the_fix(fields, expected):
    """Each in one line."""
    assert mistake(Model, **{**RUN, **fields}) == expected


def test_a_list_is_an_argv_and_text_is_for_a_shell():
    """Numbers in a list are words; a text is kept as it is written."""
    assert Model(name="x", run=["sleep", 5], creates="/a").run == ["sleep", "5"]
    assert Model(name="x", run="a | b", creates="/a").run == "a | b"
    assert Model(name="x", run="a", when_changed="file:/a").when_changed == ["file:/a"]
    assert Model(name="x", run="a", creates="/a", timeout="5m").timeout == 300.0


def test_edges():
    """After its user, its directory, its program, and what it waits for."""
    model = Model(**RUN, when_changed=["file:/etc/x"], user="app", cwd="/srv")
    assert edges(model) == [
        Edge("user:app"),
        Edge("directory:/srv"),
        Edge("file:/usr/bin/make"),
        Edge("file:/etc/x"),
    ]
