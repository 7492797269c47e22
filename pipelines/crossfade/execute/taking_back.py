"""What can no more be taken back in a database: asked before somebody is asked to agree, and again under the lease."""

from __future__ import annotations

from typing import Any

import psycopg

from crossfade.execute.errors import Blocked
from crossfade.execute.purge import refuse_purged
from crossfade.ledger import Ledger
from crossfade.plan import Plan
from crossfade.steps.step import Leg


def refuse_to_take_back(plan: Plan, database: str, connection: psycopg.Connection[Any], stays: Leg | None) -> None:
    """Raises Blocked when a step after `stays` is done for good, or its old values were purged. Reads only."""
    records = Ledger(connection).steps(plan.migration)
    for step in plan.steps:
        if step.database != database or not step.irreversible or (stays and step.leg.order <= stays.order):
            continue
        if (record := records.get(step.id)) is not None and record.state == "done":
            raise Blocked(
                f"{plan.migration} cannot be undone past {step.leg}: {step.title}",
                why=step.undo_title,
                fix="write a new migration that brings back what is needed",
            )
    refuse_purged(plan, database, connection, stays)
