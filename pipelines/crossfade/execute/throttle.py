"""When a walk waits: replicas behind, sessions blocked, WAL too fast, old transactions, an anti-wraparound vacuum."""

from __future__ import annotations

import threading
import time
from collections import deque
from contextlib import suppress
from typing import Any

import psycopg

from crossfade.execute.session import open_session
from crossfade.execute.site import Site
from crossfade.ledger import Ledger

_EVERY = 0.5  # seconds between looks: a batch, by default
_FIRST = 0.2  # a walk over by then is not worth a session; a longer one writes a batch more, at most

# A batch gets shorter at once where clients wait for its rows, and longer slowly when none has for a while.
_SMALLEST_SHARE, _RECOVERY = 1 / 64, 1.1

_LOOK = """
SELECT pg_catalog.pg_current_wal_lsn() - '0/0'::pg_lsn AS written,
       -- One that catches up is the furthest behind; of a base backup nobody knows yet what will be replayed.
       (SELECT pg_catalog.min(replay_lsn - '0/0'::pg_lsn) FROM pg_stat_replication
         WHERE state IN ('streaming', 'catchup')) AS replayed,
       (SELECT pg_catalog.count(*) FROM pg_stat_activity
         WHERE datname = pg_catalog.current_database() AND wait_event_type = 'Lock') AS blocked,
       (SELECT pg_catalog.count(*) FROM pg_stat_activity AS waiting
         WHERE waiting.datname = pg_catalog.current_database() AND waiting.wait_event_type = 'Lock'
           AND waiting.application_name <> %(us)s
           AND EXISTS (SELECT FROM pg_stat_activity AS us
                        WHERE us.application_name = %(us)s
                          AND us.pid = ANY (pg_catalog.pg_blocking_pids(waiting.pid)))) AS behind_us,
       -- What holds back the horizon of vacuum here: not our own sessions, whose transactions are short.
       (SELECT pg_catalog.max(extract(epoch FROM pg_catalog.clock_timestamp() - xact_start))::float8
          FROM pg_stat_activity
         WHERE datname = pg_catalog.current_database() AND (backend_xmin IS NOT NULL OR backend_xid IS NOT NULL)
           AND backend_type = 'client backend' AND application_name NOT LIKE 'crossfade%%') AS oldest,
       EXISTS (SELECT FROM pg_stat_activity
                WHERE datname = pg_catalog.current_database() AND backend_type = 'autovacuum worker'
                  AND query LIKE '%%(to prevent wraparound)') AS wraparound"""


class Throttle:
    """Looks at the server while a walk runs.

    reason: why the walk should wait right now; the ledger says it too.
    share: of the wanted duration of a batch; small while clients wait for rows of our batches.
    """

    def __init__(self, site: Site, step: str) -> None:
        self.reason: str | None = None
        self.share = 1.0
        self._site = site
        self._step = step
        self._noted: str | None = None
        self._done = threading.Event()
        self._written: deque[tuple[float, int]] = deque()
        self._thread = threading.Thread(target=self._watch, name="throttle", daemon=True)

    def __enter__(self) -> Throttle:
        self._thread.start()
        return self

    def __exit__(self, *_exception: object) -> None:
        self._done.set()
        self._thread.join(timeout=5)

    def _watch(self) -> None:
        connection: psycopg.Connection[Any] | None = None
        over = self._done.wait(_FIRST)
        while not over:
            # A look that fails is no reason to stop: the batches meet the same trouble and deal with it.
            with suppress(Exception):
                if connection is None or connection.closed:
                    connection = open_session(self._site.database, "crossfade throttle")
                self.reason = self._look(connection)
                self._note(connection)
            over = self._done.wait(_EVERY)
        if connection is not None:
            connection.close()

    def _look(self, connection: psycopg.Connection[Any]) -> str | None:
        row = connection.execute(_LOOK, {"us": self._site.application}).fetchone()
        assert row is not None
        written, replayed, blocked, behind_us, oldest, wraparound = row
        self.share = max(self.share / 2, _SMALLEST_SHARE) if behind_us else min(self.share * _RECOVERY, 1.0)
        limits = self._site.settings
        now = time.monotonic()
        self._written.append((now, int(written)))
        while len(self._written) > 2 and now - self._written[0][0] > 600:
            self._written.popleft()
        lag = self._lag(now, None if replayed is None else int(replayed))
        rate = self._wal_rate(now)
        if limits.pause_replica_lag is not None and lag > limits.pause_replica_lag:
            return f"a replica is {_said(lag)} behind (limit {_said(limits.pause_replica_lag)})"
        if limits.pause_blocked_sessions is not None and blocked >= limits.pause_blocked_sessions:
            return f"{blocked} sessions wait for locks (limit {limits.pause_blocked_sessions})"
        if limits.pause_wal_rate is not None and rate > limits.pause_wal_rate:
            return f"WAL grows by {rate / 2**20:.0f} MB/s (limit {limits.pause_wal_rate / 2**20:.0f} MB/s)"
        if limits.pause_transaction_age is not None and (oldest or 0.0) > limits.pause_transaction_age:
            limit = _said(limits.pause_transaction_age)
            return f"a transaction is open for {_said(oldest)}, and holds back vacuum (limit {limit})"
        return "an anti-wraparound vacuum runs" if wraparound else None

    def _note(self, connection: psycopg.Connection[Any]) -> None:
        if self.reason != self._noted:
            Ledger(connection).step_waits(self._site.migration, self._step, self.reason)
            self._noted = self.reason

    def _lag(self, now: float, replayed: int | None) -> float:
        """Seconds since the primary wrote what the slowest replica has replayed, by our own notes of when that was.

        pg_stat_replication.replay_lag stands still while replay is paused; positions do not lie.
        """
        if replayed is None or replayed >= self._written[-1][1]:
            return 0.0
        behind = [when for when, position in self._written if position > replayed]
        return now - behind[0] if behind else 0.0

    def _wal_rate(self, now: float) -> float:
        """Bytes a second over the last five seconds."""
        recent = [(when, position) for when, position in self._written if now - when <= 5.0]
        if len(recent) < 2:
            return 0.0
        return (recent[-1][1] - recent[0][1]) / max(recent[-1][0] - recent[0][0], 0.001)


def _said(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
