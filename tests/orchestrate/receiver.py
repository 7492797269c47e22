"""A web service on this machine that keeps what it is sent."""

from __future__ import annotations

import json
import threading
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Receiver:
    """status: what it answers. messages: title and body of each that it was sent, as Apprise's `json://` has them."""

    port: int = 0
    status: int = 200
    messages: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])

    @property
    def address(self) -> str:
        return f"json://user:S3cret@127.0.0.1:{self.port}/alerts"


@contextmanager
def receiving() -> Generator[Receiver]:
    receiver = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            sent = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            receiver.messages.append((sent["title"], sent["message"]))
            self.send_response(receiver.status)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        receiver.port = server.server_port
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield receiver
        server.shutdown()
