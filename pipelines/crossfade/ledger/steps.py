"""Legs, their steps, and the progress of walks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from crossfade.ledger.events import Events
from crossfade.ledger.records import LegRecord, ProgressRecord, StepRecord


class Steps(Events):
    """What is done of a migration in this database."""

    def legs(self, migration: str) -> dict[str, LegRecord]:
        with self.connection.cursor(row_factory=class_row(LegRecord)) as cursor:
            rows = cursor.execute(
                "SELECT leg, started_at, finished_at, passed_at FROM crossfade.leg WHERE migration = %s", (migration,)
            ).fetchall()
        return {row.leg: row for row in rows}

    def leg_started(self, migration: str, leg: str, evidence: Mapping[str, Any] | None = None) -> None:
        """evidence: for the event, which is written when the leg begins and not when a run goes on with it."""
        with self.connection.transaction():
            written = self.connection.execute(
                "INSERT INTO crossfade.leg (migration, leg) VALUES (%s, %s) ON CONFLICT DO NOTHING", (migration, leg)
            )
            if written.rowcount:
                self.event(migration, f"{leg} started", evidence or {})

    def leg_finished(self, migration: str, leg: str) -> None:
        """All steps of the leg are done in this database."""
        with self.connection.transaction():
            written = self.connection.execute(
                "UPDATE crossfade.leg SET finished_at = crossfade.clock()"
                " WHERE migration = %s AND leg = %s AND finished_at IS NULL",
                (migration, leg),
            )
            if written.rowcount:
                self.event(migration, f"{leg} finished", {})

    def leg_passed(self, migration: str, leg: str) -> None:
        """The gates after the leg held."""
        with self.connection.transaction():
            written = self.connection.execute(
                "UPDATE crossfade.leg SET passed_at = crossfade.clock()"
                " WHERE migration = %s AND leg = %s AND passed_at IS NULL",
                (migration, leg),
            )
            if written.rowcount:
                self.event(migration, f"{leg} passed", {})

    def leg_undone(self, migration: str, leg: str) -> None:
        with self.connection.transaction():
            gone = self.connection.execute(
                "DELETE FROM crossfade.leg WHERE migration = %s AND leg = %s", (migration, leg)
            )
            if gone.rowcount:
                self.event(migration, f"{leg} undone", {})

    def steps(self, migration: str) -> dict[str, StepRecord]:
        with self.connection.cursor(row_factory=class_row(StepRecord)) as cursor:
            rows = cursor.execute(
                "SELECT id, leg, state, attempts, started_at, finished_at, rows, detail"
                " FROM crossfade.step WHERE migration = %s ORDER BY started_at",
                (migration,),
            ).fetchall()
        return {row.id: row for row in rows}

    def step_running(self, migration: str, step: str, leg: str) -> None:
        self.connection.execute(
            """
INSERT INTO crossfade.step (migration, id, leg, state) VALUES (%s, %s, %s, 'running')
ON CONFLICT (migration, id) DO UPDATE
   SET state = 'running', attempts = step.attempts + 1, finished_at = NULL,
       started_at = CASE WHEN step.state = 'running' THEN step.started_at ELSE crossfade.clock() END""",
            (migration, step, leg),
        )

    def step_done(self, migration: str, step: str, *, rows: int = 0, detail: Mapping[str, Any] | None = None) -> None:
        """Mark a running step as done, with an event, in the transaction of its work."""
        self.connection.execute(
            "UPDATE crossfade.step SET state = 'done', finished_at = crossfade.clock(),"
            " rows = %s, detail = %s WHERE migration = %s AND id = %s",
            (rows, Jsonb(dict(detail or {})), migration, step),
        )
        self.event(migration, "step done", {"step": step, "rows": rows})

    def step_notes(self, migration: str, step: str, notes: Mapping[str, Any]) -> None:
        """Add to what a running step remembers of itself; `step_done` says what stays of it."""
        self.connection.execute(
            "UPDATE crossfade.step SET detail = detail || %s WHERE migration = %s AND id = %s",
            (Jsonb(dict(notes)), migration, step),
        )

    def step_waits(self, migration: str, step: str, reason: str | None) -> None:
        """Say why a walk waits at the moment, for those who look; None when it goes on."""
        self.connection.execute(
            "UPDATE crossfade.step SET detail = detail - 'waits for'::text"
            " || pg_catalog.jsonb_strip_nulls(pg_catalog.jsonb_build_object('waits for', %s::text))"
            " WHERE migration = %s AND id = %s AND state = 'running'",
            (reason, migration, step),
        )

    def step_undone(self, migration: str, step: str, undo_steps: tuple[str, ...]) -> None:
        """Mark a step as taken back and forget the rows of its undo, so that both can be done again."""
        with self.connection.transaction():
            self.connection.execute(
                "UPDATE crossfade.step SET state = 'undone', finished_at = crossfade.clock(), rows = 0,"
                " detail = '{}'"
                " WHERE migration = %s AND id = %s",
                (migration, step),
            )
            forgotten = [step, *undo_steps]
            self.connection.execute(
                "DELETE FROM crossfade.progress WHERE migration = %s AND step = ANY(%s)", (migration, forgotten)
            )
            self.connection.execute(
                "DELETE FROM crossfade.step WHERE migration = %s AND id = ANY(%s)", (migration, list(undo_steps))
            )
            self.event(migration, "step undone", {"step": step})

    def progress(self, migration: str) -> dict[str, ProgressRecord]:
        """Walks by step."""
        with self.connection.cursor(row_factory=class_row(ProgressRecord)) as cursor:
            rows = cursor.execute(
                """
SELECT step, pg_catalog.sum(next_block - first_block)::bigint AS blocks_done,
       pg_catalog.sum(end_block - first_block)::bigint AS blocks,
       pg_catalog.sum(rows)::bigint AS rows, pg_catalog.sum(batches)::bigint AS batches
  FROM crossfade.progress WHERE migration = %s GROUP BY step""",
                (migration,),
            ).fetchall()
        return {row.step: row for row in rows}
