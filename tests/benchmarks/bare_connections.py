"""Connect to all hosts at once and do next to nothing there: bare_connections.py KEY KNOWN_HOSTS pass|login ADDRESS ...

`pass`: every host starts `python3 -I -S -c pass`. `login`: log in and leave. A program of its own; its whole process is timed.
"""

import asyncio
import socket
import sys

import asyncssh


class Client(asyncssh.SSHClient):
    def connection_made(self, conn: asyncssh.SSHClientConnection) -> None:
        """Acknowledge each read at once: a new connection stands still for 40 ms otherwise."""
        sock = conn.get_extra_info("socket")
        received = conn.data_received

        def data_received(data: bytes, datatype: int | None = None) -> None:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
            received(data, datatype)

        conn.data_received = data_received  # type: ignore[method-assign]


async def visit(address: str, key: str, known_hosts: str, what: str) -> None:
    connection = await asyncssh.connect(
        address, username="root", client_keys=[key], known_hosts=known_hosts, config=None, client_factory=Client
    )
    if what == "pass":
        await connection.run("python3 -I -S -c pass", check=True)
    connection.abort()


async def main(key: str, known_hosts: str, what: str, *addresses: str) -> None:
    await asyncio.gather(*(visit(address, key, known_hosts, what) for address in addresses))


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
