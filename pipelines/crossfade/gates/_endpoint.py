"""An HTTP endpoint that tells something in JSON. Its address may hold a secret, so no message repeats it."""

from __future__ import annotations

import json
import os
import time
from typing import Any
from urllib.parse import urlsplit

from crossfade.gates._gate import GateError, GateUnanswered

_CONNECT, _READ, _WHOLE = 5.0, 10.0, 20.0  # seconds
_MOST_BYTES = 2**20


def shown(address: str) -> str:
    """What may be told of an address: where it is kept, or its host."""
    return address if address.startswith("env:") else str(urlsplit(address).hostname)


def fetch_json(address: str, what: str, seconds: float | None = None) -> Any:
    """What the endpoint answers, as data.

    what: who asks, to begin an error with. seconds: that it may take, where that is less than usual.
    Raises GateUnanswered when it does not answer just now, GateError when asking again would not help.
    """
    import requests

    url = _url(address, what)
    asked = f"{what}: the endpoint {shown(address)}"
    connect, read_each, whole = (min(usual, seconds or usual) for usual in (_CONNECT, _READ, _WHOLE))
    deadline = time.monotonic() + whole
    # Errors of the library hold the address, also as their cause: only their kind is told.
    try:
        with requests.get(
            url, headers={"Accept": "application/json"}, timeout=(connect, read_each), stream=True
        ) as response:
            if response.status_code >= 400:
                raise _refused(asked, response.status_code)
            read = bytearray()
            for part in response.iter_content(2**16):
                read += part
                if len(read) > _MOST_BYTES:
                    raise GateError(f"{asked} answers more than {_MOST_BYTES // 2**20} MB", fix="name a smaller page")
                if time.monotonic() > deadline:
                    raise requests.Timeout
    except requests.Timeout:
        raise _silent(f"{asked} does not answer in time") from None
    except (requests.ConnectionError, requests.exceptions.ChunkedEncodingError):
        raise _silent(f"{asked} cannot be reached") from None
    except requests.RequestException as error:
        raise GateError(f"{asked} cannot be asked: {type(error).__name__}", fix="correct its address") from None
    try:
        return json.loads(read)
    except ValueError:
        raise GateError(f"{asked} does not answer with JSON", fix="name a page that does") from None


def _url(address: str, what: str) -> str:
    kind, _, name = address.partition(":")
    if kind != "env":
        return address
    if url := os.environ.get(name, "").strip():
        return url
    raise GateError(
        f"{what}: the environment variable {name} is not set",
        why="it holds the address that the gate asks",
        fix=f"export {name}=https://...",
    )


def _silent(what: str) -> GateUnanswered:
    return GateUnanswered(
        what,
        why="nothing was learnt, so the gate neither holds nor fails",
        fix="run `crossfade up` again when it answers",
    )


def _refused(asked: str, status: int) -> GateError:
    if status >= 500 or status in (408, 425, 429):
        return _silent(f"{asked} answers with status {status}")
    return GateError(f"{asked} answers with status {status}", fix="correct its address, or what may ask it")
