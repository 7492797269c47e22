"""What gates answered."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from crossfade.ledger.events import Events
from crossfade.ledger.records import GateRecord


class Gates(Events):
    """Answers."""

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
        overridden: bool = False,
    ) -> None:
        """The gate's answer now; an event when its state, or when it may hold, differs from the one before, or whether
        it holds by itself.

        overridden: that it holds is what people said who may, not what it asks.
        """
        with self.connection.transaction():
            before = self.connection.execute(
                "SELECT state, holds_at, pg_catalog.jsonb_exists(evidence, 'overridden_by') FROM crossfade.gate"
                " WHERE migration = %s AND point = %s AND gate = %s FOR UPDATE",
                (migration, point, gate),
            ).fetchone()
            self.connection.execute(
                """
INSERT INTO crossfade.gate (migration, point, gate, state, reason, holds_at, evidence)
VALUES (%s, %s, %s, %s, %s, %s, %s)
ON CONFLICT (migration, point, gate) DO UPDATE
   SET state = excluded.state, reason = excluded.reason, holds_at = excluded.holds_at, evidence = excluded.evidence,
       checked_at = crossfade.clock(),
       since = CASE WHEN gate.state = excluded.state THEN gate.since ELSE crossfade.clock() END""",
                (migration, point, gate, state, reason, holds_at, Jsonb(dict(evidence))),
            )
            if before != (state, holds_at, overridden):
                self.event(
                    migration,
                    "gate overridden" if overridden else f"gate {state}",
                    {
                        "point": point,
                        "gate": gate,
                        "reason": reason,
                        "holds_at": holds_at.isoformat() if holds_at is not None else None,
                        "evidence": dict(evidence),
                    },
                )
