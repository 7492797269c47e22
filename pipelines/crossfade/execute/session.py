"""Sessions on the project's databases, with the settings that the engine's promises rest on."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Generator, Mapping
from contextlib import ExitStack, contextmanager
from functools import cache
from typing import Any

import psycopg
from psycopg import conninfo, errors, sql

from crossfade.catalog import UnsupportedServer
from crossfade.errors import CrossfadeError
from crossfade.server_words import told
from crossfade.spec import Database, search_path

Sessions = Callable[[str], psycopg.Connection[Any]]  # of the database of that name

OLDEST = 140000
# psycopg's own logger tells of a lost connection in the server's words. What matters of it reaches us as an error.
logging.getLogger("psycopg").addHandler(logging.NullHandler())
_POOLER_TRIES = 5  # between two looks, another client may have taken the connection

# Those before row_security give a fragment its meaning, as in our triggers (steps/plpgsql.py).
# row_security off: a policy that would hide rows from us is an error, not silence. idle_in_transaction: a stalled
# runner's locks end with it. client_connection_check_interval: the statement of a runner that is gone, or that was
# cancelled while it planned or asked a gate, ends within a second.
_WORK = {
    "timezone": "UTC",
    "datestyle": "ISO, YMD",
    "intervalstyle": "postgres",
    "extra_float_digits": "1",
    "bytea_output": "hex",
    "standard_conforming_strings": "on",
    "row_security": "off",
    "statement_timeout": "0",
    "lock_timeout": "0",
    "idle_in_transaction_session_timeout": "5s",
    "client_connection_check_interval": "500ms",
    "default_transaction_isolation": "read committed",
    "default_transaction_read_only": "off",
}
_READ = _WORK | {
    "row_security": "on",
    "default_transaction_read_only": "on",
    "idle_in_transaction_session_timeout": "30s",
    "statement_timeout": "10min",
    "lock_timeout": "5s",
}


class DatabaseUnreachable(CrossfadeError):
    """A database does not answer, or does not let us in."""


class PooledSession(CrossfadeError):
    """A connection pooler hands our session's server connection to others between transactions."""


def open_session(database: Database, application: str) -> psycopg.Connection[Any]:
    """An autocommit session that may write. Raises DatabaseUnreachable, never with a password in it."""
    return _open(database, application, _WORK)


@contextmanager
def reading(
    database: Database, application: str = "crossfade", *, seconds: float | None = None
) -> Generator[psycopg.Connection[Any]]:
    """An autocommit session that cannot write. seconds: that each statement may take, where less than usual."""
    shorter = {"statement_timeout": f"{max(int(seconds * 1000), 1)}ms"} if seconds is not None else {}
    connection = _open(database, application, _READ | shorter)
    try:
        yield connection
    finally:
        connection.close()


@contextmanager
def reading_each(databases: Mapping[str, Database], application: str) -> Generator[Sessions]:
    """Gives one session of each database that cannot write, opened when it is first asked for; they end together."""
    with ExitStack() as opened:

        @cache
        def session(name: str) -> psycopg.Connection[Any]:
            return opened.enter_context(reading(databases[name], application))

        yield session


def limit(work: psycopg.Connection[Any], **seconds: float) -> None:
    """Set timeouts, by the server's names of them, until the transaction ends; 0: none."""
    values = [f"{max(int(each * 1000), 1) if each else 0}ms" for each in seconds.values()]
    work.execute(
        "SELECT pg_catalog.set_config(name, value, true) FROM unnest(%s::text[], %s::text[]) AS s(name, value)",
        (list(seconds), values),
    )


def _open(database: Database, application: str, settings: dict[str, str]) -> psycopg.Connection[Any]:
    connection = _connect(database, application)
    if connection.info.server_version < OLDEST:
        version = connection.info.server_version // 10000
        connection.close()
        raise UnsupportedServer(
            f"database `{database.name}` runs PostgreSQL {version}, crossfade needs 14 or later",
            where=database.where,
            why="a backfill walks physical blocks by tid ranges, which PostgreSQL 14 brought",
            fix="upgrade the server first",
        )
    _refuse_shared(connection, database)
    _apply(connection, database, settings)
    return connection


