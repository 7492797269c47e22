"""Rows carried to another database: chunks as binary COPY streams, each of one moment, then what was written since.

docs/decisions tells why this is exact without one moment for all chunks.
"""

from __future__ import annotations

import time
from typing import Any

import psycopg
from psycopg import errors, sql

from crossfade.execute.crew import Crew
from crossfade.execute.errors import Paused
from crossfade.execute.following import Follower
from crossfade.execute.notice import StepFinished
from crossfade.execute.session import limit
from crossfade.execute.site import Site
from crossfade.execute.streaming import add_staged, stream
from crossfade.execute.throttle import Throttle
from crossfade.execute.units import Rewritten, Unit, filenode, note_progress, open_units, start_anew
from crossfade.spec.fragment import trusted
from crossfade.steps.compose import table
from crossfade.steps.step import Copy, Copying


def run_copy(site: Site, step: Copy) -> StepFinished:
    """Copy what is not copied, apply what was written, prove both equal where the step says so.

    Raises Paused, StepRefused when the tables differ, ExecutionFailed for what does not pass by itself.
    """
    began = time.monotonic()
    site.begin(step)
    source = site.beside[step.of.source]
    with Throttle(site, step.id) as throttle:
        follower = Follower(site, source, step, throttle)
        try:
            while True:
                while units := open_units(site, step.of, source):
                    _crew(site, source, step, throttle, units).work()
                if follower.catch_up():
                    break
        finally:
            follower.close()
    totals = site.ledger.progress(site.migration).get(step.of.id)
    rows = (totals.rows if totals and step.of.id == step.id else 0) + follower.keys
    with site.transaction():
        site.ledger.step_done(site.migration, step.id, rows=rows, detail={"applied": follower.keys})
        if follower.proved is not None:
            site.ledger.event(site.migration, "copy proved", {"step": step.id, "rows": follower.proved})
    return StepFinished(step, time.monotonic() - began, rows=rows, batches=totals.batches if totals else 0)


def _crew(site: Site, source: Site, step: Copy, throttle: Throttle, units: list[Unit]) -> Crew:
    return Crew(
        site,
        step,
        step.of.id,
        throttle,
        units,
        hire=lambda: _Copier(site, source, step.of),
        anew=lambda leaf: start_anew(site, step.of, leaf, source),
        most=site.settings.workers,
    )


class _Copier:
    """Reads chunks in the source and writes them here, with their progress, in one transaction."""

    def __init__(self, site: Site, source: Site, of: Copying) -> None:
        self._site = site
        self._of = of
        self.connection = site.session()
        self._reader = source.session()

    def close(self) -> None:
        self.connection.close()
        self._reader.close()

    def advance(self, unit: Unit, blocks: int) -> tuple[Unit, int]:
        """Copy the rows in the next `blocks` of a unit."""
        end = min(unit.next_block + blocks, unit.end_block)
        with self._site.transaction(self.connection) as work:
            if self._site.paused:
                raise Paused
            try:
                with work.transaction():
                    rows = self._carry(work, unit, end, staged=False)
            except errors.UniqueViolation:  # a row that has moved, or a chunk of a walk that began anew
                rows = self._carry(work, unit, end, staged=True)
            note_progress(work, self._site.migration, self._of.id, unit, end, rows)
        return unit.advanced(end), rows

    def _carry(self, work: psycopg.Connection[Any], unit: Unit, end: int, *, staged: bool) -> int:
        chunk = trusted(self._of.chunk).format(
            leaf=table(unit.leaf), first=sql.Literal(f"({unit.next_block},0)"), last=sql.Literal(f"({end},0)")
        )
        with self._reader.transaction():
            # Each end waits for the other one meanwhile.
            limit(work, idle_in_transaction_session_timeout=0)
            limit(
                self._reader,
                idle_in_transaction_session_timeout=0,
                lock_timeout=self._site.settings.lock_timeout,
            )
            # Before the query has its snapshot: no rewrite comes between the question and the rows.
            self._reader.execute(sql.SQL("LOCK TABLE ONLY {} IN ACCESS SHARE MODE").format(table(unit.leaf)))
            row = self._reader.execute(sql.SQL("SELECT {}").format(filenode(unit.leaf))).fetchone()
            if row is None or row[0] != unit.filenode:
                raise Rewritten(unit.leaf)
            if staged:
                return add_staged(self._reader, chunk, work, self._of)
            return stream(self._reader, chunk, work, table(self._of.target), self._of.columns)
