"""Answers every request with one line; /healthz says whether it is up."""

import http.server
import os


class Shop(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = b"ok\n" if self.path == "/healthz" else f"shop, {os.environ['SHOP_WORKERS']} workers\n".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


http.server.ThreadingHTTPServer(("", int(os.environ["SHOP_PORT"])), Shop).serve_forever()
