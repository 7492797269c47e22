"""Takes a sample of pg_stat_statements into the ledger: which statements were called since the one before.

It reads, and compares `calls`; the server's statistics are never reset. Only what a client sent is taken, whatever
`pg_stat_statements.track` says: inside functions our own triggers run, as the application's role. The statements of
crossfade's own role are left out, and no text is kept but without its literals.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import psycopg
from psycopg import errors

from crossfade.composing import sql
from crossfade.errors import CrossfadeError
from crossfade.ledger import Ledger, UsageNode, UsageStatement
from crossfade.usage.masked import Masked, masked

PRIMARY = "primary"

_SINCE_1_9 = "1.9"  # of the extension: toplevel, and the count of evictions
_LOAD = "set shared_preload_libraries = 'pg_stat_statements' on the server and restart it"
_OF_NO_USE = Masked("")  # the empty text: of a statement that uses no column
_Key = tuple[str, int]  # role, queryid

# Standbys: whoever replays. A backup and an archive of WAL do not, a logical subscriber runs no statement of ours to
# miss; of a walsender whose state is hidden from the role it cannot be told.
_STATE = """
SELECT info.stats_reset, info.dealloc,
       (SELECT pg_catalog.count(*) FROM pg_catalog.pg_stat_replication AS r
         WHERE (r.replay_lsn IS NOT NULL OR r.state IS NULL)
           AND NOT EXISTS (SELECT FROM pg_catalog.pg_replication_slots AS s
                            WHERE s.active_pid = r.pid AND s.slot_type = 'logical'))::int,
       ARRAY[current_user::text, session_user::text],
       EXISTS (SELECT FROM pg_catalog.pg_stat_activity AS a
                WHERE a.usename IN (current_user, session_user) AND a.datname = pg_catalog.current_database()
                  AND a.backend_type = 'client backend' AND a.application_name NOT LIKE 'crossfade%%'),
       pg_catalog.current_setting('pg_stat_statements.track'),
       pg_catalog.current_setting('pg_stat_statements.track_utility')::boolean
  FROM {info} AS info"""
_COUNTERS = """
SELECT coalesce(r.rolname::text, s.userid::text), s.queryid, s.calls, s.total_exec_time
  FROM {statements}(false) AS s LEFT JOIN pg_catalog.pg_roles AS r ON r.oid = s.userid
 WHERE s.dbid = (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database())
   AND coalesce(r.rolname NOT IN (current_user, session_user), true)
   AND (s.toplevel AND s.calls > 0 OR s.queryid IS NULL)"""
_TEXTS = """
SELECT coalesce(r.rolname::text, s.userid::text), s.queryid, s.query
  FROM {statements}(true) AS s LEFT JOIN pg_catalog.pg_roles AS r ON r.oid = s.userid
 WHERE s.dbid = (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database())
   AND s.toplevel AND s.queryid = ANY (%s)"""
_NAMES = """
SELECT attname::text FROM pg_catalog.pg_attribute WHERE attnum > 0
 UNION SELECT relname::text FROM pg_catalog.pg_class WHERE relkind IN ('r', 'p', 'v', 'm', 'f')"""


class NoStatistics(CrossfadeError):
    """A server gives no statistics of statements."""


@dataclass(frozen=True)
class Sampled:
    """What a sample found on a node: how many statements it knows, and how many of them were called since the last."""

    node: str
    statements: int
    called: int
    new: bool


@dataclass(frozen=True)
class _State:
    reset_at: datetime | None
    evictions: int
    standbys: int
    own: list[str]
    shared: bool
    track: str
    track_utility: bool


def take_sample(connection: psycopg.Connection[Any], ledger: Ledger, node: str, now: datetime) -> Sampled:
    """Sample the server behind `connection` into the ledger of its database.

    connection: may be the ledger's own, or one that only reads. now: of the ledger's server.
    Raises NoStatistics where the server has none to give, with how it comes to have them.
    """
    schema = _schema(connection)
    with ledger.connection.transaction():
        before, new = ledger.lock_usage_node(node, now, connection.info.server_version)
        try:
            state, counters = _read(connection, schema)
        except errors.ObjectNotInPrerequisiteState:
            raise _not_loaded(connection) from None
        if state.track == "none":
            raise NoStatistics(
                f"pg_stat_statements.track is none on {node} of database {connection.info.dbname}",
                why="no statement is counted",
                fix="ALTER SYSTEM SET pg_stat_statements.track = 'top'; SELECT pg_reload_conf()",
            )
        anew = new or state.reset_at != before.reset_at or before.server_version != connection.info.server_version
        known = ledger.usage_counters(node)
        sampled = sum(each.node != PRIMARY for each in ledger.usage_nodes())
        unread = sum(queryid is None for _, queryid in counters)
        readable = {key: value for key, value in counters.items() if key[1] is not None}
        risen = {key: value for key, value in readable.items() if known.get(key) != value}
        kept = _kept(connection, schema, [key for key in risen if key not in known])
        ledger.write_usage_statements(_called(node, risen, known, kept, None if new else now))
        forgotten = ledger.forget_usage(node)
        since = now if anew else max(before.covered_since, forgotten or before.covered_since)
        ledger.write_usage_node(
            replace(
                _after(before, state, now, since, unread=unread > 0, version=connection.info.server_version, anew=anew),
                unsampled_at=now if node == PRIMARY and state.standbys > sampled else before.unsampled_at,
            )
        )
    return Sampled(node, len(readable), 0 if new else len(risen), new)


def _after(
    before: UsageNode, state: _State, now: datetime, since: datetime, *, unread: bool, version: int, anew: bool
) -> UsageNode:
    evicted = max(state.evictions - before.evictions, 0)
    limits: list[str] = []
    if not state.track_utility:
        limits.append("COPY, EXPLAIN and the like are not counted (pg_stat_statements.track_utility is off)")
    if version >= 180000:
        limits.append("PostgreSQL 18 counts queries on different tables as one where the tables have the same alias")
    return replace(
        before,
        covered_since=since,
        sampled_at=now,
        samples=1 if anew else before.samples + 1,
        longest_gap=now - now if anew else max(before.longest_gap, now - before.sampled_at),
        server_version=version,
        reset_at=state.reset_at,
        evictions=state.evictions,
        evicted=0 if anew else before.evicted + evicted,
        standbys=state.standbys,
        left_out=sorted(set(state.own)),
        unread_at=now if unread else before.unread_at,
        shared_at=now if state.shared else before.shared_at,
        evicted_at=now if evicted and not anew else before.evicted_at,
        limits=limits,
    )


def _called(
    node: str,
    risen: Mapping[_Key, tuple[int, float]],
    known: Mapping[_Key, tuple[int, float]],
    kept: Mapping[_Key, Masked],
    at: datetime | None,
) -> Iterator[UsageStatement]:
    """at: when those were called; None: nobody knows, since nothing was known before."""
    for key, (calls, time) in risen.items():
        if key not in known and key not in kept:
            continue  # evicted since it was counted
        text = kept.get(key, _OF_NO_USE)
        earlier = known.get(key, (0, 0.0))[0]
        # Fewer than before: it was evicted and came again.
        more = 0 if at is None else calls - earlier if calls >= earlier else calls
        yield UsageStatement(node, *key, text.text, text.names, calls, time, at, more)


def _kept(connection: psycopg.Connection[Any], schema: str, keys: Collection[_Key]) -> dict[_Key, Masked]:
    """What is kept of the texts of statements that are not known yet."""
    if not keys:
        return {}
    statements = sql.Identifier(schema, "pg_stat_statements")
    query = sql.SQL(_TEXTS).format(statements=statements)
    rows = connection.execute(query, (list({queryid for _, queryid in keys}),)).fetchall()
    names = frozenset(name for (name,) in connection.execute(_NAMES).fetchall())
    wanted = set(keys)
    return {
        (role, queryid): masked(text, names) or _OF_NO_USE
        for role, queryid, text in rows
        if (role, queryid) in wanted and text is not None
    }


def _read(connection: psycopg.Connection[Any], schema: str) -> tuple[_State, dict[Any, tuple[int, float]]]:
    info, statements = sql.Identifier(schema, "pg_stat_statements_info"), sql.Identifier(schema, "pg_stat_statements")
    state = connection.execute(sql.SQL(_STATE).format(info=info)).fetchone()
    assert state is not None
    rows = connection.execute(sql.SQL(_COUNTERS).format(statements=statements)).fetchall()
    return _State(*state), {(role, queryid): (calls, time) for role, queryid, calls, time in rows}


def _schema(connection: psycopg.Connection[Any]) -> str:
    """Where the extension is; raises NoStatistics where it is not, or older than what is asked of it."""
    row = connection.execute(
        "SELECT n.nspname, e.extversion,"
        " pg_catalog.string_to_array(e.extversion, '.')::int[] >= pg_catalog.string_to_array(%s, '.')::int[]"
        "  FROM pg_catalog.pg_extension AS e JOIN pg_catalog.pg_namespace AS n ON n.oid = e.extnamespace"
        " WHERE e.extname = 'pg_stat_statements'",
        (_SINCE_1_9,),
    ).fetchone()
    if row is None:
        raise NoStatistics(
            f"database {connection.info.dbname} has no pg_stat_statements",
            why="without it nobody counts which statements are run",
            fix=f"{_LOAD}; then CREATE EXTENSION pg_stat_statements in the database",
        )
    if not row[2]:
        raise NoStatistics(
            f"pg_stat_statements of database {connection.info.dbname} has version {row[1]}",
            why="before 1.9 it does not count what it forgets",
            fix="ALTER EXTENSION pg_stat_statements UPDATE",
        )
    return row[0]


def _not_loaded(connection: psycopg.Connection[Any]) -> NoStatistics:
    return NoStatistics(
        f"the server of database {connection.info.dbname} has not loaded pg_stat_statements",
        why="the extension is there, but nothing counts",
        fix=_LOAD,
    )
