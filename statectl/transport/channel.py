"""The seam to a host: a two-way byte stream to one started process. SSH, local and (later) the agent stand behind it.

A transport never interprets what it carries, and never reports success: only the executor's `end` message does.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from statectl.secrets import Secret


@dataclass(frozen=True, slots=True)
class Become:
    """Run the executor as another user through sudo. `password` None: sudo must not ask."""

    user: str = "root"
    password: Secret | None = None


@dataclass(frozen=True, slots=True)
class Endpoint:
    """How one host is reached. Comes from the inventory and the command line only, never from anything a host said."""

    name: str  # inventory name
    address: str  # host name or IP literal
    port: int = 22
    user: str = ""  # '' : the SSH config's or the invoking user's
    connection: str = "ssh"  # ssh | local
    jump: tuple[str, ...] = ()  # [user@]host[:port], outermost first
    identity_files: tuple[str, ...] = ()
    host_key: str = ""  # pinned public key, TYPE BASE64; '' : known_hosts decides
    python: str = ""  # absolute path of the interpreter; '' : look for one
    become: Become | None = None
    password: Secret | None = None  # login password, from a prompt or a file descriptor only
    undo_after: float = 0.0  # seconds until the host undoes what may have locked us out; 0: it never does
    state_dir: str = ""  # where the host keeps its memory; '' : the executor's default
    new_login: bool = False  # not over a connection that is open already: who comes must be let in now


class Channel(Protocol):
    """One started process on one host. `kept`: over a login that stood open already."""

    kept: bool

    async def send(self, data: bytes) -> None:
        """Write to its stdin; waits while the other side does not read. Raises Unreachable when the channel is gone."""

    async def receive(self, limit: int = 65536) -> bytes:
        """Next bytes of its stdout; b'' when the stream has ended. Raises Unreachable when the channel was lost."""

    def diagnostics(self) -> str:
        """The last 4 KiB of its stderr, as it came."""

    async def send_eof(self) -> None: ...

    async def close(self) -> None:
        """Let go. Never raises, never waits longer than a second."""

    async def release(self) -> None:
        """As close, behind a conversation that ended well and changed nothing on the host: its login may serve once more."""


class Transport(Protocol):
    """Opens channels. One object per run."""

    async def open(self, endpoint: Endpoint, argv: Sequence[str], *, deadline_s: float) -> Channel:
        """Log in and start `argv`. `deadline_s` covers name look-up, TCP, banner, key exchange, login and start together.

        Raises Unreachable with a code and the cause in one line.
        """

    async def close(self) -> None: ...
