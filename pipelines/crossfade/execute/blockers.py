"""Who keeps a session of ours waiting, seen while it waits."""

from __future__ import annotations

import threading
from contextlib import suppress
from typing import Any

import psycopg

from crossfade.execute.masked import masked
from crossfade.execute.notice import Blocker

_BLOCKING = """
SELECT a.pid, coalesce(a.usename, ''), coalesce(a.application_name, ''), coalesce(a.state, ''),
       coalesce(extract(epoch FROM clock_timestamp() - coalesce(a.xact_start, a.query_start)), 0)::float8,
       coalesce(a.query, '')
  FROM (SELECT DISTINCT unnest(pg_blocking_pids(waiting)) AS pid FROM unnest(%s::int[]) AS waiting) AS b
  JOIN pg_stat_activity AS a USING (pid)
 WHERE a.pid <> ALL (%s::int[]) ORDER BY a.xact_start"""


def blocking(connection: psycopg.Connection[Any], pids: list[int]) -> tuple[Blocker, ...]:
    """The sessions that keep the backends `pids` waiting right now, these themselves left out; oldest first."""
    rows = connection.execute(_BLOCKING, (pids, pids)).fetchall()
    return tuple(Blocker(*row[:5], query=masked(row[5])) for row in rows)


class BlockerSample:
    """Looks once, `after` seconds into a wait, at who blocks backend `pid`; used around one attempt at a lock."""

    def __init__(self, watch: psycopg.Connection[Any], pid: int, after: float) -> None:
        self.found: tuple[Blocker, ...] = ()
        self._watch = watch
        self._pid = pid
        self._timer = threading.Timer(after, self._look)
        self._timer.daemon = True

    def __enter__(self) -> BlockerSample:
        self._timer.start()
        return self

    def __exit__(self, *_exception: object) -> None:
        self._timer.cancel()

    def _look(self) -> None:
        # Evidence only: a server that is just going away must not turn a retry into a failure.
        with suppress(psycopg.Error):
            self.found = blocking(self._watch, [self._pid])
