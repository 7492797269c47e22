"""Makes the ledger's schema, or brings it to the current version; one transaction, safe for two at once."""

from __future__ import annotations

from importlib import resources
from typing import Any

import psycopg
from psycopg import errors, sql

from crossfade.errors import CrossfadeError
from crossfade.spec.fragment import trusted

VERSION = 1
# "crossfade" in ASCII cut to 63 bits: one key for all who install, whatever the database.
_INSTALL_LOCK = 0x63726F7373666164


class LedgerError(CrossfadeError):
    """The ledger cannot be made, read or written."""

    @classmethod
    def unwritable(cls, role: str, database: str) -> LedgerError:
        """The role lacks the right to write the ledger's tables in the database of that name."""
        return cls(
            f"role {role} may not write the ledger in database `{database}`",
            why="every run, pause and approval is kept there",
            fix=f"GRANT ALL ON ALL TABLES IN SCHEMA crossfade TO {sql.Identifier(role).as_string()}",
        )


def is_installed(connection: psycopg.Connection[Any]) -> bool:
    """The ledger exists here."""
    # Not to_regclass, which goes on saying no from its cache after another session, waited for, has made it.
    row = connection.execute(
        "SELECT EXISTS (SELECT FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace"
        " WHERE n.nspname = 'crossfade' AND c.relname = 'migration')"
    ).fetchone()
    return bool(row and row[0])


def install(connection: psycopg.Connection[Any]) -> None:
    """Create the ledger where it is missing.

    connection: in autocommit, as the role that runs migrations.
    Raises LedgerError when the role may not create it, or when a newer crossfade made it.
    """
    if is_installed(connection):
        _check_version(connection)
        return
    schema = resources.files("crossfade.ledger").joinpath("schema.sql").read_text()
    try:
        with connection.transaction():
            connection.execute("SELECT pg_catalog.pg_advisory_xact_lock(%s)", (_INSTALL_LOCK,))
            if not is_installed(connection):
                connection.execute(trusted(schema))
    except errors.InsufficientPrivilege as error:
        raise _no_permission(connection) from error


def _check_version(connection: psycopg.Connection[Any]) -> None:
    try:
        row = connection.execute("SELECT pg_catalog.max(version) FROM crossfade.version").fetchone()
    except errors.InsufficientPrivilege as error:
        raise _no_permission(connection) from error
    found = row[0] if row else None
    if found != VERSION:
        raise LedgerError(
            f"the ledger of database {connection.info.dbname} has version {found}, this crossfade writes {VERSION}",
            fix="use the crossfade version that made it, or a newer one",
        )


def _no_permission(connection: psycopg.Connection[Any]) -> LedgerError:
    row = connection.execute("SELECT current_user, pg_catalog.current_database()").fetchone()
    assert row is not None
    role, database = (sql.Identifier(name).as_string(connection) for name in row)
    exists = connection.execute("SELECT pg_catalog.to_regnamespace('crossfade') IS NOT NULL").fetchone()
    grant = (
        f"GRANT ALL ON SCHEMA crossfade TO {role}; GRANT ALL ON ALL TABLES IN SCHEMA crossfade TO {role}"
        if exists and exists[0]
        else f"GRANT CREATE ON DATABASE {database} TO {role}"
    )
    return LedgerError(
        f"role {role} may not {'use' if exists and exists[0] else 'create'} the ledger in database {database}",
        why="crossfade keeps its progress in a schema of its own, so that every run can be resumed",
        fix=grant,
    )
