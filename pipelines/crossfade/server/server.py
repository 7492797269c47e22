"""A running PostgreSQL server, wherever it came from: its databases made and dropped."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from types import TracebackType
from typing import Literal, Self

import psycopg
from psycopg import sql

from .errors import ServerError
from .url import with_database, without_password

Source = Literal["environment", "container", "binaries", "wheel"]

CONNECT_SECONDS = 10
STRATEGY_SINCE = 150000


class Server:
    """One running server, and a context manager that stops it.

    url: conninfo URL of a superuser on the database postgres (or the one the environment names). It holds the
        password: never print it.
    version: server_version_num, as 170004.
    source: where it came from.

    Raises ServerError when it cannot be connected to.
    """

    def __init__(self, url: str, source: Source) -> None:
        self.url = url
        self.source: Source = source
        with self._connect(f"the PostgreSQL server from the {source} cannot be used") as connection:
            self.version = connection.info.server_version

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def database_url(self, name: str) -> str:
        """The URL of the database `name` on this server, whether it exists or not."""
        return with_database(self.url, name)

    def create_database(self, name: str, *, template: str | None = None) -> str:
        """Create a database and return its URL.

        template: the database to copy, to which nobody may be connected; None for PostgreSQL's template1.

        Raises ServerError when it exists already, or cannot be created.
        """
        with self._connect(f"database {name} cannot be created") as connection:
            create_database(connection, name, template=template)
        return self.database_url(name)

    def drop_database(self, name: str) -> None:
        """Drop a database, ending the sessions in it; nothing happens when there is none.

        Raises ServerError when the role may not drop it.
        """
        with self._connect(f"database {name} cannot be dropped") as connection:
            drop_database(connection, name)

    def stop(self) -> None:
        """End what we started and remove what is temporary; a second call does nothing."""

    def replica(self) -> Server:
        """A streaming replica of this server, to be stopped on its own.

        Raises ServerError when this is not a server we run on this machine.
        """
        raise ServerError(
            f"a server from the {self.source} has no replica here",
            why="only a server we run on this machine can be copied",
            fix="start one from binaries or from the wheel",
        )

    @contextmanager
    def _connect(self, otherwise: str) -> Generator[psycopg.Connection]:
        """A connection outside of transactions; `otherwise` is the error when something fails in it."""
        try:
            with psycopg.connect(self.url, autocommit=True, connect_timeout=CONNECT_SECONDS) as connection:
                yield connection
        except psycopg.Error as error:
            raise ServerError(otherwise, why=without_password(str(error).strip(), self.url)) from None


def create_database(connection: psycopg.Connection, name: str, *, template: str | None = None) -> None:
    """As Server.create_database, in an autocommit session that is there already. Raises psycopg.Error."""
    statement = sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name))
    if template:
        statement += sql.SQL(" TEMPLATE {}").format(sql.Identifier(template))
    fsync = connection.execute("SHOW fsync").fetchone()
    if connection.info.server_version >= STRATEGY_SINCE and fsync == ("off",):
        statement += sql.SQL(" STRATEGY FILE_COPY")  # needs a checkpoint, which costs nothing there
    connection.execute(statement)


def drop_database(connection: psycopg.Connection, name: str) -> None:
    """As Server.drop_database, in an autocommit session that is there already. Raises psycopg.Error."""
    connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))
