"""An issuer of OIDC tokens as a CI has one: a key pair of its own, its public keys behind a local HTTP server."""

from __future__ import annotations

import json
import time
from collections.abc import Generator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from jwt.algorithms import ECAlgorithm

URL = "https://ci.example"


class Issuer:
    """jwks: where its keys are fetched; empty where it has no server."""

    def __init__(self) -> None:
        self.jwks = ""
        self.key = generate_private_key(SECP256R1())

    @property
    def keys(self) -> str:
        """The public keys, as JSON."""
        key: dict[str, Any] = json.loads(ECAlgorithm.to_jwk(self.key.public_key()))
        return json.dumps({"keys": [{**key, "kid": "one", "alg": "ES256", "use": "sig"}]})

    def token(self, name: str = "ada", *, key: str = "one", **claims: Any) -> str:
        """A token for `name` of the repository acme/shop, valid now and for ten minutes; claims set to None go."""
        now = int(time.time())
        said: dict[str, Any] = {"iss": URL, "aud": "crossfade-shop", "iat": now, "exp": now + 600, "actor": name}
        said |= {"repository": "acme/shop", "jti": f"{name} {time.monotonic_ns()}", **claims}
        kept = {claim: value for claim, value in said.items() if value is not None}
        return jwt.encode(kept, self.key, algorithm="ES256", headers={"kid": key})

    def trusted(self, *more: str) -> str:
        """An crossfade.yaml that trusts it, as `ci`; `more` are further lines at the end of the file."""
        lines = ["issuers:", "  ci:", f"    issuer: {URL}", "    audience: crossfade-shop", f"    jwks: {self.jwks}"]
        lines += ["    claims: {repository: acme/shop}", "    name: actor", "    groups: environment", *more]
        return "\n".join(lines) + "\n"


@contextmanager
def serving(issuer: Issuer) -> Generator[Issuer]:
    """The issuer with its keys behind HTTP, until the end."""

    class Keys(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = issuer.keys.encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - as it is overridden
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Keys)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    issuer.jwks = f"http://127.0.0.1:{server.server_port}/keys"
    try:
        yield issuer
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
