"""What is said to one process on one host, through asyncssh."""

import asyncio
import contextlib
from collections.abc import Callable
from typing import TYPE_CHECKING

from statectl.errors import Unreachable
from statectl.transport.kept import Login

if TYPE_CHECKING:
    import asyncssh

STDERR_TAIL = 4096  # bytes


class SshChannel:
    """One process on one host, the only one of its login. keep: takes the login when the channel is released."""

    def __init__(
        self,
        login: Login,
        process: "asyncssh.SSHClientProcess[bytes]",
        *,
        kept: bool = False,
        keep: Callable[[Login], None] | None = None,
    ) -> None:
        self.kept = kept
        self._login = login
        self._jump = login.way.endpoint.jump  # outermost first, as in the inventory
        self._connections = login.connections
        self._process = process
        self._keep = keep
        self._ended = False  # the stream came to its end, and the process with it
        self._stderr = bytearray()
        self._drainer = asyncio.create_task(self._drain_stderr())

    async def _drain_stderr(self) -> None:
        with contextlib.suppress(Exception):  # a lost channel is reported by receive(); here it only ends the copy
            while chunk := await self._process.stderr.read(4096):
                self._stderr += chunk
                del self._stderr[:-STDERR_TAIL]

    def _lost(self, error: BaseException | None) -> Unreachable:
        for hop, connection in zip(self._jump, reversed(self._connections[1:]), strict=True):
            if connection.is_closed():
                return Unreachable(f"channel lost: jump host {hop} went away", code="E310")
        cause = " ".join(str(error).split()) if error else "the connection ended"
        return Unreachable(f"channel lost: {cause or type(error).__name__}", code="E310")

    async def send(self, data: bytes) -> None:
        import asyncssh

        try:
            self._process.stdin.write(data)
            await self._process.stdin.drain()
        except (OSError, asyncssh.Error) as error:
            raise self._lost(error) from None

    async def receive(self, limit: int = 65536) -> bytes:
        import asyncssh

        try:
            data = bytes(await self._process.stdout.read(limit))
        except (OSError, asyncssh.Error) as error:
            raise self._lost(error) from None
        if not data and any(connection.is_closed() for connection in self._connections[1:]):
            raise self._lost(None)  # the end of a stream that a jump host took with it
        self._ended = self._ended or not data
        return data

    def diagnostics(self) -> str:
        return bytes(self._stderr).decode("utf-8", "replace")

    async def send_eof(self) -> None:
        with contextlib.suppress(OSError):
            self._process.stdin.write_eof()

    async def close(self) -> None:
        self._drainer.cancel()
        for connection in self._connections:
            connection.close()
        for connection in self._connections:
            with contextlib.suppress(Exception):  # letting go never fails: what mattered came with the `end` message
                await asyncio.wait_for(connection.wait_closed(), 1)
        for connection in self._connections:
            connection.abort()

    async def release(self) -> None:
        if self._keep is None or not self._ended:
            await self.close()
            return
        self._drainer.cancel()
        self._process.close()
        with contextlib.suppress(Exception):  # what does not end in time is no login to keep: the next one finds out
            await asyncio.wait_for(self._process.wait_closed(), 1)
        self._keep(self._login)
