"""SSH servers on loopback for hosts that lie: asyncssh in a thread of its own, one port for each host."""

import asyncio
import shlex
import threading
from collections.abc import Awaitable, Callable
from typing import Any, Self

import asyncssh

from statectl.onhost import protocol

Talk = Callable[["Channel"], Awaitable[None]]
READY = {"type": "ready", "facts": {}, "probes": {}, "memory": {}}


class Open(asyncssh.SSHServer):
    """Lets everybody in."""

    def begin_auth(self, username: str) -> bool:
        return False


class Channel:
    """The host's end of one started executor. `heard`: every byte that the controller sent."""

    def __init__(self, process: asyncssh.SSHServerProcess[bytes]) -> None:
        self.process = process
        self.argv = shlex.split(process.command or "")
        self.nonce = self.argv[self.argv.index("sh", 1) + 3]
        self.heard = b""
        self._decoder = protocol.Decoder(packed=True)
        self._messages: list[dict[str, Any]] = []
        self._digest = protocol.Digest()

    async def start(self) -> dict[str, Any]:
        """Answer as the bootstrap does -> the order."""
        await self.raw(f"\nstatectl:{self.nonce}:have\n".encode())
        return await self.message("order")

    async def raw(self, data: bytes) -> None:
        self.process.stdout.write(data)
        await self.process.stdout.drain()

    async def say(self, *messages: dict[str, Any]) -> None:
        for message in messages:
            frame = protocol.encode(message)
            self._digest.add(frame[protocol.HEADER.size :])
            await self.raw(frame)

    async def end(self, outcome: str = "planned", **more: Any) -> None:
        await self.say({"type": "end", "outcome": outcome, "digest": self._digest.value(), **more})

    async def message(self, kind: str) -> dict[str, Any]:
        """The next message of this kind; others before it are passed over."""
        while True:
            while self._messages:
                message = self._messages.pop(0)
                if message["type"] == kind:
                    return message
            data = await self.process.stdin.read(65536)
            if not data:
                raise ConnectionResetError(f"the controller went away before it said {kind}")
            self.heard += data
            for frame, payload in self._decoder.feed(data):
                if frame == protocol.JSON_FRAME:
                    self._messages.append(protocol.decode_json(payload))

    async def rest(self) -> None:
        """Until the controller lets go."""
        while data := await self.process.stdin.read(65536):
            self.heard += data


async def shell(process: asyncssh.SSHServerProcess[bytes]) -> None:
    """Answer honestly to a line of shell, with this machine's own shell."""
    ran = await asyncio.create_subprocess_exec(
        "/bin/sh", "-c", process.command or "true", stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE
    )
    out, _ = await ran.communicate()
    process.stdout.write(out)
    process.exit(ran.returncode or 0)


class Listening:
    """One host: its port, and what was seen of the controller. `channels`: one for each start of an executor."""

    def __init__(self) -> None:
        self.port = 0
        self.channels: list[Channel] = []
        self.seen: list[str] = []
        self.connections: list[asyncssh.SSHServerConnection] = []
        self.received = b""


class Servers:
    """`with Servers() as servers: host = servers.executor(talk)`."""

    def __init__(self) -> None:
        self.key = asyncssh.generate_private_key("ssh-ed25519")
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._stops: list[Callable[[], None]] = []

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        for stop in self._stops:
            self._loop.call_soon_threadsafe(stop)
        asyncio.run_coroutine_threadsafe(self._settle(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    async def _settle(self) -> None:
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()
        await asyncio.sleep(0.05)

    @property
    def host_key(self) -> str:
        """As an inventory pins it."""
        return " ".join(self.key.export_public_key().decode().split()[:2])

    def do(self, coroutine: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(20)

    def executor(
        self, talk: Talk, *, server: type[asyncssh.SSHServer] = Open, key: Any = None, **options: Any
    ) -> Listening:
        """An sshd whose executor is `talk`."""
        host = Listening()

        async def serve(process: asyncssh.SSHServerProcess[bytes]) -> None:
            try:
                if "zlib" not in (process.command or ""):  # not an executor: what doctor asks a shell
                    await shell(process)
                    return
                channel = Channel(process)
                host.channels.append(channel)
                await talk(channel)
                process.exit(0)
            except (OSError, asyncssh.Error, protocol.ProtocolError):
                process.close()  # the controller let go, as it should

        async def listen() -> None:
            listener = await asyncssh.create_server(
                server,
                "127.0.0.1",
                0,
                server_host_keys=[key or self.key],
                process_factory=serve,
                encoding=None,
                **options,
            )
            host.port = listener.get_port()
            self._stops.append(listener.close)

        self.do(listen())
        return host

    def raw(self, talk: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]) -> Listening:
        """A TCP server that need not speak SSH."""
        host = Listening()

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            try:
                await talk(reader, writer)
            except OSError:
                host.seen.append("let go")
            finally:
                writer.close()

        async def listen() -> None:
            listener = await asyncio.start_server(serve, "127.0.0.1", 0)
            host.port = listener.sockets[0].getsockname()[1]
            self._stops.append(listener.close)

        self.do(listen())
        return host
