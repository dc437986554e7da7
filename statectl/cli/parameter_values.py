"""Where the value of a new version comes from: an argument, a file, standard input, or a prompt. Never an argument when it is secret."""

import sys
from pathlib import Path

import click

from statectl.cli.formats.terminal import one_line
from statectl.errors import Refused, UsageError
from statectl.secrets import Secret

MOST = 1024 * 1024  # no setting allows more


def read_value(name: str, argument: str | None, file: str | None, *, secret: bool, no_input: bool) -> str | Secret:
    """A file is taken byte for byte, of standard input the last newline goes. Raises UsageError (E623, E615), Refused (E516)."""
    if argument is not None and file is not None:
        raise UsageError("the value is given twice", hint="give it as an argument or with --file")
    if argument is not None:
        if secret:
            raise UsageError(
                f"the value of {one_line(name[:120])} is secret and was an argument: everybody on this machine can read those",
                code="E623",
                hint="give it by standard input, --file, or at the prompt; change the secret if this is not your machine alone",
            )
        return argument
    text = _from_file(file) if file is not None else _asked(name, secret=secret, no_input=no_input)
    return Secret(text, name) if secret else text


def _from_file(file: str) -> str:
    try:
        data = sys.stdin.buffer.read(MOST + 1) if file == "-" else _bytes_of(Path(file))
    except OSError as error:
        raise UsageError(f"--file {one_line(file)}: {(error.strerror or 'cannot be read').lower()}") from None
    return _text(data, f"--file {one_line(file)}")


def _bytes_of(path: Path) -> bytes:
    with open(path, "rb") as opened:
        return opened.read(MOST + 1)


def _asked(name: str, *, secret: bool, no_input: bool) -> str:
    if not sys.stdin.isatty():
        return _text(sys.stdin.buffer.read(MOST + 1), "standard input").removesuffix("\n").removesuffix("\r")
    if no_input:
        raise Refused(
            "the value cannot be asked for: --no-input", code="E516", hint="give it by standard input or --file"
        )
    if not secret:
        return str(click.prompt(f"value of {one_line(name[:120])}", err=True, prompt_suffix=": "))
    import getpass

    text = getpass.getpass(f"value of {one_line(name[:120])} (not shown): ")
    if getpass.getpass("again: ") != text:
        raise UsageError("the two are not the same; nothing was written")
    return text


def _text(data: bytes, where: str) -> str:
    if len(data) > MOST:
        raise UsageError(f"{where}: more than {MOST:,} bytes", code="E615")
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise UsageError(
            f"{where} is not UTF-8", code="E615", hint="store bytes in base64, with --data-type binary"
        ) from None
