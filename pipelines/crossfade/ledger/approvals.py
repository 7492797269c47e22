"""Who approved what: of a plan, or of an override of one of its gates."""

from __future__ import annotations

from collections.abc import Sequence

from psycopg import errors
from psycopg.rows import class_row

from crossfade.errors import CrossfadeError
from crossfade.ledger.events import Events
from crossfade.ledger.records import ApprovalRecord, PresentedToken, Starter

# What the chain tells of an approval. Keys that most have not are left out where they are NULL.
TOLD = """pg_catalog.jsonb_build_object(
         'approval', a.id, 'role', a.role, 'team', a.team, 'plan', a.plan_digest, 'reason', a.reason)
       || pg_catalog.jsonb_strip_nulls(pg_catalog.jsonb_build_object(
         'point', a.point, 'gate', a.gate, 'issuer', a.issuer, 'identity', a.identity, 'refused', a.refused,
         'groups', CASE WHEN a.issuer IS NOT NULL THEN a.groups END))"""


class TokenSpent(CrossfadeError):
    """Somebody has approved by this token already."""


class Approvals(Events):
    """Approvals, and the tokens by which some are given."""

    def approve(
        self,
        migration: str,
        *,
        team: str | None,
        plan_digest: str,
        reason: str | None,
        overrides: tuple[str, str] | None = None,
        token: str | None = None,
    ) -> str:
        """Approve the plan as the role that authenticated; returns that role.

        overrides: the point and the label of the one gate that it opens instead.
        token: of an OIDC issuer; whoever it names approves, once the engine has read it. Raises TokenSpent when one has
        approved by it before.
        """
        point, gate = overrides or (None, None)
        try:
            row = self.connection.execute(
                "SELECT crossfade.approve(%s, %s, %s, %s, %s, %s, %s)",
                (migration, team, plan_digest, reason, point, gate, token),
            ).fetchone()
        except errors.UniqueViolation:
            raise TokenSpent(
                "this token has approved already",
                why="a token approves once, so that nobody else can approve with it",
                fix="get a new one from its issuer for each approval",
            ) from None
        assert row is not None
        return row[0]

    def presented_tokens(self, migration: str) -> tuple[PresentedToken, ...]:
        """The tokens that were not read yet."""
        with self.connection.cursor(row_factory=class_row(PresentedToken)) as cursor:
            return tuple(
                cursor.execute(
                    "SELECT id AS approval, token, approved_at FROM crossfade.approval"
                    " WHERE migration = %s AND event IS NULL AND token IS NOT NULL ORDER BY id",
                    (migration,),
                ).fetchall()
            )

    def accept_token(self, approval: int, *, issuer: str, identity: str, groups: Sequence[str]) -> None:
        """Keep who approved by the token, and the token no longer."""
        self.connection.execute(
            "UPDATE crossfade.approval SET token = NULL, issuer = %s, identity = %s, groups = %s"
            " WHERE id = %s AND token IS NOT NULL",
            (issuer, identity, list(groups), approval),
        )

    def refuse_token(self, approval: int, why: str) -> None:
        """Keep why nobody approved by the token, and the token no longer."""
        self.connection.execute(
            "UPDATE crossfade.approval SET token = NULL, refused = %s WHERE id = %s AND token IS NOT NULL",
            (why, approval),
        )

    def take_in_approvals(self, migration: str) -> None:
        """Write the event of each approval that has none yet; one by a token has it when that was read."""
        with self.connection.transaction():
            self.connection.execute(
                f"""
UPDATE crossfade.approval AS a SET event = crossfade.append_event(a.migration,
       CASE WHEN a.refused IS NOT NULL THEN 'approval refused'
            WHEN a.gate IS NOT NULL THEN 'override approved' ELSE 'approved' END, {TOLD})
 WHERE id = ANY (ARRAY(SELECT id FROM crossfade.approval WHERE migration = %s AND event IS NULL AND token IS NULL
                        ORDER BY id FOR UPDATE SKIP LOCKED))""",
                (migration,),
            )

    def approvals(self, migration: str) -> tuple[ApprovalRecord, ...]:
        with self.connection.cursor(row_factory=class_row(ApprovalRecord)) as cursor:
            return tuple(
                cursor.execute(
                    "SELECT team, role, roles, plan_digest, reason, approved_at, point, gate, issuer, identity, groups,"
                    " refused, token IS NOT NULL AS is_unread FROM crossfade.approval WHERE migration = %s ORDER BY id",
                    (migration,),
                ).fetchall()
            )

    def started_by(self, migration: str) -> Starter | None:
        """Who gave the migration the plan it has; None for one that has not started."""
        with self.connection.cursor(row_factory=class_row(Starter)) as cursor:
            return cursor.execute(
                "SELECT role, body ->> 'issuer' AS issuer, body ->> 'identity' AS identity FROM crossfade.event"
                " WHERE migration = %s AND kind IN ('migration started', 'migration planned anew')"
                " ORDER BY seq DESC LIMIT 1",
                (migration,),
            ).fetchone()
