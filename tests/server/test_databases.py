"""Databases on a server: created from a template, dropped with whoever is in them."""

from __future__ import annotations

import uuid
from collections.abc import Callable

import psycopg
import pytest

from crossfade.server import Server, ServerError

from .owners import ask


def test_a_database_is_a_copy_of_its_template(databases: Callable[..., tuple[str, ...]]) -> None:
    (template,) = databases("template")
    ask(template, "CREATE TABLE carrier AS SELECT 'AA' AS code")

    (copy,) = databases("copy", template=template.rsplit("/", 1)[1])

    assert ask(copy, "SELECT code FROM carrier") == "AA"


def test_dropping_ends_the_sessions_in_a_database(server: Server) -> None:
    name = f"busy_{uuid.uuid4().hex}"
    with psycopg.connect(server.create_database(name)) as connection:
        server.drop_database(name)

        with pytest.raises(psycopg.OperationalError):
            connection.execute("SELECT 1")


def test_dropping_what_is_not_there_does_nothing(server: Server) -> None:
    server.drop_database(f"never_{uuid.uuid4().hex}")


def test_a_name_may_hold_any_character(server: Server) -> None:
    name = f'Odd "name" / 100% {uuid.uuid4().hex}'
    url = server.create_database(name)
    try:
        assert ask(url, "SELECT current_database()") == name
    finally:
        server.drop_database(name)


def test_creating_a_database_twice_is_a_clear_error(server: Server, database: str) -> None:
    name = database.rsplit("/", 1)[1]

    with pytest.raises(ServerError, match=f"database {name} cannot be created"):
        server.create_database(name)
