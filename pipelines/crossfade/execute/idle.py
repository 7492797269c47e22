"""Sessions that sit idle in a transaction and hold what our DDL waits for are ended, where the spec asks for it.

Never one that is at work, never one of crossfade's, never a backend of the server's own; each with an event, written
before it is ended and kept only if it was.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import errors, sql

from crossfade.ledger import Lease, Ledger, lease

_IDLE = """
SELECT pid, usename, application_name,
       extract(epoch FROM pg_catalog.clock_timestamp() - state_change)::float8, state_change
  FROM pg_stat_activity
 WHERE pid = ANY (pg_catalog.pg_blocking_pids(%s)) AND backend_type = 'client backend'
   AND state IN ('idle in transaction', 'idle in transaction (aborted)')
   AND state_change <= pg_catalog.clock_timestamp() - pg_catalog.make_interval(secs => %s)
   AND application_name NOT LIKE 'crossfade %%'"""

# Idle since the same moment: it has done nothing in between.
_END = """
SELECT pg_catalog.pg_terminate_backend(pid) FROM pg_stat_activity
 WHERE pid = %s AND state_change = %s AND state IN ('idle in transaction', 'idle in transaction (aborted)')"""


@dataclass
class IdleEnder:
    """Ends what is idle for longer than `after` seconds. refused: the right that was missing, as the GRANT for it."""

    watch: psycopg.Connection[Any]
    lease: Lease
    after: float
    refused: str | None = None

    def end_blockers_of(self, waiting: int) -> None:
        """End those that keep the backend `waiting` waiting right now."""
        for pid, role, application, seconds, since in self.watch.execute(_IDLE, (waiting, self.after)).fetchall():
            evidence = {"pid": pid, "role": role, "application": application, "idle_seconds": round(seconds)}
            try:
                self._end(pid, since, evidence)
            except errors.InsufficientPrivilege:
                self._note_refusal(evidence)

    def _end(self, pid: int, since: Any, evidence: dict[str, Any]) -> None:
        with self.watch.transaction():
            lease.fence(self.watch, self.lease)
            self.watch.execute("SELECT pg_catalog.set_config('lock_timeout', '1s', true)")
            Ledger(self.watch).event(self.lease.migration, "idle blocker ended", evidence)
            ended = self.watch.execute(_END, (pid, since)).fetchone()
            if ended is None or not ended[0]:
                raise psycopg.Rollback

    def _note_refusal(self, evidence: dict[str, Any]) -> None:
        if self.refused is not None:
            return
        row = self.watch.execute("SELECT current_user::text").fetchone()
        assert row is not None
        # A superuser's session only a superuser may end.
        self.refused = f"GRANT pg_signal_backend TO {sql.Identifier(row[0]).as_string(self.watch)}"
        Ledger(self.watch).event(self.lease.migration, "idle blocker stays", evidence | {"missing": self.refused})
