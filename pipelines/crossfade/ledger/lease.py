"""Who may work on a migration: a lease with an epoch, kept and judged by the server's clock.

Every transaction that does work takes a share of the migration's row for its epoch (`fence`). Taking the lease over
raises the epoch under the full row lock, so a runner that lost its lease cannot commit any more.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import psycopg

from crossfade.errors import CrossfadeError
from crossfade.ledger.install import LedgerError
from crossfade.spec.values import LONGEST_NAME

TERM = timedelta(seconds=30)


class LeaseTaken(CrossfadeError):
    """Somebody else works on the migration."""


class LeaseLost(CrossfadeError):
    """The lease went to another runner; nothing was written after that."""


@dataclass(frozen=True)
class Lease:
    """A right to work on `migration` in one database."""

    migration: str
    epoch: int
    holder: str


def acquire(connection: psycopg.Connection[Any], migration: str, holder: str, term: timedelta = TERM) -> Lease:
    """Take the lease when it is free or has run out.

    connection: in autocommit. holder: who works, for people: user, host, process.
    Raises LeaseTaken, naming the holder. Sessions of the runner that let it run out are ended, so that what
    they still hold cannot be committed.
    """
    with connection.transaction():
        row = connection.execute(
            "SELECT epoch, holder, lease_until > pg_catalog.clock_timestamp(),"
            " lease_until - pg_catalog.clock_timestamp()"
            " FROM crossfade.migration WHERE id = %s",
            (migration,),
        ).fetchone()
        if row is None:
            raise LedgerError(
                f"the ledger of database {connection.info.dbname} has no migration {migration}",
                why="it had when this run began, so somebody removed its row or restored an older ledger",
                fix="restore the ledger together with the tables it tells of",
            )
        if row[1] is not None and row[2]:
            raise LeaseTaken(
                f"{row[1]} works on {migration} now",
                why="two runners would do every step twice; its lease is renewed while it lives",
                fix=f"wait for it; if it died, its lease ends in {row[3].total_seconds():.0f} s",
            )
        # A stalled predecessor may hold a share of this row in an open transaction: it would keep us waiting.
        _end_sessions(connection, migration, row[0])
        taken = connection.execute(
            "WITH mine AS (SELECT id FROM crossfade.migration WHERE id = %(id)s AND epoch = %(epoch)s FOR UPDATE)"
            " UPDATE crossfade.migration AS m SET epoch = m.epoch + 1, holder = %(holder)s,"
            " lease_until = pg_catalog.clock_timestamp() + %(term)s FROM mine WHERE m.id = mine.id RETURNING m.epoch",
            {"id": migration, "epoch": row[0], "holder": holder, "term": term},
        ).fetchone()
        if taken is None:
            raise LeaseTaken(f"another runner took {migration} just now", fix="run `crossfade status` to see who")
    # Again, for one that it opened in between, and in which it saw the lease as its own.
    _end_sessions(connection, migration, row[0])
    return Lease(migration, taken[0], holder)


def _end_sessions(connection: psycopg.Connection[Any], migration: str, epoch: int) -> None:
    connection.execute(
        "SELECT pg_catalog.pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE application_name = %s AND datname = pg_catalog.current_database()"
        " AND pid <> pg_catalog.pg_backend_pid()",
        (session_name(migration, epoch),),
    )


def renew(connection: psycopg.Connection[Any], lease: Lease, term: timedelta = TERM) -> None:
    """Push the lease's end out; raises LeaseLost when it has gone to another."""
    renewed = connection.execute(
        "UPDATE crossfade.migration SET lease_until = pg_catalog.clock_timestamp() + %s WHERE id = %s AND epoch = %s",
        (term, lease.migration, lease.epoch),
    )
    if renewed.rowcount != 1:
        raise _lost(lease)


def release(connection: psycopg.Connection[Any], lease: Lease) -> None:
    """Give the lease back; nothing happens when it is no longer ours."""
    connection.execute(
        "UPDATE crossfade.migration SET holder = NULL, lease_until = NULL WHERE id = %s AND epoch = %s",
        (lease.migration, lease.epoch),
    )


def fence(connection: psycopg.Connection[Any], lease: Lease) -> bool:
    """First statement of every transaction that works: it commits only while the lease is ours.

    Tells whether somebody paused the migration. Raises LeaseLost.
    """
    row = connection.execute(
        "SELECT paused_at IS NOT NULL FROM crossfade.migration WHERE id = %s AND epoch = %s FOR KEY SHARE",
        (lease.migration, lease.epoch),
    ).fetchone()
    if row is None:
        raise _lost(lease)
    return row[0]


def session_name(migration: str, epoch: int) -> str:
    """The application_name of a runner's sessions: a new runner ends those of the epoch before by it.

    Two migrations never share one, also where PostgreSQL would cut it at 63 bytes.
    """
    name = f"crossfade {epoch} {migration}"
    if len(name) <= LONGEST_NAME:
        return name
    return f"{name[: LONGEST_NAME - 9]} {hashlib.sha256(migration.encode()).hexdigest()[:8]}"


def _lost(lease: Lease) -> LeaseLost:
    return LeaseLost(
        f"this runner lost its lease on {lease.migration}",
        why="it stalled for longer than the lease lasts, and another runner took over",
        fix="nothing: what it did is committed or undone; the other runner goes on",
    )
