"""value_from: what environment, files and commands give, and what is said where they give nothing."""

import sys

import pytest

from statectl.targets.references import MAX_BYTES, Unreadable, value_of


def test_a_value_is_what_stands_there_without_its_last_newline(tmp_path, monkeypatch):
    """One newline at the end is not part of it, others are; an environment variable is taken as it is."""
    file = tmp_path / "key"
    file.write_bytes(b"line\n\n")
    monkeypatch.setenv("APP_KEY", "value\n")
    assert value_of("file", str(file)) == "line\n"
    assert value_of("env", "APP_KEY") == "value\n"
    assert value_of("cmd", "printf 'a b\\n'") == "a b"


def test_a_command_runs_without_a_shell_and_without_input():
    """Arguments are split as a shell would, and nothing of one happens: no variable, no pipe; standard input is empty."""
    assert value_of("cmd", "printf %s '$HOME | x'") == "$HOME | x"
    assert value_of("cmd", f"{sys.executable} -c 'import sys; print(repr(sys.stdin.read()))'") == "''"


@pytest.mark.parametrize(
    ("kind", "reference", "said"),
    [
        ("env", "NOT_THERE_AT_ALL", "environment variable NOT_THERE_AT_ALL is not set"),
        ("file", "/nonexistent/key", "cannot be read: no such file"),
        ("file", "/", "cannot be read: is a directory"),
        ("cmd", "/nonexistent/program", "cannot be run: no such file"),
        ("cmd", "sh -c 'echo secret; exit 3'", "ended with 3"),
        ("cmd", "echo 'open", "cannot be split"),
        ("cmd", r"printf '\377'", "is not utf-8 text"),
        ("cmd", f"head -c {MAX_BYTES + 1} /dev/zero", "too large"),
    ],
)
def test_what_gives_no_value_says_why_and_nothing_of_the_value(kind, reference, said):
    """One line with the cause."""
    with pytest.raises(Unreadable) as caught:
        value_of(kind, reference)
    assert said in caught.value.summary.lower() or said in caught.value.summary
    assert caught.value.summary.count("\n") == 0


def test_a_command_that_never_ends_is_ended(monkeypatch):
    """After its time, with the limit in the message."""
    monkeypatch.setattr("statectl.targets.references.COMMAND_S", 0.2)
    with pytest.raises(Unreadable, match=r"took more than 0.2 s"):
        value_of("cmd", "sleep 60")
