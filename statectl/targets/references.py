"""What `value_from` refers to: a variable of the environment, a file, or what a command of the controller prints."""

import os
import shlex
import subprocess
from pathlib import Path

MAX_BYTES = 1024 * 1024
COMMAND_S = 60.0


class Unreadable(Exception):
    """There is no value. `summary` says why in one line, `hint` what to do; neither holds any of the value."""

    def __init__(self, summary: str, hint: str = "") -> None:
        super().__init__(summary)
        self.summary = summary
        self.hint = hint


def value_of(kind: str, reference: str) -> str:
    """kind: env, file (an absolute path) or cmd (split as a shell would, but no shell runs it). Raises Unreadable.

    One newline at the end of a file or of what a command prints is not part of the value.
    """
    if kind == "env":
        value = os.environ.get(reference)
        if value is None:
            raise Unreadable(f"environment variable {reference} is not set", "set it before the command")
        return value
    what = f"file {reference}" if kind == "file" else f"what `{reference}` prints"
    content = _file(reference) if kind == "file" else _printed(reference)
    if len(content) > MAX_BYTES:
        raise Unreadable(f"{what} is too large for a value (max 1 MiB)")
    try:
        text = content.decode()
    except UnicodeDecodeError:
        raise Unreadable(f"{what} is not UTF-8 text") from None
    return text.removesuffix("\n").removesuffix("\r")


def _file(path: str) -> bytes:
    try:
        with Path(path).open("rb") as file:
            return file.read(MAX_BYTES + 1)
    except OSError as error:
        raise Unreadable(f"file {path} cannot be read: {(error.strerror or 'unknown error').lower()}") from None


def _printed(command: str) -> bytes:
    """Standard output; what the command says besides goes to our standard error, as it does in a shell."""
    try:
        argv = shlex.split(command)
        ran = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, timeout=COMMAND_S, check=False)
    except ValueError:
        raise Unreadable(f"`{command}` cannot be split into arguments", "close the quotes") from None
    except subprocess.TimeoutExpired:
        raise Unreadable(f"`{command}` took more than {COMMAND_S:g} s and was ended") from None
    except OSError as error:
        raise Unreadable(f"`{command}` cannot be run: {(error.strerror or 'unknown error').lower()}") from None
    if ran.returncode:
        raise Unreadable(f"`{command}` ended with {ran.returncode}", "run it by hand to see why")
    return ran.stdout
