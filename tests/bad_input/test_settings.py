"""Rows B077 and B081: no project, a project that others can write, and broken configuration."""

import os
from pathlib import Path

import pytest

from statectl.sections import load
from tests.bad_input.loading import HEAD, lines, write

ROOT_ONLY = pytest.mark.skipif(os.geteuid() != 0, reason="giving a file to another user needs root")
OTHER = 4711


def config(directory: Path, text: str) -> dict[str, str]:
    """The environment of a user whose own configuration is `text`."""
    path = directory / "config" / "statectl" / "config.yml"
    path.parent.mkdir(parents=True)
    path.write_text(text)
    return {"XDG_CONFIG_HOME": str(directory / "config")}


@pytest.mark.parametrize(
    "where", [pytest.param(".", id="B077 no project here"), pytest.param("a/b", id="B077 no project here or above")]
)
def test_no_project(tmp_path, where):
    """Outside of a project one line says what was looked for and what to do; nothing above the git work tree is read."""
    write(tmp_path, {})
    (tmp_path / "work" / where).mkdir(parents=True)
    (tmp_path / "work" / ".git").mkdir()
    (line,) = lines(load(tmp_path / "work" / where, env={}))
    assert line.startswith("error[E107]: no statectl.yml here")
    assert "statectl init" in line


def test_found_from_below(tmp_path):
    """A project is found from any directory inside it."""
    write(tmp_path, {"states/deep/a.yml": "associations: {a: {targets: all}}\n"})
    assert list(load(tmp_path / "states" / "deep", env={}).associations) == ["a"]


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(".", id="B077 world-writable project"),
        pytest.param("statectl.yml", id="B077 world-writable statectl.yml"),
        pytest.param("states", id="B077 world-writable directory of states"),
        pytest.param("states/a.yml", id="B077 world-writable states"),
    ],
)
def test_world_writable(tmp_path, name):
    """What everybody can write is not read: its content never decides anything."""
    root = write(tmp_path / "project", {"states/a.yml": "associations: {a: {targets: all}}\n"})
    (root / name).chmod(0o777)
    project = load(root, env={})
    assert project.associations == {}
    (line,) = lines(project)
    assert "error[E107]" in line
    assert "writable for everybody; refused; chmod o-w" in line


@pytest.mark.parametrize("_row", [pytest.param(0, id="B077 world-writable template")])
def test_world_writable_template(tmp_path, _row):
    """A template that everybody can write is not sent to hosts."""
    text = "associations: {a: {targets: all, files: {/x: {template: t.j2}}}}\n"
    root = write(tmp_path, {"states/a.yml": text, "states/t.j2": "x"})
    (root / "states" / "t.j2").chmod(0o666)
    (line,) = lines(load(root, env={}))
    assert line == "states/a.yml:1:57: error[E107]: `template`: writable for everybody; refused; chmod o-w states/t.j2"


@ROOT_ONLY
@pytest.mark.parametrize(
    "name",
    [
        pytest.param(".", id="B077 project of another user"),
        pytest.param("statectl.yml", id="B077 settings of another user"),
    ],
)
def test_of_another_user(tmp_path, name):
    """A project of another user is refused until one's own configuration names it, or sudo says who called."""
    root = write(tmp_path / "project", {})
    os.chown(root / name, OTHER, OTHER)
    (line,) = lines(load(root, env={}))
    assert "belongs to another user; refused; trusted_projects" in line
    assert load(root, env={"SUDO_UID": str(OTHER)}).problems == ()
    trusting = load(root, env=config(tmp_path, f"trusted_projects: [{root}]\n"))
    assert trusting.problems == ()
    assert trusting.settings.trusted


CASES = [
    ("B081 not YAML", "a: b: c\n", "1:5", "E105", "second key"),
    ("B081 wrong key", HEAD + "inventry: x\n", "3:1", "E101", "did you mean `inventory`?"),
    ("B081 wrong key of the connection", HEAD + "connection: {prot: 22}\n", "3:14", "E101", "did you mean `port`?"),
    ("B081 wrong key of the limits", HEAD + "limits: {path: [/a]}\n", "3:10", "E101", "did you mean `paths`?"),
    ("B081 wrong type", HEAD + "connection: ssh\n", "3:13", "E108", "expected a map"),
    ("B081 wrong type of a port", HEAD + "connection: {port: x}\n", "3:20", "E108", "whole number from 1 to 65535"),
    ("B081 wrong type of a limit", HEAD + "limits: {max_removals: -1}\n", "3:24", "E108", "whole number"),
    ("B081 limits to nothing", HEAD + "limits: {paths: []}\n", "3:17", "E108", "at least one path"),
    ("B081 project missing", "inventory: x\n", "1:1", "E109", "needs `project`"),
    ("B081 inventory missing", "project: x\n", "1:1", "E109", "needs `inventory`"),
    ("B081 empty", "", "1:1", "E109", "empty"),
    ("B081 store of an unknown kind", HEAD + "store: mysql://u:hunter2@h/d\n", "3:8", "E108", "sqlite:PATH"),
    ("B081 template", HEAD + 'store: "sqlite:{{ x }}"\n', "3:8", "E108", "template is not possible here"),
    ("B081 key of the user's configuration", HEAD + "trusted_projects: [/a]\n", "3:1", "E101", "unknown key"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "place", "code", "words"), [pytest.param(*case[1:], id=case[0]) for case in CASES])
