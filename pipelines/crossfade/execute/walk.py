"""A walk: a crew goes through its units, skipped rows are visited again, and a query proves that none is left."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import Any

import psycopg
from psycopg import errors, sql

from crossfade.execute.batch import Walker
from crossfade.execute.crew import Crew
from crossfade.execute.ddl import until_done
from crossfade.execute.errors import PASSING, StepRefused
from crossfade.execute.notice import Progress, StepFinished
from crossfade.execute.patience import Patience
from crossfade.execute.settle import settle
from crossfade.execute.site import Site
from crossfade.execute.throttle import Throttle
from crossfade.execute.units import Unit, leaves, open_units, start_anew
from crossfade.spec.fragment import trusted
from crossfade.steps.compose import table
from crossfade.steps.step import Relation, Walk

_SWEEP_AT_ONCE = 5000  # rows
_SWEEP_PAUSE = 0.2


def run_walk(site: Site, step: Walk) -> StepFinished:
    """Walk all units, visit skipped rows again, and prove by a query that none is left.

    Raises Paused, StepRefused when rows stay out of reach, ExecutionFailed for what does not pass by itself.
    """
    began = time.monotonic()
    site.begin(step)
    if step.retry is not None:
        with site.transaction() as work:
            work.execute(trusted(step.retry))
    _give_statistics(site, step)
    with Throttle(site, step.id) as throttle:
        while units := open_units(site, step):
            _crew(site, step, throttle, units).work()
        swept = _sweep(site, step, throttle)
    _refuse_many_conflicts(site, step, site.work)
    _renew_statistics(site, step)
    totals = site.ledger.progress(site.migration).get(step.id)
    rows = (totals.rows if totals else 0) + swept
    batches = totals.batches if totals else 0
    unknown = _count_rows(site, step.unknown) if step.unknown is not None else 0
    with site.transaction():
        site.ledger.step_done(site.migration, step.id, rows=rows, detail={"batches": batches, "swept": swept})
        if unknown:
            site.ledger.event(site.migration, "rows not known", {"step": step.id, "rows": unknown})
    return StepFinished(step, time.monotonic() - began, rows=rows, batches=batches, unknown=unknown)


def _crew(site: Site, step: Walk, throttle: Throttle, units: list[Unit]) -> Crew:
    return Crew(
        site,
        step,
        step.id,
        throttle,
        units,
        hire=lambda: Walker(site, step),
        anew=lambda leaf: start_anew(site, step, leaf),
        most=1 if step.in_order else site.settings.workers,
        look=lambda connection: _refuse_many_conflicts(site, step, connection),
    )


def _give_statistics(site: Site, step: Walk) -> None:
    """Where there are none, a batch would be planned as a scan of the whole table."""
    row = site.work.execute(
        "SELECT reltuples >= 0 FROM pg_class WHERE oid = %s::regclass::oid",
        (table(step.relation).as_string(site.work),),
    ).fetchone()
    if not row or not row[0]:
        until_done(site, step, lambda: _analyze(site, sql.SQL("ANALYZE {}").format(table(step.relation))))


def _renew_statistics(site: Site, step: Walk) -> None:
    """With those of a column that was empty, the queries after the turn would be planned wrongly."""
    if step.writes:
        columns = sql.SQL(", ").join(map(sql.Identifier, step.writes))
        with suppress(errors.LockNotAvailable):  # a vacuum, say, that may last for hours; autovacuum comes by later
            _analyze(site, sql.SQL("ANALYZE {} ({})").format(table(step.relation), columns))


def _analyze(site: Site, statement: sql.Composed) -> None:
    # A role that may not gets plans that are as good as the autovacuum's last visit.
    with suppress(errors.InsufficientPrivilege), site.transaction() as work:
        site.limit_lock_waits(work)
        work.execute(statement)


def _refuse_many_conflicts(site: Site, step: Walk, connection: psycopg.Connection[Any]) -> None:
    """Stop where more rows cannot be mapped than the spec allows: rows, of which some may be mended or gone by now."""
    limit = site.settings.max_conflicts

    def are_many() -> bool:
        return site.ledger.count_conflicts(site.migration, most=limit + 1) > limit

    if not are_many():
        return
    settle(site, step, connection)
    if are_many():
        raise StepRefused(
            f"{step.title}: more rows cannot be mapped than the {limit} the spec allows",
            fix=f"see `crossfade conflicts {site.migration}`; mend the rows or the spec's `up`",
        )


def _sweep(site: Site, step: Walk, throttle: Throttle) -> int:
    """Rows that others held when the walk came by, and rows that moved: until none of them is left.

    Every pass skips what is held at that moment, so it never waits for a row and never deadlocks.
    """
    awaited = _Awaited(site, step)
    if (left := awaited.count()) == 0:
        return 0  # as most walks end: without a session for it
    walker = Walker(site, step)
    written = pending = 0

    def tell() -> None:
        reason = throttle.reason or f"{pending} rows were held by others"
        site.listen(Progress(step, 1.0, written, 0, 0.0, None, reason))

    patience = Patience(site, step, throttle, site.stopping, tell)
    while left > 0:
        gained, fewer, pending = 0, left < pending, left
        for leaf in leaves(site, step):
            for first, last in _ranges(site, step, leaf):
                patience.wait_for_room()
                try:
                    gained += walker.sweep(leaf, first, last)
                except PASSING as error:
                    patience.try_again(error)  # the next pass comes by these rows again
        written += gained
        if fewer or (gained and step.due is None):
            patience.succeed()
        elif patience.tried_for > site.settings.lock_budget:
            raise StepRefused(
                f"{step.title}: {pending} rows are held by other sessions for {patience.tried_for:.0f} s",
                fix=f"end the transactions that hold them (see pg_stat_activity), then run {site.to_go_on} again",
            )
        tell()
        if site.stopping.wait(_SWEEP_PAUSE):
            site.confirm()
        left = awaited.count()
    return written


class _Awaited:
    """The rows that a walk has still to do before it ends."""

    def __init__(self, site: Site, step: Walk) -> None:
        self._site = site
        self._step = step
        self._due: frozenset[str] | None = None

    def count(self) -> int:
        """So many now. Where rows come to be due without end, those that came after the first time do not count."""
        if self._step.due is None:
            return _count_rows(self._site, self._step.pending)
        due = frozenset(text for (text,) in self._site.work.execute(trusted(self._step.due)))
        self._due = due if self._due is None else self._due & due
        return len(self._due)


def _count_rows(site: Site, query: str) -> int:
    row = site.work.execute(trusted(query)).fetchone()
    return int(row[0]) if row else 0


def _ranges(site: Site, step: Walk, leaf: Relation) -> list[tuple[str, str]]:
    """Half-open tid ranges, a block each, that hold rows still to be done; at most so many rows at once."""
    cursor: psycopg.RawCursor[Any] = psycopg.RawCursor(site.work)
    query = trusted(step.pending_rows).format(leaf=table(leaf))
    cursor.execute(sql.SQL("{} LIMIT {}").format(query, _SWEEP_AT_ONCE), ("(0,0)", "(4294967295,0)"))
    blocks = sorted({int(tid.strip("()").split(",")[0]) for (tid,) in cursor})
    return [(f"({block},0)", f"({block + 1},0)") for block in blocks]
