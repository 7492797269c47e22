"""The ledger behind a session, to be read or written; a right that is missing is told with the GRANT that mends it."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import closing, contextmanager
from typing import Any

import psycopg
from psycopg import errors

from crossfade.execute.session import open_session
from crossfade.ledger import Ledger, LedgerError
from crossfade.spec import Database


def readable_ledger(connection: psycopg.Connection[Any]) -> Ledger:
    """The ledger of a database; raises LedgerError when the role may not read it."""
    try:
        connection.execute("SELECT FROM crossfade.migration LIMIT 0")
    except errors.InsufficientPrivilege:
        row = connection.execute("SELECT current_user").fetchone()
        role = row[0] if row else "?"
        raise LedgerError(
            f"role {role} may not read the ledger in database {connection.info.dbname}",
            fix=f"GRANT SELECT ON ALL TABLES IN SCHEMA crossfade TO {role}",
        ) from None
    return Ledger(connection)


@contextmanager
def writable_ledger(database: Database, application: str = "crossfade") -> Generator[Ledger]:
    """The ledger of a database, for a few short writes; raises LedgerError when the role may not make them."""
    with closing(open_session(database, application)) as connection:
        try:
            yield Ledger(connection)
        except errors.InsufficientPrivilege:
            role = database.role or connection.info.user
            raise LedgerError.unwritable(role, database.name) from None
