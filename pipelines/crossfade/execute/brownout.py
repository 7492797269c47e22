"""Hides columns or tables for minutes, counts what fails meanwhile, and gives them back, whatever ends the wait."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import psycopg

from crossfade.errors import CrossfadeError
from crossfade.execute.ddl import is_true, until_done
from crossfade.execute.errors import PASSING, LockBudgetExceeded, Paused, StepRefused, is_lost
from crossfade.execute.failures import Counters, counters, failed_since
from crossfade.execute.locks import take_locks
from crossfade.execute.notice import Retrying, StepFinished
from crossfade.execute.session import limit
from crossfade.execute.site import Site
from crossfade.ledger import Ledger
from crossfade.plan import Plan
from crossfade.server_words import told
from crossfade.spec.fragment import trusted
from crossfade.steps.step import Brownout

_LOOK_EVERY = 0.5  # seconds
_BETWEEN = 0.25  # seconds between attempts to give them back: applications fail meanwhile
_LONGEST_SEARCH = 60.0  # seconds
_WHEN_STOPPED = 30.0  # seconds of trying when the run is cancelled; whoever comes next goes on


def run_brownout(site: Site, step: Brownout) -> StepFinished:
    """Hide the columns, wait, and give them back.

    Raises Paused, or what else ends the wait, when they have been given back; the step is to be done again then.
    """
    began = time.monotonic()
    before = counters(site.work)
    until_done(site, step, lambda: _hide(site, step))
    site.fault("hidden")
    try:
        _wait(site, step.seconds)
    except BaseException as end:
        because = type(end).__name__
        # What cannot be done here (the lease is lost, the server is away) the next run does before anything else.
        with suppress(psycopg.Error, CrossfadeError):
            _give_back(site, step, lambda ledger: _cut_short(ledger, site, step, because), _WHEN_STOPPED)
        raise
    _give_back(site, step, lambda ledger: _ended(ledger, site, step), site.settings.lock_budget)
    _count(site, step, before)
    return StepFinished(step, time.monotonic() - began)


def restore_hidden(site: Site, plan: Plan) -> None:
    """Give back what a runner that died has left hidden: the first thing that is done, forward and back."""
    steps = [step for step in plan.steps if isinstance(step, Brownout) and step.database == site.name]
    records = site.ledger.steps(site.migration) if steps else {}
    for step in steps:
        record = records.get(step.id)
        if record is not None and record.state == "running" and is_true(site.work, step.hidden):
            _give_back(
                site, step, lambda ledger, step=step: _cut_short(ledger, site, step, "died"), site.settings.lock_budget
            )


def is_left_hidden(connection: psycopg.Connection[Any], plan: Plan, database: str) -> bool:
    """A brownout has begun in the database and not ended."""
    records = Ledger(connection).steps(plan.migration)
    return any(
        records[step.id].state == "running" and is_true(connection, step.hidden)
        for step in plan.steps
        if isinstance(step, Brownout) and step.database == database and step.id in records
    )


def _hide(site: Site, step: Brownout) -> None:
    with site.transaction() as work:
        take_locks(site, work, step.locks, parents_last=True)
        for guard in step.guards:
            if not is_true(work, guard.query):
                raise StepRefused(f"{step.title}: {guard.refusal}", why=guard.why, fix=guard.fix)
        for statement in step.hide:
            work.execute(trusted(statement))
        site.ledger.step_running(site.migration, step.id, str(step.leg))
        site.ledger.event(site.migration, "brownout began", _told(step) | {"seconds": step.seconds})


def _wait(site: Site, seconds: float) -> None:
    """Without a transaction, so without a lock. Raises Paused when a person says so."""
    until = time.monotonic() + seconds
    while (left := until - time.monotonic()) > 0:
        if site.stopping.wait(min(left, _LOOK_EVERY)):
            site.confirm()
        if site.ledger.paused(site.migration):
            raise Paused


def _give_back(site: Site, step: Brownout, note: Callable[[Ledger], None], patience: float) -> None:
    """note: in the transaction that gives them back."""
    began, attempt = time.monotonic(), 0
    while True:
        attempt += 1
        try:
            with site.transaction() as work:
                locks = step.locks if step.restore_locks is None else step.restore_locks
                take_locks(site, work, locks, parents_last=True)
                for statement in step.restore:
                    work.execute(trusted(statement))
                note(Ledger(work))
            return
        except PASSING as error:
            if is_lost(error):
                raise
            if time.monotonic() - began > patience:
                raise LockBudgetExceeded(
                    f"{step.subject} cannot be given back: no lock in {attempt} attempts",
                    why=f"last: {told(error)}",
                    fix=f"end the session that holds the lock (see pg_locks), then run {site.to_go_on}",
                ) from None
            site.listen(Retrying(step, attempt, told(error), _BETWEEN))
            if site.stopping.wait(_BETWEEN):
                site.confirm()


def _count(site: Site, step: Brownout, before: Counters) -> None:
    """Aside from giving back: the log may be long, and everybody would wait for who reads it."""
    with site.transaction() as work:
        limit(work, statement_timeout=_LONGEST_SEARCH)
        found, ledger = failed_since(work, before, step.sought), Ledger(work)
        ledger.step_notes(site.migration, step.id, found)
        ledger.event(site.migration, "brownout counted", _told(step) | found)


def _ended(ledger: Ledger, site: Site, step: Brownout) -> None:
    ledger.step_done(site.migration, step.id)
    ledger.event(site.migration, "brownout ended", _told(step))


def _cut_short(ledger: Ledger, site: Site, step: Brownout, because: str) -> None:
    ledger.step_undone(site.migration, step.id, ())
    ledger.event(site.migration, "brownout cut short", _told(step) | {"because": because})


def _told(step: Brownout) -> dict[str, Any]:
    return {"step": step.id, "table": str(step.relation), "columns": list(step.columns)}
