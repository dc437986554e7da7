"""`statectl parameter`: what people and programs see, where secrets may come from and go to, exit codes."""

import csv
import io
import json
import os
import pty
import shutil
import stat
import subprocess
import sys
import time

import pytest

from tests.bad_input.loading import HEAD, write
from tests.cli.local_project import environment, statectl

CANARY = "h7Kq-canary-Zx93"


@pytest.fixture
def param(tmp_path):
    """`param("get", "/a", ...)`: the real command in a small project."""
    root = write(tmp_path / "project", {})
    (tmp_path / "home").mkdir()

    def asked(*argv: str, expect: int = 0, **options):
        return statectl("parameter", *argv, cwd=root, home=tmp_path / "home", expect=expect, **options)

    asked.root = root
    return asked


def test_values_in_and_out(param):
    """From an argument, a file byte for byte, and standard input without its last newline; the value alone on stdout."""
    assert param("set", "/a", "one", "--type", "String").out == "/a v1\n"
    assert param("get", "/a").out == "one\n"
    (param.root / "value.txt").write_bytes(b"two\nlines\n")
    param("set", "/a", "--file", "value.txt", "--overwrite")
    assert param("get", "/a").out == "two\nlines\n"
    param("set", "/a", "--overwrite", stdin="three\n")
    assert param("get", "/a").out == "three\n"
    assert param("set", "/a", "three", "--overwrite").out == "/a v4  (the same value as before)\n"
    assert param("get", "/a:1", "/a:3", "/a").out == "/a:1  one\n/a:3  three\n/a    three\n"


def test_a_secret_is_shown_only_when_asked_for(param):
    """Name and version stand for it everywhere else; a file with it is for its owner alone."""
    said = param("set", "/key", "--type", "SecureString", stdin=CANARY)
    assert "made the key file" in said.err
    assert stat.S_IMODE((param.root / ".statectl" / "parameters.key").stat().st_mode) == 0o600
    for argv in (
        ("get", "/key"),
        ("list", "--values"),
        ("history", "/key"),
        ("history", "/key", "--diff"),
        ("diff", "/key", "/key"),
    ):
        for form in ("text", "json"):
            assert CANARY not in str(param(*argv, "-o", form))
    assert param("get", "/key").out == "‹secret /key v1›\n"
    assert param("get", "/key", "-o", "json").json["parameters"][0]["value"] is None
    assert param("get", "/key", "--decrypt").out == f"{CANARY}\n"
    param("get", "/key", "--decrypt", "-o", "json=out.json", "-q")
    assert stat.S_IMODE((param.root / "out.json").stat().st_mode) == 0o600
    assert json.loads((param.root / "out.json").read_text())["parameters"][0]["value"] == CANARY


def test_init_makes_the_key(tmp_path):
    """A new project has its key from the beginning, private and not for git; one that is there is never replaced."""
    (tmp_path / "home").mkdir()
    said = statectl("init", "p", cwd=tmp_path, home=tmp_path / "home", expect=0)
    assert ".statectl/parameters.key  (for secrets in the parameter store: keep a copy elsewhere)" in said.out
    key = tmp_path / "p" / ".statectl" / "parameters.key"
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert stat.S_IMODE(key.parent.stat().st_mode) == 0o700
    assert (key.parent / ".gitignore").read_text() == "*\n"
    before = key.read_bytes()
    for name in ("statectl.yml", ".gitignore"):
        (tmp_path / "p" / name).unlink(missing_ok=True)
    for name in ("inventories", "states"):
        shutil.rmtree(tmp_path / "p" / name, ignore_errors=True)
    statectl("init", "p", cwd=tmp_path, home=tmp_path / "home", expect=0)
    assert key.read_bytes() == before
    put = statectl(
        "parameter",
        "set",
        "/s",
        "--type",
        "SecureString",
        cwd=tmp_path / "p",
        home=tmp_path / "home",
        stdin="x",
        expect=0,
    )
    assert put.err == ""
    assert key.read_bytes() == before


def test_a_secret_is_no_argument(param):
    """Everybody on the machine can read those: refused before anything is written, for a new secret and for one that is there."""
    said = param("set", "/key", CANARY, "--type", "SecureString", expect=64)
    assert "error[E623]" in said.err
    assert CANARY not in said.err
    param("set", "/key", "--type", "SecureString", stdin=CANARY)
    assert "error[E623]" in param("set", "/key", CANARY, "--overwrite", expect=64).err
    assert len(param("history", "/key", "-o", "json").json["parameters"]) == 1


