"""Indexes built and dropped concurrently. Ours is what a build of ours left, which the ledger knew of before the build
began; another's of the same name is neither taken for it nor dropped.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import errors, sql
from psycopg.rows import class_row

from crossfade.execute.concurrent import run_concurrently
from crossfade.execute.ddl import until_done
from crossfade.execute.errors import ExecutionFailed, LockBudgetExceeded, Paused, StepRefused
from crossfade.execute.notice import StepFinished
from crossfade.execute.site import Site
from crossfade.ledger import StepRecord
from crossfade.spec.fragment import trusted
from crossfade.steps.index_shape import IndexShape
from crossfade.steps.step import BuildIndex, DropIndex

# to_regclass: the table may be gone by the time that somebody asks.
_FIND = """
SELECT c.oid::bigint AS oid, i.indisvalid AS valid, i.indrelid = t.oid AS on_table,
       pg_catalog.pg_get_indexdef(c.oid) AS definition
  FROM pg_catalog.pg_class AS t
       JOIN pg_catalog.pg_class AS c ON c.relnamespace = t.relnamespace
       JOIN pg_catalog.pg_index AS i ON i.indexrelid = c.oid
 WHERE t.oid = pg_catalog.to_regclass(%s)::oid AND c.relname = %s"""


@dataclass(frozen=True)
class _Found:
    """The index under the name of a step."""

    oid: int
    valid: bool
    on_table: bool
    definition: str


def build_index(site: Site, step: BuildIndex) -> StepFinished:
    """Build until the index is there and valid; an invalid leftover of its own is dropped first.

    Raises StepRefused when the name is taken by an index that is not this step's.
    """

    def attempt() -> None:
        site.confirm()
        found = _find(site.work, step)
        # Also an invalid one is another's, who may be building it, unless this step has begun to before.
        if found is not None and not _is_ours(site, step, found):
            raise StepRefused(
                f"an index {step.index} exists already in {site.name}, and it is not of this migration",
                fix=f"drop or rename it, then run {site.to_go_on} again",
            )
        if found is not None and not found.valid:
            _drop(site, step, site.settings.lock_budget)
            found = None
        _note_begun(site, step)
        if found is None:
            found = _build(site, step)
        with site.transaction():
            site.ledger.step_done(site.migration, step.id, detail={"begun": True, "oid": found.oid})

    try:
        return until_done(site, step, attempt)
    except ExecutionFailed:
        _clear(site, step, site.settings.lock_budget)
        raise
    except (LockBudgetExceeded, Paused):  # whoever held it up does so still, and a person wants to have it stopped
        _clear(site, step, site.settings.lock_timeout)
        raise


def drop_index(site: Site, step: DropIndex) -> StepFinished:
    """Drop the index if it is there."""

    def attempt() -> None:
        site.begin(step)
        site.fault("before statement")
        _drop(site, step, site.settings.lock_budget)
        with site.transaction():
            site.ledger.step_done(site.migration, step.id)

    return until_done(site, step, attempt)


def left_index(connection: psycopg.Connection[Any], step: BuildIndex, record: StepRecord) -> bool:
    """A build of this step left an index, valid or not, and it is there. Reads only."""
    found = _find(connection, step)
    return found is not None and _is_left_by(step, record, found)


def claim_half_dropped(site: Site, step: DropIndex) -> None:
    """What a drop that is taken back left is the index itself, whole or half dropped: the build that brings it back may
    keep it or replace it.
    """
    known = site.ledger.steps(site.migration)
    for again in step.undo:
        if isinstance(again, BuildIndex) and again.id not in known:
            _note_begun(site, again)


def _build(site: Site, step: BuildIndex) -> _Found:
    site.confirm()
    site.fault("before statement")
    try:
        run_concurrently(site, step, trusted(step.statement), site.settings.lock_budget)
    except errors.DuplicateTable:  # somebody was faster: nothing of ours is there
        _forget_begun(site, step)
        raise
    site.fault("after statement")
    found = _find(site.work, step)
    if found is None:
        raise StepRefused(
            f"the index {step.index} is gone from {site.name} right after it was built",
            why="somebody dropped or renamed it",
            fix=f"run {site.to_go_on} again",
        )
    return found


def _find(connection: psycopg.Connection[Any], step: BuildIndex) -> _Found | None:
    name = sql.Identifier(step.relation.schema_name, step.relation.name).as_string(connection)
    with connection.cursor(row_factory=class_row(_Found)) as cursor:
        return cursor.execute(_FIND, (name, step.index)).fetchone()


def _is_ours(site: Site, step: BuildIndex, found: _Found) -> bool:
    record = site.ledger.steps(site.migration).get(step.id)
    return record is not None and _is_left_by(step, record, found)


def _is_left_by(step: BuildIndex, record: StepRecord, found: _Found) -> bool:
    """A build that was cut off could not note its oid, and REINDEX gives another: then what it is over must tell."""
    # An older crossfade noted nothing, and may have begun.
    if record.state == "undone" or not record.detail.get("begun", True) or not found.on_table:
        return False
    return found.oid == record.detail.get("oid") or IndexShape.of(found.definition) == IndexShape.of(step.statement)


def _note_begun(site: Site, step: BuildIndex) -> None:
    with site.noting() as ledger:
        ledger.step_running(site.migration, step.id, str(step.leg))
        ledger.step_notes(site.migration, step.id, {"begun": True})


def _forget_begun(site: Site, step: BuildIndex) -> None:
    with site.noting() as ledger:
        ledger.step_notes(site.migration, step.id, {"begun": False})


def _clear(site: Site, step: BuildIndex, patience: float) -> None:
    """Leave no invalid index behind, if that can be had: it costs every write, and a unique one goes on refusing some.
    What cannot be dropped now, the next run drops first.
    """
    found = _find(site.work, step)
    if found is not None and not found.valid and _is_ours(site, step, found):
        with suppress(LockBudgetExceeded, Paused):
            _drop(site, step, patience)
            _forget_begun(site, step)


def _drop(site: Site, step: BuildIndex | DropIndex, patience: float) -> None:
    site.confirm()  # it may be another runner's by now, who is building it
    name = sql.Identifier(step.relation.schema_name, step.index)
    run_concurrently(site, step, sql.SQL("DROP INDEX CONCURRENTLY IF EXISTS {}").format(name), patience)
