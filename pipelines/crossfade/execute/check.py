"""A check over rows: settle what was mended, look, and say in words what is wrong."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

import psycopg
from psycopg import errors

from crossfade.execute.errors import ExecutionFailed, Paused, StepRefused, is_lost
from crossfade.execute.notice import Retrying, StepFinished
from crossfade.execute.rights import missing_right
from crossfade.execute.settle import settle
from crossfade.execute.site import Site
from crossfade.server_words import told
from crossfade.spec.fragment import trusted
from crossfade.steps.conflicts import IN_CONFLICT, STILL_HELD
from crossfade.steps.step import Check

_PAUSES = (0.1, 0.2)  # seconds
_FIRST_DELAY, _LONGEST_DELAY = 0.1, 5.0


def run_check(site: Site, step: Check) -> StepFinished:
    """Ask a check; raises StepRefused with the counts when it finds anything."""
    began = time.monotonic()
    site.begin(step)
    try:
        settle(site, step)
        witness, found = _asked_for_good(site, step, _wait)
    except psycopg.Error as error:
        raise _failed(site, step, error) from None
    if found:
        raise _refused(site, step, found)
    with site.transaction():
        detail = {"witness": witness, "witness_query": step.witness} if step.witness is not None else {}
        site.ledger.step_done(site.migration, step.id, detail=detail)
    return StepFinished(step, time.monotonic() - began)


def ask_ahead(site: Site, step: Check) -> None:
    """Ask a check of the undo before anything is taken back; raises StepRefused with the counts."""
    try:
        found = _found(site, step)
        if found:
            settle(site, step)
            _, found = _asked_for_good(site, step, _wait_through_pauses)
    except psycopg.Error as error:
        raise _failed(site, step, error) from None
    if found:
        raise _refused(site, step, found)


def said_found(migration: str, found: Mapping[str, int]) -> str:
    """What a check found, and what lists the rows in conflict."""
    listing = dict.fromkeys((IN_CONFLICT, STILL_HELD), f" (`crossfade conflicts {migration}` lists them)")
    return ", ".join(f"{count:,} {words}{listing.get(words, '')}" for words, count in found.items())


def _asked_for_good(site: Site, step: Check, wait: Callable[[Site, float], None]) -> tuple[str | None, dict[str, int]]:
    """The witness, and what is found when what passes by itself has had its time.

    Rows that break a rule are looked for again: a client may be between two statements that make one whole. A row that
    somebody holds is settled when he lets go of it, and waited for as long as for a lock.
    """
    began = time.monotonic()
    pauses, delay, attempt = iter(_PAUSES if step.find is not None else ()), _FIRST_DELAY, 1
    while True:
        # Taken before the scan: what changes while it runs shows too.
        witness = _value(site, step.witness) if step.witness is not None else None
        found = _found(site, step)
        if not found:
            return witness, found
        if _passes(found):
            if time.monotonic() - began > site.settings.lock_budget:
                return witness, found
            pause, delay = delay, min(2 * delay, _LONGEST_DELAY)
            site.listen(Retrying(step, attempt, said_found(site.migration, found), pause))
        else:
            pause = next(pauses, None)
            if pause is None:
                return witness, found
        wait(site, pause)
        settle(site, step)
        attempt += 1


def _wait(site: Site, seconds: float) -> None:
    if site.ledger.paused(site.migration):
        raise Paused
    _wait_through_pauses(site, seconds)


def _wait_through_pauses(site: Site, seconds: float) -> None:
    """Before a way back, which ends a pause itself."""
    if site.stopping.wait(seconds):
        site.confirm()


def _found(site: Site, step: Check) -> dict[str, int]:
    """What must not be, and how often it is."""
    cursor = site.work.execute(trusted(step.query))
    row = cursor.fetchone()
    assert row is not None
    assert cursor.description is not None
    return {column.name: int(value) for column, value in zip(cursor.description, row, strict=True) if value}


def _passes(found: Mapping[str, int]) -> bool:
    """By itself, when those who hold rows let go of them."""
    return list(found) == [STILL_HELD]


def _refused(site: Site, step: Check, found: Mapping[str, int]) -> StepRefused:
    with site.noting() as ledger:
        ledger.event(site.migration, "check refused", {"step": step.id, "found": dict(found)})
    fix = step.fix + (f"; find them: {step.find}" if step.find else "")
    if _passes(found):
        fix = f"end the transactions that hold them (see pg_stat_activity), then run {site.to_go_on} again"
    return StepRefused(said_found(site.migration, found), why=f"in {site.name}: {step.title}", fix=fix)


def _failed(site: Site, step: Check, error: psycopg.Error) -> Exception:
    """A lost session is the runner's to mend."""
    if is_lost(error):
        return error
    return ExecutionFailed(
        f"{step.title}: {told(error)}",
        why=f"SQLSTATE {error.sqlstate} in {site.name}",
        fix=missing_right(site, step, error) if isinstance(error, errors.InsufficientPrivilege) else step.fix,
        sqlstate=error.sqlstate,
    )


def _value(site: Site, query: str) -> str | None:
    row = site.work.execute(trusted(query)).fetchone()
    return row[0] if row else None
