"""A relay in front of a PostgreSQL server that loses one connection at a chosen moment, or leads to another server from then on."""

import contextlib
import socket
import threading
from collections.abc import Callable

PIECE = 65536
COMMIT = b"COMMIT\x00"  # the end of the message that asks for it
MOMENTS = ("before", "sent", "answered", "silent", "half way")


class Relay:
    """`lose(moment)`: the next transaction that comes by loses its connection, once:

    half way   at its first statement after BEGIN
    before     when it asks for its commit, which the server never hears
    sent       right after the server was asked, whatever it makes of it
    answered   when the server has said that it is committed, which is not passed on
    silent     as `before`, but nobody is told: both connections stay
    """

    def __init__(self, port: int) -> None:
        self.target = port
        self.lost = 0
        self._moment = ""
        self._then = 0
        self._lock = threading.Lock()
        self._sockets: list[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        threading.Thread(target=self._accept, daemon=True).start()

    def lose(self, moment: str, *, then: int = 0) -> None:
        """`then`: whoever comes afterwards is led to this port."""
        assert moment in MOMENTS
        self._then = then
        self._moment = moment

    def lead_to(self, port: int) -> None:
        """Whoever is connected is cut off; whoever comes is led there."""
        self.target = port
        self.cut()

    def cut(self) -> None:
        with self._lock:
            sockets, self._sockets = self._sockets, []
        for one in sockets:
            _end(one)

    def close(self) -> None:
        _end(self._listener)
        self.cut()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):  # closed
            while True:
                near, _ = self._listener.accept()
                try:
                    far = socket.create_connection(("127.0.0.1", self.target))
                except OSError:
                    _end(near)
                    continue
                with self._lock:
                    self._sockets += [near, far]
                pair = _Pair(near, far)
                for way in (self._ask, self._answer):
                    threading.Thread(target=self._along, args=(way, pair), daemon=True).start()

    @staticmethod
    def _along(way: "Callable[[_Pair], None]", pair: "_Pair") -> None:
        with contextlib.suppress(OSError):  # the other way has ended it
            way(pair)
        if not pair.silent:
            pair.end()

    def _ask(self, pair: "_Pair") -> None:
        while data := pair.near.recv(PIECE):
            if self._moment and self._is_moment(data):
                moment, self._moment = self._moment, ""
                self.lost += 1
                self.target = self._then or self.target
                if moment == "answered":
                    pair.swallow = True
                elif moment == "silent":
                    pair.silent = True
                    return
                elif moment == "sent":
                    pair.far.sendall(data)
                    return
                else:
                    return
            pair.far.sendall(data)

    def _is_moment(self, data: bytes) -> bool:
        if self._moment == "half way":
            return b"INSERT INTO" in data or b"UPDATE " in data
        return COMMIT in data and b"store_commits" in data

    @staticmethod
    def _answer(pair: "_Pair") -> None:
        while data := pair.far.recv(PIECE):
            if pair.swallow:
                return
            pair.near.sendall(data)


class _Pair:
    def __init__(self, near: socket.socket, far: socket.socket) -> None:
        self.near, self.far = near, far
        self.swallow = False
        self.silent = False

    def end(self) -> None:
        _end(self.near)
        _end(self.far)


def _end(one: socket.socket) -> None:
    with contextlib.suppress(OSError):
        one.shutdown(socket.SHUT_RDWR)
    one.close()
