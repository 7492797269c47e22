"""The server that all runs share, with a template database for each shape: a fresh one is a copy of it."""

from __future__ import annotations

import tempfile
import uuid
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import psycopg
from psycopg import sql
from tests.torture.shapes import APPLICATION, MIGRATOR, Shape

from crossfade.server import LocalServer
from crossfade.server.password import new_password

SINCE_15 = 150000

_DATABASE = """
GRANT ALL ON DATABASE {database} TO {migrator};
GRANT ALL ON SCHEMA public TO {migrator};
GRANT USAGE ON SCHEMA public TO {application}"""


class Place:
    """A server with the two roles: one migrates and owns everything, the other is the application."""

    def __init__(self, server: LocalServer) -> None:
        self.server = server
        self._password = new_password()
        self._templates: dict[str, str] = {}
        with self.admin("postgres") as admin:
            for role in (APPLICATION, MIGRATOR):
                admin.execute(
                    sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}").format(
                        sql.Identifier(role), sql.Literal(self._password)
                    )
                )
            # As a migrating role needs it to write rows without firing the users' triggers.
            silence = "GRANT SET ON PARAMETER session_replication_role TO {}"
            if server.version < SINCE_15:
                silence = "ALTER ROLE {} SUPERUSER"
            admin.execute(sql.SQL(silence).format(sql.Identifier(MIGRATOR)))

    @property
    def port(self) -> int:
        port = urlsplit(self.server.url).port
        assert port is not None
        return port

    def admin(self, database: str) -> psycopg.Connection[Any]:
        """A superuser's session."""
        return psycopg.connect(self.server.database_url(database), autocommit=True)

    def url(self, database: str, role: str, port: int | None = None) -> str:
        """port: another one than the server's, of a proxy."""
        parts = urlsplit(self.server.database_url(database))
        return urlunsplit(parts._replace(netloc=f"{role}:{self._password}@{parts.hostname}:{port or parts.port}"))

    @contextmanager
    def database(self, shape: Shape, tablespace: str | None = None) -> Generator[str]:
        """The name of a fresh database with the shape's table in it."""
        name = f"torture_{uuid.uuid4().hex[:12]}"
        template = self._template(shape)
        with self.admin("postgres") as admin:
            created = sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(sql.Identifier(name), sql.Identifier(template))
            if self.server.version >= SINCE_15:  # before, that is what it does
                created += sql.SQL(" STRATEGY FILE_COPY")
            if tablespace:
                created += sql.SQL(" TABLESPACE {}").format(sql.Identifier(tablespace))
            admin.execute(created)
            self._grant(admin, name)
        try:
            yield name
        finally:
            self.server.drop_database(name)

    def _template(self, shape: Shape) -> str:
        if shape.name not in self._templates:
            name = f"torture_shape_{shape.name}"
            self.server.create_database(name)
            with self.admin(name) as admin:
                self._grant(admin, name)
                admin.execute(sql.SQL("SET ROLE {}").format(sql.Identifier(MIGRATOR)))
                admin.execute(sql.SQL(shape.script()))  # pyright: ignore[reportArgumentType]
            self._templates[shape.name] = name
        return self._templates[shape.name]

    def _grant(self, admin: psycopg.Connection[Any], database: str) -> None:
        admin.execute(
            sql.SQL(_DATABASE).format(
                database=sql.Identifier(database),
                migrator=sql.Identifier(MIGRATOR),
                application=sql.Identifier(APPLICATION),
            )
        )


@contextmanager
def project_directory() -> Generator[Path]:
    with tempfile.TemporaryDirectory(prefix="torture_") as made:
        yield Path(made)