def test_project_file(tmp_path, text, place, code, words):
    """statectl.yml is checked as states are: place, cause, fix, and never the value."""
    (line,) = lines(load(write(tmp_path, {"statectl.yml": text}), env={}))
    assert line.startswith(f"statectl.yml:{place}: error[{code}]"), line
    assert words in line
    assert "hunter2" not in line


USER = [
    ("B081 wrong key in the user's configuration", "stor: x\n", "1:1: error[E101]", "did you mean `store`?"),
    ("B081 project in the user's configuration", "project: x\n", "1:1: error[E101]", "unknown key"),
    ("B081 wrong type in the user's configuration", "store: [a]\n", "1:8: error[E108]", "expected text"),
]


@pytest.mark.parametrize(("text", "start", "words"), [pytest.param(*case[1:], id=case[0]) for case in USER])
def test_user_configuration(tmp_path, text, start, words):
    """The user's own configuration is checked too, at its own path."""
    env = config(tmp_path, text)
    (line,) = lines(load(write(tmp_path / "project", {}), env=env))
    assert line.startswith(f"{env['XDG_CONFIG_HOME']}/statectl/config.yml:{start}"), line
    assert words in line


@pytest.mark.parametrize(
    "kind",
    [
        pytest.param("directory", id="B081 configuration is a directory"),
        pytest.param("loop", id="B081 configuration is a ring of links"),
        pytest.param("fifo", id="B081 configuration is a pipe"),
    ],
)
def test_unreadable(tmp_path, kind):
    """A configuration that exists and cannot be read is an error, never skipped, and never waited for."""
    env = config(tmp_path, "")
    path = Path(env["XDG_CONFIG_HOME"]) / "statectl" / "config.yml"
    path.unlink()
    if kind == "directory":
        path.mkdir()
    elif kind == "fifo":
        os.mkfifo(path)
    else:
        path.symlink_to(path)
    (line,) = lines(load(write(tmp_path / "project", {}), env=env))
    assert line.startswith(f"{path}:1:1: error[E123]: file cannot be read"), line


def test_variables(tmp_path):
    """A variable of the wrong form names itself; one that is misspelt is a warning."""
    env = {"STATECTL_CONNECTION_PORT": "x", "STATECTL_STOER": "sqlite:x", "STATECTL_STORE": "sqlite:ok.db"}
    found = lines(load(write(tmp_path, {}), env=env))
    assert found == [
        "error[E108]: environment variable STATECTL_CONNECTION_PORT: expected a whole number from 1 to 65535",
        "warning[W101]: environment variable STATECTL_STOER is not known; did you mean STATECTL_STORE?",
    ]


def test_precedence(tmp_path):
    """The nearer source wins, field by field, and every value knows where it came from."""
    root = write(
        tmp_path / "p", {"statectl.yml": HEAD + "connection: {user: deploy, port: 2222}\nlimits: {paths: [machine]}\n"}
    )
    env = config(tmp_path, "store: sqlite:mine.db\nconnection: {user: me, python: /opt/python3}\n")
    project = load(root, env={**env, "STATECTL_CONNECTION_PORT": "2200"})
    assert project.problems == ()
    settings = project.settings
    assert settings.connection == {"user": "deploy", "port": 2200, "python": "/opt/python3"}
    assert settings.limits.paths == (str(root / "machine"),)
    assert settings.store == "sqlite:mine.db"
    mine = f"{env['XDG_CONFIG_HOME']}/statectl/config.yml"
    assert settings.sources == {
        "project": "statectl.yml:1",
        "inventory": "statectl.yml:2",
        "store": f"{mine}:1",
        "connection.user": "statectl.yml:3",
        "connection.python": f"{mine}:2",
        "connection.port": "environment STATECTL_CONNECTION_PORT",
        "limits": "statectl.yml:4",
    }


@pytest.mark.parametrize(
    "value",
    [
        "hunter2",
        "ssh-ed25519",
        "ssh-ed25519 AAAA",
        "ssh-rsa AAAAC3NzaC1lZDI1NTE5AAAAIE9sZlZmQm1JY0RqZ0xkWk5jV1ZrT0pqQ2hYdUtsU2Vt",
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIE9sZlZmQm1JY0RqZ0xkWk5jV1ZrT0pqQ2hYdUtsU2V",
        "web01 ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIE9sZlZmQm1JY0RqZ0xkWk5jV1ZrT0pqQ2hYdUtsU2Vt",
    ],
)
def test_a_host_key_that_is_none(tmp_path, value):
    """A pinned key that is no key of its type is an error at its place, in the settings as in an inventory: no host could ever show it."""
    settings = f"project: p\ninventory: hosts.yml\nconnection:\n  host_key: {value}\n"
    root = write(tmp_path, {"statectl.yml": settings})
    (line,) = lines(load(root, env={}))
    assert line.startswith("statectl.yml:4:13: error[E108]: `host_key`: expected a public host key")
    variable = load(root, env={"STATECTL_CONNECTION_HOST_KEY": value})
    assert any(
        "environment variable STATECTL_CONNECTION_HOST_KEY: expected a public host key" in one
        for one in lines(variable)
    )


def test_a_host_key_that_is_one(tmp_path):
    """A key as known_hosts has it is taken."""
    key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIE9sZlZmQm1JY0RqZ0xkWk5jV1ZrT0pqQ2hYdUtsU2Vt"
    root = write(tmp_path, {"statectl.yml": f"project: p\ninventory: hosts.yml\nconnection: {{host_key: {key}}}\n"})
    project = load(root, env={})
    assert lines(project) == []
    assert project.settings.connection["host_key"] == key
