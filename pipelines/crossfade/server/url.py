"""Connection URLs: another database on the same server, and messages without the password."""

from __future__ import annotations

import re
from urllib.parse import quote, unquote

_URL = re.compile(r"(?P<server>postgres(?:ql)?://[^/?#]*)(?:/[^?]*)?(?:\?(?P<query>.*))?")
_PASSWORD = re.compile(r"//[^/?#@]*?:(?P<user>[^/?#]*)@|[?&]password=(?P<query>[^&]*)")


def is_url(text: str) -> bool:
    """Whether it has the form of a libpq connection URL, and not of keywords and values."""
    return _URL.fullmatch(text) is not None


def with_database(url: str, name: str) -> str:
    """The URL of the database `name` on the server `url` leads to."""
    parts = _URL.fullmatch(url)
    if not parts:
        raise ValueError("not a PostgreSQL URL")
    kept = [part for part in (parts["query"] or "").split("&") if part and not part.startswith("dbname=")]
    return "/".join((parts["server"], quote(name, safe=""))) + ("?" + "&".join(kept) if kept else "")


def without_password(message: str, url: str) -> str:
    """The message with every password of `url` blotted out, as written there and as it reads decoded."""
    for found in _PASSWORD.finditer(url):
        for secret in {found["user"] or found["query"] or "", unquote(found["user"] or found["query"] or "")}:
            message = message.replace(secret, "***") if secret else message
    return message
