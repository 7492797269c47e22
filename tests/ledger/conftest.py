"""A ledger in a fresh database, with a migration in it."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable, Generator
from contextlib import ExitStack
from typing import Any

import psycopg
import pytest
from psycopg import sql

from crossfade.ledger import Ledger, Shape, install

Connection = psycopg.Connection[Any]
Open = Callable[..., Connection]
NewRole = Callable[..., str]


@pytest.fixture
def open_session(database: str) -> Generator[Open]:
    """Sessions on the database, as another role when told, closed in the end."""
    with ExitStack() as stack:

        def connect(role: str | None = None) -> Connection:
            session = psycopg.connect(database, autocommit=True)
            stack.callback(session.close)  # not its own context, which commits: the server may have ended it
            if role is not None:
                session.execute(sql.SQL("SET SESSION AUTHORIZATION {}").format(sql.Identifier(role)))
            return session

        yield connect


@pytest.fixture
def connection(open_session: Open) -> Connection:
    return open_session()


@pytest.fixture
def ledger(connection: Connection) -> Ledger:
    install(connection)
    return Ledger(connection)


@pytest.fixture
def started(ledger: Ledger) -> Ledger:
    """Migration `m` has started."""
    start(ledger)
    return ledger


def start(ledger: Ledger, migration: str = "m", *, plan: str = "plan one") -> None:
    ledger.start(
        migration, title="A title", owner="ada", spec_text="text", spec_digest="spec", plan={"a": 1}, plan_digest=plan
    )


@pytest.fixture
def new_role(connection: Connection) -> Generator[NewRole]:
    """Roles of this test's own, members of others when told."""
    made: list[sql.Identifier] = []

    def create(*member_of: str) -> str:
        name = f"role_{uuid.uuid4().hex[:8]}"
        connection.execute(sql.SQL("CREATE ROLE {}").format(sql.Identifier(name)))
        made.append(sql.Identifier(name))
        for group in member_of:
            connection.execute(sql.SQL("GRANT {} TO {}").format(sql.Identifier(group), sql.Identifier(name)))
        return name

    yield create
    for role in made:
        connection.execute(sql.SQL("DROP OWNED BY {}").format(role))
    for role in made:
        connection.execute(sql.SQL("DROP ROLE {}").format(role))


def install_at_once(open_session: Open, shape: Shape) -> list[Exception]:
    """In four sessions; gives what failed."""
    failures: list[Exception] = []

    def run(session: Connection) -> None:
        try:
            install(session, shape)
        except Exception as error:  # what a thread raises is lost otherwise
            failures.append(error)

    threads = [threading.Thread(target=run, args=(open_session(),)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return failures
