"""A statement whose runner is gone ends on the server, also one that nobody could cancel any more."""

from __future__ import annotations

import os
import socket
import threading
from contextlib import ExitStack, suppress

import psycopg
import pytest
from tests.orchestrate.orchestra import SLEEPING, wait_until
from tests.scene import Scene

from crossfade.execute.session import open_session, reading


@pytest.mark.parametrize("kind", ["working", "reading"])
def test_a_statement_ends_when_its_client_is_gone(scene: Scene, kind: str) -> None:
    database = scene.project().databases["app"]
    with ExitStack() as stack:
        if kind == "working":
            session = stack.enter_context(open_session(database, "test"))
        else:
            session = stack.enter_context(reading(database, "test"))
        sleeper = threading.Thread(target=_sleep, args=(session,))
        sleeper.start()
        assert wait_until(lambda: scene.one(SLEEPING) == 1, seconds=60)

        with socket.socket(fileno=os.dup(session.fileno())) as line:
            line.shutdown(socket.SHUT_RDWR)

        assert wait_until(lambda: scene.one(SLEEPING) == 0, seconds=60)
        sleeper.join()


def _sleep(session: psycopg.Connection) -> None:
    with suppress(psycopg.Error):
        session.execute("SELECT pg_sleep(600)")
