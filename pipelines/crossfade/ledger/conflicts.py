"""Rows in conflict, as the sync triggers and the walks note them."""

from __future__ import annotations

from psycopg.rows import class_row

from crossfade.ledger.events import Events
from crossfade.ledger.records import ConflictRecord


class Conflicts(Events):
    """Rows that could not be mapped, by key."""

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
