"""DDL in one short transaction with its ledger row, retried until it gets its lock."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from itertools import cycle
from typing import Any

import psycopg
from psycopg import errors

from crossfade.errors import CrossfadeError
from crossfade.execute.blockers import BlockerSample
from crossfade.execute.errors import (
    PASSING,
    ExecutionFailed,
    LockBudgetExceeded,
    Paused,
    StepRefused,
    WitnessChanged,
    is_lost,
)
from crossfade.execute.idle import IdleEnder
from crossfade.execute.locks import take_locks
from crossfade.execute.notice import Blocker, Retrying, StepFinished
from crossfade.execute.rights import missing_right
from crossfade.execute.site import Site
from crossfade.server_words import advice, told
from crossfade.spec.fragment import trusted
from crossfade.steps.step import AnyStep, Ddl

_FIRST_DELAY, _LONGEST_DELAY = 0.25, 15.0


def run_ddl(site: Site, step: Ddl) -> StepFinished:
    """Run a DDL step until it is committed.

    Raises LockBudgetExceeded naming who held the lock, StepRefused when a guard does not hold, WitnessChanged when
    the check it rests on must be asked again, ExecutionFailed for an error that does not pass by itself.
    """
    held, parents_last = 0.0, cycle((True, False))

    def attempt() -> None:
        nonlocal held
        held = _attempt(site, step, parents_last=next(parents_last))

    finished = until_done(site, step, attempt)
    if step.script is not None:
        site.forget_settings()
    return replace(finished, held=held)


def until_done(site: Site, step: AnyStep, attempt: Callable[[], None]) -> StepFinished:
    """Try `attempt` until it succeeds, the lock budget is used up, or an error comes that does not pass by itself.

    A lost connection is the runner's to mend: psycopg's error goes through.
    """
    began = time.monotonic()
    delay, attempts, waited = _FIRST_DELAY, 0, 0.0
    idle = site.settings.end_idle_blockers
    ending = IdleEnder(site.watch, site.lease, idle) if idle is not None else None
    look_after = min(site.settings.lock_timeout, site.longest_hold) * 0.6
    while True:
        attempts += 1
        tried = time.monotonic()
        with BlockerSample(site.watch, site.work.info.backend_pid, look_after, ending) as sample:
            try:
                attempt()
                return StepFinished(step, time.monotonic() - began, attempts=attempts, lock_wait=waited)
            except psycopg.Error as error:
                failure = error
        waited += time.monotonic() - tried
        if is_lost(failure):
            raise failure
        if not isinstance(failure, PASSING):
            raise _failed(site, step, failure) from None
        if time.monotonic() - began > site.settings.lock_budget:
            lacking = ending.refused if ending is not None else None
            raise _out_of_budget(site, step, attempts, failure, sample.found, lacking) from None
        pause = delay * random.uniform(0.5, 1.5)
        delay = min(delay * 2, _LONGEST_DELAY)
        _tell(site, step, attempts, failure, pause, sample.found)
        if site.ledger.paused(site.migration):
            raise Paused
        if site.stopping.wait(pause):
            raise failure


def _attempt(site: Site, step: Ddl, *, parents_last: bool) -> float:
    """Seconds for which it held any of its locks."""
    with site.transaction() as work:
        began = take_locks(site, work, step.locks, parents_last=parents_last)
        # Under the locks, so that their answers stay true to the commit.
        _ask_guards(site, step)
        for statement in step.statements:
            work.execute(trusted(statement))
        site.ledger.step_running(site.migration, step.id, str(step.leg))
        site.ledger.step_done(site.migration, step.id)
    return time.monotonic() - began


def _ask_guards(site: Site, step: Ddl) -> None:
    for guard in step.guards:
        if not is_true(site.work, guard.query):
            raise StepRefused(
                f"{step.title}: {guard.refusal}",
                why=guard.why,
                fix=guard.fix or f"run {site.to_go_on} again; it checks every row first",
            )
    for check in step.witnessed_by:
        record = site.ledger.steps(site.migration).get(check)
        query = record.detail.get("witness_query") if record else None
        if record is None or query is None or _one(site.work, query) != record.detail.get("witness"):
            raise WitnessChanged(check)


def is_true(work: psycopg.Connection[Any], query: str) -> bool:
    """The query's one answer is true; neither false nor NULL."""
    return _one(work, query) is True


def _one(work: psycopg.Connection[Any], query: str) -> Any:
    row = work.execute(trusted(query)).fetchone()
    return row[0] if row else None


def _tell(
    site: Site, step: AnyStep, attempt: int, failure: psycopg.Error, delay: float, blockers: tuple[Blocker, ...]
) -> None:
    reason = _reason(failure)
    site.listen(Retrying(step, attempt, reason, delay, blockers))
    evidence = {"step": step.id, "attempt": attempt, "reason": reason, "blockers": [asdict(b) for b in blockers]}
    with site.noting() as ledger:
        ledger.event(site.migration, "attempt failed", evidence)


def _reason(failure: psycopg.Error) -> str:
    return "the lock was not free" if isinstance(failure, errors.LockNotAvailable) else told(failure)


def _out_of_budget(
    site: Site,
    step: AnyStep,
    attempts: int,
    failure: psycopg.Error,
    blockers: tuple[Blocker, ...],
    lacking: str | None,
) -> LockBudgetExceeded:
    """lacking: the GRANT that would have let us end an idle one."""
    held = "; ".join(map(str, blockers))
    evidence = {"step": step.id, "attempts": attempts, "blockers": [asdict(b) for b in blockers]}
    with site.noting() as ledger:
        ledger.event(site.migration, "lock budget used up", evidence)
    return LockBudgetExceeded(
        f"{step.title}: no success in {attempts} attempts over {site.settings.lock_budget:.0f} s in {site.name}",
        why=f"last: {_reason(failure)}" + (f"; held by {held}" if held else ""),
        fix="end the session that holds the lock, or try again when the table is quieter; nothing was changed"
        + (f"; for `end_idle_blockers`: {lacking}" if lacking else ""),
    )


def _failed(site: Site, step: AnyStep, failure: psycopg.Error) -> CrossfadeError:
    fix = advice(failure)
    if isinstance(failure, errors.InsufficientPrivilege):
        fix = missing_right(site, step, failure)
    if isinstance(failure, errors.QueryCanceled):
        fix = f"the statement was cancelled; run {site.to_go_on} again to go on"
    return ExecutionFailed(
        f"{step.title}: {told(failure)}",
        why=f"PostgreSQL refused it in {site.name} (SQLSTATE {failure.sqlstate})",
        fix=fix or f"mend the cause and run {site.to_go_on} again",
        sqlstate=failure.sqlstate,
    )
