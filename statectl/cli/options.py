"""Options that many commands share, and what they mean once parsed."""

import json
import os
import re
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import click

from statectl.cli.formats.terminal import Screen, json_safe, one_line, screen
from statectl.errors import Failed, Refused, UsageError
from statectl.secrets import Secret

F = TypeVar("F", bound=Callable[..., Any])


def _apply(options: Sequence[Callable[[F], F]], function: F) -> F:
    for option in reversed(options):
        function = option(function)
    return function


def output_options(formats: Sequence[str]) -> Callable[[F], F]:
    """-o/--json, -q, -v, --color. The command gets `out` (a list of texts), `as_json`, `quiet`, `verbose`, `color`."""
    return lambda function: _apply(
        [
            click.option(
                "-o",
                "out",
                metavar="FORMAT[=FILE]",
                multiple=True,
                help=f"Output as {', '.join(formats)}; with =FILE into a file. Repeatable.",
            ),
            click.option("--json", "as_json", is_flag=True, help="Same as -o json."),
            click.option("-q", "--quiet", is_flag=True, help="No progress on stderr."),
            click.option(
                "-v",
                "--verbose",
                count=True,
                help="More on stderr: -v unchanged, -vv what executors say, -vvv messages.",
            ),
            click.option(
                "--color",
                type=click.Choice(["auto", "always", "never"]),
                default="auto",
                help="Colour on the terminal.",
            ),
        ],
        function,
    )


class Duration(click.ParamType):  # type: ignore[type-arg]  # older clicks have no parameter
    """`90`, `90s`, `10m`, `1h30m` -> seconds, at most `most`."""

    name = "duration"
    _text = re.compile(r"(?:(\d{1,3})h)?(?:(\d{1,5})m)?(?:(\d{1,6}(?:\.\d{1,3})?)s?)?")

    def __init__(self, most: float) -> None:
        self._most = most

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        if isinstance(value, float):
            return value
        match = self._text.fullmatch(str(value)) if value else None
        if match is None:
            self.fail(f"{one_line(str(value)[:40])!r} is not a duration; write 90s, 10m or 1h30m", param, ctx)
        hours, minutes, seconds = (float(part or 0) for part in match.groups())
        total = hours * 3600 + minutes * 60 + seconds
        if total > self._most:
            self.fail(f"at most {self._most / 3600:g}h", param, ctx)
        return total


def inventory_option(function: F) -> F:
    return click.option(
        "-i",
        "--inventory",
        "inventory",
        metavar="PATH",
        default=None,
        help="Inventory to use instead of the project's default.",
    )(function)


def login_options(function: F) -> F:
    """How to log in, without which hosts and how many."""
    return _apply(
        [
            click.option("--no-input", is_flag=True, help="Never ask; fail instead."),
            click.option("-u", "--user", "user", metavar="NAME", default="", help="Log in as this user."),
            click.option("--identity", "identity", metavar="FILE", multiple=True, help="Private key file; repeatable."),
            click.option("--ask-password", is_flag=True, help="Ask for the login password."),
            click.option(
                "--password-fd",
                metavar="FD",
                type=click.IntRange(0),
                default=None,
                help="Read the login password from this file descriptor.",
            ),
            click.option("-K", "--ask-become-password", is_flag=True, help="Ask for the sudo password, once."),
            click.option(
                "--become-password-fd",
                metavar="FD",
                type=click.IntRange(0),
                default=None,
                help="Read the sudo password from this file descriptor.",
            ),
        ],
        function,
    )


def host_options(function: F) -> F:
    """Which hosts, how many at once, how to log in."""
    return _apply(
        [
            inventory_option,
            click.option(
                "-t",
                "--target",
                "target",
                metavar="EXPR",
                default=None,
                help="Only these hosts: web01, web[01-20], group:web and env=prod.",
            ),
            click.option(
                "--max-concurrency",
                metavar="N|N%",
                default=None,
                help="Hosts at once. Without it 50, or what associations say to an apply.",
            ),
            click.option(
                "--timeout",
                "timeout",
                metavar="SECONDS",
                type=click.FloatRange(1, 172800),
                default=1800,
                show_default=True,
                help="Limit for one host.",
            ),
            click.option(
                "--lock-timeout",
                metavar="DURATION",
                type=Duration(86400),
                default="0",
                show_default=True,
                help="How long to wait for a host that another apply holds, such as 90s or 10m.",
            ),
            click.option("--allow-empty", is_flag=True, help="A target that matches no host is not an error."),
            login_options,
        ],
        function,
    )


