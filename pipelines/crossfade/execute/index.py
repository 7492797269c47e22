"""Indexes built and dropped concurrently, cleaning up after a build that was cut off."""

from __future__ import annotations

from psycopg import sql

from crossfade.execute.ddl import until_done
from crossfade.execute.errors import ExecutionFailed, StepRefused
from crossfade.execute.notice import StepFinished
from crossfade.execute.site import Site
from crossfade.spec.fragment import trusted
from crossfade.steps.step import BuildIndex, DropIndex

_STATE = """
SELECT i.indisvalid, i.indrelid = %(table)s::regclass::oid
  FROM pg_class AS c JOIN pg_index AS i ON i.indexrelid = c.oid
 WHERE c.relname = %(index)s
   AND c.relnamespace = (SELECT relnamespace FROM pg_class WHERE oid = %(table)s::regclass::oid)"""


def build_index(site: Site, step: BuildIndex) -> StepFinished:
    """Build until the index is there and valid; an invalid leftover of its own is dropped first.

    Raises StepRefused for duplicates, or when the name is taken by an index that is not this step's.
    """

    def attempt() -> None:
        began_before = step.id in site.ledger.steps(site.migration)
        site.begin(step)
        state = _state(site, step)
        # Also an invalid one is another's, who may be building it, unless this step has begun before.
        if state is not None and not (state[1] and began_before):
            raise StepRefused(
                f"an index {step.index} exists already in {site.name}", fix="drop it or choose another name"
            )
        if state is not None and not state[0]:
            _drop(site, step)
            state = None
        if state is None:
            site.confirm()
            site.fault("before statement")
            # No lock_timeout: cut short, it would leave an invalid index that costs every write.
            site.work.execute(trusted(step.statement))
            site.fault("after statement")
        with site.transaction():
            site.ledger.step_done(site.migration, step.id)

    try:
        return until_done(site, step, attempt)
    except ExecutionFailed:
        # Not left behind: an invalid unique index would go on refusing writes.
        if (state := _state(site, step)) is not None and not state[0]:
            _drop(site, step)
        raise


def drop_index(site: Site, step: DropIndex) -> StepFinished:
    """Drop the index if it is there."""

    def attempt() -> None:
        site.begin(step)
        site.fault("before statement")
        _drop(site, step)
        with site.transaction():
            site.ledger.step_done(site.migration, step.id)

    return until_done(site, step, attempt)


def _state(site: Site, step: BuildIndex) -> tuple[bool, bool] | None:
    """Whether the index is valid and whether it is on the step's table; None when there is none."""
    name = sql.Identifier(step.relation.schema_name, step.relation.name).as_string(site.work)
    return site.work.execute(_STATE, {"table": name, "index": step.index}).fetchone()


def _drop(site: Site, step: BuildIndex | DropIndex) -> None:
    site.confirm()  # it may be another runner's by now, who is building it
    site.work.execute(
        sql.SQL("DROP INDEX CONCURRENTLY IF EXISTS {}").format(sql.Identifier(step.relation.schema_name, step.index))
    )
