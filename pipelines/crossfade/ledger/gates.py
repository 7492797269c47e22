"""What gates answered, and who approved."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from crossfade.ledger.events import Events
from crossfade.ledger.records import ApprovalRecord, GateRecord


class Gates(Events):
    """Answers and approvals."""

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
