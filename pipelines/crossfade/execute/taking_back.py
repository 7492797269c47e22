"""What can no more be taken back in a database: asked before somebody is asked to agree, and again under the lease."""

from __future__ import annotations

from collections.abc import Container, Mapping
from itertools import takewhile
from typing import Any

import psycopg

from crossfade.execute.check import ask_ahead
from crossfade.execute.errors import Blocked
from crossfade.execute.gone import left_to_undo
from crossfade.execute.purge import refuse_purged
from crossfade.execute.site import Site
from crossfade.execute.steps import left_something
from crossfade.ledger import Ledger
from crossfade.plan import Plan
from crossfade.steps.step import Autocommit, Check, Leg


def refuse_to_take_back(
    plan: Plan,
    database: str,
    connection: psycopg.Connection[Any],
    stays: Leg | None,
    settled: Container[str] = (),
) -> None:
    """Raises Blocked when a step after `stays` is done for good, or its old values were purged; InDoubt when it is not
    known what one did. Reads only.

    settled: ids of steps of which a person says whether they had an effect.
    """
    records = Ledger(connection).steps(plan.migration)
    for step in plan.steps:
        record = records.get(step.id)
        if record is None or record.state == "undone" or step.database != database or step.id in settled:
            continue
        if stays and step.leg.order <= stays.order:
            continue
        if left_something(connection, plan.migration, step, record) and step.irreversible:
            raise Blocked(
                f"{plan.migration} cannot be undone past {step.leg}: {step.title}",
                why=step.undo_title,
                fix="write a new migration that brings back what is needed",
            )
    refuse_purged(plan, database, connection, stays)


def refuse_for_rows(plan: Plan, site: Site, stays: Leg | None) -> None:
    """Raises StepRefused with the counts when rows hold what the old shape cannot.

    It is what the undo of a step asks before anything else. Asked once, under the lease: it may scan a table.
    """
    records = Ledger(site.work).steps(plan.migration)
    for step in plan.steps:
        record = records.get(step.id)
        later = stays is None or step.leg.order > stays.order
        if step.database == site.name and later and record is not None and record.state == "done":
            # What comes after them may be about a table that has another name until a later step is undone.
            for asked in left_to_undo(site, takewhile(lambda undo: isinstance(undo, Check), step.undo)):
                assert isinstance(asked, Check)
                ask_ahead(site, asked)


def find_settled(plan: Plan, settled: Mapping[str, bool]) -> list[tuple[Autocommit, bool]]:
    """The steps of which a person says whether they had an effect. Raises Blocked for another kind of step, or none."""
    steps = {step.id: step for step in plan.steps if isinstance(step, Autocommit)}
    if unknown := sorted(settled.keys() - steps.keys()):
        raise Blocked(
            f"{plan.migration} has no step {unknown[0]} that runs outside a transaction",
            why="of any other step it is known what it did",
            fix=f"it has: {', '.join(steps) or 'none'}",
        )
    return [(steps[step], had_effect) for step, had_effect in settled.items()]
