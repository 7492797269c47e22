"""Reading the catalog: about a dozen queries on one read-only snapshot, in three round trips.

Nothing is locked beyond the instant a definition is printed, which takes ACCESS SHARE. A table that is locked
exclusively is not waited for: what would have to be opened for is left out, and the table is told in `Catalog.locked`.
"""

from __future__ import annotations

from collections.abc import Collection, Generator, Mapping
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql
from psycopg.pq import TransactionStatus
from psycopg.rows import namedtuple_row

from crossfade.catalog.assemble import Columns, assemble
from crossfade.catalog.errors import CatalogLocked, UnsupportedServer
from crossfade.catalog.model import Catalog
from crossfade.catalog.rows import Row
from crossfade.collector import collector_paused

OLDEST_VERSION = 140000
LOCK_TIMEOUT = "3s"
ATTEMPTS = 5
_LOCK_ATTEMPTS = 2  # one that was taken while we read is left out by the second

# What planning asks of a server's configuration; a name the version does not know is left out.
SETTINGS = (
    "autovacuum",
    "default_toast_compression",
    "idle_in_transaction_session_timeout",
    "lock_timeout",
    "maintenance_work_mem",
    "max_locks_per_transaction",
    "max_parallel_maintenance_workers",
    "max_prepared_transactions",
    "max_replication_slots",
    "max_wal_size",
    "max_worker_processes",
    "row_security",
    "search_path",
    "session_replication_role",
    "statement_timeout",
    "synchronous_standby_names",
    "transaction_timeout",
)

_QUERIES = (
    "relations",
    "constraints",
    "indexes",
    "triggers",
    "policies",
    "rules",
    "statistics",
    "sequences",
    "types",
    "uses",
    "functions",
    "dependents",
)
_QUERIES_15 = ("replication_role", "publications")
_QUERIES_14 = ("replication_role_14", "publications_14")


def read_catalog(connection: psycopg.Connection[Any], *, schemas: Collection[str] | None = None) -> Catalog:
    """Read one consistent snapshot of the database behind a connection.

    schemas: those to read; all but PostgreSQL's own and `crossfade` when None. Dependents and foreign keys
    are found wherever they live, and partitions are followed into other schemas.

    An idle connection gets a read-only REPEATABLE READ transaction. Inside a transaction of the caller's a
    savepoint is used, which sees what was done there, and one moment only if that transaction does. Both are
    rolled back, and every setting with them.

    Raises UnsupportedServer below PostgreSQL 14, CatalogLocked when exclusive locks come in the way time and again.
    """
    if connection.info.server_version < OLDEST_VERSION:
        raise _unsupported(connection.info.server_version)
    attempt = 1
    while True:
        try:
            with collector_paused():
                return _read(connection, None if schemas is None else list(schemas))
        except psycopg.errors.LockNotAvailable:
            if attempt >= _LOCK_ATTEMPTS:
                raise _locked(connection) from None
            attempt += 1
        except psycopg.errors.InternalError_:
            # "cache lookup failed", "could not open relation": dropped by others after the snapshot.
            if attempt == ATTEMPTS:
                raise
            attempt += 1


def read_fingerprint(connection: psycopg.Connection[Any]) -> str:
    """A text that differs after any change of the schema, for a hundredth of the price of reading it."""
    row = connection.execute(_query("fingerprint"), prepare=False).fetchone()
    assert row is not None
    return row[0]


def _read(connection: psycopg.Connection[Any], schemas: list[str] | None) -> Catalog:
    asked = {"schemas": schemas, "settings": list(SETTINGS), "lock_timeout": LOCK_TIMEOUT}
    with connection.pipeline(), _snapshot(connection):
        rows = _received(_sent(connection, ("server", "session", "scope", "volatile", "locked"), asked))
        scope = rows["scope"][0]._asdict() | {"locked": [row.oid for row in rows["locked"]]}
        rows |= _received(_sent(connection, ("columns",), scope))
        since_15 = connection.info.server_version >= 150000
        rest = _sent(connection, (*_QUERIES, *(_QUERIES_15 if since_15 else _QUERIES_14)), scope)
        columns = Columns.of(rows)  # half of our own work, done while the server is busy with the rest
        rows |= _received(rest)
        return assemble(rows, columns)


@contextmanager
def _snapshot(connection: psycopg.Connection[Any]) -> Generator[None]:
    """A transaction, or savepoint, that leaves nothing behind; a transaction sees one moment only."""
    idle = connection.info.transaction_status == TransactionStatus.IDLE
    with connection.transaction(force_rollback=True):
        if idle:
            connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        yield


def _sent(
    connection: psycopg.Connection[Any], names: tuple[str, ...], parameters: Mapping[str, Any]
) -> dict[str, psycopg.Cursor[Row]]:
    """Have the server run queries one after the other; the cursors are by name, without the version."""
    cursors = {name: connection.cursor(row_factory=namedtuple_row) for name in names}
    for name, cursor in cursors.items():
        # Prepared, they would get a generic plan in time, which does not know how long the arrays are.
        cursor.execute(_query(name), parameters, prepare=False)
    return {name.removesuffix("_14"): cursor for name, cursor in cursors.items()}


def _received(cursors: Mapping[str, psycopg.Cursor[Row]]) -> dict[str, list[Row]]:
    return {name: cursor.fetchall() for name, cursor in cursors.items()}


@cache
def _query(name: str) -> bytes:
    return (Path(__file__).with_name("queries") / f"{name}.sql").read_bytes()


def _unsupported(version: int) -> UnsupportedServer:
    oldest = OLDEST_VERSION // 10000
    return UnsupportedServer(
        f"the server is PostgreSQL {version // 10000}, older than {oldest}",
        why="backfills walk a table by ranges of ctid, which older servers answer with full scans",
        fix=f"upgrade the server to PostgreSQL {oldest} or later first",
    )


def _locked(connection: psycopg.Connection[Any]) -> CatalogLocked:
    """Names who holds ACCESS EXCLUSIVE on what; never the text of a query, which may hold row values."""
    rows: list[Row] = []
    # What is locked may be a table of the catalog, which this reads too.
    with suppress(psycopg.errors.LockNotAvailable), connection.transaction(force_rollback=True):
        connection.execute(sql.SQL("SET LOCAL lock_timeout = {}").format(LOCK_TIMEOUT))
        rows = connection.cursor(row_factory=namedtuple_row).execute(_query("holders")).fetchall()
    holders = tuple(f"{row.relation} by pid {row.pid} ({row.application_name})" for row in rows)
    error = CatalogLocked(
        f"the catalog could not be read, because a table stayed locked exclusively for {LOCK_TIMEOUT}",
        why="; ".join(holders) or "definitions can only be printed under ACCESS SHARE",
        fix="wait until that session is done, or end its transaction, and try again",
    )
    error.holders = holders
    return error
