"""Who keeps a session of ours waiting, seen while it waits."""

from __future__ import annotations

import threading
from contextlib import suppress
from typing import Any

import psycopg

from crossfade.execute.idle import IdleEnder
from crossfade.execute.masked import masked
from crossfade.execute.notice import Blocker
from crossfade.ledger import LeaseLost

_AGAIN = 1.0  # seconds

_BLOCKING = """
SELECT a.pid, coalesce(a.usename, ''), coalesce(a.application_name, ''), coalesce(a.state, ''),
       coalesce(extract(epoch FROM pg_catalog.clock_timestamp() - coalesce(a.xact_start, a.query_start)), 0)::float8,
       coalesce(a.query, '')
  FROM (SELECT DISTINCT pg_catalog.unnest(pg_catalog.pg_blocking_pids(waiting)) AS pid
          FROM pg_catalog.unnest(%s::int[]) AS waiting) AS b
  JOIN pg_stat_activity AS a USING (pid)
 WHERE a.pid <> ALL (%s::int[]) ORDER BY a.xact_start"""


def blocking(connection: psycopg.Connection[Any], pids: list[int]) -> tuple[Blocker, ...]:
    """The sessions that keep the backends `pids` waiting right now, these themselves left out; oldest first."""
    rows = connection.execute(_BLOCKING, (pids, pids)).fetchall()
    return tuple(Blocker(*row[:5], query=masked(row[5])) for row in rows)


class BlockerSample:
    """Looks, `after` seconds into a wait, at who blocks backend `pid`; used around one attempt at a lock.

    ending: looks again each second, and has those ended that are idle for too long.
    """

    def __init__(self, watch: psycopg.Connection[Any], pid: int, after: float, ending: IdleEnder | None = None) -> None:
        self.found: tuple[Blocker, ...] = ()
        self._watch = watch
        self._pid = pid
        self._after = after
        self._ending = ending
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look_on, name="blockers", daemon=True)

    def __enter__(self) -> BlockerSample:
        self._thread.start()
        return self

    def __exit__(self, *_exception: object) -> None:
        self._over.set()
        if self._ending is not None:
            self._thread.join(timeout=5)  # so that nothing is ended that blocks a later statement

    def _look_on(self) -> None:
        if self._over.wait(self._after):
            return
        # Evidence only: a server that is just going away must not turn a retry into a failure.
        with suppress(psycopg.Error):
            self.found = blocking(self._watch, [self._pid])
        while self._ending is not None and not self._over.is_set():
            with suppress(psycopg.Error, LeaseLost):
                self._ending.end_blockers_of(self._pid)
            self._over.wait(_AGAIN)
