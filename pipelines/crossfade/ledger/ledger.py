"""One database's ledger: what is read from it and written to it.

Methods write in the caller's transaction where there is one, so that a step and its row commit together.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from datetime import datetime
from typing import Any, LiteralString

import psycopg
from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from crossfade.ledger.records import (
    ApprovalRecord,
    ConflictRecord,
    EventRecord,
    GateRecord,
    LegRecord,
    MigrationRecord,
    MigrationState,
    ProgressRecord,
    StepRecord,
)

_PAGE = 1000  # events

_MIGRATION = """
SELECT id, title, owner, spec_text, spec_digest, plan, plan_digest, state, epoch, holder, lease_until,
       paused_at, paused_by, undo_to, problem, started_at, finished_at
  FROM crossfade.migration"""


class Ledger:
    """The ledger of the database behind `connection` (autocommit)."""

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        self.connection = connection

    # --- migrations ----------------------------------------------------------------------------------

    def migration(self, migration: str) -> MigrationRecord | None:
        with self.connection.cursor(row_factory=class_row(MigrationRecord)) as cursor:
            return cursor.execute(_MIGRATION + " WHERE id = %s", (migration,)).fetchone()

    def migrations(self) -> tuple[MigrationRecord, ...]:
        """All migrations, oldest first."""
        with self.connection.cursor(row_factory=class_row(MigrationRecord)) as cursor:
            return tuple(cursor.execute(_MIGRATION + " ORDER BY started_at, id").fetchall())

    def start(
        self,
        migration: str,
        *,
        title: str,
        owner: str | None,
        spec_text: str,
        spec_digest: str,
        plan: Mapping[str, Any],
        plan_digest: str,
    ) -> None:
        """Write the frozen spec and plan; a migration that was undone starts anew, one that runs is left alone.

        One that has done nothing, and which nobody works on, gets the plan of another spec in place of its own.
        """
        with self.connection.transaction():
            before = self.connection.execute(
                "SELECT state FROM crossfade.migration WHERE id = %s FOR UPDATE", (migration,)
            ).fetchone()
            planned_anew = before is not None and before[0] != "undone"
            if planned_anew and self.has_begun(migration):
                return
            written = self.connection.execute(
                """
