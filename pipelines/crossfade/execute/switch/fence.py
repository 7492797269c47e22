"""A database that clients have left takes no writes of those who come late, past the pooler."""

from __future__ import annotations

import time
from typing import Any, LiteralString

import psycopg

from crossfade.composing import sql
from crossfade.execute.errors import StepRefused
from crossfade.execute.site import Site

_LEAVING = 0.3  # seconds in which the processes end whose connections the pooler has closed
_POLL = 0.005
_ALTER = "ALTER DATABASE {} {}"
_SETTING = "default_transaction_read_only"
_IS_SET = """
SELECT coalesce(pg_catalog.bool_or(setting = 'default_transaction_read_only=on'), false)
  FROM pg_catalog.pg_db_role_setting AS s JOIN pg_catalog.pg_database AS d ON d.oid = s.setdatabase,
       unnest(s.setconfig) AS setting
 WHERE d.datname = current_database() AND s.setrole = 0"""
_OTHERS = """
SELECT DISTINCT coalesce(nullif(application_name, ''), usename) FROM pg_catalog.pg_stat_activity
 WHERE datname = current_database() AND backend_type = 'client backend' AND pid <> pg_catalog.pg_backend_pid()
   AND application_name NOT LIKE 'crossfade%%' AND NOT application_name = ANY (%s)
 ORDER BY 1"""


def put_up(work: psycopg.Connection[Any]) -> None:
    """Sessions that begin from now on may not write, unless they say that they want to."""
    _alter(work, f"SET {_SETTING} = on")


def lift(work: psycopg.Connection[Any]) -> None:
    if is_up(work):
        _alter(work, f"RESET {_SETTING}")


def is_up(work: psycopg.Connection[Any]) -> bool:
    row = work.execute(_IS_SET).fetchone()
    return bool(row and row[0])


def refuse_others(site: Site, beside: tuple[str, ...]) -> None:
    """Raises StepRefused when clients are connected to a database whose pooler is paused: they are past it."""
    until = time.monotonic() + _LEAVING
    while (found := _others(site, beside)) and time.monotonic() < until:
        time.sleep(_POLL)
    if found:
        raise StepRefused(
            f"{', '.join(found)} is connected to {site.name} past the pooler",
            why="it would go on there, and nobody else would see what it writes",
            fix="have it connect through the pooler, or name it under `beside` when it does not write",
        )


def _others(site: Site, beside: tuple[str, ...]) -> list[str]:
    return [name for (name,) in site.work.execute(_OTHERS, ([*beside],))]


def _alter(work: psycopg.Connection[Any], what: LiteralString) -> None:
    work.execute(sql.SQL(_ALTER).format(sql.Identifier(work.info.dbname), sql.SQL(what)))
