"""What the ledgers of several databases say of migrations, asked at once: one that does not answer says why."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor

import psycopg
from psycopg import errors

from crossfade.errors import CrossfadeError
from crossfade.execute.overview import NOTHING, Overview, read_overview
from crossfade.execute.session import DatabaseUnreachable, reading
from crossfade.ledger import LedgerError, is_installed
from crossfade.server_words import told
from crossfade.spec import Database, Migration, Project

_AT_ONCE = 8  # databases
View = Overview | CrossfadeError  # of one database, or why there is none


def read_overviews(
    project: Project, names: Sequence[str], migrations: Iterable[Migration], *, others: bool
) -> dict[str, View]:
    """Each database's view, or why there is none. At once, so that one that is silent delays the others little."""
    wanted = [migration.id for migration in migrations]

    def read(name: str) -> View:
        return _read(project.databases[name], wanted, others=others)

    with ThreadPoolExecutor(max_workers=_AT_ONCE) as pool:
        return dict(zip(names, pool.map(read, names), strict=True))


def _read(database: Database, migrations: Collection[str], *, others: bool) -> View:
    try:
        with reading(database, "crossfade status") as connection:
            if not is_installed(connection):
                return NOTHING
            try:
                return read_overview(connection, migrations, others=others)
            except errors.InsufficientPrivilege:
                raise _no_permission(connection, database) from None
    except CrossfadeError as error:
        return error
    except psycopg.Error as error:
        return DatabaseUnreachable(
            f"database `{database.name}` could not be asked",
            where=database.where,
            why=told(error),
            fix="run the same command again when it answers",
            sqlstate=error.sqlstate,
        )


def _no_permission(connection: psycopg.Connection[object], database: Database) -> LedgerError:
    role = database.role or connection.info.user
    return LedgerError(
        f"role {role} may not read the ledger in database `{database.name}`",
        where=database.where,
        fix=f"GRANT SELECT ON ALL TABLES IN SCHEMA crossfade TO {role}",
    )