def test_lists_for_programs(param):
    """The same rows as JSON, YAML and CSV, in which no cell is a formula; names alone for scripts; pages."""
    import yaml

    param("set", "/t/a", "=1+1", "--type", "String", "--tag", "team=web", "--description", "first")
    param("set", "/t/b/c", "x,y", "--type", "StringList", "--why", "because")
    rows = param("list", "/t", "--values", "-o", "json").json["parameters"]
    assert [(row["name"], row["value"], row["tier"]) for row in rows] == [
        ("/t/a", "=1+1", "Standard"),
        ("/t/b/c", "x,y", "Standard"),
    ]
    assert yaml.safe_load(param("list", "/t", "--values", "-o", "yaml").out)["parameters"] == rows
    table = list(csv.DictReader(io.StringIO(param("list", "/t", "--values", "-o", "csv").out)))
    assert [row["value"] for row in table] == ["'=1+1", "x,y"]
    assert param("list", "/t", "-o", "name").out == "/t/a\n/t/b/c\n"
    assert param("list", "/t", "--direct", "-o", "name").out == "/t/a\n"
    assert param("list", "--filter", "tag:team=web", "-o", "name").out == "/t/a\n"
    assert param("list", "--filter", "name*=b/", "--filter", "type=StringList", "-o", "name").out == "/t/b/c\n"
    first = param("list", "--limit", "1")
    assert "--after /t/a" in first.out
    assert param("list", "--limit", "1", "--after", "/t/a", "-o", "name").out == "/t/b/c\n"
    assert "team=web" in param("list", "/t").out
    assert "not a filter" in param("list", "--filter", "size=1", expect=64).err


def test_history_and_differences(param):
    """Who, when and why of each version, and what it changed."""
    param("set", "/c", "--type", "String", "--why", "first", stdin="port 80\nname x")
    param("set", "/c", "--overwrite", "--description", "d", stdin="port 81\nname x")
    param("label", "/c", "prod", "--version", "1")
    said = param("history", "/c", "--diff").out
    assert "[prod]  first" in said
    assert "  -port 80\n  +port 81\n" in said
    assert "description: - → d" in said
    assert "~ /c  v1 → v2" in param("diff", "/c:1", "/c:2").out
    assert param("diff", "/c", "/c").out == "No differences.\n"
    assert param("label", "--remove", "/c", "prod").out == "/c v1: no longer prod\n"
    assert "error[E613]" in param("label", "--remove", "/c", "prod", expect=5).err


def test_a_tree_is_deleted_on_request_only(param):
    """Without a terminal nobody is asked: it says --yes. What was deleted comes back; secrets do not, and that is said."""
    param("set", "/t/a", "1", "--type", "String")
    param("set", "/t/s", "--type", "SecureString", stdin="x")
    said = param("delete", "-r", "/t", expect=5)
    assert "error[E516]" in said.err
    assert "1 of them secrets" in said.err
    assert param("delete", "-r", "/t", "--yes").out == "deleted 2 parameters below /t\n"
    said = param("restore", "-r", "/t")
    assert said.out == "/t/a v1  restored\n/t/s  was a secret, and its ciphertext was wiped; not restored\n"
    assert param("delete", "/t/a", "/t/no", expect=5).out == "deleted /t/a\n"
    assert "error[E625]" in param("restore", "/t/s", expect=5).err


def test_copy_move_tag(param):
    """Each says what it did."""
    param("set", "/dev/a", "1", "--type", "String")
    assert param("copy", "-r", "/dev", "/stage").out == "/stage/a v1\n"
    assert param("move", "-r", "/stage", "/prod").out == "/stage/a -> /prod/a\n"
    assert param("tag", "/prod/a", "team=web", "x=1").out == "/prod/a: team=web, x=1\n"
    assert param("tag", "/prod/a", "--remove", "x").out == "/prod/a: team=web\n"
    assert "--overwrite" in param("copy", "/dev/a", "/prod/a", expect=5).err


def test_watch_once(param):
    """A cursor gives what came since, and the next cursor on stderr."""
    param("set", "/a", "1", "--type", "String")
    said = param("watch", "--once", "--since", "0", "-o", "jsonl")
    (row,) = [json.loads(line) for line in said.out.splitlines()]
    assert (row["action"], row["name"], row["version"]) == ("put", "/a", 1)
    cursor = said.err.split()[-1]
    param("set", "/a", "2", "--overwrite", "--why", "because")
    said = param("watch", "--once", "--since", cursor)
    assert "put      /a v2" in said.out
    assert said.out.rstrip().endswith("because")


