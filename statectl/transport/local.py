"""This machine as a host: the same command, the same frames, pipes instead of SSH."""

import asyncio
import contextlib
import subprocess
from collections.abc import Sequence

from statectl.errors import Unreachable
from statectl.transport.channel import Channel, Endpoint

STDERR_TAIL = 4096  # bytes
CLOSE_S = 1.0

# Executors that were let go while they still worked: they finish alone, and are kept here so that they are reaped.
_left: list[subprocess.Popen[bytes]] = []


class LocalChannel:
    """A child process. Letting go of it closes its pipes and does not kill it: it ends at a resource border by itself."""

    def __init__(
        self,
        process: subprocess.Popen[bytes],
        writer: asyncio.StreamWriter,
        reader: asyncio.StreamReader,
        errors: asyncio.StreamReader,
        transports: Sequence[asyncio.BaseTransport],
    ) -> None:
        self._process = process
        self._writer = writer
        self._reader = reader
        self._errors = errors
        self._transports = transports
        self._stderr = bytearray()
        self.kept = False
        self._drainer = asyncio.create_task(self._drain_stderr())

    async def _drain_stderr(self) -> None:
        while chunk := await self._errors.read(STDERR_TAIL):
            self._stderr += chunk
            del self._stderr[:-STDERR_TAIL]

    async def send(self, data: bytes) -> None:
        try:
            self._writer.write(data)
            await self._writer.drain()
        except OSError as error:
            raise Unreachable(f"channel lost: {error.strerror or error}", code="E310") from None

    async def receive(self, limit: int = 65536) -> bytes:
        return await self._reader.read(limit)

    def diagnostics(self) -> str:
        return bytes(self._stderr).decode("utf-8", "replace")

    async def send_eof(self) -> None:
        self._writer.close()

    async def close(self) -> None:
        for transport in self._transports:
            transport.close()
        self._drainer.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._drainer
        end = asyncio.get_running_loop().time() + CLOSE_S
        while self._process.poll() is None:
            if asyncio.get_running_loop().time() >= end:
                _left.append(self._process)
                break
            await asyncio.sleep(0.005)
        _left[:] = [process for process in _left if process.poll() is None]

    async def release(self) -> None:
        await self.close()


class LocalTransport:
    """Starts executors on this machine."""

    async def open(self, endpoint: Endpoint, argv: Sequence[str], *, deadline_s: float) -> Channel:
        del endpoint, deadline_s  # nothing to look up, nothing to wait for
        loop = asyncio.get_running_loop()
        try:
            process = subprocess.Popen(  # noqa: ASYNC220  fork and exec, no waiting
                argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True
            )
        except OSError as error:
            raise Unreachable(f"cannot start {argv[0]}: {error.strerror}", code="E310") from None
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        reader, out = await _reader(loop, process.stdout)
        errors, err = await _reader(loop, process.stderr)
        into, protocol = await loop.connect_write_pipe(lambda: asyncio.streams.FlowControlMixin(loop), process.stdin)
        writer = asyncio.StreamWriter(into, protocol, None, loop)
        return LocalChannel(process, writer, reader, errors, (into, out, err))

    async def close(self) -> None:
        """Nothing is kept between hosts."""


async def _reader(loop: asyncio.AbstractEventLoop, pipe: object) -> tuple[asyncio.StreamReader, asyncio.BaseTransport]:
    reader = asyncio.StreamReader(limit=1024 * 1024, loop=loop)
    transport, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader, loop=loop), pipe)
    return reader, transport
