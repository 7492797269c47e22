"""A database whose statements are counted, an application in it with a role of its own, and samples at set times."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import psycopg
from psycopg.conninfo import make_conninfo

from crossfade.catalog.snapshot import read_catalog
from crossfade.composing import sql
from crossfade.ledger import Ledger, install
from crossfade.server import Server, create_database, drop_database
from crossfade.spec.fragment import trusted
from crossfade.usage.evidence import Evidence, column_named, evidence_of
from crossfade.usage.sample import PRIMARY, Sampled, take_sample

BEGAN = datetime(2026, 3, 25, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
USERS = "CREATE TABLE users (id int PRIMARY KEY, name text, email text); GRANT ALL ON users TO PUBLIC"


class Counted:
    """application: connects as a role that is not crossfade's. The clock stands at `now` until it is set."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._administrator = psycopg.connect(server.url, autocommit=True)
        self.name, self.role = f"counted_{uuid.uuid4().hex[:12]}", f"app_{uuid.uuid4().hex[:12]}"
        create_database(self._administrator, self.name)
        self.url = server.database_url(self.name)
        self.connection = psycopg.connect(self.url, autocommit=True, application_name="crossfade test")
        self.connection.execute(sql.SQL("CREATE ROLE {} LOGIN PASSWORD 'p'").format(sql.Identifier(self.role)))
        self.connection.execute(trusted(f"CREATE EXTENSION pg_stat_statements; {USERS}"))
        install(self.connection)
        self.ledger = Ledger(self.connection)
        self.application = psycopg.connect(
            make_conninfo(self.url, user=self.role, password="p"),
            autocommit=True,
            prepare_threshold=None,
        )
        self.now = BEGAN

    def run(self, *statements: str) -> None:
        """As the application."""
        for statement in statements:
            self.application.execute(trusted(statement))

    def sample(self, after: timedelta = MINUTE) -> Sampled:
        self.now += after
        return take_sample(self.connection, self.ledger, PRIMARY, self.now)

    def evidence(self, column: str = "users.email", window: timedelta = timedelta(hours=1)) -> Evidence:
        catalog = read_catalog(self.connection)
        named = column_named(catalog, ("public",), column)
        assert named is not None
        return evidence_of(self.ledger, catalog, ("public",), *named, since=self.now - window, now=self.now)

    def kept(self) -> list[str]:
        """All texts in the ledger."""
        rows = self.connection.execute("SELECT text FROM crossfade.usage_statement WHERE text <> ''").fetchall()
        return [text for (text,) in rows]

    def close(self) -> None:
        self.application.close()
        self.connection.close()
        drop_database(self._administrator, self.name)
        self._administrator.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(self.role)))
        self._administrator.close()


def texts(evidence: Evidence) -> Sequence[str]:
    return [sighting.statement.text for sighting in evidence.used]