def test_serve_deletes_what_has_expired(param):
    """Once a day; until then it is only not shown."""
    import datetime as dt

    write(param.root, {"inventories/prod/hosts.yml": "hosts: {}\n"})
    soon = dt.datetime.now(dt.UTC) + dt.timedelta(seconds=2)
    param("set", "/token", "--type", "SecureString", "--expires", f"{soon:%Y-%m-%dT%H:%M:%SZ}", stdin="x")
    time.sleep(2)
    statectl("serve", "--once", cwd=param.root, home=param.root.parent / "home", expect=0)
    said = param("watch", "--once", "--since", "0")
    assert "expire   /token v1" in said.out


def test_rotation(param):
    """A new key, every data key under it; the same secret afterwards; moving to a key in the environment and back."""
    param("set", "/s", "--type", "SecureString", stdin=CANARY)
    first = param("get", "/s", "-o", "json").json["parameters"][0]["key_id"]
    said = param("rotate")
    assert "1 data keys wrapped with aes:" in said.out
    assert param("get", "/s", "-o", "json").json["parameters"][0]["key_id"] != first
    assert "error[E516]" in param("rotate", "--drop-old", expect=5).err
    param("rotate", "--drop-old", "--yes")
    assert param("get", "/s", "--decrypt").out == f"{CANARY}\n"
    (param.root / "statectl.yml").write_text(HEAD + 'parameters: {key: "env:STORE_KEY"}\n')
    new = {"STORE_KEY": "QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVoxMjM0NTY="}
    assert "error[E619]" in param("get", "/s", "--decrypt", env=new, expect=5).err
    param("rotate", "--from", "file:.statectl/parameters.key", env=new)
    (param.root / ".statectl" / "parameters.key").unlink()
    assert param("get", "/s", "--decrypt", env=new).out == f"{CANARY}\n"


def test_rights_are_those_of_the_policy_file(param):
    """The user is the one of the system; missing and forbidden are the same words; the file is checked with places."""
    import pwd

    me = pwd.getpwuid(os.geteuid()).pw_name
    param("set", "/mine/a", "1", "--type", "String")
    param("set", "/theirs/a", "1", "--type", "String")
    (param.root / "statectl.yml").write_text(HEAD + "parameters: {access: access.yml}\n")
    (param.root / "access.yml").write_text(f"rules:\n  - {{who: [{me}], may: [list, read], paths: [/mine/**]}}\n")
    assert param("list", "-o", "name").out == "/mine/a\n"
    forbidden, missing = (param("get", f"/theirs/{name}", expect=5).err for name in ("a", "b"))
    assert forbidden.replace("/a", "/b") == missing
    assert "error[E611]" in param("set", "/mine/a", "2", "--overwrite", expect=5).err
    (param.root / "access.yml").write_text("rules:\n  - {who: [x], may: [reed], paths: [/mine]}\n")
    said = param("list", expect=4)
    assert "access.yml:2:22" in said.err
    assert "did you mean `read`?" in said.err
    (param.root / "access.yml").unlink()
    assert "access.yml" in param("list", expect=4).err


def test_the_prompt_does_not_show_it(tmp_path):
    """At a terminal a secret is asked for twice, and stands nowhere on it."""
    root = write(tmp_path / "project", {})
    (tmp_path / "home").mkdir()
    leader, follower = pty.openpty()
    process = subprocess.Popen(
        [
            "setsid",
            "--ctty",
            "--wait",
            sys.executable,
            "-m",
            "statectl",
            "param",
            "set",
            "/key",
            "--type",
            "SecureString",
        ],
        cwd=root,
        env=environment(tmp_path / "home"),
        stdin=follower,
        stdout=follower,
        stderr=follower,
    )
    os.close(follower)
    seen, answers = b"", 0
    try:
        while True:
            try:
                seen += os.read(leader, 65536)
            except OSError:  # the other end is closed
                break
            if answers < seen.count(b"(not shown): ") + seen.count(b"again: "):
                os.write(leader, CANARY.encode() + b"\n")
                answers += 1
        assert process.wait(30) == 0
    finally:
        process.kill()
        process.wait()
        os.close(leader)
    assert answers == 2
    assert CANARY.encode() not in seen
    said = statectl("param", "get", "/key", "--decrypt", cwd=root, home=tmp_path / "home", expect=0)
    assert said.out == f"{CANARY}\n"