INSERT INTO crossfade.migration (id, title, owner, spec_text, spec_digest, plan, plan_digest)
VALUES (%(id)s, %(title)s, %(owner)s, %(text)s, %(digest)s, %(plan)s, %(plan_digest)s)
ON CONFLICT (id) DO UPDATE
   SET title = excluded.title, owner = excluded.owner, spec_text = excluded.spec_text,
       spec_digest = excluded.spec_digest, plan = excluded.plan, plan_digest = excluded.plan_digest,
       state = 'running', problem = NULL, started_at = pg_catalog.now(), finished_at = NULL,
       paused_at = CASE WHEN migration.state <> 'undone' THEN migration.paused_at END,
       paused_by = CASE WHEN migration.state <> 'undone' THEN migration.paused_by END
 WHERE migration.state = 'undone'
    OR migration.state = 'running' AND migration.holder IS NULL AND migration.spec_digest <> excluded.spec_digest""",
                {
                    "id": migration,
                    "title": title,
                    "owner": owner,
                    "text": spec_text,
                    "digest": spec_digest,
                    "plan": Jsonb(plan),
                    "plan_digest": plan_digest,
                },
            )
            if written.rowcount:
                # Of an attempt that was undone: its rows are tried anew.
                self.connection.execute(
                    "UPDATE crossfade.conflict SET resolved_at = pg_catalog.now() WHERE id = ANY (ARRAY("
                    "SELECT id FROM crossfade.conflict WHERE migration = %s AND resolved_at IS NULL"
                    " FOR NO KEY UPDATE SKIP LOCKED))",
                    (migration,),
                )
                # What it was asked and had begun by the plan before is of no leg of this one.
                self.connection.execute("DELETE FROM crossfade.gate WHERE migration = %s", (migration,))
                self.connection.execute("DELETE FROM crossfade.leg WHERE migration = %s", (migration,))
                kind = "migration planned anew" if planned_anew else "migration started"
                self.event(migration, kind, {"spec": spec_digest, "plan": plan_digest})

    def set_state(
        self, migration: str, state: MigrationState, *, undo_to: str | None = None, problem: str | None = None
    ) -> None:
        """Change the migration's state, with an event; undo_to: the leg that stays when it is being undone."""
        with self.connection.transaction():
            changed = self.connection.execute(
                "UPDATE crossfade.migration SET state = %(state)s, undo_to = %(undo_to)s, problem = %(problem)s,"
                " finished_at = CASE WHEN %(state)s IN ('complete', 'undone') THEN pg_catalog.now() END"
                " WHERE id = %(id)s"
                " AND (state, undo_to, problem) IS DISTINCT FROM (%(state)s, %(undo_to)s, %(problem)s)",
                {"id": migration, "state": state, "undo_to": undo_to, "problem": problem},
            )
            if changed.rowcount:
                self.event(migration, f"migration {state}", {"to": undo_to, "problem": problem})

    def pause(self, migration: str, evidence: Mapping[str, Any] | None = None) -> None:
        """Ask whoever works on the migration to stop after the batch or step at hand. evidence: for the event."""
        with self.connection.transaction():
            self.connection.execute(
                "UPDATE crossfade.migration SET paused_at = coalesce(paused_at, pg_catalog.now()),"
                " paused_by = session_user WHERE id = %s",
                (migration,),
            )
            self.event(migration, "paused", evidence or {})

    def resume(self, migration: str, evidence: Mapping[str, Any] | None = None) -> None:
        with self.connection.transaction():
            self.connection.execute(
                "UPDATE crossfade.migration SET paused_at = NULL, paused_by = NULL WHERE id = %s", (migration,)
            )
            self.event(migration, "resumed", evidence or {})

    def paused(self, migration: str) -> bool:
        row = self.connection.execute(
            "SELECT paused_at IS NOT NULL FROM crossfade.migration WHERE id = %s", (migration,)
        ).fetchone()
        return bool(row and row[0])

    # --- legs and steps ------------------------------------------------------------------------------

    def legs(self, migration: str) -> dict[str, LegRecord]:
        with self.connection.cursor(row_factory=class_row(LegRecord)) as cursor:
            rows = cursor.execute(
                "SELECT leg, started_at, finished_at, passed_at FROM crossfade.leg WHERE migration = %s", (migration,)
            ).fetchall()
        return {row.leg: row for row in rows}

    def leg_started(self, migration: str, leg: str) -> None:
        with self.connection.transaction():
            written = self.connection.execute(
                "INSERT INTO crossfade.leg (migration, leg) VALUES (%s, %s) ON CONFLICT DO NOTHING", (migration, leg)
            )
            if written.rowcount:
                self.event(migration, f"{leg} started", {})

    def leg_finished(self, migration: str, leg: str) -> None:
        """All steps of the leg are done in this database."""
        with self.connection.transaction():
            written = self.connection.execute(
                "UPDATE crossfade.leg SET finished_at = pg_catalog.now()"
                " WHERE migration = %s AND leg = %s AND finished_at IS NULL",
                (migration, leg),
            )
            if written.rowcount:
                self.event(migration, f"{leg} finished", {})

    def leg_passed(self, migration: str, leg: str) -> None:
        """The gates after the leg held."""
        with self.connection.transaction():
            written = self.connection.execute(
                "UPDATE crossfade.leg SET passed_at = pg_catalog.now()"
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

    def has_begun(self, migration: str) -> bool:
        return migration in self.begun([migration])

    def begun(self, migrations: Collection[str]) -> frozenset[str]:
        """Those that have a step begun and not undone, or a leg finished: it may have its steps in another database."""
        rows = self.connection.execute(
            "SELECT migration FROM crossfade.step WHERE migration = ANY (%(ids)s) AND state <> 'undone'"
            " UNION SELECT migration FROM crossfade.leg WHERE migration = ANY (%(ids)s) AND finished_at IS NOT NULL",
            {"ids": list(migrations)},
        ).fetchall()
        return frozenset(migration for (migration,) in rows)

    def step_running(self, migration: str, step: str, leg: str) -> None:
        self.connection.execute(
            """
INSERT INTO crossfade.step (migration, id, leg, state) VALUES (%s, %s, %s, 'running')
ON CONFLICT (migration, id) DO UPDATE
   SET state = 'running', attempts = step.attempts + 1, finished_at = NULL,
       started_at = CASE WHEN step.state = 'running' THEN step.started_at ELSE pg_catalog.now() END""",
            (migration, step, leg),
        )

    def step_done(self, migration: str, step: str, *, rows: int = 0, detail: Mapping[str, Any] | None = None) -> None:
        """Mark a running step as done, with an event, in the transaction of its work."""
        self.connection.execute(
            "UPDATE crossfade.step SET state = 'done', finished_at = pg_catalog.clock_timestamp(),"
            " rows = %s, detail = %s WHERE migration = %s AND id = %s",
            (rows, Jsonb(dict(detail or {})), migration, step),
        )
        self.event(migration, "step done", {"step": step, "rows": rows})

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
                "UPDATE crossfade.step SET state = 'undone', finished_at = pg_catalog.clock_timestamp(), rows = 0"
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

    def count_conflicts(self, migration: str, *, most: int) -> int:
        """How many conflicts are open, counted up to `most`."""
        row = self.connection.execute(
            "SELECT pg_catalog.count(*) FROM (SELECT FROM crossfade.conflict"
            " WHERE migration = %s AND resolved_at IS NULL LIMIT %s) AS open",
            (migration, most),
        ).fetchone()
        return int(row[0]) if row else 0

    def conflicts(self, migration: str) -> tuple[ConflictRecord, ...]:
        """Open conflicts, oldest first."""
        with self.connection.cursor(row_factory=class_row(ConflictRecord)) as cursor:
            return tuple(
                cursor.execute(
                    "SELECT relation, key, sqlstate, seen_at FROM crossfade.conflict"
                    " WHERE migration = %s AND resolved_at IS NULL ORDER BY id",
                    (migration,),
                ).fetchall()
            )

    def met_conflicts(self, migration: str) -> bool:
        """A row was in conflict at some time, be it settled by now."""
        row = self.connection.execute(
            "SELECT EXISTS (SELECT FROM crossfade.conflict WHERE migration = %s)", (migration,)
        ).fetchone()
        return bool(row and row[0])

    # --- gates and approvals -------------------------------------------------------------------------

    def gates(self, migration: str) -> tuple[GateRecord, ...]:
        with self.connection.cursor(row_factory=class_row(GateRecord)) as cursor:
            return tuple(
                cursor.execute(
                    "SELECT point, gate, state, reason, holds_at, evidence, since, checked_at"
                    " FROM crossfade.gate WHERE migration = %s ORDER BY since",
                    (migration,),
                ).fetchall()
            )

    def record_gate(
        self,
        migration: str,
        point: str,
        gate: str,
        *,
        state: str,
        reason: str,
        holds_at: datetime | None,
        evidence: Mapping[str, Any],
    ) -> None:
        """The gate's answer now; an event when it differs from the one before."""
        with self.connection.transaction():
            before = self.connection.execute(
                "SELECT state, reason FROM crossfade.gate WHERE migration = %s AND point = %s AND gate = %s FOR UPDATE",
                (migration, point, gate),
            ).fetchone()
            self.connection.execute(
                """
INSERT INTO crossfade.gate (migration, point, gate, state, reason, holds_at, evidence)
VALUES (%s, %s, %s, %s, %s, %s, %s)
ON CONFLICT (migration, point, gate) DO UPDATE
   SET state = excluded.state, reason = excluded.reason, holds_at = excluded.holds_at, evidence = excluded.evidence,
       checked_at = pg_catalog.now(),
       since = CASE WHEN gate.state = excluded.state THEN gate.since ELSE pg_catalog.now() END""",
                (migration, point, gate, state, reason, holds_at, Jsonb(dict(evidence))),
            )
            if before is None or before[0] != state:
                self.event(
                    migration,
                    f"gate {state}",
                    {"point": point, "gate": gate, "reason": reason, "evidence": dict(evidence)},
                )

    def approve(self, migration: str, *, team: str | None, plan_digest: str, reason: str | None) -> str:
        """Approve the plan as the role that authenticated; returns that role."""
        row = self.connection.execute(
            "SELECT crossfade.approve(%s, %s, %s, %s)", (migration, team, plan_digest, reason)
        ).fetchone()
        assert row is not None
        return row[0]

    def take_in_approvals(self, migration: str) -> None:
        """Write the event of each approval that has none yet."""
        with self.connection.transaction():
            self.connection.execute(
                """
UPDATE crossfade.approval AS a SET event = crossfade.append_event(a.migration, 'approved',
       pg_catalog.jsonb_build_object(
         'approval', a.id, 'role', a.role, 'team', a.team, 'plan', a.plan_digest, 'reason', a.reason))
 WHERE id = ANY (ARRAY(SELECT id FROM crossfade.approval WHERE migration = %s AND event IS NULL
                        ORDER BY id FOR UPDATE SKIP LOCKED))""",
                (migration,),
            )

    def approvals(self, migration: str) -> tuple[ApprovalRecord, ...]:
        with self.connection.cursor() as cursor:
            rows = cursor.execute(
                "SELECT team, role, roles, plan_digest, reason, approved_at FROM crossfade.approval"
                " WHERE migration = %s ORDER BY id",
                (migration,),
            ).fetchall()
        return tuple(ApprovalRecord(row[0], row[1], tuple(row[2]), *row[3:]) for row in rows)

    def members(self, team: str) -> frozenset[str] | None:
        """The role and its members now, also through other roles; None when there is no such role.

        A superuser is a member only where somebody granted it.
        """
        rows = self.connection.execute(
            """
WITH RECURSIVE team AS (
  SELECT oid FROM pg_roles WHERE rolname = %s
  UNION
  SELECT m.member FROM pg_auth_members AS m JOIN team ON m.roleid = team.oid
   WHERE coalesce((pg_catalog.to_jsonb(m) ->> 'inherit_option'::text)::boolean
                  OR (pg_catalog.to_jsonb(m) ->> 'set_option'::text)::boolean, true))
SELECT rolname::text FROM pg_roles JOIN team USING (oid)""",
            (team,),
        ).fetchall()
        return frozenset(name for (name,) in rows) or None

    # --- events --------------------------------------------------------------------------------------

    def event(self, migration: str, kind: str, body: Mapping[str, Any]) -> None:
        """Append to the chain, in the caller's transaction."""
        self.connection.execute("SELECT crossfade.append_event(%s, %s, %s)", (migration, kind, Jsonb(dict(body))))

    def events(self, migration: str | None = None) -> Iterator[EventRecord]:
        """Oldest first, a page at a time: however many there are, few are in memory."""
        after = 0
        while page := self._page("seq > %(edge)s", "ORDER BY seq", migration, after, _PAGE):
            yield from page
            after = page[-1].seq

    def newest_events(self, count: int, migration: str | None = None) -> Iterator[EventRecord]:
        """The last `count` of them, oldest first."""
        newest = self._page("seq <= %(edge)s", "ORDER BY seq DESC", migration, 2**62, count)
        yield from reversed(newest)

    def _page(
        self, bound: LiteralString, order: LiteralString, migration: str | None, edge: int, limit: int
    ) -> list[EventRecord]:
        of = "" if migration is None else " AND migration = %(of)s"
        with self.connection.cursor(row_factory=class_row(EventRecord)) as cursor:
            return cursor.execute(
                "SELECT seq, at, migration, kind, role, body FROM crossfade.event"
                f" WHERE {bound}{of} {order} LIMIT %(limit)s",
                {"of": migration, "edge": edge, "limit": limit},
            ).fetchall()
