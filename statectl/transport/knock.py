"""The first steps of the way to a host, one by one: name, route, TCP, banner, and what its login shell is like. For `doctor`."""

import asyncio
import contextlib
import os
import secrets
import socket
import time
from collections.abc import Sequence
from dataclasses import dataclass

from statectl.errors import Unreachable
from statectl.transport.channel import Endpoint, Transport
from statectl.transport.loading import load_asyncssh
from statectl.transport.ssh import NO_ANSWER
from statectl.transport.user_config import user_config

SHELL_S = 20.0  # from login to the end of a command of three lines
MAX_NOISE = 4 * 1024 * 1024  # bytes
ASK = (
    'PATH=/usr/sbin:/usr/bin:/sbin:/bin; echo; echo "statectl:$1"; id -un; umask; '
    'if test -d "$HOME"; then echo there; else echo missing; fi; '
    "if test -t 0 || test -t 1; then echo terminal; else echo plain; fi; "
    'env | grep -c "^PYTHON"; echo "$HOME"'
)


@dataclass(frozen=True, slots=True)
class Address:
    """Where a host's name leads, after the user's own ssh config was asked. `direct`: no proxy in between."""

    host: str
    port: int
    direct: bool


@dataclass(frozen=True, slots=True)
class Shell:
    """What a login shell told of itself. All of it is the host's own text."""

    user: str
    umask: str
    home: str
    has_home: bool
    terminal: bool  # something put a terminal around the command
    python_variables: bool
    noise: int  # bytes that it printed before the command


def resolve(endpoint: Endpoint) -> Address:
    """Raises Unreachable when the ssh configuration cannot be used."""
    load_asyncssh()
    import asyncssh

    try:
        options = asyncssh.SSHClientConnectionOptions(
            host=endpoint.address, port=endpoint.port or (), config=user_config()
        )
    except (OSError, ValueError, asyncssh.Error) as error:
        raise Unreachable(f"SSH settings for this host do not work: {error}", code="E306") from None
    direct = not (endpoint.jump or options.tunnel or options.proxy_command)
    return Address(options.host or endpoint.address, options.port or 22, direct)


def look_up(at: Address) -> tuple[str, str]:
    """(address, our own address on the way there). Nothing is sent to it. Raises Unreachable."""
    try:
        found = socket.getaddrinfo(at.host, at.port, type=socket.SOCK_STREAM)
    except (socket.gaierror, UnicodeError) as error:
        raise Unreachable(f"name {at.host} does not resolve: {error}", code="E303") from None
    family, _, _, _, address = found[0]
    with contextlib.closing(socket.socket(family, socket.SOCK_DGRAM)) as probe:
        try:
            probe.connect(address)
            return str(address[0]), str(probe.getsockname()[0])
        except OSError as error:
            raise Unreachable(
                f"no route to {address[0]}: {error.strerror}", code="E303", hint="check the network of this machine"
            ) from None


def knock(at: Address, limit_s: float) -> tuple[float, str]:
    """(seconds that TCP took, the server's banner; '' when it closed without one). Raises Unreachable."""
    began = time.monotonic()
    where = f"{at.host} tcp {at.port}"
    try:
        connection = socket.create_connection((at.host, at.port), timeout=limit_s)
    except TimeoutError:
        raise Unreachable(f"no answer in {limit_s:g} s ({where})", code="E302") from None
    except ConnectionRefusedError:
        raise Unreachable(f"connection refused ({where})", code="E301") from None
    except OSError as error:
        if error.errno in NO_ANSWER:
            raise Unreachable(f"no answer: {os.strerror(error.errno).lower()} ({where})", code="E302") from None
        raise Unreachable(f"{error.strerror or error} ({where})", code="E305") from None
    seconds = time.monotonic() - began
    with contextlib.closing(connection):
        banner = b""
        try:
            while b"\n" not in banner and len(banner) < 1024:
                connection.settimeout(max(0.1, limit_s - (time.monotonic() - began)))
                if time.monotonic() - began > limit_s:
                    raise TimeoutError
                piece = connection.recv(256)
                if not piece:
                    break
                banner += piece
        except TimeoutError:
            raise Unreachable(f"connected, and no SSH banner in {limit_s:g} s ({where})", code="E302") from None
        except OSError:
            banner = b""
    return seconds, banner.decode("ascii", "replace").strip()


async def ask_shell(transport: Transport, endpoint: Endpoint, *, contact_s: float) -> Shell:
    """Log in and let the login shell run three lines. Raises Unreachable or Refused, as every login does."""
    nonce = secrets.token_hex(8)
    channel = await transport.open(endpoint, ("/bin/sh", "-c", ASK, "sh", nonce), deadline_s=contact_s)
    mark = f"statectl:{nonce}".encode()
    said, before = b"", 0
    try:
        async with asyncio.timeout(SHELL_S):
            await channel.send_eof()
            while piece := await channel.receive():
                said += piece
                at = said.find(mark)
                if at < 0:
                    before += max(0, len(said) - 4096)
                    said = said[-4096:]
                elif said.count(b"\n", at) >= 7:
                    break
                if before > MAX_NOISE:
                    break
    except TimeoutError:
        raise Unreachable(
            f"logged in, and the login shell did not run a command in {SHELL_S:g} s",
            code="E322",
            hint=f"try: ssh {endpoint.name} true; look for ForceCommand, a forced command of the key, and login scripts that wait",
        ) from None
    finally:
        await channel.close()
    at = said.find(mark)
    lines = said[at:].decode("utf-8", "replace").splitlines()[1:] if at >= 0 else []
    if len(lines) < 6:
        raise Unreachable(
            "logged in, and the login shell did not run our command" + _last_line(said, channel.diagnostics()),
            code="E322",
            hint=f"try: ssh {endpoint.name} true; an account whose shell is nologin, or a forced command, looks like this",
        )
    return Shell(
        user=lines[0].strip(),
        umask=lines[1].strip(),
        has_home=lines[2].strip() == "there",
        terminal=lines[3].strip() == "terminal",
        python_variables=lines[4].strip() not in ("", "0"),
        home=lines[5].strip(),
        noise=before + max(0, at - 1),
    )


def _last_line(said: bytes, errors: str) -> str:
    lines: Sequence[str] = [
        line for line in [*said.decode("utf-8", "replace").splitlines(), *errors.splitlines()] if line
    ]
    return f"; it said: {lines[-1].strip()[:200]}" if lines else ""
