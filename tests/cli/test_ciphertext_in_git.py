"""Secrets that are kept in git: a ciphertext a value, that changes when the value does, compared and merged by git's drivers."""

import re
import subprocess
import sys

import pytest

from tests.cli.local_project import ROOT

STATES = """parameters:
  /app/key: {type: SecureString, value_from: "env:NOT_YET"}   # stays
  /app/other: {type: SecureString, value_from: "env:NOT_YET"}
associations:
  app:
    targets: all
    directories: {"{{ machine }}": {}}
    files: {"{{ machine }}/key": {content: "{{ secret('/app/key') }}", mode: 0600}}
"""
CIPHER = re.compile(r"cipher:[A-Za-z0-9_-]+")


def encrypted(project, name: str, value: str, *more: str) -> str:
    return project.statectl("parameter", "encrypt", name, *more, stdin=value, expect=0).out.strip()


@pytest.fixture
def kept(project):
    """Two secrets, each in its file as a ciphertext."""
    project.states(STATES)
    for name, value in (("/app/key", "canary-one"), ("/app/other", "canary-two")):
        project.statectl("parameter", "encrypt", name, "--write", stdin=value, expect=0)
    return project


def states(project) -> str:
    return (project.root / "states/only.yml").read_text()


def git(project, *argv: str, code: int | None = 0) -> str:
    ran = subprocess.run(
        ["git", "-c", "user.name=t", "-c", "user.email=t@example.org", *argv],
        cwd=project.root,
        env={
            "PATH": f"{project.home}/bin:/usr/bin:/bin",
            "HOME": str(project.home),
            "PYTHONPATH": str(ROOT),
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert code is None or ran.returncode == code, ran.stdout + ran.stderr
    return ran.stdout + ran.stderr


def test_a_value_is_written_into_its_declaration_and_reaches_only_its_file(kept):
    """Nothing around it changes; the plan deciphers it with the key; the value is in no file but the host's."""
    text = states(kept)
    assert len(CIPHER.findall(text)) == 2 and text.count("\n") == STATES.count("\n") and text.count("# stays") == 1
    kept.statectl("validate", expect=0)
    kept.statectl("apply", "--yes", expect=0)
    key = kept.machine / "key"
    assert key.read_text() == "canary-one"
    for path in kept.root.rglob("*"):
        if path.is_file() and path != key:
            assert b"canary" not in path.read_bytes(), path


def test_the_same_value_keeps_its_ciphertext_and_another_one_does_not(kept):
    """Only the line whose value changed is another one."""
    before = states(kept)
    said = kept.statectl("parameter", "encrypt", "/app/key", "--write", stdin="canary-one", expect=0)
    assert "unchanged" in said.err and states(kept) == before
    assert encrypted(kept, "/app/key", "canary-one") in before
    kept.statectl("parameter", "encrypt", "/app/key", "--write", stdin="canary-three", expect=0)
    old, new = before.splitlines(), states(kept).splitlines()
    assert [one for one, other in zip(old, new, strict=True) if one != other] == [old[1]]


def test_a_ciphertext_belongs_to_its_name_and_is_whole(kept):
    """Moved, cut off, changed, or without its key: one line that says where, and nothing is put."""
    good = states(kept)
    first, second = CIPHER.findall(good)
    for broken, code, said in (
        (good.replace(first, second, 1), "E170", "the ciphertext was made for /app/other"),
        (good.replace(first, first[:60]), "E170", "no ciphertext of a parameter"),
        (
            good.replace(first, first[:-8] + ("AAAAAAA" if first.endswith("B") else "BBBBBBB") + first[-1]),
            "E167",
            "was changed",
        ),
        (good.replace("SecureString", "String", 1), "E170", "holds the value of a SecureString"),
    ):
        kept.states(broken)
        found = kept.statectl("plan", expect=4)
        assert code in found.err and said in found.err and "only.yml:2:" in found.err, found
    kept.states(good)
    key = kept.root / ".statectl/parameters.key"
    key.rename(key.with_suffix(".away"))
    assert "E167" in kept.statectl("plan", expect=4).err


def test_git_shows_that_a_value_changed_and_not_which(kept):
    """A short name instead of the ciphertext, another one when it changes; no value, and no key is needed."""
    (kept.home / "bin").mkdir()
    command = kept.home / "bin/statectl"
    command.write_text(f'#!/bin/sh\nexec {sys.executable} -m statectl "$@"\n')
    command.chmod(0o755)
    git(kept, "init", "-q", "-b", "main")
    kept.statectl("parameter", "git", "install", expect=0)
    kept.statectl("parameter", "git", "install", expect=0)
    assert (kept.root / ".gitattributes").read_text().count("merge=statectl") == 1
    git(kept, "add", "states", ".gitattributes", "statectl.yml", "inventories")
    git(kept, "commit", "-q", "-m", "one")
    kept.statectl("parameter", "encrypt", "/app/key", "--write", stdin="canary-three", expect=0)
    shown = git(kept, "diff")
    assert shown.count("‹secret /app/key ") == 2 and "cipher:A" not in shown and "canary" not in shown


def test_git_merges_two_changes_and_equal_values_that_were_encrypted_twice(kept):
    """The same new value in both branches is no conflict; two different ones are."""
    (kept.home / "bin").mkdir()
    command = kept.home / "bin/statectl"
    command.write_text(f'#!/bin/sh\nexec {sys.executable} -m statectl "$@"\n')
    command.chmod(0o755)
    git(kept, "init", "-q", "-b", "main")
    kept.statectl("parameter", "git", "install", expect=0)
    git(kept, "add", "states", ".gitattributes", "statectl.yml", "inventories")
    git(kept, "commit", "-q", "-m", "base")
    git(kept, "checkout", "-q", "-b", "theirs")
    kept.statectl("parameter", "encrypt", "/app/key", "--write", stdin="canary-new", expect=0)
    git(kept, "commit", "-q", "-am", "theirs")
    theirs = states(kept)
    git(kept, "checkout", "-q", "main")
    kept.statectl("parameter", "encrypt", "/app/key", "--write", stdin="canary-new", expect=0)
    git(kept, "commit", "-q", "-am", "ours")
    ours = states(kept)
    assert ours != theirs
    git(kept, "merge", "-q", "theirs")
    assert states(kept) in (ours, theirs)
    git(kept, "checkout", "-q", "-b", "different", "main~2")
    kept.statectl("parameter", "encrypt", "/app/key", "--write", stdin="canary-else", expect=0)
    git(kept, "commit", "-q", "-am", "different")
    git(kept, "merge", "-q", "main", code=1)
    assert "<<<<<<<" in states(kept) and "canary" not in states(kept)