def _connect(database: Database, application: str) -> psycopg.Connection[Any]:
    address = database.conninfo()
    try:
        return psycopg.connect(
            address,
            autocommit=True,
            application_name=application,
            connect_timeout=10,
            keepalives_idle=10,
            keepalives_interval=5,
            keepalives_count=3,
            # Our statements differ each time, and a pooler would not keep prepared ones.
            prepare_threshold=None,
        )
    except (psycopg.OperationalError, psycopg.ProgrammingError) as error:
        raise _unreachable(database, address, error) from None


def _refuse_shared(connection: psycopg.Connection[Any], database: Database) -> None:
    """Before anything is set: what we set in a server connection that is shared, others would have too.

    A pooler answers with a process id of its own. That two of our sessions, open at the same time, meet one server
    process says that it lends it out for a transaction only.
    """
    if connection.info.backend_pid == _server_process(connection):
        return
    for _ in range(_POOLER_TRIES):
        with _connect(database, connection.info.parameter_status("application_name") or "") as other:
            if _server_process(other) == _server_process(connection):
                connection.close()
                raise PooledSession(
                    f"database `{database.name}` answers through a pooler that shares server connections",
                    where=database.where,
                    why="the settings, locks and lease of a run live in a session, which it lends to others between"
                    " transactions",
                    fix="say where the address of the server itself is kept: `direct_url: env:NAME`; applications"
                    " go on as they are",
                )


def _server_process(connection: psycopg.Connection[Any]) -> int:
    row = connection.execute("SELECT pg_catalog.pg_backend_pid()").fetchone()
    assert row is not None
    return int(row[0])


def _apply(connection: psycopg.Connection[Any], database: Database, settings: dict[str, str]) -> None:
    path = ", ".join(sql.Identifier(name).as_string(connection) for name in search_path(database.schema))
    wanted = settings | {"search_path": path}
    connection.execute(
        "SELECT pg_catalog.set_config(name, value, false) FROM unnest(%s::text[], %s::text[]) AS s(name, value)",
        (list(wanted), list(wanted.values())),
    )
    if database.role is not None:
        try:
            connection.execute(sql.SQL("SET ROLE {}").format(sql.Identifier(database.role)))
        except (errors.InsufficientPrivilege, errors.InvalidParameterValue) as error:
            user = connection.info.user
            connection.close()
            raise DatabaseUnreachable(
                f"role {user} may not act as {database.role} in database `{database.name}`",
                where=database.where,
                why=told(error),
                fix=sql.SQL("GRANT {} TO {}")
                .format(sql.Identifier(database.role), sql.Identifier(user))
                .as_string(None),
            ) from None


def _unreachable(database: Database, address: str, error: psycopg.Error) -> DatabaseUnreachable:
    lines = [line for line in str(error).splitlines() if line.strip()]
    reason = lines[0] if lines else type(error).__name__
    try:
        given = conninfo.conninfo_to_dict(address)
    except psycopg.ProgrammingError as unread:
        # The address itself cannot be read, so its text may hold the secret anywhere; but not in a parameter's name.
        parameter = re.match(r'invalid URI query parameter: "(\w+)"$', str(unread).strip())
        return DatabaseUnreachable(
            f"the address of database `{database.name}` is not a connection URL",
            where=database.where,
            why=f"it has a parameter `{parameter[1]}`, which libpq does not know" if parameter else None,
            fix="it reads postgresql://USER:PASSWORD@HOST:PORT/DATABASE",
        )
    if "://" in address and any("@" in str(given.get(part)) for part in ("host", "dbname")):
        # What libpq takes for the host or the database is then a part of the password.
        return DatabaseUnreachable(
            f"the address of database `{database.name}` is not a connection URL",
            where=database.where,
            why="an `@` stands in what reads as its host or database, so that may be of the password and is not told",
            fix="in a user or password write @ as %40, / as %2F, : as %3A, ? as %3F, # as %23, % as %25",
        )
    if password := given.get("password"):
        reason = reason.replace(str(password), "***")
    return DatabaseUnreachable(
        f"database `{database.name}` cannot be reached",
        where=database.where,
        why=reason,
        # The server's own answer begins with the severity; there is no SQLSTATE before a session.
        fix=f"the server answers: correct the role, password or database in {database.url}, or make what is missing"
        if "FATAL: " in reason
        else f"check {database.url} and that the server runs",
    )
