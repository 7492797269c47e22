"""An index rebuilt concurrently in its place, and what a rebuild that was cut off has left.

PostgreSQL builds the new one beside the old one and swaps them, so that the index bears another oid when it is done.
One that is cut off leaves an invalid index, of the name with _ccnew or _ccold behind it. Ours are those that were not
there when we began: nothing else tells them from what another left, who may want to look at it.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from psycopg import sql
from psycopg.rows import class_row

from crossfade.execute.concurrent import run_concurrently
from crossfade.execute.ddl import is_true, until_done
from crossfade.execute.errors import ExecutionFailed, LockBudgetExceeded, Paused, StepRefused
from crossfade.execute.notice import StepFinished
from crossfade.execute.site import Site
from crossfade.steps.index_shape import IndexShape
from crossfade.steps.rebuild import is_left_of
from crossfade.steps.step import RebuildIndex

_INDEXES = """
SELECT c.relname AS name, c.oid::bigint AS oid, i.indisvalid AS valid,
       pg_catalog.pg_get_indexdef(c.oid) AS definition
  FROM pg_catalog.pg_index AS i JOIN pg_catalog.pg_class AS c ON c.oid = i.indexrelid
 WHERE i.indrelid = pg_catalog.to_regclass(%s)::oid"""


@dataclass(frozen=True)
class _Found:
    """An index of the step's table."""

    name: str
    oid: int
    valid: bool
    definition: str


def rebuild_index(site: Site, step: RebuildIndex) -> StepFinished:
    """Rebuild until the index is another one than when the step began; what was left half done is dropped first.

    Raises StepRefused when the index is gone.
    """

    def attempt() -> None:
        site.confirm()
        _drop_left(site, step, site.settings.lock_budget)
        found = _named(site, step)
        before = _noted(site, step)
        if before is None:
            before = _note_begun(site, step, found)
        # An invalid one is of no use, however full it is.
        wanted = step.needed is None or not found.valid or is_true(site.work, step.needed)
        if wanted and (found.oid == before["oid"] or not found.valid):
            _rebuild(site, step)
        with site.transaction():
            # What there was before is forgotten: what comes from now on is another's.
            site.ledger.step_done(site.migration, step.id, detail={"rebuilt": wanted})

    try:
        return until_done(site, step, attempt)
    except ExecutionFailed:
        _clear(site, step, site.settings.lock_budget)
        raise
    except (LockBudgetExceeded, Paused):  # whoever held it up does so still, and a person wants to have it stopped
        _clear(site, step, site.settings.lock_timeout)
        raise


def drop_half_rebuilt(site: Site, step: RebuildIndex) -> None:
    """All there is to take back: the index itself is what it was, new or old."""
    _drop_left(site, step, site.settings.lock_budget)


def _rebuild(site: Site, step: RebuildIndex) -> None:
    site.confirm()
    site.fault("before statement")
    name = sql.Identifier(step.relation.schema_name, step.index)
    run_concurrently(site, step, sql.SQL("REINDEX INDEX CONCURRENTLY {}").format(name), site.settings.lock_budget)
    site.fault("after statement")


def _named(site: Site, step: RebuildIndex) -> _Found:
    found = _indexes(site, step).get(step.index)
    if found is None:
        raise StepRefused(
            f"there is no index {step.index} on {step.relation} in {site.name} any more",
            why="somebody dropped or renamed it since the plan was made",
            fix=f"give it its name back and run {site.to_go_on} again, or `crossfade rollback {site.migration}`",
        )
    return found


def _indexes(site: Site, step: RebuildIndex) -> dict[str, _Found]:
    name = sql.Identifier(step.relation.schema_name, step.relation.name).as_string(site.work)
    with site.work.cursor(row_factory=class_row(_Found)) as cursor:
        return {found.name: found for found in cursor.execute(_INDEXES, (name,))}


def _noted(site: Site, step: RebuildIndex) -> Mapping[str, Any] | None:
    """What was there when the step began; None: it has not."""
    record = site.ledger.steps(site.migration).get(step.id)
    return record.detail if record is not None and "oid" in record.detail else None


def _note_begun(site: Site, step: RebuildIndex, found: _Found) -> Mapping[str, Any]:
    notes = {"oid": found.oid, "others": [other.oid for other in _half_done(site, step)]}
    with site.noting() as ledger:
        ledger.step_running(site.migration, step.id, str(step.leg))
        ledger.step_notes(site.migration, step.id, notes)
    return notes


def _half_done(site: Site, step: RebuildIndex) -> list[_Found]:
    """Invalid indexes of the table that a rebuild of this one leaves, whoever began it."""
    indexes = _indexes(site, step)
    if step.index not in indexes:
        return []
    shape = IndexShape.of(indexes[step.index].definition)
    return [
        found
        for found in indexes.values()
        if not found.valid and is_left_of(step.index, found.name) and IndexShape.of(found.definition) == shape
    ]


def _drop_left(site: Site, step: RebuildIndex, patience: float) -> None:
    """Waits for a rebuild that is under way, ours or another's; by then there is nothing of that name any more."""
    before = _noted(site, step)
    if before is None:
        return
    for found in _half_done(site, step):
        if found.oid not in before["others"]:
            name = sql.Identifier(step.relation.schema_name, found.name)
            run_concurrently(site, step, sql.SQL("DROP INDEX CONCURRENTLY IF EXISTS {}").format(name), patience)


def _clear(site: Site, step: RebuildIndex, patience: float) -> None:
    """Leave none behind, if that can be had: it costs every write. What cannot be dropped now, the next run drops."""
    with suppress(LockBudgetExceeded, Paused):
        site.confirm()
        _drop_left(site, step, patience)
