"""One login as the client sees it: the key that the server showed, what it said last, and how fast we answer."""

import asyncio
import contextlib
import socket
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import asyncssh

LAST_WORDS_S = 0.05  # between the end of a connection and giving it up: its last message is heard


class Seen:
    """Remembers what the server showed, and accepts a key the inventory pins."""

    def __init__(self, pinned: str) -> None:
        self.pinned = pinned
        self.key: asyncssh.SSHKey | None = None
        self.authenticated = False
        self._connection: asyncssh.SSHClientConnection | None = None

    @property
    def missing(self) -> str:
        """What a server that connected has not done yet."""
        if self._connection is None or not self._connection.get_extra_info("server_version"):
            return "banner"
        return "login" if self.key is not None else "key exchange"

    def untried(self) -> dict[str, Any]:
        """Options for a connection with the keys that were not offered on this one; none when all were."""
        keys = list(getattr(self._connection, "_client_keys", ()))
        return {"client_keys": keys, "agent_path": None} if keys else {}

    def client(self) -> "asyncssh.SSHClient":
        import asyncssh

        seen = self

        class Client(asyncssh.SSHClient):
            def connection_made(self, conn: "asyncssh.SSHClientConnection") -> None:
                seen._connection = conn
                _acknowledge_at_once(conn)
                _hear_the_last_words(conn)

            def validate_host_public_key(self, host: str, addr: str, port: int, key: "asyncssh.SSHKey") -> bool:
                del host, addr, port
                seen.key = key
                return bool(seen.pinned) and key.get_fingerprint() == pin(seen.pinned)

            def auth_completed(self) -> None:
                seen.authenticated = True

        return Client()


def _acknowledge_at_once(connection: "asyncssh.SSHClientConnection") -> None:
    """Answer each read with an ACK at once.

    sshd writes its first channel messages in small pieces; with Nagle's rule there and delayed ACKs here every login would
    stand still for 40 ms. The option lasts for one read only, hence the hook.
    """
    sock = connection.get_extra_info("socket")
    quickack = getattr(socket, "TCP_QUICKACK", None)
    if sock is None or quickack is None or sock.family not in (socket.AF_INET, socket.AF_INET6):
        return
    received: Callable[..., None] = connection.data_received

    def data_received(data: bytes, datatype: Any = None) -> None:
        with contextlib.suppress(OSError):  # a hint to the kernel; the next read tells what is wrong with the socket
            sock.setsockopt(socket.IPPROTO_TCP, quickack, 1)
        received(data, datatype)

    connection.data_received = data_received  # type: ignore[method-assign]


def _hear_the_last_words(connection: "asyncssh.SSHClientConnection") -> None:
    """Let what a server said before it hung up count as the cause, not that it hung up.

    asyncssh looks at some messages in a task of their own; an end of file that comes together with such a message would be
    handled first, and "connection lost" would hide why.
    """
    loop = asyncio.get_running_loop()
    ended: Callable[[], None] = connection.eof_received

    def eof_received() -> bool:
        loop.call_later(LAST_WORDS_S, ended)
        return True  # we close it ourselves

    connection.eof_received = eof_received  # type: ignore[method-assign,assignment]


def pin(text: str) -> str:
    """TYPE BASE64, as the inventory has it -> its fingerprint."""
    import asyncssh

    return asyncssh.import_public_key(text).get_fingerprint()
