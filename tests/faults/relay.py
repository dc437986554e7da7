"""A relay on this machine between the controller and one host, which can fall silent: nothing comes through, and nobody is told."""

import contextlib
import socket
import threading

PIECE = 65536


class Relay:
    """`port` on 127.0.0.1. After `silent_after` pieces of answer of one connection it passes nothing on any more, either way."""

    def __init__(self, address: str, port: int, *, silent_after: int) -> None:
        self._target = (address, port)
        self._left = silent_after
        self.pieces = 0
        self._silent = threading.Event()
        self._sockets: list[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):  # closed
            while True:
                near, _ = self._listener.accept()
                far = socket.create_connection(self._target)
                self._sockets += [near, far]
                threading.Thread(target=self._copy, args=(near, far, False), daemon=True).start()
                threading.Thread(target=self._copy, args=(far, near, True), daemon=True).start()

    def _copy(self, source: socket.socket, sink: socket.socket, answers: bool) -> None:
        with contextlib.suppress(OSError):  # the other end has closed
            while data := source.recv(PIECE):
                if answers:
                    self.pieces += 1
                    if self.pieces > self._left:
                        self._silent.set()
                if self._silent.is_set():
                    return
                sink.sendall(data)
            if not self._silent.is_set():
                sink.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        self._silent.set()
        for one in [self._listener, *self._sockets]:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()
