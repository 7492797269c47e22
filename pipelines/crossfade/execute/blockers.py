"""Who keeps a session of ours waiting, seen while it waits."""

from __future__ import annotations

import threading
from contextlib import suppress
from typing import Any

import postgast
import psycopg

from crossfade.execute.notice import Blocker

_BLOCKING = """
SELECT a.pid, coalesce(a.usename, ''), coalesce(a.application_name, ''), coalesce(a.state, ''),
       coalesce(extract(epoch FROM clock_timestamp() - coalesce(a.xact_start, a.query_start)), 0)::float8,
       coalesce(a.query, '')
  FROM unnest(pg_blocking_pids(%s)) AS b(pid) JOIN pg_stat_activity AS a USING (pid)"""


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
            rows = self._watch.execute(_BLOCKING, (self._pid,)).fetchall()
            self.found = tuple(Blocker(*row[:5], query=without_values(row[5])) for row in rows)


def without_values(query: str) -> str:
    """A query's text with its constants taken out, at most 200 characters; its first word when it cannot be parsed."""
    try:
        text = postgast.normalize(query)
    except postgast.PgQueryError:
        words = query.split(maxsplit=1)
        text = f"{words[0]} ..." if words else ""
    return " ".join(text.split())[:200]