def plan_options(function: F) -> F:
    return _apply(
        [
            click.option(
                "--only",
                "only",
                metavar="ADDRESS",
                multiple=True,
                help="Only this resource, such as file:/etc/motd; repeatable.",
            ),
            click.option("--prune", is_flag=True, help="Also remove what is no longer declared."),
            click.option("--release", is_flag=True, help="Forget what is no longer declared, and leave it as it is."),
            click.option(
                "--set",
                "settings",
                metavar="NAME=VALUE",
                multiple=True,
                help="Set a variable (YAML value, or @FILE.yml for many).",
            ),
            click.option("--full", is_flag=True, help="Show whole diffs."),
            click.option("--by-host", is_flag=True, help="Do not fold hosts with the same changes."),
        ],
        function,
    )


@dataclass(frozen=True, slots=True)
class Outputs:
    """Where results go: each format once, at most one to stdout."""

    targets: Sequence[tuple[str, Path | None]]
    screen: Screen
    err: Screen
    quiet: bool
    verbose: int

    def formats(self) -> list[str]:
        return [name for name, _ in self.targets]

    def on_stdout(self, name: str) -> bool:
        return (name, None) in self.targets

    def write(self, documents: Mapping[str, Callable[[], str]]) -> None:
        """Write each asked-for format. `documents`: {format: function giving its text, with its last newline}."""
        for name, path in self.targets:
            text = documents[name]()
            if path is None:
                sys.stdout.write(text)
                sys.stdout.flush()
            else:
                write_file(path, text)


def outputs(
    out: Sequence[str], formats: Sequence[str], *, as_json: bool, quiet: bool, verbose: int, color: str
) -> Outputs:
    """Read -o. Raises UsageError."""
    asked = [*out, *(["json"] if as_json else [])] or ["text"]
    targets: list[tuple[str, Path | None]] = []
    for text in asked:
        name, equals, file = text.partition("=")
        if name not in formats:
            raise UsageError(f"output format not known: {name!r}", hint=f"one of {', '.join(formats)}")
        if equals and not file:
            raise UsageError(f"-o {text}: no file name behind =")
        targets.append((name, Path(file) if file else None))
        if file:
            check_writable(Path(file), f"-o {name}")
    if sum(path is None for _, path in targets) > 1:
        raise UsageError("two output formats for stdout", hint="give all but one a file: -o json=plan.json")
    if all(path is not None for _, path in targets):
        targets.append(("text", None))
    return Outputs(targets, screen(sys.stdout, color=color), screen(sys.stderr, color=color), quiet, verbose)


def check_writable(path: Path, option: str) -> None:
    """Before anything is done for a file that cannot be written. Raises UsageError."""
    parent = path.absolute().parent
    if not os.path.isdir(parent):
        raise UsageError(f"{option}: no directory {one_line(str(parent))}")
    there = os.path.exists(path)
    too_long = len(path.name.encode("utf-8", "surrogateescape")) > 255
    if too_long or os.path.isdir(path) or not os.access(path if there else parent, os.W_OK):
        raise UsageError(f"{option}: cannot write {one_line(str(path))}")


def write_file(path: Path, text: str, *, private: bool = False) -> None:
    """`private`: a file that is made is for its owner alone; one that was there keeps its mode."""
    try:
        with open(path, "w", encoding="utf-8", errors="backslashreplace", opener=_private if private else None) as file:
            file.write(text)
    except OSError as error:
        raise Failed(f"cannot write {one_line(str(path))}: {(error.strerror or 'error').lower()}") from None


def _private(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_CLOEXEC, 0o600)


def secret_from(what: str, *, ask: bool, descriptor: int | None, no_input: bool) -> Secret | None:
    """A password from a prompt or a file descriptor; never from argv or the environment."""
    if descriptor is not None:
        try:
            with os.fdopen(os.dup(descriptor), "rb") as file:
                value = file.read(64 * 1024).rstrip(b"\r\n").decode()
        except (OSError, UnicodeDecodeError) as error:
            raise UsageError(f"{what} cannot be read from file descriptor {descriptor}: {error}") from None
        return Secret(value, what)
    if not ask:
        return None
    if no_input or not sys.stdin.isatty():
        option = "--password-fd" if what == "login password" else "--become-password-fd"
        raise Refused(f"{what} cannot be asked for: no terminal", code="E516", hint=f"use {option} N")
    import getpass

    return Secret(getpass.getpass(f"{what}: "), what)


def confirm(question: str, *, yes: bool, no_input: bool) -> bool:
    """Ask on stderr. Without a terminal there is no prompt: raises Refused naming the flag."""
    if yes:
        return True
    if no_input or not sys.stdin.isatty():
        raise Refused(
            f"cannot ask without a terminal: {question}", code="E516", hint="say --yes to go on without being asked"
        )
    sys.stderr.write(f"{question} [y/N] ")
    sys.stderr.flush()
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def to_json(value: Any) -> str:
    return json_safe(json.dumps(value, indent=2, ensure_ascii=False)) + "\n"


def to_json_lines(values: Iterable[Any]) -> str:
    """One document a line."""
    return "".join(json_safe(json.dumps(value, ensure_ascii=False)) + "\n" for value in values)
