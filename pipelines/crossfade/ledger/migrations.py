"""Migrations: frozen spec and plan, state, pause."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any

from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from crossfade.ledger.events import Events
from crossfade.ledger.records import MigrationRecord, MigrationState

_MIGRATION = """
SELECT id, title, owner, spec_text, spec_digest, plan, plan_digest, state, epoch, holder, lease_until,
       paused_at, paused_by, undo_to, problem, started_at, finished_at
  FROM crossfade.migration"""


class Migrations(Events):
    """What a ledger knows of each migration as a whole."""

    def migration(self, migration: str) -> MigrationRecord | None:
        with self.connection.cursor(row_factory=class_row(MigrationRecord)) as cursor:
            return cursor.execute(_MIGRATION + " WHERE id = %s", (migration,)).fetchone()

    def migrations(self) -> tuple[MigrationRecord, ...]:
        """All migrations, oldest first."""
        with self.connection.cursor(row_factory=class_row(MigrationRecord)) as cursor:
            return tuple(cursor.execute(_MIGRATION + " ORDER BY started_at, id").fetchall())

    def in_work(self, limit: int) -> tuple[MigrationRecord, ...]:
        """Migrations that have started and are not complete, the latest first."""
        with self.connection.cursor(row_factory=class_row(MigrationRecord)) as cursor:
            wanted = _MIGRATION + " WHERE state IN ('running', 'undoing') ORDER BY started_at DESC, id LIMIT %s"
            return tuple(cursor.execute(wanted, (limit,)).fetchall())

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
        let_by: tuple[str, str] | None = None,
    ) -> None:
        """Write the frozen spec and plan; a migration that was undone starts anew, one that runs is left alone.

        One that has done nothing, and which nobody works on, gets the plan of another spec in place of its own.
        let_by: the issuer, and whom its token named of whoever let the role start it.
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
       state = 'running', problem = NULL, started_at = crossfade.clock(), finished_at = NULL,
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
                    "UPDATE crossfade.conflict SET resolved_at = crossfade.clock() WHERE id = ANY (ARRAY("
                    "SELECT id FROM crossfade.conflict WHERE migration = %s AND resolved_at IS NULL"
                    " FOR NO KEY UPDATE SKIP LOCKED))",
                    (migration,),
                )
                # What it was asked and had begun by the plan before is of no leg of this one.
                self.connection.execute("DELETE FROM crossfade.gate WHERE migration = %s", (migration,))
                self.connection.execute("DELETE FROM crossfade.leg WHERE migration = %s", (migration,))
                kind = "migration planned anew" if planned_anew else "migration started"
                person = {} if let_by is None else {"issuer": let_by[0], "identity": let_by[1]}
                self.event(migration, kind, {"spec": spec_digest, "plan": plan_digest, **person})

    def set_state(self, migration: str, state: MigrationState, *, undo_to: str | None = None) -> None:
        """Change the migration's state, with an event; undo_to: the leg that stays when it is being undone, or was."""
        with self.connection.transaction():
            changed = self.connection.execute(
                "UPDATE crossfade.migration SET state = %(state)s, undo_to = %(undo_to)s, problem = NULL,"
                " finished_at = CASE WHEN %(state)s IN ('complete', 'undone') THEN crossfade.clock() END"
                " WHERE id = %(id)s AND (state, undo_to) IS DISTINCT FROM (%(state)s, %(undo_to)s)",
                {"id": migration, "state": state, "undo_to": undo_to},
            )
            if changed.rowcount:
                self.event(migration, f"migration {state}", {"to": undo_to})

    def run_began(self, migration: str) -> None:
        """What ended the last run is past."""
        self.connection.execute(
            "UPDATE crossfade.migration SET problem = NULL WHERE id = %s AND problem IS NOT NULL", (migration,)
        )

    def run_failed(self, migration: str, what: str, why: str | None) -> None:
        """Keep why a run ended, for those who look, with an event."""
        with self.connection.transaction():
            self.connection.execute("UPDATE crossfade.migration SET problem = %s WHERE id = %s", (what, migration))
            self.event(migration, "run failed", {"what": what, "why": why})

    def pause(self, migration: str, evidence: Mapping[str, Any] | None = None) -> None:
        """Ask whoever works on the migration to stop after the batch or step at hand. evidence: for the event."""
        with self.connection.transaction():
            self.connection.execute(
                "UPDATE crossfade.migration SET paused_at = coalesce(paused_at, crossfade.clock()),"
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

    def completed(self) -> dict[str, datetime]:
        """Every complete migration, with when it was; without reading their plans."""
        rows = self.connection.execute(
            "SELECT id, finished_at FROM crossfade.migration WHERE state = 'complete' ORDER BY finished_at, id"
        ).fetchall()
        return dict(rows)

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
