"""A web service on this machine that keeps what it is sent."""

from __future__ import annotations

import json
import threading
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Receiver:
    """status: what it answers. sent: each body that it was sent, with the path."""

    port: int = 0
    status: int = 200
    sent: list[tuple[str, dict[str, Any]]] = field(default_factory=list[tuple[str, dict[str, Any]]])

    @property
    def messages(self) -> list[tuple[str, str]]:
        """Title and body of each, as Apprise's `json://` has them."""
        return [(body["title"], body["message"]) for _, body in self.sent]

    @property
    def address(self) -> str:
        return f"json://user:S3cret@127.0.0.1:{self.port}/alerts"


@contextmanager
def receiving() -> Generator[Receiver]:
    receiver = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            receiver.sent.append((self.path, json.loads(self.rfile.read(int(self.headers["Content-Length"])))))
            self.send_response(receiver.status)
            self.end_headers()
            self.wfile.write(b"ok")  # as Slack's webhooks answer

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        receiver.port = server.server_port
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        yield receiver
        server.shutdown()
