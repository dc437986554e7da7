"""GET /health and GET /metrics on loopback, and nothing else. In a thread: a slow reader holds nobody up.

The server of the standard library is enough for two small documents for this machine alone. `Host` must name this machine, so
that a page in a browser cannot read them by a name that it points here.
"""

import http.server
import json
import re
import socket
import threading
from collections.abc import Callable
from ipaddress import ip_address
from typing import Any

from statectl.errors import Refused, UsageError

READ_S = 10.0
Answer = tuple[int, str, str]  # status, content type, text


def address_of(text: str) -> tuple[str, int]:
    """`127.0.0.1:9797`, `[::1]:9797` or `localhost:9797`. A port of 0 is any that is free. Raises UsageError."""
    match = re.fullmatch(r"(\[[0-9a-fA-F:.]+\]|[^:\[\]]+):(\d{1,5})", text)
    if match is None or int(match[2]) > 65535:
        raise UsageError("--listen: expected HOST:PORT", hint="such as 127.0.0.1:9797 or [::1]:9797")
    host = match[1].strip("[]")
    if host == "localhost":
        host = "127.0.0.1"
    try:
        loopback = ip_address(host).is_loopback
    except ValueError:
        loopback = False
    if not loopback:
        raise UsageError(
            "--listen: only an address of this machine's loopback; there are neither TLS nor users yet",
            code="E601",
            hint="listen on 127.0.0.1:9797 and put a proxy with both before it",
        )
    return host, int(match[2])


class Listener:
    """Listens until `close`. answers: path -> what makes the answer."""

    def __init__(self, host: str, port: int, answers: dict[str, Callable[[], Answer]]) -> None:
        class Handler(_Handler):
            paths = answers
            own = host

        class Server(http.server.ThreadingHTTPServer):
            address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
            daemon_threads = True

        try:
            self._server = Server((host, port), Handler)
        except OSError as error:
            reason = (error.strerror or "error").lower()
            raise Refused(
                f"cannot listen on {host}:{port}: {reason}",
                code="E602",
                hint="another `statectl serve` may have it; give another one with --listen 127.0.0.1:PORT",
            ) from None
        self.port: int = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, name="http", daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Handler(http.server.BaseHTTPRequestHandler):
    timeout = READ_S
    server_version = "statectl"
    sys_version = ""
    paths: dict[str, Callable[[], Answer]]
    own: str

    def do_GET(self) -> None:
        name = re.sub(r":\d+$", "", self.headers.get("Host", "")).strip("[]")
        if name not in ("localhost", "127.0.0.1", "::1", self.own):
            self._answer(421, "text/plain; charset=utf-8", "this address is for this machine only\n")
            return
        answer = self.paths.get(self.path.partition("?")[0])
        if answer is None:
            self._answer(404, "text/plain; charset=utf-8", "there are /health and /metrics\n")
            return
        self._answer(*answer())

    def _answer(self, status: int, kind: str, text: str) -> None:
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name that the base class gives it
        """Nobody wants a line for each time that a monitor looks."""


def as_json(status: int, document: Any) -> Answer:
    return status, "application/json", json.dumps(document, indent=2, ensure_ascii=False) + "\n"
