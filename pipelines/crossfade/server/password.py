"""The superuser's password: random, and handed to PostgreSQL as a SCRAM secret only."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from base64 import b64encode

BYTES = 24


def new_password() -> str:
    """192 random bits, in characters a URL and a password file hold as they are."""
    return secrets.token_urlsafe(BYTES)


def scram_secret(password: str, iterations: int) -> str:
    """What PostgreSQL stores for the password, in place of which it is accepted (RFC 5803).

    iterations: 4096 is PostgreSQL's default and the least some drivers accept (Java's); it slows the guessing
        of weak passwords, and each connection by 10 ms. With a random password, 1 is as safe.
    """
    salt = secrets.token_bytes(16)
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, iterations)
    stored_key = hashlib.sha256(hmac.digest(salted, b"Client Key", "sha256")).digest()
    server_key = hmac.digest(salted, b"Server Key", "sha256")
    keys = f"{b64encode(stored_key).decode()}:{b64encode(server_key).decode()}"
    return f"SCRAM-SHA-256${iterations}:{b64encode(salt).decode()}${keys}"
