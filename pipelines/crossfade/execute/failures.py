"""Counts what failed in a while for want of a column or table: by the server's log where it can be read.

Else transactions that were rolled back. No line of the log leaves the server: it is searched there, and counted.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg
from psycopg import errors

from crossfade.execute.errors import is_lost

_MOST_LOG = 64 * 2**20  # bytes that are searched

_ROLLED_BACK = """
SELECT pg_catalog.pg_stat_get_db_xact_rollback(oid), pg_catalog.clock_timestamp(),
       extract(epoch FROM pg_catalog.clock_timestamp() - pg_catalog.pg_stat_get_db_stat_reset_time(oid))::float8
  FROM pg_database WHERE datname = pg_catalog.current_database()"""
# Of those who run the statements too: an application's role may have its own.
_UNTOLD = """
SELECT pg_catalog.current_setting('log_min_messages') IN ('log', 'fatal', 'panic')
       OR EXISTS (SELECT FROM pg_db_role_setting AS s WHERE s.setconfig::text ~ 'log_min_messages')
       OR pg_catalog.current_setting('lc_messages') !~ '^(C|POSIX|en|$)'"""
# Files of the log that were written since, in their order.
_SINCE = "SELECT name, size FROM pg_catalog.pg_ls_logdir() WHERE modification >= %s ORDER BY modification, name"
_LOG = "SELECT path, (pg_catalog.pg_stat_file(path)).size FROM pg_catalog.pg_current_logfile() AS path"
# A message about a column or relation that is not there, in a log of any format; the code is in those that tell it.
_LINES = """
SELECT pg_catalog.count(*)
  FROM pg_catalog.regexp_split_to_table(
         pg_catalog.convert_from(pg_catalog.pg_read_binary_file(%s, %s, %s, true), 'LATIN1'), E'\\n') AS line
 WHERE line ~ %s AND line ~ 'does not exist|has no field|42703|42P01'"""


@dataclass(frozen=True)
class Counters:
    """rolled_back: transactions of the database. age: seconds since they are counted; None: not known.

    log, size: the server's log file of the moment, and how long it was; None where it cannot be read.
    """

    at: datetime
    rolled_back: int
    age: float | None
    log: str | None
    size: int


def counters(connection: psycopg.Connection[Any]) -> Counters:
    """What is counted by now."""
    row = connection.execute(_ROLLED_BACK).fetchone()
    assert row is not None
    rolled_back, at, age = row
    log, size = _log(connection) or (None, 0)
    return Counters(at, rolled_back, age, log, size)


def failed_since(connection: psycopg.Connection[Any], before: Counters, names: Sequence[str]) -> dict[str, Any]:
    """What has failed since.

    rolled_back: transactions, whatever for; usual: how many there would have been at the rate before, if it is known.
    failed: statements that wanted one of the names, by the log; None where that cannot be read.
    """
    now = counters(connection)
    seconds = (now.at - before.at).total_seconds()
    usual = round(before.rolled_back / before.age * seconds) if before.age else None
    return {
        "rolled_back": max(now.rolled_back - before.rolled_back, 0),
        "usual": usual,
        "failed": _lines(connection, before, now, names) if before.log and now.log else None,
    }


def _lines(connection: psycopg.Connection[Any], before: Counters, now: Counters, names: Sequence[str]) -> int | None:
    named = rf"[\s\".]({'|'.join(map(re.escape, names))})[\s\"]"
    found = 0
    try:
        with connection.transaction():
            parts = [*_parts(connection, before, now)]
            row = connection.execute(_UNTOLD).fetchone()
            # Nothing is better than too little: what was not searched may hold any number.
            if row is None or row[0] or sum(length for _, _, length in parts) > _MOST_LOG:
                return None
            for path, begin, length in parts:
                row = connection.execute(_LINES, (path, begin, length, named)).fetchone()
                found += row[0] if row is not None else 0
    except psycopg.Error as error:
        if is_lost(error):
            raise
        return None  # a right, a file or the time for it was missing
    return found


def _parts(connection: psycopg.Connection[Any], before: Counters, now: Counters) -> Iterator[tuple[str, int, int]]:
    """Path, first byte and number of bytes: where the log went on in other files, each of them."""
    if before.log == now.log:
        yield now.log or "", before.size, max(now.size - before.size, 0)
        return
    folder, _, begun = (before.log or "").rpartition("/")
    for name, size in connection.execute(_SINCE, (before.at,)).fetchall():
        first = before.size if name == begun else 0
        yield f"{folder}/{name}" if folder else name, first, max(size - first, 0)


def _log(connection: psycopg.Connection[Any]) -> tuple[str, int] | None:
    try:
        with connection.transaction():
            row = connection.execute(_LOG).fetchone()
    except (errors.InsufficientPrivilege, errors.UndefinedFile):
        return None
    return (row[0], row[1]) if row is not None and row[0] is not None else None
