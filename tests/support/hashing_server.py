"""A server that answers a request with the SHA-256 of its body, which it never holds."""

from __future__ import annotations

import hashlib
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class HashingServer:
    """Reads bodies 256 KiB at a time; one of more than `most_bytes` is refused with 413, unread.

    Without `hashes` the digest is that of nothing.
    """

    def __init__(self, most_bytes: int = 2**40, *, hashes: bool = True) -> None:
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def do_POST(self) -> None:
                left = int(self.headers["Content-Length"])
                if left > most_bytes:
                    self.close_connection = True
                    return self.reply(413, b"too large", left)
                hasher, buffer = hashlib.sha256(), bytearray(2**18)
                view = memoryview(buffer)
                length = left
                while left:
                    n = self.rfile.readinto1(view[: min(left, len(buffer))])
                    if hashes:
                        hasher.update(view[:n])
                    left -= n
                return self.reply(200, hasher.hexdigest().encode(), length)

            def do_GET(self) -> None:
                self.reply(404, b"", 0)

            def reply(self, status: int, body: bytes, length: int) -> None:
                self.send_response(status)
                self.send_header("X-Length", str(length))
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()
