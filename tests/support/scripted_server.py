"""A server in this process that answers POST and GET by functions that a test sets."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

#: The answer of a chat endpoint.
ANSWER: dict[str, Any] = {
    "id": "c-1",
    "model": "m",
    "choices": [{"index": 0, "message": {"content": "Hello"}, "finish_reason": "stop"}],
    "usage": {"completion_tokens": 4},
}


class Server:
    """Answers POST and GET by functions of path and body; each returns a status, a body, and perhaps headers."""

    def __init__(self) -> None:
        self.posts: list[tuple[str, dict[str, Any]]] = []
        self.post: Callable[[str, dict[str, Any]], tuple[Any, ...]] = lambda _path, _body: (200, ANSWER)
        self.get: Callable[[str], tuple[Any, ...]] = lambda _path: (404, {"detail": "Not Found"})
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                server.posts.append((self.path, body))
                self.reply(*server.post(self.path, body))

            def do_GET(self) -> None:
                self.reply(*server.get(self.path))

            def reply(self, status: int, document: Any, headers: dict[str, str] | None = None) -> None:
                body = document if isinstance(document, bytes) else json.dumps(document).encode()
                self.send_response(status)
                for name, value in {"Content-Length": str(len(body)), **(headers or {})}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
