"""The locks of one attempt at a DDL step, all taken before its statements run.

A client behind the attempt waits no longer than `locks.timeout`, however many tables the step locks: one deadline is
over all of them. And no client is ever ended for a deadlock with us:

- While we wait for the first lock we hold none. Then others wait for us in the queue alone, and PostgreSQL lets them
  pass instead of ending anybody.
- While we hold one and wait for the next, PostgreSQL ends whoever has first waited for deadlock_timeout. That is
  somebody who began to wait after us, so we let go before that; or somebody who waited already, so we let go before
  the first of those has waited so long.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import errors, sql

from crossfade.execute.session import limit
from crossfade.execute.site import Site
from crossfade.spec.fragment import trusted
from crossfade.steps.compose import table
from crossfade.steps.step import Lock

# In one order for all runners. A view is locked before the tables under it, as whoever reads it does. What is gone
# needs no lock, and what the role may not lock by itself (a foreign key's parent that is another's) its statement has
# to lock. Last what those want who hold another of them, and never the other way round: else each attempt at busy
# tables meets one of them.
_TO_TAKE = """
SELECT (l.number - 1)::int, c.relhassubclass,
       CASE WHEN c.relkind IN ('v', 'm') THEN pg_catalog.pg_get_userbyid(c.relowner) END
  FROM unnest(%s::name[], %s::name[], %s::text[], %s::boolean[])
       WITH ORDINALITY AS l (schema_name, name, mode, last, number)
  JOIN pg_namespace AS n ON n.nspname = l.schema_name
  JOIN pg_class AS c ON c.relnamespace = n.oid AND c.relname = l.name
 WHERE pg_catalog.has_schema_privilege(n.oid, 'USAGE')
   AND CASE WHEN c.relkind IN ('v', 'm')
            THEN l.mode = 'ACCESS EXCLUSIVE' AND pg_catalog.pg_has_role(c.relowner, 'USAGE')
            ELSE pg_catalog.has_table_privilege(c.oid, 'UPDATE, DELETE, TRUNCATE') END
 ORDER BY l.last, c.relkind IN ('v', 'm') DESC,
          CASE WHEN c.relkind IN ('v', 'm') THEN -c.oid::bigint ELSE c.oid::bigint END, l.number"""

# A session looks for a deadlock once in a wait: who has waited longer than that is not ended any more.
_NEXT_TO_LOOK = """
SELECT coalesce(pg_catalog.max(extract(epoch FROM pg_catalog.clock_timestamp() - l.waitstart)), 0)::float8
  FROM pg_locks AS l JOIN pg_stat_activity AS a USING (pid)
 WHERE NOT l.granted AND a.datname = pg_catalog.current_database()
   AND l.waitstart > pg_catalog.clock_timestamp() - pg_catalog.current_setting('deadlock_timeout')::interval"""


def take_locks(site: Site, work: psycopg.Connection[Any], locks: Sequence[Lock], *, parents_last: bool) -> float:
    """Take them in the transaction at hand, and leave what is left of the time as lock_timeout for its statements.

    parents_last: who writes a child of a foreign key comes to want its parent, and who deletes from a parent its child.
    Whichever of them is there all the time closes a circle with each attempt that takes the one that he wants first.

    Gives the moment, of time.monotonic(), from which on it may hold one.
    Raises LockNotAvailable when they cannot all be had in time.
    """
    taken, are_many = _to_take(work, locks, parents_last=parents_last)
    patience = site.settings.lock_timeout
    if not taken:  # statements of an author's, which may hold one lock while they wait for the next
        limit(work, lock_timeout=min(patience, site.longest_hold))
        return time.monotonic()
    deadline = time.monotonic() + patience
    limit(work, lock_timeout=patience)
    taken[0].take(work, alone=True)
    held_since = time.monotonic()
    deadline = min(deadline, held_since + site.longest_hold)
    if are_many:
        deadline = min(deadline, time.monotonic() + site.longest_hold - _waited_by_the_next_to_look(work))
        for lock in taken:
            _lock_until(work, lock, deadline)
    limit(work, lock_timeout=_left(deadline), statement_timeout=0)
    return held_since


@dataclass(frozen=True)
class _ToTake:
    """view_of: the owner, where it is a view or materialized view."""

    lock: Lock
    view_of: str | None

    def take(self, work: psycopg.Connection[Any], *, alone: bool = False) -> None:
        """LOCK would lock all that a view reads as well, and knows no materialized view: an ALTER that alters nothing
        locks the view itself.
        """
        name = table(self.lock.relation)
        if self.view_of is not None:
            work.execute(sql.SQL("ALTER TABLE {} OWNER TO {}").format(name, sql.Identifier(self.view_of)))
            return
        only = sql.SQL("ONLY " if alone else "")
        work.execute(sql.SQL("LOCK TABLE {}{} IN {} MODE").format(only, name, trusted(self.lock.mode)))


def _to_take(work: psycopg.Connection[Any], locks: Sequence[Lock], *, parents_last: bool) -> tuple[list[_ToTake], bool]:
    """Those that there are to take, in order; and whether more than one relation is to be locked in the end."""
    relations = [lock.relation for lock in locks]
    asked = (
        [each.schema_name for each in relations],
        [each.name for each in relations],
        [each.mode for each in locks],
        [each.last or (parents_last and each.of_leaving_key) for each in locks],
    )
    found: list[tuple[int, bool, str | None]] = work.execute(_TO_TAKE, asked).fetchall()
    with_parts = any(has_parts and not locks[number].alone for number, has_parts, _ in found)
    return [_ToTake(locks[number], owner) for number, _, owner in found], len(locks) > 1 or with_parts


def _waited_by_the_next_to_look(work: psycopg.Connection[Any]) -> float:
    """Seconds for which the session of this database has waited that is the next to look for a deadlock."""
    row = work.execute(_NEXT_TO_LOOK).fetchone()
    assert row is not None
    return row[0]


def _lock_until(work: psycopg.Connection[Any], lock: _ToTake, deadline: float) -> None:
    """With all its partitions, for which lock_timeout would begin anew with each."""
    limit(work, statement_timeout=_left(deadline))
    try:
        lock.take(work, alone=lock.lock.alone)
    except errors.QueryCanceled:  # by its timeout; or by a person, who sees it tried again
        raise errors.LockNotAvailable from None


def _left(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise errors.LockNotAvailable
    return left
